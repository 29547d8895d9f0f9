package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"slices"
)

// publicExponent is the only RSA exponent accepted.
const publicExponent = 65537

// KeyRules says which public keys may be on a card.
type KeyRules struct {
	// RSA lists the modulus sizes accepted, in bits: 2048, 3072, 4096.
	RSA []int
	// Curves lists the named curves accepted: "P-256", "P-384".
	Curves []string
}

// Validate refuses sizes and curves that no profile certifies, and rules that
// accept nothing.
func (r KeyRules) Validate() error {
	for _, bits := range r.RSA {
		if bits != 2048 && bits != 3072 && bits != 4096 {
			return fmt.Errorf("%w: RSA card keys have 2048, 3072 or 4096 bits, not %d", ErrConfig, bits)
		}
	}
	for _, curve := range r.Curves {
		if curve != elliptic.P256().Params().Name && curve != elliptic.P384().Params().Name {
			return fmt.Errorf("%w: card keys are on P-256 or P-384, not %s", ErrConfig, curve)
		}
	}
	if len(r.RSA)+len(r.Curves) == 0 {
		return fmt.Errorf("%w: no card key would be accepted", ErrConfig)
	}
	return nil
}

// check refuses a key with ErrKey and the reason.
func (r KeyRules) check(public crypto.PublicKey) error {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return r.checkRSA(key)
	case *ecdsa.PublicKey:
		name := key.Curve.Params().Name
		if !slices.Contains(r.Curves, name) {
			return fmt.Errorf("%w: curve %s is not one of %v", ErrKey, name, r.Curves)
		}
		_, err := key.ECDH() // full validation: on the curve, not at infinity (SP 800-56A §5.6.2.3.3)
		if err != nil {
			return fmt.Errorf("%w: the point is not valid", ErrKey)
		}
		return nil
	}
	return fmt.Errorf("%w: keys of this kind are not issued on cards", ErrKey)
}

func (r KeyRules) checkRSA(key *rsa.PublicKey) error {
	if !slices.Contains(r.RSA, key.N.BitLen()) {
		return fmt.Errorf("%w: a modulus of %d bits is not one of %v", ErrKey, key.N.BitLen(), r.RSA)
	}
	if key.E != publicExponent {
		return fmt.Errorf("%w: the exponent is %d, want %d", ErrKey, key.E, publicExponent)
	}
	if key.N.Bit(0) == 0 {
		return fmt.Errorf("%w: the modulus is even", ErrKey)
	}
	return nil
}
