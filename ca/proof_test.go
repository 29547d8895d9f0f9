package ca_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/hsm"
	"cpsca/testpki"
)

// A detached proof is as good as a request: the card gets its certificates, and
// the same application sent again the same ones, in either form.
func TestADetachedProofGetsCertificates(t *testing.T) {
	for _, algorithm := range []hsm.Algorithm{hsm.P256, hsm.P384, hsm.RSA2048} {
		t.Run(algorithm.String(), func(t *testing.T) {
			h := newHouse(t)
			o := h.order(h.person())
			chip := must(testpki.NewCard(h.numbers.Next(), algorithm))(t)
			application := must(chip.DetachedApplication(o.ID, o.Challenges))(t)
			answers := h.issue(application)
			h.good(answers)
			for _, one := range answers[0].Certificates {
				if !bytes.Equal(h.verified(one).RawSubjectPublicKeyInfo, must(chip.SPKI(one.Use))(t)) {
					t.Errorf("the %s certificate has another key", one.Use)
				}
			}
			again := h.issue(application)
			h.good(again)
			same(t, again[0].Certificates, answers[0].Certificates)
			other := h.issue(must(chip.Application(o.ID, o.Challenges))(t))
			h.good(other)
			same(t, other[0].Certificates, answers[0].Certificates)
			if h.signer.signed() != 2 {
				t.Errorf("%d signatures, want 2", h.signer.signed())
			}
		})
	}
}

// Each algorithm of the guide is accepted under its name.
func TestEveryAlgorithmOfDetachedProofsIsVerified(t *testing.T) {
	for algorithm, key := range map[card.ProofAlgorithm]hsm.Algorithm{
		card.ProofECDSAWithSHA256: hsm.P384, card.ProofECDSAWithSHA384: hsm.P256, card.ProofSHA256WithRSA: hsm.RSA2048, card.ProofRSAPSS: hsm.RSA2048,
	} {
		h := newHouse(t)
		o := h.order(h.person())
		chip := must(testpki.NewCard(h.numbers.Next(), key))(t)
		application := card.Application{Order: o.ID, Number: chip.Number()}
		for _, use := range card.Uses {
			*application.Proof(use) = must(chip.Detached(o.ID, use, o.Challenges[use], algorithm))(t)
		}
		h.good(h.issue(application))
	}
}

// One form for one use, the other for the other.
func TestTheFormsMayBeMixed(t *testing.T) {
	h := newHouse(t)
	o := h.order(h.person())
	chip := h.card()
	application := must(chip.Application(o.ID, o.Challenges))(t)
	*application.Proof(card.Signature) = must(chip.Detached(o.ID, card.Signature, o.Challenges[card.Signature], ""))(t)
	h.good(h.issue(application))
}

func TestADetachedProofWithAFlawIsRefused(t *testing.T) {
	for _, algorithm := range []hsm.Algorithm{hsm.P256, hsm.RSA2048} {
		h := newHouse(t)
		for _, flaw := range testpki.ProofFlaws {
			o := h.order(h.person())
			chip := must(testpki.NewCard(h.numbers.Next(), algorithm))(t)
			application := must(chip.DetachedApplication(o.ID, o.Challenges))(t)
			*application.Proof(card.Signature) = must(chip.FlawedProof(flaw, o.ID, card.Signature, o.Challenges[card.Signature]))(t)
			answers := h.issue(application)
			if answers[0].Err == nil {
				t.Errorf("%v, %s: certificates", algorithm, flaw)
				continue
			}
			wants(t, answers[0].Err, ca.ErrProof)
		}
	}
}

// An Ed25519 issuer certifies a card; its key signs the TBSCertificate itself,
// once, and openssl verifies the chain.
func TestAnEd25519IssuerCertifiesCards(t *testing.T) {
	openssl := opensslPath(t)
	h := newHouseUnder(t, must(testpki.NewHierarchy(testpki.Options{
		Now: func() time.Time { return start },
		Keys: func(string, hsm.Algorithm) (crypto.Signer, error) {
			_, key, err := ed25519.GenerateKey(nil)
			return key, err
		},
	}))(t))
	answers := h.issue(h.applications(3)...)
	h.good(answers)
	folder := t.TempDir()
	write := func(name string, der []byte) string {
		path := filepath.Join(folder, name)
		err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	root, issuing := write("root.pem", h.pki.Root.Certificate.Raw), write("issuing.pem", h.pki.Issuing.Certificate.Raw)
	for _, answer := range answers {
		for _, one := range answer.Certificates {
			if h.verified(one).SignatureAlgorithm != x509.PureEd25519 {
				t.Error("signed by another algorithm")
			}
			out, err := exec.Command(openssl, "verify", "-x509_strict", "-attime", strconv.FormatInt(h.now().Unix(), 10),
				"-CAfile", root, "-untrusted", issuing, write("leaf.pem", one.DER)).CombinedOutput()
			if err != nil {
				t.Errorf("openssl: %v\n%s", err, out)
			}
		}
	}
	h.signer.does(func(_ int, sign func() ([]byte, error)) ([]byte, error) {
		signature, err := sign()
		return flip(signature), err
	})
	wants(t, h.issue(h.application())[0].Err, ca.ErrSignature)
}

// opensslPath is the judge's; every machine that the project runs on has it.
func opensslPath(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil && os.Getenv("CPSCA_TEST_STRICT") == "1" {
		t.Fatal("openssl is not installed")
	}
	if err != nil {
		t.Skip("openssl is not installed")
	}
	return path
}

// A bureau makes a detached proof with openssl alone, as the
// guide says.
func TestADetachedProofMadeByOpensslAsTheGuideSays(t *testing.T) {
	openssl := opensslPath(t)
	guide := must(os.ReadFile("../docs/BUREAU.md"))(t)
	_, script, found := bytes.Cut(guide, []byte("```sh\nfield()"))
	script, _, ended := bytes.Cut(script, []byte("```"))
	if !found || !ended {
		t.Fatal("the guide has no script")
	}
	h := newHouse(t)
	o := h.order(h.person())
	number := h.numbers.Next()
	application := card.Application{Order: o.ID, Number: number}
	for _, use := range card.Uses {
		folder := t.TempDir()
		made, err := exec.Command(openssl, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", filepath.Join(folder, "key.pem")).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, made)
		}
		shell := exec.Command("sh", "-euc", "field()"+string(script))
		shell.Dir = folder
		shell.Env = append(os.Environ(), "order="+string(o.ID), "card="+string(number), "use="+string(use), "challenge="+o.Challenges[use])
		out, err := shell.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		*application.Proof(use) = card.Proof{
			PublicKey: must(os.ReadFile(filepath.Join(folder, "key.der")))(t), Signature: must(os.ReadFile(filepath.Join(folder, "proof.bin")))(t),
		}
	}
	h.good(h.issue(application))
}
