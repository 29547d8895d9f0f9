package testpki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"

	"cpsca/card"
)

// Detached returns a detached proof of possession for a use: the public key, and a signature by it over card.ProofText. An
// empty algorithm is the usual one of the key, and is not named in the proof.
func (c *Card) Detached(order card.OrderID, use card.Use, challenge string, algorithm card.ProofAlgorithm) (card.Proof, error) {
	return c.prove(order, c.number, use, use, challenge, algorithm)
}

// DetachedApplication is Application with detached proofs.
func (c *Card) DetachedApplication(order card.OrderID, challenges map[card.Use]string) (card.Application, error) {
	application := card.Application{Order: order, Number: c.number}
	for n, use := range card.Uses {
		proof, err := c.Detached(order, use, challenges[use], "")
		if err != nil {
			return card.Application{}, err
		}
		application.Proofs[n] = proof
	}
	return application, nil
}

// prove signs, with the key of one use, a text that may name another.
func (c *Card) prove(order card.OrderID, number card.Number, key, use card.Use, challenge string, algorithm card.ProofAlgorithm) (card.Proof, error) {
	spki, err := c.SPKI(key)
	if err != nil {
		return card.Proof{}, err
	}
	signature, err := signProof(c.keys[key], card.ProofText(order, number, use, spki, challenge), algorithm)
	if err != nil {
		return card.Proof{}, fmt.Errorf("signing a proof: %w", err)
	}
	return card.Proof{PublicKey: spki, Signature: signature, Algorithm: algorithm}, nil
}

func signProof(key crypto.Signer, text []byte, algorithm card.ProofAlgorithm) ([]byte, error) {
	var options crypto.SignerOpts = crypto.SHA256
	public, isECDSA := key.Public().(*ecdsa.PublicKey)
	switch algorithm {
	case "":
		if isECDSA && public.Curve == elliptic.P384() {
			options = crypto.SHA384
		}
	case card.ProofECDSAWithSHA256, card.ProofSHA256WithRSA:
	case card.ProofECDSAWithSHA384:
		options = crypto.SHA384
	case card.ProofRSAPSS:
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	default:
		return nil, fmt.Errorf("algorithm %q is unknown", algorithm)
	}
	h := options.HashFunc().New()
	h.Write(text)
	return key.Sign(rand.Reader, h.Sum(nil), options)
}

// ProofFlaw is what is wrong with a detached proof.
type ProofFlaw string

// The flaws of detached proofs: each is signed over one other fact, or not by the key.
const (
	OtherOrder     ProofFlaw = "signed for another order"
	OtherCard      ProofFlaw = "signed for another card"
	OtherUse       ProofFlaw = "signed for the other use"
	OtherChallenge ProofFlaw = "signed over another challenge"
	OtherKey       ProofFlaw = "signed by the key of the other use"
	OtherLabel     ProofFlaw = "signed under another label"
	OtherBits      ProofFlaw = "one bit of the signature is another"
)

// ProofFlaws lists them all.
var ProofFlaws = [...]ProofFlaw{OtherOrder, OtherCard, OtherUse, OtherChallenge, OtherKey, OtherLabel, OtherBits}

// FlawedProof returns a detached proof as Detached does, but with a flaw.
func (c *Card) FlawedProof(flaw ProofFlaw, order card.OrderID, use card.Use, challenge string) (card.Proof, error) {
	honest, err := c.Detached(order, use, challenge, "")
	if err != nil {
		return card.Proof{}, err
	}
	other := card.Authentication
	if use == other {
		other = card.Signature
	}
	text, key := card.ProofText(order, c.number, use, honest.PublicKey, challenge), c.keys[use]
	switch flaw {
	case OtherOrder:
		text = card.ProofText(order+"x", c.number, use, honest.PublicKey, challenge)
	case OtherCard:
		text = card.ProofText(order, nextNumber(c.number), use, honest.PublicKey, challenge)
	case OtherUse:
		text = card.ProofText(order, c.number, other, honest.PublicKey, challenge)
	case OtherChallenge:
		text = card.ProofText(order, c.number, use, honest.PublicKey, challenge+"x")
	case OtherKey:
		key = c.keys[other]
	case OtherLabel:
		text[4] ^= 1 // the first octet behind the length of the label
	case OtherBits:
	default:
		return card.Proof{}, fmt.Errorf("flaw %q is unknown", flaw)
	}
	honest.Signature, err = signProof(key, text, "")
	if flaw == OtherBits && err == nil {
		honest.Signature[len(honest.Signature)-1] ^= 1
	}
	return honest, err
}

// nextNumber is another card number.
func nextNumber(n card.Number) card.Number {
	digits := []byte(n)
	digits[len(digits)-1] = '0' + (digits[len(digits)-1]-'0'+1)%10
	return card.Number(digits)
}
