package testpki_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"cpsca/card"
	"cpsca/hsm"
	"cpsca/profiles"
	"cpsca/testpki"
)

const challenge = "3q2-7w_ZsLq0pYt1"

func newCard(t testing.TB, algorithm hsm.Algorithm) *testpki.Card {
	t.Helper()
	c, err := testpki.NewCard("2800636234", algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// openssl runs it with a request on its standard input and returns all that it says.
func openssl(t testing.TB, der []byte, arguments ...string) string {
	t.Helper()
	command := exec.Command("openssl", arguments...)
	command.Stdin = bytes.NewReader(der)
	said, _ := command.CombinedOutput()
	return string(said)
}

func opensslVerifies(t testing.TB, der []byte) bool {
	t.Helper()
	said := openssl(t, der, "req", "-inform", "DER", "-noout", "-verify")
	return strings.Contains(said, "verify OK") && !strings.Contains(said, "verify failure")
}

// spkiIn cuts the public key out of a request as it stands, in BER too.
func spkiIn(t testing.TB, der []byte) []byte {
	t.Helper()
	input := cryptobyte.String(der)
	var request, info cryptobyte.String
	if !input.ReadASN1(&request, cbasn1.SEQUENCE) || !request.ReadASN1(&info, cbasn1.SEQUENCE) ||
		!info.SkipASN1(cbasn1.INTEGER) || !info.SkipASN1(cbasn1.SEQUENCE) || len(info) < 6 {
		t.Fatalf("not a request: %x", der)
	}
	if info[1] == 0x84 {
		return info[:6+int(info[4])<<8+int(info[5])]
	}
	var spki cryptobyte.String
	if !info.ReadASN1Element(&spki, cbasn1.SEQUENCE) {
		t.Fatalf("no public key: %x", der)
	}
	return spki
}

func TestARequestProvesPossessionAndCarriesTheChallenge(t *testing.T) {
	for _, algorithm := range []hsm.Algorithm{hsm.RSA2048, hsm.P256, hsm.P384} {
		c := newCard(t, algorithm)
		for _, use := range card.Uses {
			t.Run(fmt.Sprintf("%s for %s", algorithm, use), func(t *testing.T) {
				der, err := c.Request(use, "AbcXyz-0129")
				if err != nil {
					t.Fatal(err)
				}
				parsed, err := x509.ParseCertificateRequest(der)
				if err != nil {
					t.Fatal(err)
				}
				err = parsed.CheckSignature()
				if err != nil || parsed.Subject.CommonName != "TEST CARTE 2800636234" {
					t.Errorf("subject %s, signature: %v", parsed.Subject, err)
				}
				if !opensslVerifies(t, der) {
					t.Error("openssl does not verify it")
				}
				text := openssl(t, der, "req", "-inform", "DER", "-noout", "-text")
				if !strings.Contains(text, "challengePassword        :AbcXyz-0129\n") {
					t.Errorf("openssl reads no challenge in\n%s", text)
				}
				spki, err := c.SPKI(use)
				if err != nil || !bytes.Equal(spki, parsed.RawSubjectPublicKeyInfo) {
					t.Errorf("SPKI: %v", err)
				}
				_, err = profiles.ParseSPKI(spki)
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestAnApplicationHasARequestWithItsOwnChallengeForEachUse(t *testing.T) {
	c := newCard(t, hsm.P256)
	application, err := c.Application("order-1", map[card.Use]string{card.Authentication: "first", card.Signature: "second"})
	if err != nil {
		t.Fatal(err)
	}
	if application.Order != "order-1" || application.Number != c.Number() {
		t.Fatalf("got %+v", application)
	}
	for use, text := range map[card.Use]string{card.Authentication: "first", card.Signature: "second"} {
		if !bytes.Contains(application.Proof(use).Request, []byte(text)) {
			t.Errorf("%s carries another challenge", use)
		}
	}
	if bytes.Equal(spkiIn(t, application.Proof(card.Authentication).Request), spkiIn(t, application.Proof(card.Signature).Request)) {
		t.Error("both uses have one key")
	}
}

func TestEachFlawedRequestIsFlawedAsItSays(t *testing.T) {
	// What three judges say of each: openssl and crypto/x509 of the proof, profiles of the key. A judge that is not asked
	// because its answer does not matter for the flaw has "".
	const yes, no = "yes", "no"
	for _, flawed := range []struct {
		flaw                testpki.Flaw
		openssl, x509, spki string
		carries             string
	}{
		{testpki.WrongChallenge, yes, yes, yes, challenge + "0"},
		{testpki.NoChallenge, yes, yes, yes, ""},
		{testpki.TwoChallenges, yes, yes, yes, challenge + " " + challenge + "0"},
		{testpki.BadSignature, no, no, yes, challenge},
		{testpki.WeakDigest, "", yes, yes, challenge}, // crypto/x509 lets SHA-1 pass in requests
		{testpki.ForeignKey, no, no, yes, challenge},
		{testpki.Trailing, "", no, yes, challenge},
		{testpki.RSA1024, yes, yes, yes, challenge},
		{testpki.SmallExponent, yes, yes, yes, challenge},
		{testpki.P224, yes, yes, yes, challenge},
		{testpki.NoParameters, "", "", no, challenge},
		{testpki.LongLength, "", no, no, challenge},
		{testpki.Compressed, yes, no, no, challenge},
		{testpki.OffCurve, no, no, no, challenge},
		{testpki.AskAuthority, yes, yes, yes, challenge},
		{testpki.AskName, yes, yes, yes, challenge},
	} {
		for _, algorithm := range []hsm.Algorithm{hsm.RSA2048, hsm.P256} {
			t.Run(fmt.Sprintf("%s on a card of %s", flawed.flaw, algorithm), func(t *testing.T) {
				der, err := newCard(t, algorithm).FlawedRequest(flawed.flaw, card.Signature, challenge)
				if err != nil {
					t.Fatal(err)
				}
				verdict := func(judge, want string, accepts bool) {
					if want != "" && (want == yes) != accepts {
						t.Errorf("%s accepts it: %v", judge, accepts)
					}
				}
				verdict("openssl", flawed.openssl, opensslVerifies(t, der))
				parsed, err := x509.ParseCertificateRequest(der)
				verdict("crypto/x509", flawed.x509, err == nil && parsed.CheckSignature() == nil)
				_, err = profiles.ParseSPKI(spkiIn(t, der))
				verdict("profiles", flawed.spki, err == nil)
				if got := strings.Join(challengesIn(t, der), " "); got != flawed.carries {
					t.Errorf("carries %q, want %q", got, flawed.carries)
				}
			})
		}
	}
}

// challengesIn reads every value of challengePassword.
func challengesIn(t testing.TB, der []byte) (found []string) {
	t.Helper()
	_, rest, _ := bytes.Cut(der, spkiIn(t, der))
	input := cryptobyte.String(rest)
	var attributes cryptobyte.String
	if !input.ReadASN1(&attributes, cbasn1.Tag(0).ContextSpecific().Constructed()) {
		t.Fatal("no attributes")
	}
	for !attributes.Empty() {
		var attribute, id, values cryptobyte.String
		if !attributes.ReadASN1(&attribute, cbasn1.SEQUENCE) || !attribute.ReadASN1Element(&id, cbasn1.OBJECT_IDENTIFIER) ||
			!attribute.ReadASN1(&values, cbasn1.SET) {
			t.Fatal("not an attribute")
		}
		for bytes.Equal(id, []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07")) && !values.Empty() {
			var value cryptobyte.String
			var tag cbasn1.Tag
			if !values.ReadAnyASN1(&value, &tag) {
				t.Fatal("not a value")
			}
			found = append(found, string(value))
		}
	}
	return found
}

func TestFlawedKeysHaveTheirFlaw(t *testing.T) {
	c := newCard(t, hsm.P256)
	public := func(flaw testpki.Flaw) crypto.PublicKey {
		der, err := c.FlawedRequest(flaw, card.Signature, challenge)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := x509.ParseCertificateRequest(der)
		if err != nil {
			t.Fatal(err)
		}
		return parsed.PublicKey
	}
	if key := public(testpki.RSA1024).(*rsa.PublicKey); key.N.BitLen() != 1024 || key.E != 65537 {
		t.Errorf("got %d bits", key.N.BitLen())
	}
	if key := public(testpki.SmallExponent).(*rsa.PublicKey); key.N.BitLen() != 2048 || key.E != 3 {
		t.Errorf("got %d bits, e %d", key.N.BitLen(), key.E)
	}
	if key := public(testpki.P224).(*ecdsa.PublicKey); key.Curve.Params().Name != "P-224" {
		t.Errorf("got %s", key.Curve.Params().Name)
	}
	for algorithm, want := range map[hsm.Algorithm]x509.SignatureAlgorithm{hsm.RSA2048: x509.SHA1WithRSA, hsm.P384: x509.ECDSAWithSHA1} {
		der, err := newCard(t, algorithm).FlawedRequest(testpki.WeakDigest, card.Signature, challenge)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := x509.ParseCertificateRequest(der)
		if err != nil || parsed.SignatureAlgorithm != want {
			t.Errorf("got %v, %v, want %v", parsed.SignatureAlgorithm, err, want)
		}
	}
	for _, flaw := range []testpki.Flaw{testpki.NoParameters, testpki.LongLength, testpki.Compressed, testpki.OffCurve} {
		der, err := c.FlawedRequest(flaw, card.Signature, challenge)
		if err != nil {
			t.Fatal(err)
		}
		_, err = profiles.ParseSPKI(spkiIn(t, der))
		if !errors.Is(err, profiles.ErrNotCanonical) {
			t.Errorf("%s: got %v, want ErrNotCanonical", flaw, err)
		}
	}
	for flaw, want := range map[testpki.Flaw]string{testpki.AskAuthority: "CA:TRUE", testpki.AskName: "DNS:test.example.x"} {
		der, err := c.FlawedRequest(flaw, card.Signature, challenge)
		if err != nil {
			t.Fatal(err)
		}
		if text := openssl(t, der, "req", "-inform", "DER", "-noout", "-text"); !strings.Contains(text, want) {
			t.Errorf("%s: openssl says\n%s", flaw, text)
		}
	}
	_, err := c.FlawedRequest("none such", card.Signature, challenge)
	if err == nil {
		t.Error("an unknown flaw was made")
	}
}

func TestACardLoadsOnlyCertificatesForItsKeys(t *testing.T) {
	h := newHierarchy(t, testpki.Options{Root: hsm.P384, Issuing: hsm.P256})
	one := someone(t)
	c, other := newCard(t, hsm.P256), newCard(t, hsm.P256)
	err := h.Issuing.Personalise(c, one)
	if err != nil {
		t.Fatal(err)
	}
	loaded := c.Certificate(card.Signature)
	for name, got := range map[string]error{
		"on another card": other.Load(card.Signature, loaded.Raw),
		"for another use": c.Load(card.Authentication, loaded.Raw),
	} {
		if !errors.Is(got, testpki.ErrOtherKey) {
			t.Errorf("%s: got %v, want ErrOtherKey", name, got)
		}
	}
	if c.Load(card.Signature, []byte("garbage")) == nil || c.Load("none such", loaded.Raw) == nil {
		t.Error("garbage was loaded")
	}
	if other.Certificate(card.Signature) != nil || c.Certificate(card.Authentication).Equal(loaded) {
		t.Error("a refused certificate was kept")
	}
}

func TestACardSignsWithTheKeyOfTheUse(t *testing.T) {
	digest := sha256.Sum256([]byte("prescription"))
	c := newCard(t, hsm.RSA2048)
	signature, err := c.Sign(card.Signature, digest[:])
	if err != nil || rsa.VerifyPKCS1v15(c.Key(card.Signature).Public().(*rsa.PublicKey), crypto.SHA256, digest[:], signature) != nil {
		t.Errorf("RSA: %v", err)
	}
	if rsa.VerifyPKCS1v15(c.Key(card.Authentication).Public().(*rsa.PublicKey), crypto.SHA256, digest[:], signature) == nil {
		t.Error("the other key verifies it")
	}
	c = newCard(t, hsm.P384)
	signature, err = c.Sign(card.Authentication, digest[:])
	if err != nil || !ecdsa.VerifyASN1(c.Key(card.Authentication).Public().(*ecdsa.PublicKey), digest[:], signature) {
		t.Errorf("ECDSA: %v", err)
	}
	_, err = c.Sign(card.Signature, digest[:20])
	if err == nil {
		t.Error("20 octets were signed")
	}
	_, err = c.Sign("none such", digest[:])
	if err == nil {
		t.Error("an unknown use signed")
	}
}

func TestACardNeedsANumberAndAKnownAlgorithm(t *testing.T) {
	_, err := testpki.NewCard("123", hsm.P256)
	if !errors.Is(err, card.ErrNumber) {
		t.Errorf("got %v, want ErrNumber", err)
	}
	_, err = testpki.NewCard("0123456789", hsm.Algorithm(99))
	if err == nil {
		t.Error("an unknown algorithm made a card")
	}
}

func TestAPoolGivesDifferentSoundKeys(t *testing.T) {
	pool, err := testpki.NewKeyPool(3)
	if err != nil {
		t.Fatal(err)
	}
	var mutex sync.Mutex
	seen := map[string]bool{}
	primes := map[string]bool{}
	var group sync.WaitGroup
	for range 10 { // 3 primes give 3 pairs, 5 give 10
		group.Go(func() {
			key, err := pool.Key()
			if err != nil || key.N.BitLen() != 2048 || key.E != 65537 || key.Validate() != nil {
				t.Errorf("key: %v", err)
				return
			}
			for _, prime := range key.Primes {
				if !prime.ProbablyPrime(5) {
					t.Error("not prime")
				}
			}
			mutex.Lock()
			defer mutex.Unlock()
			seen[key.N.String()] = true
			primes[key.Primes[0].String()], primes[key.Primes[1].String()] = true, true
		})
	}
	group.Wait()
	if len(seen) != 10 || len(primes) != 5 {
		t.Errorf("%d keys of %d primes, want 10 of 5", len(seen), len(primes))
	}
	c, err := pool.Card("0000000001")
	if err != nil {
		t.Fatal(err)
	}
	der, err := c.Request(card.Authentication, challenge)
	if err != nil || !opensslVerifies(t, der) {
		t.Errorf("the request of a card of the pool: %v", err)
	}
}

func TestCardNumbersAreUniqueAndFollowTheSeed(t *testing.T) {
	numbers, again := testpki.NewNumbers(12345678901), testpki.NewNumbers(12345678901)
	seen := map[card.Number]bool{}
	for i := range 250_000 {
		number := numbers.Next()
		_, err := card.ParseNumber(string(number))
		if err != nil || seen[number] || number != again.Next() {
			t.Fatalf("number %d is %q: %v", i, number, err)
		}
		// The i-th number is i steps from the first, whatever the halves of the computation do.
		want := new(big.Int).Mod(big.NewInt(2345678901+int64(i)%100_000*7_368_787_133+int64(i)/100_000*736_878_713_300_000), big.NewInt(1e10))
		if fmt.Sprintf("%010d", want) != string(number) {
			t.Fatalf("number %d is %s, want %010d", i, number, want)
		}
		seen[number] = true
	}
	if testpki.NewNumbers(1).Next() == testpki.NewNumbers(2).Next() {
		t.Error("the seed does not matter")
	}
}

func BenchmarkKeyPool(b *testing.B) {
	pool, err := testpki.NewKeyPool(50)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		_, err := pool.Key()
		if err != nil {
			b.Fatal(err)
		}
	}
}
