package hsm_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
	"sync/atomic"
	"testing"

	"cpsca/hsm"
	"cpsca/testpki"
)

var tokens atomic.Int64

// freshConfig makes a token that no other test uses.
func freshConfig(t testing.TB) hsm.Config {
	t.Helper()
	cfg, err := testpki.SoftHSMForTest(t).Token(fmt.Sprintf("token %d", tokens.Add(1)))
	if err != nil {
		t.Fatalf("making a token: %v", err)
	}
	return cfg
}

func open(t testing.TB, cfg hsm.Config) *hsm.Token {
	t.Helper()
	token, err := hsm.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("opening the token: %v", err)
	}
	t.Cleanup(func() {
		err := token.Close()
		if err != nil {
			t.Errorf("closing the token: %v", err)
		}
	})
	return token
}

func generate(t testing.TB, token *hsm.Token, label string, alg hsm.Algorithm) *hsm.Key {
	t.Helper()
	key, err := token.Generate(t.Context(), label, alg)
	if err != nil {
		t.Fatalf("generating %s key: %v", alg, err)
	}
	return key
}

func verified(public crypto.PublicKey, digest, signature []byte, opts crypto.SignerOpts) bool {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, signature)
	case *rsa.PublicKey:
		pss, ok := opts.(*rsa.PSSOptions)
		if ok {
			return rsa.VerifyPSS(key, opts.HashFunc(), digest, signature, pss) == nil
		}
		return rsa.VerifyPKCS1v15(key, opts.HashFunc(), digest, signature) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(key, digest, signature)
	}
	return false
}

// digestOf is what a key is given to sign: a digest, or the text where there is no hash.
func digestOf(hash crypto.Hash, text string) []byte {
	if hash == 0 {
		return []byte(text)
	}
	h := hash.New()
	h.Write([]byte(text))
	return h.Sum(nil)
}
