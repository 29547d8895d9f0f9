package crl

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"

	"cpsca/card"
)

// Issuer is one certification authority key as it signs lists: name,
// certificate and key in one value, so that a list never mixes two
// generations. Make it with NewIssuer; it is not changed afterwards and may be
// shared.
type Issuer struct {
	Name        []byte // DER of the Name, the very bytes of the certificate's subject (RFC 5280 §5.1.2.3)
	KeyID       card.KeyID
	Certificate *x509.Certificate
	Algorithm   x509.SignatureAlgorithm // SHA256WithRSA, ECDSAWithSHA256 or ECDSAWithSHA384
	Signer      crypto.Signer
	File        string // file name of the list in its folder; NewIssuer proposes the key id with ".crl"
}

// algorithm is a signature algorithm with its AlgorithmIdentifier
// (RFC 4055 §5, RFC 5758 §3.2).
type algorithm struct {
	name       x509.SignatureAlgorithm
	hash       crypto.Hash
	identifier string
}

var algorithms = [...]algorithm{
	{x509.SHA256WithRSA, crypto.SHA256, "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00"},
	{x509.ECDSAWithSHA256, crypto.SHA256, "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"},
	{x509.ECDSAWithSHA384, crypto.SHA384, "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03"},
}

func algorithmNamed(name x509.SignatureAlgorithm) (algorithm, bool) {
	for _, a := range algorithms {
		if a.name == name {
			return a, true
		}
	}
	return algorithm{}, false
}

// NewIssuer makes a list issuer of a certificate and its key: RSA signs with
// PKCS #1 v1.5 and SHA-256, P-256 with SHA-256, P-384 with SHA-384. It returns
// ErrIssuer if the key is another one, the certificate may not sign lists, or
// its subject key identifier is not the SHA-1 of its key (the key id by which
// lists, answers and ledger name an issuer).
func NewIssuer(certificate *x509.Certificate, signer crypto.Signer) (*Issuer, error) {
	keyID, err := keyIDOf(certificate)
	if err != nil {
		return nil, err
	}
	i := &Issuer{
		Name:        certificate.RawSubject,
		KeyID:       keyID,
		Certificate: certificate,
		Signer:      signer,
		File:        keyID.String() + ".crl",
	}
	switch key := certificate.PublicKey.(type) {
	case *rsa.PublicKey:
		i.Algorithm = x509.SHA256WithRSA
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			i.Algorithm = x509.ECDSAWithSHA256
		case elliptic.P384():
			i.Algorithm = x509.ECDSAWithSHA384
		}
	}
	if i.Algorithm == x509.UnknownSignatureAlgorithm {
		return nil, fmt.Errorf("key of the list issuer is neither RSA, P-256 nor P-384: %w", ErrIssuer)
	}
	public, ok := certificate.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if signer == nil || !ok || !public.Equal(signer.Public()) {
		return nil, fmt.Errorf("signing key is not the key of the certificate: %w", ErrIssuer)
	}
	return i, mayIssue(certificate)
}

// mayIssue checks that a certificate may sign lists: an authority with
// cRLSign (RFC 5280 §4.2.1.3, §6.3.3 f).
func mayIssue(certificate *x509.Certificate) error {
	if !certificate.IsCA || certificate.KeyUsage&x509.KeyUsageCRLSign == 0 {
		return fmt.Errorf("certificate may not sign lists: %w", ErrIssuer)
	}
	return nil
}

// keyIDOf is method 1 of RFC 5280 §4.2.1.2. SHA-1 only names the key here;
// nothing relies on its collision resistance.
func keyIDOf(certificate *x509.Certificate) (card.KeyID, error) {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		PublicKey asn1.BitString
	}
	_, err := asn1.Unmarshal(certificate.RawSubjectPublicKeyInfo, &info)
	if err != nil {
		return card.KeyID{}, fmt.Errorf("reading the key of the list issuer: %v: %w", err, ErrIssuer)
	}
	keyID := card.KeyID(sha1.Sum(info.PublicKey.RightAlign()))
	if string(certificate.SubjectKeyId) != string(keyID[:]) {
		return card.KeyID{}, fmt.Errorf("subject key identifier is not the SHA-1 of the key: %w", ErrIssuer)
	}
	return keyID, nil
}
