package ca

import (
	"bytes"
	"crypto/x509"
	"testing"

	"cpsca/card"
	"cpsca/hsm"
	"cpsca/profiles"
	"cpsca/testpki"
)

// FuzzRequest: no octets make the reader panic; what it accepts crypto/x509
// accepts too, with the very same key, and it is a key by the rules whose proof
// and challenge are those that were asked for.
func FuzzRequest(f *testing.F) {
	const challenge = "0123456789abcdef0123456789abcdef"
	chip, err := testpki.NewCard("2800636234", hsm.P256)
	if err != nil {
		f.Fatal(err)
	}
	honest, err := chip.Request(card.Signature, challenge)
	if err != nil {
		f.Fatal(err)
	}
	empty, err := chip.Request(card.Signature, "")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(honest)
	f.Add(empty)
	f.Add([]byte{})
	f.Add([]byte{0x30, 0x80, 0, 0})
	for _, flaw := range testpki.Flaws {
		der, err := chip.FlawedRequest(flaw, card.Signature, challenge)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	rules := KeyRules{RSA: []int{2048, 3072, 4096}, Curves: []string{"P-256", "P-384"}}
	f.Fuzz(func(t *testing.T, der []byte) {
		request, key, err := requestKey(der, rules)
		if err != nil {
			return
		}
		stranger, err := x509.ParseCertificateRequest(der)
		if err != nil {
			t.Fatalf("crypto/x509 refuses what was accepted: %v", err)
		}
		if !bytes.Equal(stranger.RawSubjectPublicKeyInfo, key.spki) || !bytes.Equal(request.Raw, der) {
			t.Fatal("the key is not the request's")
		}
		fingerprint, err := profiles.KeyFingerprint(key.spki)
		if err != nil || fingerprint != key.fingerprint {
			t.Fatalf("the key has another fingerprint: %v", err)
		}
		err = prove(request, challenge)
		carried, unreadable := challengeOf(request.RawTBSCertificateRequest)
		if err == nil && (unreadable != nil || string(carried) != challenge || stranger.CheckSignature() != nil) {
			t.Fatal("a proof was accepted that is none")
		}
		if prove(request, "") == nil {
			t.Fatal("an order without a challenge was satisfied")
		}
	})
}

// FuzzChallenge: no octets make the reader of attributes panic, and what it
// finds stands in them.
func FuzzChallenge(f *testing.F) {
	chip, err := testpki.NewCard("2800636234", hsm.P256)
	if err != nil {
		f.Fatal(err)
	}
	for _, flaw := range []testpki.Flaw{testpki.NoChallenge, testpki.TwoChallenges, testpki.AskName} {
		der, err := chip.FlawedRequest(flaw, card.Signature, "a challenge")
		if err != nil {
			f.Fatal(err)
		}
		request, err := x509.ParseCertificateRequest(der)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(request.RawTBSCertificateRequest)
	}
	f.Fuzz(func(t *testing.T, info []byte) {
		challenge, err := challengeOf(info)
		if err == nil && !bytes.Contains(info, challenge) {
			t.Fatal("the challenge is not in the request")
		}
	})
}
