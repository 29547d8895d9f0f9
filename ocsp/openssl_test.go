package ocsp

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cpsca/card"
	"cpsca/feed"
)

var update = flag.Bool("update", false, "write the golden responses anew")

func openssl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("openssl", append([]string{"ocsp"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl ocsp %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	err := os.WriteFile(path, content, 0o600)
	if err != nil {
		t.Fatal(err)
	}
}

func readPEM(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(content)
	return block.Bytes
}

// golden makes a responder of the keys in testdata, whose RSA signatures are
// the same every time. Serial 2 is good, 3 held.
func golden(t *testing.T, now time.Time) *Responder {
	t.Helper()
	certificate, err := x509.ParseCertificate(readPEM(t, "issuer.pem"))
	if err != nil {
		t.Fatal(err)
	}
	delegate, err := x509.ParseCertificate(readPEM(t, "responder.pem"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.ParsePKCS8PrivateKey(readPEM(t, "responder-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	id, err := KeyID(certificate)
	if err != nil {
		t.Fatal(err)
	}
	image := &table{asOf: now.Add(-10 * time.Second), records: map[card.Serial]feed.Record{}}
	image.set(id, 2, card.StatusGood, 0)
	image.set(id, 3, card.StatusHeld, card.CertificateHold)
	r, err := New(Config{Image: image, Issuers: []*x509.Certificate{certificate}, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	err = r.Install(id, delegate, key.(crypto.Signer))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestGoldenResponses(t *testing.T) {
	now := time.Date(2027, 1, 15, 12, 0, 0, 0, time.UTC)
	requests, err := filepath.Glob("testdata/request-*.der")
	if err != nil || len(requests) == 0 {
		t.Fatalf("no requests: %v", err)
	}
	for _, name := range requests {
		request, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		response, err := golden(t, now).Answer(request)
		if err != nil {
			t.Fatal(err)
		}
		path := strings.Replace(name, "request-", "response-", 1)
		if *update {
			write(t, path, response.DER)
			text := openssl(t, "-respin", path, "-resp_text", "-noverify")
			write(t, strings.Replace(path, ".der", ".txt", 1), []byte(text))
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(response.DER, want) {
			t.Errorf("%s: the answer is not the golden one:\n%x", name, response.DER)
		}
	}
}

func TestOpensslVerifiesAnswersToItsOwnRequests(t *testing.T) {
	// openssl compares with the true time; the keys are valid for decades.
	now := time.Now().UTC().Truncate(time.Second)
	r := golden(t, now)
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		args []string
	}{
		{"SHA-1 with nonce", nil},
		{"SHA-256 with nonce", []string{"-sha256"}},
		{"SHA-1 without nonce", []string{"-no_nonce"}},
		{"SHA-256 without nonce", []string{"-no_nonce", "-sha256"}},
	} {
		ask := append(c.args, "-issuer", "testdata/issuer.pem", "-CAfile", "testdata/issuer.pem")
		for _, n := range []string{"02", "03", "04"} {
			ask = append(ask, "-serial", "0x100000000000000000000000000000"+n)
		}
		request, response := filepath.Join(dir, "request"), filepath.Join(dir, "response")
		openssl(t, append(ask, "-reqout", request)...)
		der, err := os.ReadFile(request)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := r.Answer(der)
		if err != nil {
			t.Fatal(err)
		}
		write(t, response, answer.DER)
		verdict := openssl(t, "-reqin", request, "-respin", response, "-CAfile", "testdata/issuer.pem")
		if !strings.Contains(verdict, "Response verify OK") || strings.Contains(verdict, "WARNING") {
			t.Errorf("%s: %s", c.name, verdict)
		}
		verdict = openssl(t, append(ask, "-no_nonce", "-respin", response)...)
		for _, want := range []string{"02: good", "03: revoked", "04: unknown", "Reason: certificateHold", "Response verify OK"} {
			if !strings.Contains(verdict, want) {
				t.Errorf("%s: no %q in\n%s", c.name, want, verdict)
			}
		}
	}
}
