package api

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/client"
	"cpsca/feed"
	"cpsca/lifecycle"
	"cpsca/officer"
	"cpsca/registry"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// Certificates of the fixture are valid by the clock of the handshake and by
// that of the house.
var (
	begins = noon.AddDate(-10, 0, 0)
	ends   = noon.AddDate(50, 0, 0)
)

const (
	ada    = registry.NationalID("899700000013")
	number = card.Number("9900000001")
)

// hierarchy is a CA made for a test.
type hierarchy struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newHierarchy(t *testing.T, name string) hierarchy {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: begins, NotAfter: ends,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return hierarchy{signed(t, template, template, &key.PublicKey, key), key}
}

func signed(t *testing.T, template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func (h hierarchy) certify(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: begins, NotAfter: ends,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	leaf := signed(t, template, h.certificate, &key.PublicKey, h.key)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

func (h hierarchy) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(h.certificate)
	return pool
}

// house is everything that stands behind the doors, in memory.
type house struct {
	mu        sync.Mutex
	enrolled  map[officer.Fingerprint]officer.Enrolment
	listed    []officer.Enrolment // that open nothing
	fail      error               // of everything that reads
	orderings []card.Order
	dossiers  map[card.OrderID]card.Dossier
	cardsBy   map[card.Number]card.Card
	actor     string
	loss      lifecycle.Loss
	reported  lifecycle.Reported
	deskErr   error
	issue     func(applications []card.Application) ([]ca.Answer, error)
	chunk     int   // 0: ca.MaxChunk
	imported  []int // sizes of slices
	finished  *registry.Report
	kind      string
	records   []feed.Record
	changed   chan struct{}
	looked    chan struct{} // if not nil, hears of each reading of the feed
	issuerSet []client.Issuer
	revoked   card.Reason
}

func (h *house) Enrolled(_ context.Context, f officer.Fingerprint) (officer.Enrolment, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e, ok := h.enrolled[f]
	if !ok {
		return e, card.ErrNotFound
	}
	return e, nil
}

func (h *house) Enrolments(context.Context) ([]officer.Enrolment, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := slices.Clone(h.listed)
	for _, e := range h.enrolled {
		out = append(out, e)
	}
	return out, h.fail
}

func (h *house) Holder(_ context.Context, id registry.NationalID) (registry.Person, []registry.Event, registry.Contact, error) {
	if h.fail != nil {
		return registry.Person{}, nil, registry.Contact{}, h.fail
	}
	if id != ada {
		return registry.Person{}, nil, registry.Contact{}, card.ErrUnknownHolder
	}
	return person(), nil, contact(), nil
}

func person() registry.Person {
	return registry.Person{ID: ada, FamilyName: "LOVELACE", GivenName: "ADA", Practices: []registry.Practice{{Profession: 10, Category: "C"}, {Profession: 40, Category: "E"}}}
}

func contact() registry.Contact {
	return registry.Contact{ID: ada, Recipient: "DR ADA LOVELACE", Street: "1 RUE DE L ESSAI", PostalCode: "75001", City: "PARIS", Phone: "+33123456789"}
}

func (h *house) Persons(_ context.Context, rows []registry.PersonRow) error {
	h.imported = append(h.imported, len(rows))
	return h.fail
}
func (h *house) Events(_ context.Context, rows []registry.Event) error {
	h.imported = append(h.imported, len(rows))
	return h.fail
}
func (h *house) Contacts(_ context.Context, rows []registry.Contact) error {
	h.imported = append(h.imported, len(rows))
	return h.fail
}
func (h *house) Finish(_ context.Context, report *registry.Report) error {
	h.finished = report
	return nil
}

func (h *house) Orders(_ context.Context, bureau string, state card.OrderState, after card.OrderID, limit int) ([]card.Order, error) {
	if h.fail != nil {
		return nil, h.fail
	}
	var out []card.Order
	seen := after == ""
	for _, o := range h.orderings {
		if seen && (bureau == "" || o.Bureau == bureau) && (state == "" || o.State == state) && len(out) < limit {
			out = append(out, o)
		}
		seen = seen || o.ID == after
	}
	return out, nil
}

func (h *house) Dossiers(_ context.Context, bureau string, ids []card.OrderID) (map[card.OrderID]card.Dossier, error) {
	out := make(map[card.OrderID]card.Dossier)
	for _, id := range ids {
		d, ok := h.dossiers[id]
		if ok && d.Order.Bureau == bureau {
			out[id] = d
		}
	}
	return out, h.fail
}

func (h *house) Order(_ context.Context, actor string, r lifecycle.OrderRequest) (card.Order, error) {
	h.actor = actor
	return card.Order{
		ID: "o1", Holder: r.Holder, Profession: r.Profession, Bureau: r.Bureau, State: card.OrderOpen, Challenges: map[card.Use]string{"authentication": "secret"},
	}, h.deskErr
}

func (h *house) Cancel(_ context.Context, actor string, id card.OrderID) (card.Card, error) {
	h.actor = actor
	return card.Card{Order: id, State: card.Cancelled}, h.deskErr
}

func (h *house) Activate(_ context.Context, actor string, n card.Number) (card.Card, error) {
	h.actor = actor
	return card.Card{Number: n, State: card.Active}, h.deskErr
}

func (h *house) ReportLoss(_ context.Context, actor string, l lifecycle.Loss) (lifecycle.Reported, error) {
	h.actor, h.loss = actor, l
	return h.reported, h.deskErr
}

func (h *house) Spoil(_ context.Context, actor, bureau string, n card.Number) (card.Card, error) {
	h.actor = actor
	return card.Card{Number: n, State: card.Spoiled, Bureau: bureau}, h.deskErr
}

func (h *house) Issue(_ context.Context, _, _ string, applications []card.Application) ([]ca.Answer, error) {
	if h.issue == nil {
		return issued(applications), nil
	}
	return h.issue(applications)
}

func (h *house) Chunk() int {
	if h.chunk == 0 {
		return ca.MaxChunk
	}
	return h.chunk
}

// issued answers every application.
func issued(applications []card.Application) []ca.Answer {
	out := make([]ca.Answer, len(applications))
	for i, a := range applications {
		out[i] = ca.Answer{Order: a.Order, Number: a.Number}
		for n, use := range card.Uses {
			if len(a.Proofs[n].Request)+len(a.Proofs[n].PublicKey) > 0 {
				out[i].Certificates = append(out[i].Certificates, ca.Issued{Use: use, DER: []byte(a.Order)})
			}
		}
	}
	return out
}

func (h *house) Card(_ context.Context, n card.Number) (card.Card, error) {
	c, ok := h.cardsBy[n]
	if !ok {
		return c, card.ErrNotFound
	}
	return c, h.fail
}

func (h *house) CardsOf(_ context.Context, holder registry.NationalID) ([]card.Card, error) {
	var out []card.Card
	for _, c := range h.cardsBy {
		if c.Holder == holder {
			out = append(out, c)
		}
	}
	return out, h.fail
}

func (h *house) History(context.Context, int64) ([]card.Step, error) {
	return []card.Step{{At: noon, Event: "order", To: card.Ordered}}, nil
}
func (h *house) CertificatesOf(context.Context, int64) ([]card.Certificate, error) { return nil, nil }
func (h *house) LossReports(context.Context, card.Card) ([]card.LossReport, error) { return nil, nil }

func (h *house) Certificate(_ context.Context, issuer card.KeyID, serial card.Serial) (card.Certificate, error) {
	return card.Certificate{}, card.ErrNotFound
}

func (h *house) RevokeInfrastructure(_ context.Context, _ string, _ card.KeyID, _ card.Serial, reason card.Reason) error {
	h.revoked = reason
	return nil
}

func (h *house) Issuers(context.Context) ([]client.Issuer, error) { return h.issuerSet, h.fail }

func (h *house) Records(_ context.Context, after uint64, limit int) ([]feed.Record, uint64, feed.Hash, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.looked != nil {
		h.looked <- struct{}{}
	}
	var out []feed.Record
	for _, r := range h.records {
		if r.Sequence > after && len(out) < limit {
			out = append(out, r)
		}
	}
	return out, uint64(len(h.records)), feed.Hash{byte(len(h.records))}, h.fail
}

func (h *house) Changed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

func (h *house) SignHead(_ context.Context, sequence uint64, hash feed.Hash, asOf time.Time) (feed.Head, error) {
	return feed.Head{Sequence: sequence, Hash: hash, AsOf: asOf, Signature: []byte("signed")}, nil
}

func (h *house) IssueResponder(_ context.Context, _ string, issuer card.KeyID, csr []byte) ([]byte, error) {
	if h.fail != nil {
		return nil, h.fail
	}
	return append([]byte("certificate of "), csr...), nil
}

// register is the house's register of lists: its methods would collide with
// those of others.
type register struct{ *house }

func (r register) Lists(context.Context) ([]client.List, error) {
	return []client.List{{Issuer: card.KeyID{1}, Number: 7, ThisUpdate: noon, NextUpdate: noon.Add(time.Hour)}}, nil
}
func (r register) List(_ context.Context, issuer card.KeyID) ([]byte, error) {
	if issuer != (card.KeyID{1}) {
		return nil, card.ErrNotFound
	}
	return []byte("a list"), nil
}
func (r register) Publish(_ context.Context, _ string, issuer card.KeyID) (client.List, error) {
	return client.List{Issuer: issuer, Number: 8}, nil
}

// site is a running server with callers of every role.
type site struct {
	*house
	t         *testing.T
	technical hierarchy
	server    *httptest.Server
	handler   *Server
	log       *strings.Builder
	logs      sync.Mutex
}

// Write takes the log.
func (s *site) Write(b []byte) (int, error) {
	s.logs.Lock()
	defer s.logs.Unlock()
	return s.log.Write(b)
}

func (s *site) logged() string {
	s.logs.Lock()
	defer s.logs.Unlock()
	return s.log.String()
}

func config(h *house) Config {
	return Config{
		Enrolments: h, Register: h, Orders: h, Desk: h, Workshop: h, Issuing: h, Cards: h, Histories: h, Certificates: h,
		Issuers: h, Lists: register{h}, Feed: h, HeadSigner: h, Responders: h, Version: "test",
		BeginImport: func(_ context.Context, actor, kind, file string) (Import, error) {
			h.actor, h.kind = actor, kind
			return h, nil
		},
		Now: func() time.Time { return noon },
	}
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, technical: newHierarchy(t, "technical"), log: new(strings.Builder)}
	s.house = &house{enrolled: make(map[officer.Fingerprint]officer.Enrolment), changed: make(chan struct{}), cardsBy: make(map[card.Number]card.Card)}
	c := config(s.house)
	c.Log = slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug}))
	handler, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	s.handler = handler
	s.server = httptest.NewUnstartedServer(handler)
	s.server.TLS = &tls.Config{
		Certificates: []tls.Certificate{s.technical.certify(t, "server")}, ClientCAs: s.technical.pool(), ClientAuth: tls.RequireAndVerifyClientCert,
	}
	s.server.StartTLS()
	t.Cleanup(s.server.Close)
	return s
}

