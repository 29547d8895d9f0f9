package testpki_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cpsca/card"
	"cpsca/hsm"
	"cpsca/profiles"
	"cpsca/testpki"
)

func newHierarchy(t testing.TB, o testpki.Options) *testpki.Hierarchy {
	t.Helper()
	h, err := testpki.NewHierarchy(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func newTechnical(t testing.TB) *testpki.Hierarchy {
	t.Helper()
	h, err := testpki.NewTechnicalHierarchy(testpki.Options{Root: hsm.P384, Issuing: hsm.P256})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func someone(t testing.TB) testpki.Professional {
	t.Helper()
	for _, one := range testpki.NewPopulation(5, 100).Eligible() {
		return one
	}
	t.Fatal("nobody is eligible")
	return testpki.Professional{}
}

// writePEM returns the path of the certificates in a file.
func writePEM(t testing.TB, certificates ...*x509.Certificate) string {
	t.Helper()
	var text []byte
	for _, one := range certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: one.Raw})...)
	}
	path := filepath.Join(t.TempDir(), "certificates.pem")
	err := os.WriteFile(path, text, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func wantChain(t testing.TB, h *testpki.Hierarchy, leaf *x509.Certificate) {
	t.Helper()
	said, err := exec.Command("openssl", "verify", "-x509_strict", "-CAfile", writePEM(t, h.Root.Certificate),
		"-untrusted", writePEM(t, h.Issuing.Certificate), writePEM(t, leaf)).CombinedOutput()
	if err != nil {
		t.Errorf("openssl verify: %v\n%s", err, said)
	}
	for _, one := range []*x509.Certificate{h.Root.Certificate, h.Issuing.Certificate} {
		if !strings.HasPrefix(one.Subject.CommonName, "TEST AC ") {
			t.Errorf("an authority is named %q", one.Subject.CommonName)
		}
	}
}

func wantPersonalised(t *testing.T, h *testpki.Hierarchy, algorithm hsm.Algorithm) {
	t.Helper()
	c := newCard(t, algorithm)
	err := h.Issuing.Personalise(c, someone(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, use := range card.Uses {
		certificate := c.Certificate(use)
		wantChain(t, h, certificate)
		if !strings.Contains(certificate.Subject.String(), "8997") {
			t.Errorf("the subject is %s", certificate.Subject)
		}
	}
	// Product category 80: a card of TEST.
	for _, extension := range c.Certificate(card.Signature).Extensions {
		if extension.Id.String() == "1.2.250.1.71.1.2.5" && extension.Value[len(extension.Value)-1] != 0x80 {
			t.Errorf("product category %x", extension.Value)
		}
	}
}

func TestHierarchiesCertifyCardsThatOpenSSLAccepts(t *testing.T) {
	t.Run("in RSA", func(t *testing.T) {
		wantPersonalised(t, newHierarchy(t, testpki.Options{}), hsm.RSA2048)
	})
	t.Run("in ECDSA", func(t *testing.T) {
		wantPersonalised(t, newHierarchy(t, testpki.Options{Root: hsm.P384, Issuing: hsm.P256}), hsm.P256)
	})
	t.Run("with keys in a token", func(t *testing.T) {
		cfg, err := testpki.SoftHSMForTest(t).Token("hierarchy")
		if err != nil {
			t.Fatal(err)
		}
		token, err := hsm.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			err := token.Close()
			if err != nil {
				t.Error(err)
			}
		})
		keys := testpki.TokenKeys(t.Context(), token)
		wantPersonalised(t, newHierarchy(t, testpki.Options{Root: hsm.P384, Issuing: hsm.P256, Keys: keys}), hsm.RSA2048)
		_, err = testpki.NewHierarchy(testpki.Options{Root: hsm.P384, Keys: keys})
		if !errors.Is(err, hsm.ErrKeyExists) {
			t.Errorf("a second one in the same token: got %v, want ErrKeyExists", err)
		}
	})
}

func TestResponderIsDelegatedByTheIssuer(t *testing.T) {
	h := newHierarchy(t, testpki.Options{Root: hsm.P384, Issuing: hsm.P256})
	key, err := testpki.GenerateKey(hsm.P256)
	if err != nil {
		t.Fatal(err)
	}
	responder, err := h.Issuing.Infrastructure(profiles.OCSP, "TEST OCSP", key.Public())
	if err != nil {
		t.Fatal(err)
	}
	wantChain(t, h, responder)
	if len(responder.ExtKeyUsage) != 1 || responder.ExtKeyUsage[0] != x509.ExtKeyUsageOCSPSigning {
		t.Errorf("usage %v", responder.ExtKeyUsage)
	}
}

func TestSettingsAreThoseOfTheURL(t *testing.T) {
	h := newHierarchy(t, testpki.Options{Root: hsm.P384, Issuing: hsm.P256, URL: "http://127.0.0.1:4242"})
	if got := fmt.Sprint(h.Issuing.Certificate.CRLDistributionPoints); got != "[http://127.0.0.1:4242/crl/root.crl]" {
		t.Errorf("the issuer names the list %s", got)
	}
	c := newCard(t, hsm.P256)
	err := h.Issuing.Personalise(c, someone(t))
	if err != nil {
		t.Fatal(err)
	}
	certificate := c.Certificate(card.Signature)
	if fmt.Sprint(certificate.CRLDistributionPoints, certificate.OCSPServer) != "[http://127.0.0.1:4242/crl/issuing.crl] [http://127.0.0.1:4242/ocsp]" {
		t.Errorf("the card names %v and %v", certificate.CRLDistributionPoints, certificate.OCSPServer)
	}
}

// handshake speaks TLS 1.3 with a client certificate over a pipe and returns what the server says of it.
func handshake(t testing.TB, server tls.Certificate, trusted *x509.CertPool, client tls.Certificate, roots *x509.CertPool) (atServer, atClient error) {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	result := make(chan error, 1)
	go func() {
		defer there.Close()
		conn := tls.Server(there, &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted})
		result <- conn.Handshake()
	}()
	conn := tls.Client(here, &tls.Config{
		ServerName: "localhost", RootCAs: roots,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &client, nil },
	})
	atClient = conn.Handshake()
	if atClient == nil {
		_, _ = conn.Read(make([]byte, 1)) // a refusal comes after the client's last message
	}
	here.Close()
	return <-result, atClient
}

