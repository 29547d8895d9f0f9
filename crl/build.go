package crl

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // the digests of the three algorithms
	_ "crypto/sha512"
	"fmt"
	"time"

	"cpsca/card"
)

// Content is what is said of a list besides its entries.
type Content struct {
	Number     int64 // positive; reserved before signing, never used again (RFC 5280 §5.2.3)
	ThisUpdate time.Time
	NextUpdate time.Time // always present (RFC 5280 §5.1.2.5), after ThisUpdate
}

// maximumHeader is the largest header in front of a list: identifier, length
// of the length, four octets of length.
const maximumHeader = 6

// Build encodes and signs a list with the entries in the order given:
//
//	CertificateList ::= SEQUENCE {
//	  tbsCertList         TBSCertList,
//	  signatureAlgorithm  AlgorithmIdentifier,
//	  signatureValue      BIT STRING }
//
// The signature is verified before the list is released: one that does not
// verify gives ErrSignature. A serial that occurs twice gives ErrDuplicate, an
// entry without encoding ErrEntry, a number below 1 ErrNumber, dates that are
// impossible or in the wrong order ErrTime. The signer is asked once.
func Build(issuer *Issuer, content Content, entries []Entry) ([]byte, error) {
	signing, ok := algorithmNamed(issuer.Algorithm)
	if !ok {
		return nil, fmt.Errorf("signing with %s: %w", issuer.Algorithm, ErrIssuer)
	}
	err := content.check()
	if err != nil {
		return nil, err
	}
	err = checkEntries(entries)
	if err != nil {
		return nil, err
	}
	// The list is written once, behind room for its own header, whose size
	// depends on the signature.
	size := tbsSize(issuer, signing, content, entries)
	list := make([]byte, maximumHeader, maximumHeader+size+len(signing.identifier)+maximumHeader+1024)
	list = appendTBS(list, issuer, signing, content, entries)
	digest := signing.hash.New()
	digest.Write(list[maximumHeader:])
	hashed := digest.Sum(nil)
	signature, err := issuer.Signer.Sign(rand.Reader, hashed, signing.hash)
	if err != nil {
		return nil, fmt.Errorf("signing list %d: %w", content.Number, err)
	}
	if !verifies(issuer.Certificate.PublicKey, signing.hash, hashed, signature) {
		return nil, fmt.Errorf("verifying list %d before its release: %w", content.Number, ErrSignature)
	}
	list = append(list, signing.identifier...)
	list = appendHeader(list, tagBitString, len(signature)+1)
	list = append(list, 0)
	list = append(list, signature...)
	inside := len(list) - maximumHeader
	start := maximumHeader - headerSize(inside)
	appendHeader(list[start:start], tagSequence, inside)
	return list[start:], nil
}

func (c Content) check() error {
	if c.Number < 1 {
		return fmt.Errorf("list number %d: %w", c.Number, ErrNumber)
	}
	err := checkDate("thisUpdate", c.ThisUpdate)
	if err != nil {
		return err
	}
	err = checkDate("nextUpdate", c.NextUpdate)
	if err != nil {
		return err
	}
	if !c.NextUpdate.After(c.ThisUpdate) {
		return fmt.Errorf("nextUpdate %s is not after thisUpdate: %w", c.NextUpdate.UTC().Format(time.RFC3339), ErrTime)
	}
	return nil
}

func checkEntries(entries []Entry) error {
	seen := make(map[card.Serial]struct{}, len(entries))
	for i := range entries {
		seen[entries[i].Serial] = struct{}{}
		if len(seen) != i+1 {
			return fmt.Errorf("serial %s: %w", entries[i].Serial, ErrDuplicate)
		}
		if len(entries[i].DER) == 0 {
			return fmt.Errorf("serial %s has no encoding: %w", entries[i].Serial, ErrEntry)
		}
	}
	return nil
}

func bodySize(entries []Entry) int {
	size := 0
	for i := range entries {
		size += len(entries[i].DER)
	}
	return size
}

// tbsInside is the size of the contents of a TBSCertList.
func tbsInside(issuer *Issuer, signing algorithm, content Content, entries []Entry) int {
	size := 3 + len(signing.identifier) + len(issuer.Name)
	size += len(appendTime(nil, content.ThisUpdate)) + len(appendTime(nil, content.NextUpdate))
	if len(entries) > 0 {
		size += sized(bodySize(entries))
	}
	return size + len(appendExtensions(nil, issuer.KeyID, content.Number))
}

func tbsSize(issuer *Issuer, signing algorithm, content Content, entries []Entry) int {
	return sized(tbsInside(issuer, signing, content, entries))
}

// appendTBS appends
//
//	TBSCertList ::= SEQUENCE {
//	  version              INTEGER v2(1),
//	  signature            AlgorithmIdentifier,
//	  issuer               Name,
//	  thisUpdate           Time,
//	  nextUpdate           Time,
//	  revokedCertificates  SEQUENCE OF SEQUENCE { … } OPTIONAL,
//	  crlExtensions    [0] EXPLICIT Extensions }
//
// revokedCertificates is absent, not empty, when nothing is revoked
// (RFC 5280 §5.1.2.6).
func appendTBS(dst []byte, issuer *Issuer, signing algorithm, content Content, entries []Entry) []byte {
	dst = appendHeader(dst, tagSequence, tbsInside(issuer, signing, content, entries))
	dst = appendPositive(dst, versionV2)
	dst = append(dst, signing.identifier...)
	dst = append(dst, issuer.Name...)
	dst = appendTime(dst, content.ThisUpdate)
	dst = appendTime(dst, content.NextUpdate)
	if len(entries) > 0 {
		dst = appendHeader(dst, tagSequence, bodySize(entries))
		for i := range entries {
			dst = append(dst, entries[i].DER...)
		}
	}
	return appendExtensions(dst, issuer.KeyID, content.Number)
}

// appendExtensions appends authorityKeyIdentifier with the key identifier
// alone, then cRLNumber, neither critical (RFC 5280 §5.2.1, §5.2.3), in the
// order of the IGC-Santé lists.
func appendExtensions(dst []byte, keyID card.KeyID, number int64) []byte {
	value := appendPositive(nil, number)
	numbered := 2 + len(oidCRLNumber) + 2 + len(value)
	identified := 2 + len(oidAuthorityKeyIdentifier) + 2 + 4 + len(keyID)
	size := 2 + identified + 2 + numbered
	dst = append(dst, tagExplicit0, byte(2+size), tagSequence, byte(size))

	dst = append(dst, tagSequence, byte(identified), tagObjectID, byte(len(oidAuthorityKeyIdentifier)))
	dst = append(dst, oidAuthorityKeyIdentifier...)
	dst = append(dst, tagOctetString, byte(4+len(keyID)), tagSequence, byte(2+len(keyID)))
	dst = append(dst, tagKeyIdentifier, byte(len(keyID)))
	dst = append(dst, keyID[:]...)

	dst = append(dst, tagSequence, byte(numbered), tagObjectID, byte(len(oidCRLNumber)))
	dst = append(dst, oidCRLNumber...)
	dst = append(dst, tagOctetString, byte(len(value)))
	return append(dst, value...)
}

func verifies(public crypto.PublicKey, hash crypto.Hash, hashed, signature []byte) bool {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, hash, hashed, signature) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, hashed, signature)
	}
	return false
}
