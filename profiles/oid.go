package profiles

import (
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
)

type oid = asn1.ObjectIdentifier

// Attribute types (X.520, RFC 5280 appendix A.1).
var (
	oidCommonName             = oid{2, 5, 4, 3}
	oidSurname                = oid{2, 5, 4, 4}
	oidCountryName            = oid{2, 5, 4, 6}
	oidLocalityName           = oid{2, 5, 4, 7}
	oidStateOrProvinceName    = oid{2, 5, 4, 8}
	oidOrganizationName       = oid{2, 5, 4, 10}
	oidOrganizationalUnitName = oid{2, 5, 4, 11}
	oidTitle                  = oid{2, 5, 4, 12}
	oidGivenName              = oid{2, 5, 4, 42}
)

// Extensions (RFC 5280 §4.2, RFC 6960 §4.2.2.2.1) and the private ones of
// the cards.
var (
	oidSubjectKeyIdentifier   = oid{2, 5, 29, 14}
	oidKeyUsage               = oid{2, 5, 29, 15}
	oidPrivateKeyUsagePeriod  = oid{2, 5, 29, 16}
	oidSubjectAltName         = oid{2, 5, 29, 17}
	oidBasicConstraints       = oid{2, 5, 29, 19}
	oidCRLDistributionPoints  = oid{2, 5, 29, 31}
	oidCertificatePolicies    = oid{2, 5, 29, 32}
	oidAnyPolicy              = oid{2, 5, 29, 32, 0}
	oidAuthorityKeyIdentifier = oid{2, 5, 29, 35}
	oidExtKeyUsage            = oid{2, 5, 29, 37}
	oidFreshestCRL            = oid{2, 5, 29, 46}
	oidAuthorityInfoAccess    = oid{1, 3, 6, 1, 5, 5, 7, 1, 1}
	oidQualifierCPS           = oid{1, 3, 6, 1, 5, 5, 7, 2, 1}
	oidAccessOCSP             = oid{1, 3, 6, 1, 5, 5, 7, 48, 1}
	oidOCSPNoCheck            = oid{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}
	oidAccessCAIssuers        = oid{1, 3, 6, 1, 5, 5, 7, 48, 2}

	oidCardType        = oid{1, 2, 250, 1, 71, 1, 2, 2}
	oidTokenIdentifier = oid{1, 2, 250, 1, 71, 1, 2, 3}
	oidProductCategory = oid{1, 2, 250, 1, 71, 1, 2, 5}
	oidProfession      = oid{1, 2, 250, 1, 71, 1, 2, 7}
)

// Extended key usages (RFC 5280 §4.2.1.12) and the principal name of Windows.
var (
	oidServerAuth        = oid{1, 3, 6, 1, 5, 5, 7, 3, 1}
	oidClientAuth        = oid{1, 3, 6, 1, 5, 5, 7, 3, 2}
	oidEmailProtection   = oid{1, 3, 6, 1, 5, 5, 7, 3, 4}
	oidOCSPSigning       = oid{1, 3, 6, 1, 5, 5, 7, 3, 9}
	oidSmartcardLogon    = oid{1, 3, 6, 1, 4, 1, 311, 20, 2, 2}
	oidUserPrincipalName = oid{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}
)

// Public keys and signatures (RFC 3279, RFC 5480, RFC 5758, RFC 8017, RFC 8410).
var (
	oidRSAEncryption   = oid{1, 2, 840, 113549, 1, 1, 1}
	oidSHA256WithRSA   = oid{1, 2, 840, 113549, 1, 1, 11}
	oidECPublicKey     = oid{1, 2, 840, 10045, 2, 1}
	oidECDSAWithSHA256 = oid{1, 2, 840, 10045, 4, 3, 2}
	oidECDSAWithSHA384 = oid{1, 2, 840, 10045, 4, 3, 3}
	oidP224            = oid{1, 3, 132, 0, 33}
	oidP256            = oid{1, 2, 840, 10045, 3, 1, 7}
	oidP384            = oid{1, 3, 132, 0, 34}
	oidP521            = oid{1, 3, 132, 0, 35}
	oidEd25519         = oid{1, 3, 101, 112}
)

// The encoded forms that are written while a certificate is built.
var (
	derCommonName             = encoded(oidCommonName)
	derSurname                = encoded(oidSurname)
	derGivenName              = encoded(oidGivenName)
	derTitle                  = encoded(oidTitle)
	derStateOrProvinceName    = encoded(oidStateOrProvinceName)
	derOrganizationName       = encoded(oidOrganizationName)
	derOrganizationalUnitName = encoded(oidOrganizationalUnitName)

	derAuthorityKeyIdentifier = encoded(oidAuthorityKeyIdentifier)
	derSubjectKeyIdentifier   = encoded(oidSubjectKeyIdentifier)
	derPrivateKeyUsagePeriod  = encoded(oidPrivateKeyUsagePeriod)
	derSubjectAltName         = encoded(oidSubjectAltName)
	derTokenIdentifier        = encoded(oidTokenIdentifier)
	derProfession             = encoded(oidProfession)
	derUserPrincipalName      = encoded(oidUserPrincipalName)
)

// encoded returns the DER of a constant identifier; it is empty only for one
// that is not an identifier, which the golden tests would show.
func encoded(id oid) []byte {
	var b cryptobyte.Builder
	b.AddASN1ObjectIdentifier(id)
	der, _ := b.Bytes()
	return der
}
