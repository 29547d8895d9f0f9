package endtoend_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"

	"cpsca/card"
	"cpsca/client"
	"cpsca/testpki"
)

// knock asks for the version, the door that is open to every role, with a
// certificate that is presented whether or not the server would take it.
func (h *house) knock(t *testing.T, certificate *tls.Certificate) error {
	t.Helper()
	roots, err := client.LoadRoots(h.path("issuers", "technical-root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	settings := &tls.Config{RootCAs: roots}
	if certificate != nil {
		settings.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	transport := &http.Transport{TLSClientConfig: settings}
	defer transport.CloseIdleConnections()
	a, err := (&http.Client{Transport: transport}).Get("https://" + h.addresses.authority + "/v1/version")
	if err != nil {
		return err
	}
	defer a.Body.Close()
	return fmt.Errorf("the door answered %s", a.Status)
}

func TestACardOrAForeignCertificateOpensNoDoor(t *testing.T) {
	h := newHouse(t)
	h.startAuthority(t)
	people := testpki.NewPopulation(41, 30)
	h.importRegister(t, people)
	o := h.order(t, entitled(t, people, 1))[0]
	c := newCard(t, testpki.NewNumbers(41))
	pair := sendAll(t, h.as(t, "bureau"), line(t, apply(t, c, o)))[0]
	issued(t, pair)
	h.must(t, "card", "activate", string(c.Number())) // good for the whole world, and no key here
	own := make(map[card.Use]*tls.Certificate)
	for _, one := range pair.Certificates {
		own[one.Use] = &tls.Certificate{Certificate: [][]byte{one.Certificate, h.issuer(t).Raw}, PrivateKey: c.Key(one.Use)}
	}
	foreign, err := testpki.NewForeign()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := foreign.TLS("registration desk")
	if err != nil {
		t.Fatal(err)
	}
	for name, one := range map[string]struct {
		certificate *tls.Certificate
		alert       string
	}{
		"the authentication certificate of a card": {own[card.Authentication], "unknown certificate authority"},
		"the signature certificate of a card":      {own[card.Signature], "unknown certificate authority"},
		"a certificate of a foreign authority":     {&stranger, "unknown certificate authority"},
		"no certificate":                           {nil, "certificate required"},
	} {
		err := h.knock(t, one.certificate)
		if !strings.Contains(err.Error(), "remote error: tls: "+one.alert) {
			t.Errorf("%s: got %v, want the handshake refused: %s", name, err, one.alert)
		}
	}
	h.unenrolled(t)
}

// unenrolled knocks with the server's own certificate: of the right hierarchy,
// and without a role.
func (h *house) unenrolled(t *testing.T) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(h.path("identities", "server.pem"), h.path("identities", "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	err = h.knock(t, &pair)
	if !strings.Contains(err.Error(), "remote error: tls: ") && !strings.Contains(err.Error(), "403") {
		t.Errorf("a technical certificate without a role: %v", err)
	}
}

func TestARevokedCertificateIsRefusedAtTheNextRequestOfItsConnection(t *testing.T) {
	h := newHouse(t)
	h.startAuthority(t)
	certificate, err := client.LoadCertificate(h.path("identities", "auditor.pem"), h.path("identities", "auditor.key"))
	if err != nil {
		t.Fatal(err)
	}
	roots, err := client.LoadRoots(h.path("issuers", "technical-root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}}}
	defer transport.CloseIdleConnections()
	reused := false
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
	if code := h.enter(ctx, t, transport); code != http.StatusOK {
		t.Fatalf("the auditor reads the enrolments: status %d", code)
	}
	enrolments, err := h.as(t, "officer-alice-martin").Enrolments(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range enrolments {
		if e.Role == "auditor" {
			h.must(t, "cert", "revoke", fmt.Sprintf("%s:%s", e.Issuer, e.Serial), "--reason", "1")
		}
	}
	code := h.enter(ctx, t, transport)
	if code != http.StatusForbidden || !reused {
		t.Errorf("after the revocation: status %d (connection reused: %t), want 403 on the same connection", code, reused)
	}
	_, err = h.as(t, "auditor").Enrolments(t.Context())
	refusedAs(t, "a new connection", err, http.StatusForbidden, "not-enrolled")
	h.verifyJournal(t)
}

// enter asks for the enrolments and returns the status.
func (h *house) enter(ctx context.Context, t *testing.T, transport *http.Transport) int {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+h.addresses.authority+"/v1/enrolments", nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	_, err = io.Copy(io.Discard, a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode
}

func TestARoleOpensItsOwnDoorsAlone(t *testing.T) {
	h := newHouse(t)
	h.startAuthority(t)
	people := testpki.NewPopulation(42, 30)
	h.importRegister(t, people)
	chosen := entitled(t, people, 2)
	o := h.order(t, chosen[:1])[0]
	c := newCard(t, testpki.NewNumbers(42))
	mine := line(t, apply(t, c, o))
	pair := sendAll(t, h.as(t, "bureau"), mine)[0]
	issued(t, pair)
	one := pair.Certificates[0]
	issuers, err := h.as(t, "desk").Issuers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, attempt := range []struct {
		identity, what string
		do             func(*client.Client) error
	}{
		{"desk", "import a register", func(c *client.Client) error {
			_, err := c.Import(t.Context(), client.Events, "x", strings.NewReader("x"), nil)
			return err
		}},
		{"desk", "revoke a certificate", func(c *client.Client) error {
			_, err := c.Revoke(t.Context(), issuers[0].KeyID, one.Serial, 0)
			return err
		}},
		{"desk", "publish a list", func(c *client.Client) error {
			_, err := c.Publish(t.Context(), issuers[0].KeyID)
			return err
		}},
		{"desk", "read the enrolments", func(c *client.Client) error {
			_, err := c.Enrolments(t.Context())
			return err
		}},
		{"desk", "personalise", func(c *client.Client) error { _, err := send(t, c, strings.NewReader(mine)); return err }},
		{"officer-alice-martin", "personalise", func(c *client.Client) error { _, err := send(t, c, strings.NewReader(mine)); return err }},
		{"bureau", "order a card", func(c *client.Client) error {
			_, err := c.Order(t.Context(), client.OrderRequest{Holder: chosen[1].Person.ID})
			return err
		}},
		{"bureau", "activate a card", func(b *client.Client) error { _, err := b.Activate(t.Context(), c.Number()); return err }},
		{"bureau", "look a person up", func(c *client.Client) error {
			_, err := c.Person(t.Context(), string(chosen[0].Person.ID))
			return err
		}},
		{"auditor", "report a loss", func(a *client.Client) error {
			_, err := a.ReportLoss(t.Context(), c.Number(), client.Loss{Circumstance: "lost"})
			return err
		}},
		{"auditor", "take the feed", func(c *client.Client) error { _, _, err := c.Feed(t.Context(), 0, 0); return err }},
		{"status", "list orders", func(c *client.Client) error { _, err := c.Orders(t.Context(), client.OrderQuery{}); return err }},
		{"status", "personalise", func(c *client.Client) error { _, err := send(t, c, strings.NewReader(mine)); return err }},
	} {
		refusedAs(t, attempt.identity+" may not "+attempt.what, attempt.do(h.as(t, attempt.identity)), http.StatusForbidden, "role")
	}
	a := h.cpsca(t, "--as", "desk", "registry", "import", client.Events, h.path("events.txt"))
	if a.code != 3 || !strings.Contains(a.stderr, "Your role may not do this") {
		t.Errorf("cpsca --as desk registry import: exit code %d\n%s", a.code, a.stderr)
	}
	if n := len(h.intents(t)); n != len(card.Uses) {
		t.Errorf("%d intents, want those of the one card", n)
	}
}
