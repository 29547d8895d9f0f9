package ca_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/hsm"
	"cpsca/profiles"
	"cpsca/registry"
	"cpsca/store"
	"cpsca/testpki"
)

const (
	bureau    = "bureau-a"
	requester = "workshop of bureau-a"
	midwife   = registry.ProfessionCode(50)
	nurse     = registry.ProfessionCode(60)
)

var start = time.Date(2026, time.March, 2, 9, 30, 15, 0, time.UTC)

// hierarchies are made once for all tests.
var hierarchies = map[hsm.Algorithm]func() (*testpki.Hierarchy, error){
	hsm.P256:    sync.OnceValues(func() (*testpki.Hierarchy, error) { return newHierarchy(hsm.P256) }),
	hsm.RSA2048: sync.OnceValues(func() (*testpki.Hierarchy, error) { return newHierarchy(hsm.RSA2048) }),
}

func newHierarchy(algorithm hsm.Algorithm) (*testpki.Hierarchy, error) {
	return testpki.NewHierarchy(testpki.Options{Root: algorithm, Issuing: algorithm, Now: func() time.Time { return start }})
}

// rsaKeys are a pool, since RSA keys are slow to make.
var rsaKeys = sync.OnceValues(func() (*testpki.KeyPool, error) { return testpki.NewKeyPool(4) })

func must[T any](value T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// witness is a signer that remembers every digest and can be told to fail.
type witness struct {
	crypto.Signer
	mu      sync.Mutex
	digests map[string]int
	calls   int
	// instead, if not nil, stands in for the device: sign is what it does.
	instead func(call int, sign func() ([]byte, error)) ([]byte, error)
}

func (w *witness) SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	w.mu.Lock()
	call := w.calls
	w.calls++
	instead := w.instead
	w.mu.Unlock()
	sign := func() ([]byte, error) {
		w.mu.Lock()
		w.digests[string(digest)]++
		w.mu.Unlock()
		return w.Sign(rand.Reader, digest, opts)
	}
	if instead == nil {
		return sign()
	}
	return instead(call, sign)
}

// does sets what the device does from now on, its calls counted from 0.
func (w *witness) does(instead func(call int, sign func() ([]byte, error)) ([]byte, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls, w.instead = 0, instead
}

func (w *witness) signed() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.digests)
}

// balky is a ledger whose methods can be told to fail; apply is what they do.
type balky struct {
	*store.DB
	intend, record, abandon func(apply func() error) error
}

func balk(how func(func() error) error, apply func() error) error {
	if how == nil {
		return apply()
	}
	return how(apply)
}

func (b *balky) Intend(ctx context.Context, chunk []card.Attempt) (answers []error, err error) {
	err = balk(b.intend, func() (err error) {
		answers, err = b.DB.Intend(ctx, chunk)
		return err
	})
	return answers, err
}

func (b *balky) Record(ctx context.Context, signed []card.Signed, gate card.Gate) error {
	return balk(b.record, func() error { return b.DB.Record(ctx, signed, gate) })
}

func (b *balky) Abandon(ctx context.Context, actor string, attempts []card.Attempt) error {
	return balk(b.abandon, func() error { return b.DB.Abandon(ctx, actor, attempts) })
}

func (b *balky) IntendInfrastructure(ctx context.Context, actor string, i card.Intent, renewal bool) error {
	return balk(b.intend, func() error { return b.DB.IntendInfrastructure(ctx, actor, i, renewal) })
}

func (b *balky) RecordInfrastructure(ctx context.Context, actor string, i card.Intent, signature []byte) error {
	return balk(b.record, func() error { return b.DB.RecordInfrastructure(ctx, actor, i, signature) })
}

func (b *balky) AbandonInfrastructure(ctx context.Context, actor string, i card.Intent) error {
	return balk(b.abandon, func() error { return b.DB.AbandonInfrastructure(ctx, actor, i) })
}