// enrol gives somebody a certificate with a role.
func (s *site) enrol(role officer.Role) tls.Certificate {
	s.t.Helper()
	certificate := s.technical.certify(s.t, string(role))
	e := officer.Enrolment{Fingerprint: officer.FingerprintOf(certificate.Certificate[0]), Person: "P. " + string(role), Role: role, Since: noon}
	if role == officer.Bureau {
		e.Bureau = "b1"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enrolled[e.Fingerprint] = e
	return certificate
}

func (s *site) end(certificate tls.Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.enrolled, officer.FingerprintOf(certificate.Certificate[0]))
}

// as makes a client of the project for a role.
func (s *site) as(role officer.Role) *client.Client {
	s.t.Helper()
	return s.with(s.enrol(role), "")
}

func (s *site) with(certificate tls.Certificate, language string) *client.Client {
	s.t.Helper()
	c, err := client.New(client.Config{URL: s.server.URL, Certificate: certificate, Roots: s.technical.pool(), Language: language})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	return c
}

// plain makes an HTTP client for what the project's own client would not send.
func (s *site) plain(certificate tls.Certificate) *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.technical.pool(), Certificates: []tls.Certificate{certificate}}}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func line(n int) string {
	csr := base64.StdEncoding.EncodeToString([]byte{0x30, byte(n)})
	return fmt.Sprintf(`{"order":"o%d","card":"%010d","authentication":{"csr":%q},"signature":{"csr":%q}}`, n, n, csr, csr)
}

func base64Of(der []byte) string { return base64.StdEncoding.EncodeToString(der) }
