package store

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cpsca/card"
	"cpsca/feed"
	"cpsca/registry"
)

// clock is business time that moves only when told, or a second at each look.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(1001 * time.Millisecond)
	return c.at
}

var dawn = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)

// newLedger makes a ledger of the test's own and opens it.
func newLedger(t testing.TB) *DB {
	t.Helper()
	return openLedger(t, emptyLedger(t))
}

// emptyLedger makes a ledger, in the test's folder or on the server of this pass,
// and says where.
func emptyLedger(t testing.TB) string {
	t.Helper()
	if server != nil {
		return copied(t, template)
	}
	path := filepath.Join(t.TempDir(), "ledger.db")
	err := Create(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// at is the configuration of a ledger at a place: a path, or a DSN.
func at(place string) Config {
	c := At(place)
	c.Now = (&clock{at: dawn}).now
	return c
}

func place(db *DB) string { return db.config.DSN + db.config.Path }

func openLedger(t testing.TB, place string) *DB {
	t.Helper()
	db, err := Open(t.Context(), at(place))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

var testIssuer = card.KeyID{0xca, 19: 1}

func random[T card.Serial | card.Fingerprint]() T {
	var v T
	switch p := any(&v).(type) {
	case *card.Serial:
		_, _ = rand.Read(p[:])
		p[0] = 0x10
	case *card.Fingerprint:
		_, _ = rand.Read(p[:])
	}
	return v
}

var counter struct {
	sync.Mutex
	n int
}

// next numbers holders, orders and cards of the tests.
func next() int {
	counter.Lock()
	defer counter.Unlock()
	counter.n++
	return counter.n
}

func newNumber() card.Number { return card.Number(fmt.Sprintf("%010d", next())) }

// orderFor is an order that no ledger holds yet; why follows from replaces.
func orderFor(holder registry.NationalID, why card.Why, replaces card.Number) card.Order {
	return card.Order{
		ID: card.OrderID(fmt.Sprintf("order%d", next())), Holder: holder, Profession: 21, Type: card.CPS, Form: card.FormCard,
		Why: why, Replaces: replaces, Bureau: "bureau",
		Challenges: map[card.Use]string{card.Authentication: "one", card.Signature: "two"},
	}
}

func newHolder() registry.NationalID { return registry.NationalID(fmt.Sprintf("8997%08d", next())) }

func apply(t testing.TB, db *DB, d card.Decision) {
	t.Helper()
	err := db.Apply(t.Context(), d)
	if err != nil {
		t.Fatalf("%s: %v", d.Action, err)
	}
}

// ordered opens an order for a new holder and returns it.
func ordered(t testing.TB, db *DB) card.Order {
	t.Helper()
	o := orderFor(newHolder(), card.First, "")
	apply(t, db, card.Decision{Actor: "desk", Action: "order", At: dawn, Opens: []card.Order{o}})
	return o
}

func cardOf(t testing.TB, db *DB, o card.OrderID) card.Card {
	t.Helper()
	cards, err := db.CardsOfOrder(t.Context(), o)
	if err != nil || len(cards) == 0 {
		t.Fatalf("cards of %s: %v, %v", o, cards, err)
	}
	return cards[len(cards)-1]
}

// attemptAt is a first attempt at an order's present card, with new keys.
func attemptAt(t testing.TB, db *DB, o card.Order) card.Attempt {
	t.Helper()
	a := card.Attempt{Order: o.ID, Card: cardOf(t, db, o.ID).ID, Number: newNumber(), Requester: "bureau-client"}
	for _, use := range card.Uses {
		a.Intents = append(a.Intents, newIntent(o.ID, use))
	}
	return a
}

func newIntent(o card.OrderID, use card.Use) card.Intent {
	tbs := make([]byte, 1600)
	_, _ = rand.Read(tbs)
	return card.Intent{
		Issuer: testIssuer, Serial: random[card.Serial](), Order: o, Use: use,
		Profile: card.ProfileRef{Name: "cps-" + string(use), Version: 1, Hash: [32]byte{7}},
		Key:     random[card.Fingerprint](), NotBefore: dawn, NotAfter: dawn.AddDate(3, 0, 0), TBS: tbs,
	}
}

// again is the next attempt with the same card and keys.
func again(a card.Attempt) card.Attempt {
	next := a
	next.Intents = make([]card.Intent, len(a.Intents))
	for i, intent := range a.Intents {
		next.Intents[i] = newIntent(a.Order, intent.Use)
		next.Intents[i].Key = intent.Key
	}
	return next
}

func sign(a card.Attempt) card.Signed {
	s := card.Signed{Attempt: a}
	for range a.Intents {
		signature := make([]byte, 256)
		_, _ = rand.Read(signature)
		s.Signatures = append(s.Signatures, signature)
	}
	return s
}

// intend records the intents of one attempt and returns it numbered.
func intend(t testing.TB, db *DB, a card.Attempt) card.Attempt {
	t.Helper()
	chunk := []card.Attempt{a}
	refusals, err := db.Intend(t.Context(), chunk)
	if err != nil || refusals[0] != nil {
		t.Fatalf("Intend: %v, %v", refusals, err)
	}
	return chunk[0]
}

func record(t testing.TB, db *DB, a card.Attempt, gate card.Gate) card.Signed {
	t.Helper()
	s := sign(a)
	err := db.Record(t.Context(), []card.Signed{s}, gate)
	if err != nil {
		t.Fatalf("Record: %v", err)
	}
	return s
}

// personalised is a recorded card of a new holder.
func personalised(t testing.TB, db *DB, gate card.Gate) (card.Card, card.Signed) {
	t.Helper()
	o := ordered(t, db)
	s := record(t, db, intend(t, db, attemptAt(t, db, o)), gate)
	return cardOf(t, db, o.ID), s
}

func step(t testing.TB, c card.Card, e card.Event, at time.Time) card.Change {
	t.Helper()
	change, err := c.Step(e, at)
	if err != nil {
		t.Fatal(err)
	}
	return change
}

// moved applies one event to the card as it stands in the ledger.
func moved(t testing.TB, db *DB, number card.Number, e card.Event, at time.Time) card.Card {
	t.Helper()
	c, err := db.Card(t.Context(), number)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, db, card.Decision{Actor: "desk", Action: string(e), At: at, Changes: []card.Change{step(t, c, e, at)}})
	c, err = db.Card(t.Context(), number)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func statuses(t testing.TB, db *DB, s card.Signed) []card.Status {
	t.Helper()
	image := imageOf(t, db)
	var out []card.Status
	for _, i := range s.Intents {
		r, _ := image.Lookup(i.Issuer, i.Serial)
		out = append(out, r.Status)
	}
	return out
}

var feedKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

// imageOf follows the whole feed under a signed head, as a status node does.
func imageOf(t testing.TB, db *DB) *feed.Image {
	t.Helper()
	image := feed.NewImage(feedKey().Public())
	var all []feed.Record
	var end uint64
	var hash feed.Hash
	for {
		records, last, lastHash, err := db.Records(context.Background(), uint64(len(all)), 100)
		if err != nil {
			t.Fatal(err)
		}
		all, end, hash = append(all, records...), last, lastHash
		if len(records) == 0 {
			break
		}
	}
	head, err := feed.Sign(feedKey(), end, hash, dawn.AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	err = image.Apply(all, head)
	if err != nil {
		t.Fatalf("the feed up to %d: %v", end, err)
	}
	alarms, _ := image.Alarms()
	if alarms > 0 {
		t.Fatalf("the feed has %d impossible changes", alarms)
	}
	return image
}

// checkAll holds every statement of the ledger against the others.
func checkAll(t testing.TB, db *DB) {
	t.Helper()
	_, err := db.VerifyJournal(context.Background(), nil)
	if err != nil {
		t.Fatalf("the journal: %v", err)
	}
	image := imageOf(t, db)
	rows, err := db.readers.QueryContext(context.Background(), `SELECT i.issuer, i.serial,
		CASE WHEN c.signature IS NOT NULL THEN 'recorded' WHEN r.cause = 'abandoned' THEN 'abandoned' ELSE 'intent' END,
		a.state, c.signature IS NOT NULL, r.status
		FROM intents i LEFT JOIN certificates c ON c.intent = i.number
		LEFT JOIN attempts a ON a.order_id = i.order_id AND a.attempt = i.attempt
		LEFT JOIN revocations r ON r.issuer = i.issuer AND r.serial = i.serial`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var issuer card.KeyID
		var serial card.Serial
		var state string
		var attempt, revocation sql.NullString
		var certified bool
		err = rows.Scan(octets{issuer[:]}, octets{serial[:]}, &state, &attempt, &certified, &revocation)
		if err != nil {
			t.Fatal(err)
		}
		n++
		want := map[string]card.Status{"intent": card.StatusIntended, "abandoned": card.StatusRevoked, "recorded": card.StatusGood}[state]
		if revocation.Valid {
			want = card.Status(revocation.String)
		}
		got, _ := image.Lookup(issuer, serial)
		if got.Status != want || certified != (state == "recorded") || state == "abandoned" && revocation.String != "revoked" {
			t.Fatalf("serial %s: intent %s, certificate %t, revocation %q, feed %q", serial, state, certified, revocation.String, got.Status)
		}
		if attempt.Valid && attempt.String != state && !(attempt.String == "spoiled" && want == card.StatusRevoked) {
			t.Fatalf("serial %s: intent %s of an attempt %s", serial, state, attempt.String)
		}
	}
	count(t, db, n, "SELECT COUNT(DISTINCT serial) FROM feed")
	count(t, db, 0, "SELECT COUNT(*) FROM certificates c WHERE NOT EXISTS (SELECT 1 FROM intents i WHERE i.number = c.intent)")
	count(t, db, 0, "SELECT COUNT(*) FROM revocations c WHERE NOT EXISTS (SELECT 1 FROM intents i WHERE i.issuer = c.issuer AND i.serial = c.serial)")
	count(t, db, 0, "SELECT COUNT(*) FROM cards WHERE state NOT IN ('ordered', 'cancelled', 'spoiled') AND (number IS NULL OR expires IS NULL)")
}

func count(t testing.TB, db *DB, want int, query string, args ...any) {
	t.Helper()
	var got int
	err := db.readers.QueryRowContext(context.Background(), query, args...).Scan(&got)
	if err != nil || got != want {
		t.Fatalf("%s: got %d, %v, want %d", query, got, err, want)
	}
}
