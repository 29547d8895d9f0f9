package profiles

import (
	"net/netip"
	"time"

	"cpsca/card"
	"cpsca/registry"
)

// version3 is the field version of a TBSCertificate: [0] { INTEGER 2 }.
var version3 = []byte{tagContext0Constructed, 3, tagInteger, 1, 2}

// certificate is what differs from one certificate of a profile to the next.
type certificate struct {
	serial              card.Serial
	notBefore, notAfter time.Time
	spki                []byte
	subject             []byte
	number              card.Number
	profession          registry.ProfessionCode
	principal           string
	dnsNames            []string
	ips                 []netip.Addr

	key   *Key       // read from spki by check if nil
	keyID card.KeyID // of key
}

// TBSCertificate  ::=  SEQUENCE  {
//      version         [0]  EXPLICIT Version DEFAULT v1,
//      serialNumber         CertificateSerialNumber,
//      signature            AlgorithmIdentifier,
//      issuer               Name,
//      validity             Validity,
//      subject              Name,
//      subjectPublicKeyInfo SubjectPublicKeyInfo,
//      issuerUniqueID  [1]  IMPLICIT UniqueIdentifier OPTIONAL, -- never
//      subjectUniqueID [2]  IMPLICIT UniqueIdentifier OPTIONAL, -- never
//      extensions      [3]  EXPLICIT Extensions OPTIONAL }  -- RFC 5280 §4.1

func (p *Profile) appendTBS(b []byte, c *certificate) []byte {
	start := len(b)
	b = append(b, version3...)
	b = appendInteger(b, c.serial[:])
	b = append(b, p.algorithm...)
	b = append(b, p.issuer.Name...)
	validity := len(b)
	b = appendTime(b, c.notBefore)
	b = appendTime(b, c.notAfter)
	b = enclose(b, validity, tagSequence)
	b = append(b, c.subject...)
	b = append(b, c.spki...)
	extensions := len(b)
	for _, one := range p.parts {
		if one.variable == 0 {
			b = append(b, one.constant...)
			continue
		}
		b = p.appendExtension(b, one.variable, c)
	}
	b = enclose(b, extensions, tagSequence)
	b = enclose(b, extensions, tagContext3Constructed)
	return enclose(b, start, tagSequence)
}

// appendExtension writes an extension that differs; none of them is critical.
func (p *Profile) appendExtension(b []byte, s slot, c *certificate) []byte {
	start := len(b)
	switch s {
	case slotSubjectKeyIdentifier:
		b = append(b, derSubjectKeyIdentifier...)
		value := len(b)
		b = appendElement(b, tagOctetString, c.keyID[:])
		b = enclose(b, value, tagOctetString)
	case slotPrivateKeyUsagePeriod:
		b = append(b, derPrivateKeyUsagePeriod...)
		value := len(b)
		b = appendGeneralizedTime(b, tagContext0, c.notBefore)
		b = appendGeneralizedTime(b, tagContext1, c.notAfter)
		b = enclose(b, value, tagSequence)
		b = enclose(b, value, tagOctetString)
	case slotPrincipalName:
		b = append(b, derSubjectAltName...)
		value := len(b)
		b = p.appendPrincipalName(b, c.principal)
		b = enclose(b, value, tagSequence)
		b = enclose(b, value, tagOctetString)
	case slotSubjectAltName:
		if len(c.dnsNames)+len(c.ips) == 0 {
			return b
		}
		b = append(b, derSubjectAltName...)
		value := len(b)
		b = c.appendHostNames(b)
		b = enclose(b, value, tagSequence)
		b = enclose(b, value, tagOctetString)
	case slotTokenIdentifier:
		b = append(b, derTokenIdentifier...)
		value := len(b)
		b = append(b, p.tokenPrefix...)
		b = append(b, c.number...)
		b = enclose(b, value, tagPrintableString)
		b = enclose(b, value, tagOctetString)
	case slotProfession:
		b = append(b, derProfession...)
		value := len(b)
		b = appendInteger(b, []byte{byte(c.profession >> 8), byte(c.profession)})
		b = enclose(b, value, tagOctetString)
	}
	return enclose(b, start, tagSequence)
}

// appendPrincipalName writes the otherName that Windows reads as the user
// principal name: the national identifier and the suffix of the settings.
func (p *Profile) appendPrincipalName(b []byte, principal string) []byte {
	start := len(b)
	b = append(b, derUserPrincipalName...)
	value := len(b)
	b = append(b, principal...)
	b = append(b, p.upnSuffix...)
	b = enclose(b, value, tagUTF8String)
	b = enclose(b, value, tagContext0Constructed)
	return enclose(b, start, tagContext0Constructed)
}

// appendHostNames writes dNSName [2] and iPAddress [7] (RFC 5280 §4.2.1.6).
func (c *certificate) appendHostNames(b []byte) []byte {
	for _, name := range c.dnsNames {
		b = appendText(b, tagContext2, name)
	}
	for _, ip := range c.ips {
		b = appendElement(b, tagContext7, ip.Unmap().AsSlice())
	}
	return b
}
