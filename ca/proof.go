package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/subtle"
	"fmt"

	"cpsca/card"
	"cpsca/profiles"
)

// maxSignature is the size of the largest signature that is looked at: that of
// RSA-4096.
const maxSignature = 512

// proven returns the key of one use of an application, once it is admitted and
// its holder has proved to have the private key, for this order, card and use.
// ErrIncomplete if there is no proof, ErrTwoProofs if there are two.
func (r KeyRules) proven(application *card.Application, use card.Use, challenge string) (*profiles.Key, error) {
	p := application.Proof(use)
	detached := len(p.PublicKey) > 0 || len(p.Signature) > 0 || p.Algorithm != ""
	switch {
	case len(p.Request) > 0 && detached:
		return nil, ErrTwoProofs
	case len(p.Request) > 0:
		return r.provenByRequest(p.Request, challenge)
	case len(p.PublicKey) > 0 && len(p.Signature) > 0:
		return r.provenDetached(application, use, challenge)
	case detached:
		return nil, fmt.Errorf("%w: a detached proof is a public key and a signature", ErrIncomplete)
	}
	return nil, ErrIncomplete
}

// provenByRequest takes the key of a certification request that is signed by
// it and carries the challenge. A key is judged before its signature is.
func (r KeyRules) provenByRequest(der []byte, challenge string) (*profiles.Key, error) {
	q, err := readRequest(der)
	if err != nil {
		return nil, err
	}
	key, err := r.admit(q.spki)
	if err != nil {
		return nil, err
	}
	err = q.verify(key.Public())
	if err != nil {
		return nil, err
	}
	carried, err := q.challenge()
	if err != nil {
		return nil, err
	}
	if challenge == "" || subtle.ConstantTimeCompare(carried, []byte(challenge)) != 1 {
		return nil, ErrChallenge // an order without a challenge proves nothing
	}
	return key, nil
}

// verify returns ErrProof unless the request is signed by its own key.
func (q *request) verify(public crypto.PublicKey) error {
	s, ok := requestSchemes[string(q.algorithm)]
	if !ok {
		return fmt.Errorf("%w: the signature algorithm is unknown or too weak", ErrProof)
	}
	if !s.verified(public, q.info, q.signature) {
		return ErrProof
	}
	return nil
}

// provenDetached takes a key that signed card.ProofText.
func (r KeyRules) provenDetached(application *card.Application, use card.Use, challenge string) (*profiles.Key, error) {
	p := application.Proof(use)
	key, err := r.admit(p.PublicKey)
	if err != nil {
		return nil, err
	}
	if challenge == "" {
		return nil, ErrChallenge // an order without a challenge proves nothing
	}
	s, ok := schemeOf(p.Algorithm, key.Public())
	if !ok {
		return nil, fmt.Errorf("%w: the signature algorithm is unknown or not the key's", ErrProof)
	}
	text := card.ProofText(application.Order, application.Number, use, p.PublicKey, challenge)
	if len(p.Signature) > maxSignature || !s.verified(key.Public(), text, p.Signature) {
		return nil, ErrProof
	}
	return key, nil
}

// schemeOf finds the scheme of a detached proof; the usual one of the key if
// none is named.
func schemeOf(algorithm card.ProofAlgorithm, public crypto.PublicKey) (scheme, bool) {
	if algorithm == "" {
		switch key := public.(type) {
		case *rsa.PublicKey:
			algorithm = card.ProofSHA256WithRSA
		case *ecdsa.PublicKey:
			algorithm = card.ProofECDSAWithSHA256
			if key.Curve == elliptic.P384() {
				algorithm = card.ProofECDSAWithSHA384
			}
		}
	}
	switch algorithm {
	case card.ProofECDSAWithSHA256:
		return scheme{ecdsaInDER, crypto.SHA256}, true
	case card.ProofECDSAWithSHA384:
		return scheme{ecdsaInDER, crypto.SHA384}, true
	case card.ProofSHA256WithRSA:
		return scheme{rsaPKCS1v15, crypto.SHA256}, true
	case card.ProofRSAPSS:
		return scheme{rsaPSS, crypto.SHA256}, true
	}
	return scheme{}, false
}
