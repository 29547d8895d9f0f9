package ca

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"cpsca/card"
	"cpsca/hsm"
	"cpsca/profiles"
	"cpsca/testpki"
)

// FuzzRequest: no octets make the reader panic; what it accepts has the key,
// the signed octets and the challenge that crypto/x509 sees, a key by the rules,
// and a signature that crypto/x509 verifies by the same algorithm.
func FuzzRequest(f *testing.F) {
	const challenge = "0123456789abcdef0123456789abcdef"
	chips := []*testpki.Card{must(testpki.NewCard("2800636234", hsm.P256))(f), must(testpki.NewCard("2800636234", hsm.P384))(f), must(newChip(hsm.RSA2048))(f)}
	for _, chip := range chips {
		f.Add(must(chip.Request(card.Signature, challenge))(f))
		f.Add(must(chip.Request(card.Signature, ""))(f))
		for _, flaw := range testpki.Flaws {
			f.Add(must(chip.FlawedRequest(flaw, card.Signature, challenge))(f))
		}
	}
	for _, algorithm := range []x509.SignatureAlgorithm{x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS, x509.SHA512WithRSA} {
		f.Add(strangersRequest(f, chips[2].Key(card.Signature), algorithm))
	}
	f.Add([]byte{})
	f.Add([]byte{0x30, 0x80, 0, 0})
	rules := KeyRules{RSA: []int{2048, 3072, 4096}, Curves: []string{"P-256", "P-384"}}
	f.Fuzz(func(t *testing.T, der []byte) {
		q, err := readRequest(der)
		if err != nil {
			return
		}
		key, err := rules.admit(q.spki)
		if err != nil {
			return
		}
		fingerprint, err := profiles.KeyFingerprint(key.SPKI())
		if err != nil || fingerprint != key.Fingerprint() {
			t.Fatalf("the key has another fingerprint: %v", err)
		}
		refused := q.verify(key.Public())
		judgeRequest(t, der, &q, refused)
		carried, unreadable := q.challenge()
		if unreadable == nil && !bytes.Contains(q.info, carried) {
			t.Fatal("the challenge is not in the request")
		}
		_, err = rules.provenByRequest(der, challenge)
		if want := refused == nil && unreadable == nil && string(carried) == challenge; (err == nil) != want {
			t.Fatalf("got %v", err)
		}
		_, err = rules.provenByRequest(der, "")
		if err == nil {
			t.Fatal("an order without a challenge was satisfied")
		}
	})
}

// judgeRequest compares with crypto/x509. It reads subjects and attributes that
// are passed over here, and may refuse a request for them: then its judgement is
// asked for of the rest.
func judgeRequest(t *testing.T, der []byte, q *request, refused error) {
	t.Helper()
	stranger, err := x509.ParseCertificateRequest(der)
	if err != nil {
		stranger = remade(t, q)
		if stranger == nil {
			if refused == nil {
				t.Fatal("crypto/x509 does not know the algorithm of a proof that was accepted")
			}
			return
		}
	}
	if !bytes.Equal(stranger.RawSubjectPublicKeyInfo, q.spki) {
		t.Fatal("crypto/x509 sees another key")
	}
	if err == nil && !bytes.Equal(stranger.RawTBSCertificateRequest, q.info) {
		t.Fatal("crypto/x509 sees something else signed")
	}
	judge := &x509.Certificate{PublicKey: stranger.PublicKey, PublicKeyAlgorithm: stranger.PublicKeyAlgorithm}
	unverified := judge.CheckSignature(stranger.SignatureAlgorithm, q.info, q.signature)
	if refused == nil && unverified != nil {
		t.Fatalf("a proof was accepted that crypto/x509 refuses: %v", unverified)
	}
	// The reverse, but for what is refused here on purpose: parameters beside
	// ECDSA's identifier, or other ones than NULL beside RSA's.
	if _, known := requestSchemes[string(q.algorithm)]; refused != nil && unverified == nil && known {
		t.Fatalf("a proof was refused that crypto/x509 accepts: %v", refused)
	}
}

// remade is a request with the key, the algorithm and the signature of another,
// without its subject and attributes; nil if crypto/x509 does not read even
// that.
func remade(t *testing.T, q *request) *x509.CertificateRequest {
	t.Helper()
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(0)
			b.AddASN1(cbasn1.SEQUENCE, func(*cryptobyte.Builder) {})
			b.AddBytes(q.spki)
			b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(*cryptobyte.Builder) {})
		})
		b.AddBytes(q.algorithm)
		b.AddASN1BitString(q.signature)
	})
	out, err := x509.ParseCertificateRequest(must(b.Bytes())(t))
	if err != nil {
		return nil
	}
	return out
}

// strangersRequest is one that crypto/x509 writes.
func strangersRequest(t testing.TB, key crypto.Signer, algorithm x509.SignatureAlgorithm) []byte {
	t.Helper()
	return must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{SignatureAlgorithm: algorithm}, key))(t)
}

