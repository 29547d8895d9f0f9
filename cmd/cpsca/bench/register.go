package bench

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"cpsca/card"
	"cpsca/cmd/internal/founding"
	"cpsca/registry"
	"cpsca/store"
	"cpsca/testpki"
)

// The fictitious register: those who are measured with come from its beginning,
// those of the cards that were there before from its second half.
const (
	people    = 10_000_000
	earlier   = people / 2
	actor     = "bench"
	slice     = 1000 // rows of the register, or orders, in one transaction
	seed      = 2026
	ofBatch   = "28" // begins the numbers of cards that are measured with
	ofEarlier = "29" // begins those of cards that were there before
)

// entitled goes through those who may have a card, beginning with the person of
// an index. It never ends before the register does.
func entitled(from int) iter.Seq[testpki.Professional] {
	population := testpki.NewPopulation(seed, people)
	return func(yield func(testpki.Professional) bool) {
		for i := from; i < population.Len(); i++ {
			one := population.Person(i)
			if one.Ready() == nil && one.Profession() != 0 && !yield(one) {
				return
			}
		}
	}
}

// take gathers the next n of a sequence.
func take[T any](next func() (T, bool), n int) []T {
	out := make([]T, 0, n)
	for len(out) < n {
		one, ok := next()
		if !ok {
			return out
		}
		out = append(out, one)
	}
	return out
}

// newOrder is an order as the desk opens it: an opaque name, and a challenge of
// 128 bits for each proof.
func newOrder(one testpki.Professional) card.Order {
	o := card.Order{
		ID: card.OrderID(strings.ToLower(base32.StdEncoding.EncodeToString(random(10)))), Holder: one.Person.ID, Profession: one.Profession(),
		Type: card.CPS, Form: card.FormCard, Why: card.First, Bureau: founding.DefaultBureau, State: card.OrderOpen,
		Challenges: make(map[card.Use]string, len(card.Uses)),
	}
	for _, use := range card.Uses {
		o.Challenges[use] = hex.EncodeToString(random(16))
	}
	return o
}

func random(n int) []byte {
	octets := make([]byte, n)
	_, _ = rand.Read(octets) // never fails: crypto/rand ends the process instead
	return octets
}

// register writes people into the ledger's register and opens an order for
// each, all through the statements that the authority uses.
type register struct {
	db       *store.DB
	persons  *store.Import
	contacts *store.Import
}

func openRegister(ctx context.Context, db *store.DB) (*register, error) {
	r := &register{db: db}
	var err error
	r.persons, err = db.BeginImport(ctx, actor, "persons", "bench")
	if err != nil {
		return nil, err
	}
	r.contacts, err = db.BeginImport(ctx, actor, "contacts", "bench")
	return r, err
}

// add brings people in.
func (r *register) add(ctx context.Context, group []testpki.Professional) error {
	var rows []registry.PersonRow
	var contacts []registry.Contact
	for _, one := range group {
		p := one.Person
		for _, practice := range p.Practices {
			if practice.Profession != one.Profession() {
				continue
			}
			rows = append(rows, registry.PersonRow{ID: p.ID, Civility: p.Civility, ExerciseCivility: p.ExerciseCivility, FamilyName: p.FamilyName, GivenName: p.GivenName, Practice: practice})
		}
		contacts = append(contacts, one.Contact)
	}
	err := r.persons.Persons(ctx, rows)
	if err != nil {
		return err
	}
	return r.contacts.Contacts(ctx, contacts)
}

func (r *register) order(ctx context.Context, orders []card.Order) error {
	return r.db.Apply(ctx, card.Decision{Actor: actor, Action: "order", At: time.Now(), Opens: orders})
}

func (r *register) close(ctx context.Context) error {
	return errors.Join(r.persons.Finish(ctx, &registry.Report{}), r.contacts.Finish(ctx, &registry.Report{}))
}

// fill brings the holders of some orders into a ledger and opens the orders.
func fill(ctx context.Context, db *store.DB, holders []testpki.Professional, orders []card.Order, done func(int64)) error {
	r, err := openRegister(ctx, db)
	if err != nil {
		return fmt.Errorf("filling the register: %w", err)
	}
	for from := 0; from < len(orders); from += slice {
		to := min(from+slice, len(orders))
		err = r.add(ctx, holders[from:to])
		if err == nil {
			err = r.order(ctx, orders[from:to])
		}
		if err != nil {
			return fmt.Errorf("filling the register: %w", err)
		}
		done(int64(to))
	}
	return r.close(ctx)
}
