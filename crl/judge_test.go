package crl

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cpsca/card"
)

// strangers publishes a list with a hold, reasons and invalidity dates and
// writes what other programs need beside it.
func strangers(t *testing.T, key crypto.Signer) (w *world, file func(string) string) {
	t.Helper()
	w = newWorld(t, Policy{Reasons: ReasonsAll, InvalidityDate: true})
	issuer := testIssuer(t, key)
	issuer.File = "list.crl"
	w.issuer = issuer
	w.restart()
	for n := range 300 {
		r := revoked(issuer, n)
		r.Invalidity = noon.AddDate(0, 0, -n)
		if n == 7 {
			r.Status = card.StatusHeld
		}
		w.ledger.add(r)
	}
	list := w.publish(Regular)
	file = func(name string) string { return filepath.Join(w.cfg.Folder, name) }
	write := func(name, kind string, der []byte) {
		must(0, os.WriteFile(file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o644))
	}
	write("issuer.pem", "CERTIFICATE", issuer.Certificate.Raw)
	write("list.pem", "X509 CRL", list.DER)
	for name, n := range map[string]int{"revoked.pem": 5, "held.pem": 7, "good.pem": 5000} {
		serial := serialOf(n)
		template := &x509.Certificate{
			SerialNumber: new(big.Int).SetBytes(serial[:]), Subject: pkix.Name{CommonName: name},
			NotBefore: noon.AddDate(0, -1, 0), NotAfter: noon.AddDate(1, 0, 0), AuthorityKeyId: issuer.KeyID[:],
		}
		write(name, "CERTIFICATE", must(x509.CreateCertificate(rand.Reader, template, issuer.Certificate, p256Key().Public(), key)))
	}
	return w, file
}

func judge(t *testing.T, want bool, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if (err == nil) != want {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestOpenSSLAcceptsListsAndRefusesWhatTheyRevoke(t *testing.T) {
	for name, key := range map[string]crypto.Signer{"RSA": rsaKey(), "P-256": p256Key(), "P-384": p384Key()} {
		t.Run(name, func(t *testing.T) {
			w, file := strangers(t, key)
			text := judge(t, true, "openssl", "crl", "-inform", "DER", "-in", file("list.crl"), "-CAfile", file("issuer.pem"), "-verify", "-noout", "-text")
			for _, want := range []string{"verify OK", "Certificate Hold", "Key Compromise", "Invalidity Date", "X509v3 CRL Number"} {
				if !strings.Contains(text, want) {
					t.Errorf("openssl does not say %q", want)
				}
			}
			at := fmt.Sprint(w.now.Unix())
			check := func(want bool, name string) string {
				return judge(t, want, "openssl", "verify", "-x509_strict", "-attime", at, "-crl_check", "-CRLfile", file("list.pem"), "-CAfile", file("issuer.pem"), file(name))
			}
			check(true, "good.pem")
			for _, name := range []string{"revoked.pem", "held.pem"} {
				if text := check(false, name); !strings.Contains(text, "certificate revoked") {
					t.Errorf("%s: %s", name, text)
				}
			}
		})
	}
}

func TestGnuTLSAcceptsLists(t *testing.T) {
	_, err := exec.LookPath("certtool")
	if err != nil {
		t.Log("not judged: certtool (gnutls-bin) is not installed")
		return
	}
	for name, key := range map[string]crypto.Signer{"RSA": rsaKey(), "P-256": p256Key(), "P-384": p384Key()} {
		t.Run(name, func(t *testing.T) {
			_, file := strangers(t, key)
			text := judge(t, true, "certtool", "--crl-info", "--inder", "--infile", file("list.crl"))
			if !strings.Contains(text, "Revoked certificates (300)") || !strings.Contains(text, "CRL Number") {
				t.Errorf("certtool reads %.600s", text)
			}
			// GnuTLS verifies against its own clock only, so the list is one of today.
			text = judge(t, true, "certtool", "--verify-crl", "--load-ca-certificate", file("issuer.pem"), "--infile", todays(t, key))
			if !strings.Contains(text, "Verified") || strings.Contains(text, "Not verified") {
				t.Errorf("certtool says %s", text)
			}
		})
	}
}

// Every kind of list, empty ones too, is accepted by openssl under the name of
// its issuer.
func TestOpenSSLAcceptsTheEmptyList(t *testing.T) {
	w := newWorld(t, Policy{})
	_, err := w.Publish(context.Background(), w.issuer.KeyID, Regular)
	if err != nil {
		t.Fatal(err)
	}
	authority := filepath.Join(w.cfg.Folder, "issuer.pem")
	must(0, os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.issuer.Certificate.Raw}), 0o644))
	text := judge(t, true, "openssl", "crl", "-inform", "DER", "-in", w.path(), "-CAfile", authority, "-verify", "-noout", "-text")
	if !strings.Contains(text, "verify OK") || !strings.Contains(text, "No Revoked Certificates") {
		t.Errorf("openssl says %s", text)
	}
}

// todays builds a list of this very moment in a PEM file.
func todays(t *testing.T, key crypto.Signer) string {
	t.Helper()
	issuer := testIssuer(t, key)
	der := must(Build(issuer, contentAt(3, time.Now().UTC().Truncate(time.Second)), entriesOf(t, Policy{}, revoked(issuer, 1))))
	path := filepath.Join(t.TempDir(), "today.pem")
	must(0, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), 0o644))
	return path
}
