package ocsp

import (
	"crypto"
	_ "crypto/sha1" // SHA-1 for CertIDs and key ids, where collisions gain nothing
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/asn1"
)

// Object identifiers, by the names of the standards.
var (
	idPKIXOCSPBasic          = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1} // RFC 6960 §4.2.1
	idPKIXOCSPNonce          = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2} // RFC 9654 §2.1
	idPKIXOCSPNocheck        = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5} // RFC 6960 §4.2.2.2.1
	idPKIXOCSPArchiveCutoff  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 6} // RFC 6960 §4.4.4
	idPKIXOCSPExtendedRevoke = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 9} // RFC 6960 §4.4.8

	sha256WithRSAEncryption = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11} // RFC 4055 §5
	ecdsaWithSHA256         = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}   // RFC 5758 §3.2
	ecdsaWithSHA384         = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}   // RFC 5758 §3.2
)

// certIDHashes are the hash algorithms in which CertIDs are understood: SHA-1
// as RFC 5019 has it, SHA-256 as RFC 9919 prefers, and its larger sisters.
var certIDHashes = []struct {
	oid  asn1.ObjectIdentifier
	hash crypto.Hash
}{
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, crypto.SHA1},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, crypto.SHA256},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, crypto.SHA384},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, crypto.SHA512},
}

func certIDHash(oid asn1.ObjectIdentifier) (crypto.Hash, bool) {
	for _, known := range certIDHashes {
		if oid.Equal(known.oid) {
			return known.hash, true
		}
	}
	return 0, false
}
