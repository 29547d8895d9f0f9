package ocsp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"cpsca/card"
)

// ErrResponderCertificate: the certificate gives no right to answer for the
// issuer (RFC 6960 §4.2.2.2), or does not fit the key.
var ErrResponderCertificate = errors.New("not a responder certificate of this issuer")

// errSignature: the signer returned what does not verify. It is never sent.
var errSignature = errors.New("the response's signature does not verify")

// issuer is one CA that the responder answers for.
type issuer struct {
	certificate *x509.Certificate
	keyID       card.KeyID
	delegate    atomic.Pointer[delegate] // nil until a responder certificate is installed
}

// delegate is a responder certificate with its key; immutable.
type delegate struct {
	certificate *x509.Certificate
	keyHash     []byte
	signer      crypto.Signer
	algorithm   signatureAlgorithm
}

type signatureAlgorithm struct {
	oid  asn1.ObjectIdentifier
	null bool // parameters are NULL, not absent
	hash crypto.Hash
}

// KeyID returns the key id of a certificate: the SHA-1 of its public key bits
// (RFC 5280 §4.2.1.2 method 1, RFC 6960 §4.1.1 issuerKeyHash).
func KeyID(certificate *x509.Certificate) (card.KeyID, error) {
	bits, err := publicKeyBits(certificate)
	if err != nil {
		return card.KeyID{}, err
	}
	return sha1.Sum(bits), nil
}

// publicKeyBits returns the content of the BIT STRING subjectPublicKey, without
// its count of unused bits.
//
//	SubjectPublicKeyInfo ::= SEQUENCE {
//	   algorithm            AlgorithmIdentifier,
//	   subjectPublicKey     BIT STRING }
func publicKeyBits(certificate *x509.Certificate) ([]byte, error) {
	input := cryptobyte.String(certificate.RawSubjectPublicKeyInfo)
	var info cryptobyte.String
	var bits []byte
	if !input.ReadASN1(&info, cbasn1.SEQUENCE) || !info.SkipASN1(cbasn1.SEQUENCE) || !info.ReadASN1BitStringAsBytes(&bits) {
		return nil, errors.New("reading the public key bits of a certificate")
	}
	return bits, nil
}

func newIssuer(certificate *x509.Certificate) (*issuer, error) {
	if !certificate.BasicConstraintsValid || !certificate.IsCA {
		return nil, errors.New("an issuer's certificate must be a CA's")
	}
	id, err := KeyID(certificate)
	if err != nil {
		return nil, err
	}
	return &issuer{certificate: certificate, keyID: id}, nil
}

// index is what a CertID must match: algorithm, name hash, key hash.
func index(hash crypto.Hash, nameHash, keyHash []byte) string {
	return string(byte(hash)) + string(nameHash) + string(keyHash)
}

// indexes returns the index of the issuer for every CertID algorithm.
func (i *issuer) indexes() ([]string, error) {
	bits, err := publicKeyBits(i.certificate)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, known := range certIDHashes {
		name, key := known.hash.New(), known.hash.New()
		name.Write(i.certificate.RawSubject)
		key.Write(bits)
		all = append(all, index(known.hash, name.Sum(nil), key.Sum(nil)))
	}
	return all, nil
}

// newDelegate checks that a certificate makes its key a responder for the
// issuer: signed by the issuer's own key, OCSPSigning, no CA, ocsp-nocheck
// (RFC 6960 §4.2.2.2), and not outlived.
func (i *issuer) newDelegate(certificate *x509.Certificate, signer crypto.Signer, now time.Time) (*delegate, error) {
	refuse := func(why string) (*delegate, error) {
		return nil, fmt.Errorf("%w: %s", ErrResponderCertificate, why)
	}
	if !bytes.Equal(certificate.RawIssuer, i.certificate.RawSubject) ||
		i.certificate.CheckSignature(certificate.SignatureAlgorithm, certificate.RawTBSCertificate, certificate.Signature) != nil {
		return refuse("not signed by it")
	}
	if !slices.Contains(certificate.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) || certificate.IsCA {
		return refuse("not for OCSP signing alone")
	}
	if certificate.KeyUsage != 0 && certificate.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return refuse("its key may not sign")
	}
	if !hasNocheck(certificate) {
		return refuse("without ocsp-nocheck")
	}
	if now.Before(certificate.NotBefore) || now.After(certificate.NotAfter) {
		return refuse("outside its validity")
	}
	public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(certificate.PublicKey) {
		return refuse("for another key")
	}
	algorithm, ok := algorithmFor(certificate.PublicKey)
	if !ok {
		return refuse("of an unsupported kind of key")
	}
	id, err := KeyID(certificate)
	if err != nil {
		return nil, err
	}
	return &delegate{certificate: certificate, keyHash: id[:], signer: signer, algorithm: algorithm}, nil
}

func hasNocheck(certificate *x509.Certificate) bool {
	for _, e := range certificate.Extensions {
		if e.Id.Equal(idPKIXOCSPNocheck) {
			return true
		}
	}
	return false
}

func algorithmFor(key crypto.PublicKey) (signatureAlgorithm, bool) {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return signatureAlgorithm{oid: sha256WithRSAEncryption, null: true, hash: crypto.SHA256}, key.N.BitLen() >= 2048
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return signatureAlgorithm{oid: ecdsaWithSHA256, hash: crypto.SHA256}, true
		case elliptic.P384():
			return signatureAlgorithm{oid: ecdsaWithSHA384, hash: crypto.SHA384}, true
		}
	}
	return signatureAlgorithm{}, false
}

// sign signs ResponseData and verifies the signature before it returns it.
func (d *delegate) sign(tbs []byte) ([]byte, error) {
	hash := d.algorithm.hash.New()
	hash.Write(tbs)
	digest := hash.Sum(nil)
	signature, err := d.signer.Sign(rand.Reader, digest, d.algorithm.hash)
	if err != nil {
		return nil, fmt.Errorf("signing a response: %w", err)
	}
	switch key := d.certificate.PublicKey.(type) {
	case *rsa.PublicKey:
		err = rsa.VerifyPKCS1v15(key, d.algorithm.hash, digest, signature)
		if err != nil {
			return nil, errSignature
		}
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(key, digest, signature) {
			return nil, errSignature
		}
	}
	return signature, nil
}
