package lifecycle_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"database/sql"
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
	"cpsca/lifecycle"
	"cpsca/profiles"
	"cpsca/registry"
	"cpsca/store"
	"cpsca/testpki"
)

const (
	bureau  = "bureau-a"
	midwife = registry.ProfessionCode(50)
	nurse   = registry.ProfessionCode(60)
)

var start = time.Date(2026, time.March, 2, 9, 30, 15, 0, time.UTC)

var hierarchy = sync.OnceValues(func() (*testpki.Hierarchy, error) {
	return testpki.NewHierarchy(testpki.Options{Root: hsm.P256, Issuing: hsm.P256, Now: func() time.Time { return start }})
})

func must[T any](value T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func wants(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got the error %v, want %v", got, want)
	}
}

// wantsTransition expects that the table of card has no such step.
func wantsTransition(t testing.TB, got error, state card.State, event card.Event) {
	t.Helper()
	var refused *card.TransitionError
	if !errors.As(got, &refused) || refused.State != state || refused.Event != event {
		t.Errorf("got the error %v, want that a card that is %s cannot %s", got, state, event)
	}
}

// signer is a key in software that fails when it is told to.
type signer struct {
	crypto.Signer
	fails atomic.Bool
	first func() // if not nil, is called before the first signature
	once  sync.Once
}

var errDevice = errors.New("the device failed")

func (s *signer) SignContext(_ context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if s.first != nil {
		s.once.Do(s.first)
	}
	if s.fails.Load() {
		return nil, errDevice
	}
	return s.Sign(rand.Reader, digest, opts)
}

// stubborn is a book that says card.ErrStale a number of times, or another
// error to decisions that open an order.
type stubborn struct {
	*store.DB
	stale   atomic.Int32
	applied atomic.Int32
	opening error
}

func (s *stubborn) Apply(ctx context.Context, d card.Decision) error {
	if s.stale.Add(-1) >= 0 {
		return fmt.Errorf("applying: %w", card.ErrStale)
	}
	if s.opening != nil && len(d.Opens) > 0 {
		return s.opening
	}
	s.applied.Add(1)
	return s.DB.Apply(ctx, d)
}

// register is the store's, but for what a test says.
type register struct {
	*store.DB
	failure error
}

func (r *register) Holder(ctx context.Context, id registry.NationalID) (registry.Person, []registry.Event, registry.Contact, error) {
	if r.failure != nil {
		return registry.Person{}, nil, registry.Contact{}, r.failure
	}
	return r.DB.Holder(ctx, id)
}

type house struct {
	t         testing.TB
	path      string
	db        *store.DB
	book      *stubborn
	register  *register
	desk      *lifecycle.Desk
	authority *ca.Authority
	signer    *signer
	clock     atomic.Int64 // milliseconds after start
	people    int
	numbers   *testpki.Numbers
}

func (h *house) now() time.Time { return start.Add(time.Duration(h.clock.Load()) * time.Millisecond) }

// newHouse opens a ledger, a desk and an authority; when the test ends the law
// and the journal are verified.
func newHouse(t testing.TB, gate card.Gate) *house {
	t.Helper()
	ctx := context.Background()
	h := &house{t: t, path: filepath.Join(t.TempDir(), "ledger.sqlite"), numbers: testpki.NewNumbers(2800636234)}
	err := store.Create(ctx, h.path)
	if err != nil {
		t.Fatal(err)
	}
	h.db = must(store.Open(ctx, store.Config{Path: h.path, Now: h.now}))(t)
	h.book, h.register = &stubborn{DB: h.db}, &register{DB: h.db}
	h.desk = lifecycle.New(lifecycle.Config{Register: h.register, Book: h.book, Bureau: bureau, Now: h.now})
	pki := must(hierarchy())(t)
	h.signer = &signer{Signer: pki.Issuing.Signer}
	config := ca.Config{
		Directory: h.db, Ledger: h.db, Cards: must(ca.NewIssuer(pki.Issuing.Certificate, h.signer))(t),
		Gate: gate, Instance: 0x10, Keys: ca.KeyRules{Curves: []string{"P-256"}}, Now: h.now,
	}
	for _, name := range []profiles.Name{profiles.CPSAuthentication, profiles.CPSSignature} {
		config.Profiles = append(config.Profiles, must(profiles.Compile(name, pki.Issuing.Issuer, pki.Issuing.Settings))(t))
	}
	h.authority = must(ca.New(config))(t)
	t.Cleanup(func() {
		h.law()
		_, err := h.db.VerifyJournal(context.Background(), nil)
		if err != nil {
			t.Errorf("the journal does not verify: %v", err)
		}
		_ = h.db.Close()
	})
	return h
}