// Every algorithm that crypto/x509 writes and that is strong enough is read,
// with or without what else it writes into a request.
func TestRequestsOfEveryStrongAlgorithmAreVerified(t *testing.T) {
	rules := KeyRules{RSA: []int{2048}, Curves: []string{"P-256", "P-384"}}
	chips := map[bool]*testpki.Card{true: must(newChip(hsm.RSA2048))(t), false: must(testpki.NewCard("2800636234", hsm.P384))(t)}
	for algorithm, isRSA := range map[x509.SignatureAlgorithm]bool{
		x509.ECDSAWithSHA256: false, x509.ECDSAWithSHA384: false, x509.ECDSAWithSHA512: false,
		x509.SHA256WithRSA: true, x509.SHA384WithRSA: true, x509.SHA512WithRSA: true,
		x509.SHA256WithRSAPSS: true, x509.SHA384WithRSAPSS: true, x509.SHA512WithRSAPSS: true,
	} {
		der := strangersRequest(t, chips[isRSA].Key(card.Signature), algorithm)
		q := must(readRequest(der))(t)
		key := must(rules.admit(q.spki))(t)
		err := q.verify(key.Public())
		if err != nil {
			t.Errorf("%v: %v", algorithm, err)
		}
		q.signature[len(q.signature)-1] ^= 1
		if q.verify(key.Public()) == nil {
			t.Errorf("%v: a signature of other bits is accepted", algorithm)
		}
	}
}

// The outer form of what is passed over is held to.
func TestARequestOfAnotherFormIsRefused(t *testing.T) {
	chip := must(testpki.NewCard("2800636234", hsm.P256))(t)
	honest := must(chip.Request(card.Signature, "a challenge"))(t)
	q := must(readRequest(honest))(t)
	wrap := func(version int64, subject string, behind ...byte) []byte {
		var b cryptobyte.Builder
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(version)
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes([]byte(subject)) })
				b.AddBytes(q.spki)
				b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(q.attributes) })
				b.AddBytes(behind)
			})
			b.AddBytes(q.algorithm)
			b.AddASN1BitString(q.signature)
		})
		return must(b.Bytes())(t)
	}
	_, err := readRequest(wrap(0, "\x31\x09\x30\x07\x06\x03\x55\x04\x03\x0c\x00"))
	if err != nil {
		t.Fatalf("the control: %v", err)
	}
	for name, der := range map[string][]byte{
		"version 2":                   wrap(1, ""),
		"a subject of something else": wrap(0, "\x30\x00"),
		"an empty RDN":                wrap(0, "\x31\x00"),
		"an attribute without value":  wrap(0, "\x31\x07\x30\x05\x06\x03\x55\x04\x03"),
		"three in an attribute":       wrap(0, "\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x00\x0c\x00"),
		"something behind":            wrap(0, "", 5, 0),
		"cut in its signature":        honest[:len(honest)-1],
	} {
		_, err := readRequest(der)
		if !errors.Is(err, ErrRequest) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// An order without a challenge is not answered with a proof made before it, in
// either form.
func TestAnOrderWithoutAChallengeIsProvenByNothing(t *testing.T) {
	rules := KeyRules{Curves: []string{"P-256"}}
	chip := must(testpki.NewCard("2800636234", hsm.P256))(t)
	none := map[card.Use]string{}
	for form, application := range map[string]card.Application{
		"a request": must(chip.Application("order", none))(t), "a detached proof": must(chip.DetachedApplication("order", none))(t),
	} {
		_, err := rules.proven(&application, card.Signature, "")
		if !errors.Is(err, ErrChallenge) {
			t.Errorf("%s: got %v", form, err)
		}
	}
}

// FuzzDetached: nothing makes the verification of a detached proof panic, and it
// accepts no change to what was signed.
func FuzzDetached(f *testing.F) {
	const order, challenge = card.OrderID("order"), "a challenge"
	var honest []card.Proof
	for n, algorithm := range []hsm.Algorithm{hsm.P256, hsm.P384, hsm.RSA2048} {
		chip := must(newChip(algorithm))(f)
		proof := must(chip.Detached(order, card.Signature, challenge, ""))(f)
		honest = append(honest, proof)
		f.Add(n, string(order), string(chip.Number()), challenge, proof.PublicKey, proof.Signature, "")
		f.Add(n, string(order), string(chip.Number()), challenge, proof.PublicKey, proof.Signature, string(card.ProofRSAPSS))
	}
	rules := KeyRules{RSA: []int{2048}, Curves: []string{"P-256", "P-384"}}
	number := must(newChip(hsm.P256))(f).Number()
	f.Fuzz(func(t *testing.T, n int, o, c, challenged string, publicKey, signature []byte, algorithm string) {
		application := card.Application{Order: card.OrderID(o), Number: card.Number(c)}
		*application.Proof(card.Signature) = card.Proof{PublicKey: publicKey, Signature: signature, Algorithm: card.ProofAlgorithm(algorithm)}
		_, err := rules.proven(&application, card.Signature, challenged)
		if err != nil {
			return
		}
		known := slices.ContainsFunc(honest, func(p card.Proof) bool { return bytes.Equal(p.PublicKey, publicKey) })
		if known && (o != string(order) || c != string(number) || challenged != challenge) {
			t.Fatalf("a proof for something else is accepted: %q %q %q", o, c, challenged)
		}
	})
}
