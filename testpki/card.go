package testpki

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"

	"cpsca/card"
	"cpsca/hsm"
)

// ErrOtherKey says that a certificate is not for the key of the card; test with errors.Is.
var ErrOtherKey = errors.New("the certificate is for another key")

// Card is a simulator of a chip card: it makes its keys itself, signs with them, and keeps its certificates. One goroutine
// at a time may use it.
type Card struct {
	number       card.Number
	keys         map[card.Use]crypto.Signer
	certificates map[card.Use]*x509.Certificate
}

// NewCard makes a card with a key for each use: hsm.RSA2048, hsm.P256 or hsm.P384. For thousands of cards see KeyPool.
func NewCard(number card.Number, algorithm hsm.Algorithm) (*Card, error) {
	return newCard(number, func() (crypto.Signer, error) { return GenerateKey(algorithm) })
}

func newCard(number card.Number, newKey func() (crypto.Signer, error)) (*Card, error) {
	_, err := card.ParseNumber(string(number))
	if err != nil {
		return nil, fmt.Errorf("making a card: %w", err)
	}
	c := &Card{number: number, keys: map[card.Use]crypto.Signer{}, certificates: map[card.Use]*x509.Certificate{}}
	for _, use := range card.Uses {
		c.keys[use], err = newKey()
		if err != nil {
			return nil, fmt.Errorf("making the %s key of a card: %w", use, err)
		}
	}
	return c, nil
}

// Number returns the number of the card.
func (c *Card) Number() card.Number { return c.number }

// Key returns the private key of a use, for a TLS client that a card would be; nil for an unknown use.
func (c *Card) Key(use card.Use) crypto.Signer { return c.keys[use] }

// SPKI returns the SubjectPublicKeyInfo of a use in DER.
func (c *Card) SPKI(use card.Use) ([]byte, error) {
	key, err := c.key(use)
	if err != nil {
		return nil, err
	}
	return x509.MarshalPKIXPublicKey(key.Public())
}

func (c *Card) key(use card.Use) (crypto.Signer, error) {
	key, ok := c.keys[use]
	if !ok {
		return nil, fmt.Errorf("a card has no key for %q", use)
	}
	return key, nil
}

// Request returns a PKCS#10 request in DER (RFC 2986) for the key of a use, signed by it, that carries the challenge as
// its challengePassword (RFC 2985 §5.4.1).
func (c *Card) Request(use card.Use, challenge string) ([]byte, error) {
	r, err := c.request(use, challenge)
	if err != nil {
		return nil, err
	}
	return r.signed()
}

// request is an honest one, before it is signed.
func (c *Card) request(use card.Use, challenge string) (*request, error) {
	key, err := c.key(use)
	if err != nil {
		return nil, err
	}
	r, err := newRequest(key, "TEST CARTE "+string(c.number))
	if err != nil {
		return nil, err
	}
	r.attributes = [][]byte{challengeAttribute(challenge)}
	return r, nil
}

// Application returns what a bureau sends for this card under an order.
func (c *Card) Application(order card.OrderID, challenges map[card.Use]string) (card.Application, error) {
	application := card.Application{Order: order, Number: c.number}
	for n, use := range card.Uses {
		der, err := c.Request(use, challenges[use])
		if err != nil {
			return card.Application{}, err
		}
		application.Proofs[n].Request = der
	}
	return application, nil
}

// Load stores the certificate of a use, in DER, in place of an earlier one. A certificate for another key is refused with
// ErrOtherKey.
func (c *Card) Load(use card.Use, der []byte) error {
	spki, err := c.SPKI(use)
	if err != nil {
		return fmt.Errorf("loading a certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("loading a certificate: %w", err)
	}
	if !bytes.Equal(certificate.RawSubjectPublicKeyInfo, spki) {
		return fmt.Errorf("loading the %s certificate: %w", use, ErrOtherKey)
	}
	c.certificates[use] = certificate
	return nil
}

// Certificate returns what was loaded for a use, nil if nothing was.
func (c *Card) Certificate(use card.Use) *x509.Certificate { return c.certificates[use] }

// Sign signs a digest of SHA-256, SHA-384 or SHA-512 with the key of a use: RSASSA-PKCS1-v1_5, or ECDSA in DER.
func (c *Card) Sign(use card.Use, digest []byte) ([]byte, error) {
	key, err := c.key(use)
	if err != nil {
		return nil, err
	}
	for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		if len(digest) == hash.Size() {
			return key.Sign(rand.Reader, digest, hash)
		}
	}
	return nil, fmt.Errorf("signing on a card: %d octets are not a digest of SHA-2", len(digest))
}