func (h *house) rows(query string, args ...any) int {
	h.t.Helper()
	db := must(sql.Open("sqlite3", "file:"+h.path+"?mode=ro"))(h.t)
	defer db.Close()
	var n int
	err := db.QueryRow(query, args...).Scan(&n)
	if err != nil {
		h.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// law holds the law of cards, and what certificates say of their card, against
// the disk.
func (h *house) law() {
	h.t.Helper()
	certificates := ` FROM certificates c JOIN cards k ON k.id = c.card_id JOIN intents i ON i.number = c.intent LEFT JOIN revocations r ON r.issuer = i.issuer AND r.serial = i.serial WHERE `
	for broken, query := range map[string]string{
		"a holder has two live cards":    "SELECT COUNT(*) FROM (SELECT 1 FROM cards WHERE state IN ('active', 'held') GROUP BY holder, profession, form HAVING COUNT(*) > 1)",
		"a holder has two waiting cards": "SELECT COUNT(*) FROM (SELECT 1 FROM cards WHERE state IN ('ordered', 'personalised', 'dispatched') GROUP BY holder, profession, form HAVING COUNT(*) > 1)",
		"an ended card is not revoked":   "SELECT COUNT(*)" + certificates + "k.state IN ('revoked', 'replaced', 'spoiled') AND COALESCE(r.status, 'good') <> 'revoked'",
		"an active card is not good":     "SELECT COUNT(*)" + certificates + "k.state = 'active' AND COALESCE(r.status, 'good') <> 'good'",
		"a held card is not held":        "SELECT COUNT(*)" + certificates + "k.state = 'held' AND COALESCE(r.status, 'good') <> 'held'",
		"the feed says otherwise": `SELECT COUNT(*)` + certificates + `COALESCE(r.status, 'good') <>
			(SELECT f.status FROM feed f WHERE f.issuer = i.issuer AND f.serial = i.serial ORDER BY f.sequence DESC LIMIT 1)`,
	} {
		n := h.rows(query)
		if n != 0 {
			h.t.Errorf("%s: %d times", broken, n)
		}
	}
}

// person is one more professional of the register.
func (h *house) person(professions ...registry.ProfessionCode) registry.NationalID {
	h.t.Helper()
	if len(professions) == 0 {
		professions = []registry.ProfessionCode{nurse}
	}
	id := h.stranger()
	var rows []registry.PersonRow
	for _, profession := range professions {
		rows = append(rows, registry.PersonRow{
			ID: id, FamilyName: "ESSAI", GivenName: "Camille", Practice: registry.Practice{Profession: profession, Category: registry.CategoryCivil},
		})
	}
	ctx := context.Background()
	i := must(h.db.BeginImport(ctx, "desk", "persons", "test"))(h.t)
	err := errors.Join(i.Persons(ctx, rows), i.Contacts(ctx, []registry.Contact{{ID: id, Recipient: "CAMILLE ESSAI", Street: "1 RUE DE L ESSAI", PostalCode: "75001", City: "PARIS"}}))
	if err != nil {
		h.t.Fatal(err)
	}
	return id
}

// stranger is a valid number that is in no register.
func (h *house) stranger() registry.NationalID {
	h.t.Helper()
	h.people++
	digits := fmt.Sprintf("997%07d", h.people)
	return registry.RPPS(digits + string(must(registry.LuhnKey(digits))(h.t))).NationalID()
}

// befall adds an event of today to the register.
func (h *house) befall(id registry.NationalID, kind registry.EventKind) {
	h.t.Helper()
	ctx := context.Background()
	i := must(h.db.BeginImport(ctx, "desk", "events", "test"))(h.t)
	err := i.Events(ctx, []registry.Event{{ID: id, Kind: kind, Date: h.now().Truncate(24 * time.Hour), Source: "Ordre"}})
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) order(id registry.NationalID, why card.Why) card.Order {
	h.t.Helper()
	return must(h.desk.Order(context.Background(), "desk", lifecycle.OrderRequest{Holder: id, Why: why}))(h.t)
}

// personalise answers an order with a new card.
func (h *house) personalise(o card.Order) card.Card {
	h.t.Helper()
	chip := must(testpki.NewCard(h.numbers.Next(), hsm.P256))(h.t)
	answers := must(h.authority.Issue(context.Background(), "workshop", o.Bureau, []card.Application{must(chip.Application(o.ID, o.Challenges))(h.t)}))(h.t)
	if answers[0].Err != nil {
		h.t.Fatal(answers[0].Err)
	}
	return h.card(chip.Number())
}

func (h *house) card(number card.Number) card.Card {
	h.t.Helper()
	return must(h.db.Card(context.Background(), number))(h.t)
}

// active is a card in its holder's hands.
func (h *house) active(id registry.NationalID, why card.Why) card.Card {
	h.t.Helper()
	c := h.personalise(h.order(id, why))
	return must(h.desk.Activate(context.Background(), "desk", c.Number))(h.t)
}

// status expects both certificates of a card to be in it, for that reason.
func (h *house) status(number card.Number, want card.Status, reason card.Reason) {
	h.t.Helper()
	certificates := must(h.db.CertificatesOf(context.Background(), h.card(number).ID))(h.t)
	if len(certificates) != 2 {
		h.t.Errorf("card %s has %d certificates", number, len(certificates))
	}
	for _, c := range certificates {
		if c.Status != want || c.Reason != reason {
			h.t.Errorf("the %s certificate of card %s is %s (%s), want %s (%s)", c.Use, number, c.Status, c.Reason, want, reason)
		}
	}
}

func (h *house) state(number card.Number, want card.State) {
	h.t.Helper()
	c := h.card(number)
	if c.State != want {
		h.t.Errorf("card %s is %s, want %s", number, c.State, want)
	}
}