func TestTechnicalCertificatesOpenDoorsAndOthersDoNot(t *testing.T) {
	technical := newTechnical(t)
	server, err := technical.Issuing.TLS(profiles.TLSServer, "TEST serveur", "localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	client, err := technical.Issuing.TLS(profiles.TLSClient, "TEST bureau")
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := testpki.NewForeign()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := foreign.TLS("TEST bureau", "localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	h := newHierarchy(t, testpki.Options{Root: hsm.P384, Issuing: hsm.P256})
	c := newCard(t, hsm.P256)
	err = h.Issuing.Personalise(c, someone(t))
	if err != nil {
		t.Fatal(err)
	}
	certificate := c.Certificate(card.Authentication)
	ofCard := tls.Certificate{
		Certificate: [][]byte{certificate.Raw, h.Issuing.Certificate.Raw}, PrivateKey: c.Key(card.Authentication), Leaf: certificate,
	}
	ours := technical.Roots()
	atServer, atClient := handshake(t, server, ours, client, ours)
	if atServer != nil || atClient != nil {
		t.Errorf("ours: server %v, client %v", atServer, atClient)
	}
	for name, one := range map[string]tls.Certificate{"foreign": stranger, "card": ofCard} {
		var unknown x509.UnknownAuthorityError
		atServer, _ = handshake(t, server, ours, one, ours)
		if !errors.As(atServer, &unknown) {
			t.Errorf("%s: the server says %v", name, atServer)
		}
	}
	atServer, atClient = handshake(t, stranger, foreign.Roots(), stranger, foreign.Roots())
	if atServer != nil || atClient != nil {
		t.Errorf("the foreign authority does not trust itself: server %v, client %v", atServer, atClient)
	}
}

func TestEveryEligiblePersonFitsOnACard(t *testing.T) {
	h := newHierarchy(t, testpki.Options{Root: hsm.P384, Issuing: hsm.P256})
	profile, err := profiles.Compile(profiles.CPSAuthentication, h.Issuing.Issuer, h.Issuing.Settings)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := newCard(t, hsm.P256).SPKI(card.Authentication)
	if err != nil {
		t.Fatal(err)
	}
	for i, one := range testpki.NewPopulation(6, 4000).Eligible() {
		_, err = profile.Check(profiles.Leaf{
			Serial: testpki.NewSerial(), NotBefore: h.Issuing.Certificate.NotBefore, SPKI: spki, Number: "2800636234",
			Holder: profiles.Holder{
				ID: one.Person.ID, FamilyName: one.Person.FamilyName, GivenName: one.Person.GivenName, Profession: one.Profession(),
			},
		})
		if err != nil {
			t.Errorf("person %d, %s %s: %v", i, one.Person.GivenName, one.Person.FamilyName, err)
		}
	}
}