// house is an authority over a real ledger, with a signer that is watched.
type house struct {
	t         testing.TB
	path      string
	pki       *testpki.Hierarchy
	signer    *witness
	issuer    *ca.Issuer
	ledger    *balky
	db        *store.DB
	authority *ca.Authority
	config    ca.Config
	clock     atomic.Int64 // seconds after start
	people    int
	numbers   *testpki.Numbers
}

func (h *house) now() time.Time { return start.Add(time.Duration(h.clock.Load()) * time.Second) }

// newHouse opens one; what it did is judged when the test ends.
func newHouse(t testing.TB, changes ...func(*ca.Config)) *house {
	t.Helper()
	return newHouseOf(t, hsm.P256, changes...)
}

func newHouseOf(t testing.TB, algorithm hsm.Algorithm, changes ...func(*ca.Config)) *house {
	t.Helper()
	return newHouseUnder(t, must(hierarchies[algorithm]())(t), changes...)
}

func newHouseUnder(t testing.TB, pki *testpki.Hierarchy, changes ...func(*ca.Config)) *house {
	t.Helper()
	h := &house{t: t, path: filepath.Join(t.TempDir(), "ledger.sqlite"), numbers: testpki.NewNumbers(2800636234), pki: pki}
	h.signer = &witness{Signer: h.pki.Issuing.Signer, digests: map[string]int{}}
	h.issuer = must(ca.NewIssuer(h.pki.Issuing.Certificate, h.signer))(t)
	err := store.Create(t.Context(), h.path)
	if err != nil {
		t.Fatal(err)
	}
	h.config = ca.Config{
		Cards: h.issuer, Profiles: h.cardProfiles(), Gate: card.GateChip, Instance: 0x10,
		Keys: ca.KeyRules{RSA: []int{2048, 3072}, Curves: []string{"P-256", "P-384"}}, Now: h.now,
	}
	for _, change := range changes {
		change(&h.config)
	}
	h.open()
	t.Cleanup(func() {
		h.judge()
		_ = h.db.Close()
	})
	return h
}

func (h *house) cardProfiles() []*profiles.Profile {
	h.t.Helper()
	var out []*profiles.Profile
	for _, name := range []profiles.Name{profiles.CPSAuthentication, profiles.CPSSignature} {
		out = append(out, must(profiles.Compile(name, h.pki.Issuing.Issuer, h.pki.Issuing.Settings))(h.t))
	}
	return out
}

// open opens the ledger, again after close.
func (h *house) open() {
	h.t.Helper()
	h.db = must(store.Open(context.Background(), store.Config{Path: h.path, Now: h.now}))(h.t)
	_, err := h.db.AbandonEarlier(context.Background())
	if err != nil {
		h.t.Fatal(err)
	}
	h.ledger = &balky{DB: h.db}
	h.config.Directory, h.config.Ledger = h.ledger, h.ledger
	h.authority = must(ca.New(h.config))(h.t)
}

func (h *house) reopen() {
	h.t.Helper()
	err := h.db.Close()
	if err != nil {
		h.t.Fatal(err)
	}
	h.open()
}

// person is one more professional of the register.
func (h *house) person(events ...registry.EventKind) registry.NationalID {
	h.t.Helper()
	id := h.stranger()
	h.register(registry.PersonRow{
		ID: id, FamilyName: "ESSAI", GivenName: "Camille",
		Practice: registry.Practice{Profession: nurse, Category: registry.CategoryCivil},
	}, true, events...)
	return id
}

// stranger is a valid number that is in no register.
func (h *house) stranger() registry.NationalID {
	h.t.Helper()
	h.people++
	digits := fmt.Sprintf("997%07d", h.people)
	key := must(registry.LuhnKey(digits))(h.t)
	return registry.RPPS(digits + string(key)).NationalID()
}

func (h *house) register(row registry.PersonRow, address bool, events ...registry.EventKind) {
	h.t.Helper()
	ctx := context.Background()
	i := must(h.db.BeginImport(ctx, "desk", "persons", "test"))(h.t)
	var told []registry.Event
	for _, kind := range events {
		told = append(told, registry.Event{ID: row.ID, Kind: kind, Date: start.AddDate(0, 0, -1).Truncate(24 * time.Hour), Source: "Ordre"})
	}
	err := errors.Join(i.Persons(ctx, []registry.PersonRow{row}), i.Events(ctx, told))
	if address {
		err = errors.Join(err, i.Contacts(ctx, []registry.Contact{{ID: row.ID, Recipient: "CAMILLE ESSAI", Street: "1 RUE DE L ESSAI", PostalCode: "75001", City: "PARIS"}}))
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// order opens an order, whatever the register says.
func (h *house) order(holder registry.NationalID, changes ...func(*card.Order)) card.Order {
	h.t.Helper()
	o := card.Order{
		ID: card.OrderID("order-" + rand.Text()[:10]), Holder: holder, Profession: nurse, Type: card.CPS, Form: card.FormCard, Why: card.First, Bureau: bureau,
		Challenges: map[card.Use]string{card.Authentication: randomText(), card.Signature: randomText()},
	}
	for _, change := range changes {
		change(&o)
	}
	err := h.db.Apply(context.Background(), card.Decision{Actor: "desk", Action: "order", At: h.now(), Opens: []card.Order{o}})
	if err != nil {
		h.t.Fatal(err)
	}
	return o
}

func randomText() string {
	var octets [16]byte
	_, _ = rand.Read(octets[:])
	return hex.EncodeToString(octets[:])
}

// card makes a chip.
func (h *house) card() *testpki.Card {
	h.t.Helper()
	return must(testpki.NewCard(h.numbers.Next(), hsm.P256))(h.t)
}

// application is an honest one, of a new holder and a new card.
func (h *house) application() card.Application {
	h.t.Helper()
	o := h.order(h.person())
	return must(h.card().Application(o.ID, o.Challenges))(h.t)
}

func (h *house) applications(n int) []card.Application {
	h.t.Helper()
	out := make([]card.Application, n)
	for i := range out {
		out[i] = h.application()
	}
	return out
}

// issue expects the chunk to be answered.
func (h *house) issue(applications ...card.Application) []ca.Answer {
	h.t.Helper()
	answers := must(h.authority.Issue(context.Background(), requester, bureau, applications))(h.t)
	if len(answers) != len(applications) {
		h.t.Fatalf("%d answers to %d applications", len(answers), len(applications))
	}
	for i, answer := range answers {
		if answer.Order != applications[i].Order || answer.Number != applications[i].Number {
			h.t.Fatalf("answer %d is to another application", i)
		}
		if (answer.Err == nil) != (len(answer.Certificates) == 2) {
			h.t.Fatalf("answer %d has %d certificates and the error %v", i, len(answer.Certificates), answer.Err)
		}
	}
	return answers
}

// good expects certificates for all.
func (h *house) good(answers []ca.Answer) {
	h.t.Helper()
	for i, answer := range answers {
		if answer.Err != nil {
			h.t.Fatalf("answer %d: %v", i, answer.Err)
		}
	}
}

// same expects the very same certificates.
func same(t testing.TB, got, want []ca.Issued) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d certificates, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i].Use != want[i].Use || got[i].Serial != want[i].Serial || !bytes.Equal(got[i].DER, want[i].DER) {
			t.Fatalf("certificate %d differs", i)
		}
	}
}

// verified parses and verifies a certificate up to the root.
func (h *house) verified(one ca.Issued) *x509.Certificate {
	h.t.Helper()
	c := must(x509.ParseCertificate(one.DER))(h.t)
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(h.pki.Root.Certificate)
	between.AddCert(h.pki.Issuing.Certificate)
	_, err := c.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: h.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}
