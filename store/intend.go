package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cpsca/card"
)

// Intend records the intents of a chunk of attempts in one durable
// transaction, before anything is signed. The answer has one error per
// attempt, nil where its intents stand: a refusal of one (those of refusals)
// does not touch the others. The second result is an error of the whole chunk:
// then nothing stands.
func (db *DB) Intend(ctx context.Context, chunk []card.Attempt) ([]error, error) {
	if len(chunk) == 0 {
		return nil, nil
	}
	err := db.disk.admit()
	if err != nil {
		return nil, fmt.Errorf("recording intents: %w", err)
	}
	// Nearly every chunk is of new cards, numbers and keys: then nothing is asked
	// and the unique indexes answer. What they refuse is asked about, attempt by
	// attempt; they have the last word all the same, and what they refuse then is
	// tried alone.
	var answers []error
	for _, how := range []func(*transaction, []card.Attempt, []error) error{(*transaction).intendNew, (*transaction).intendAll, (*transaction).intendEach} {
		answers, err = db.intend(ctx, chunk, how)
		if !refused(err) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("recording intents: %w", err)
	}
	return answers, nil
}

func (db *DB) intend(ctx context.Context, chunk []card.Attempt, how func(*transaction, []card.Attempt, []error) error) ([]error, error) {
	answers := make([]error, len(chunk))
	err := db.change(ctx, ordinary, func(t *transaction) error {
		err := how(t, chunk, answers)
		if err != nil {
			return err
		}
		if !slices.Contains(answers, nil) {
			return errNothing
		}
		err = t.charge()
		if err != nil {
			return err
		}
		return t.decide(chunk[0].Requester, "intend")
	})
	if errors.Is(err, errNothing) {
		err = nil
	}
	return answers, err
}

// refusals are the errors that are about one attempt alone. Any other, such as
// a full disk, is about the whole chunk.
var refusals = [...]error{
	card.ErrOrderUnknown, card.ErrOrderClosed, card.ErrOrderBound, card.ErrInFlight,
	card.ErrKeyKnown, card.ErrNumberTaken, card.ErrSerialTaken, card.ErrQuota, errNotNew,
}

// errNotNew says that a chunk holds something else than first attempts at
// open orders.
var errNotNew = errors.New("the attempts are not all first ones")

func refused(err error) bool {
	for _, r := range refusals {
		if errors.Is(err, r) {
			return true
		}
	}
	return false
}

// intendEach tries the attempts of a chunk one by one.
func (t *transaction) intendEach(chunk []card.Attempt, answers []error) error {
	for i := range chunk {
		err := t.savepoint(func() error { return t.intendAll(chunk[i:i+1], answers[i:i+1]) })
		switch {
		case refused(err):
			answers[i] = err
		case err != nil:
			return err
		}
	}
	return nil
}

// intendAll opens the attempts of a chunk after asking about all of them what
// they could collide with.
func (t *transaction) intendAll(chunk []card.Attempt, answers []error) error {
	known, err := t.standing(chunk)
	if err != nil {
		return err
	}
	for i := range chunk {
		a := &chunk[i]
		answers[i] = known.admit(a)
		if answers[i] != nil {
			continue
		}
		o, err := t.opening(a, known)
		if err != nil {
			return err
		}
		err = t.intendOne(a, o, known.keys)
		if err != nil {
			return err
		}
		known.add(a)
	}
	return nil
}

// intendNew opens the attempts of a chunk of which each is the first at its
// order; errNotNew if one is not.
func (t *transaction) intendNew(chunk []card.Attempt, _ []error) error {
	numbered, err := t.numberAll(chunk)
	if err != nil {
		return err
	}
	for i := range chunk {
		a := &chunk[i]
		row := numbered[a.Card]
		if row == nil || row[cards.at("order_id")] != string(a.Order) {
			return errNotNew
		}
		err = t.intendOne(a, opening{attempt: 1, card: row, bureau: textOf(row, cards, "bureau")}, nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// numberAll gives the cards of a chunk their numbers, if every one of them is
// waiting for one, and returns their rows.
func (t *transaction) numberAll(chunk []card.Attempt) (map[int64][]any, error) {
	var b strings.Builder
	b.WriteString("UPDATE cards SET number = given.column2 FROM (VALUES ")
	args := make([]any, 0, 2*len(chunk))
	for i := range padded(len(chunk)) {
		a := &chunk[min(i, len(chunk)-1)]
		args = append(args, a.Card, string(a.Number))
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "(CAST($%d AS BIGINT), $%d)", 2*i+1, 2*i+2)
	}
	b.WriteString(`) AS given WHERE cards.id = given.column1 AND cards.number IS NULL AND cards.state = 'ordered'
		AND EXISTS (SELECT 1 FROM orders o WHERE o.id = cards.order_id AND o.state = 'open') RETURNING `)
	b.WriteString(cards.qualified())
	rows, err := t.query(b.String(), args...)
	if err != nil {
		return nil, fmt.Errorf("numbering cards: %w", refusal(err))
	}
	numbered := make(map[int64][]any, len(chunk))
	err = eachRow(rows, "cards", func(rows *sql.Rows) error {
		row, err := scanRow(rows, len(cards.columns))
		if err != nil {
			return err
		}
		id, _ := row[cards.at("id")].(int64)
		numbered[id] = row
		return nil
	})
	t.w.rows += int64(len(numbered))
	if err != nil {
		return nil, refusal(err)
	}
	if len(numbered) != len(chunk) {
		return nil, errNotNew
	}
	return numbered, nil
}

// opening is how an attempt begins.
type opening struct {
	attempt int
	bureau  string
	card    []any // the row of the card as numbered by this attempt; nil if it has its number from an earlier one
}

// opening numbers the next attempt at an order, and its card for ever if it has
// no number.
func (t *transaction) opening(a *card.Attempt, known *standing) (opening, error) {
	c := known.cards[a.Card]
	if c.number != "" {
		return opening{attempt: c.attempts + 1, bureau: c.bureau}, nil
	}
	n, err := t.affect("UPDATE cards SET number = $1 WHERE id = $2 AND number IS NULL", string(a.Number), a.Card)
	if err != nil {
		return opening{}, fmt.Errorf("numbering a card: %w", refusal(err))
	}
	if n != 1 {
		return opening{}, fmt.Errorf("%w: the card of order %s is gone", card.ErrStale, a.Order)
	}
	c.row[cards.at("number")] = string(a.Number)
	return opening{attempt: c.attempts + 1, bureau: c.bureau, card: c.row}, nil
}

// intendOne opens one attempt. known are keys that the ledger holds already.
func (t *transaction) intendOne(a *card.Attempt, o opening, known map[card.Fingerprint]bond) error {
	if len(a.Intents) == 0 {
		return fmt.Errorf("the attempt at order %s has no intents", a.Order)
	}
	t.about("order " + string(a.Order))
	t.leaves[len(t.leaves)-1].grounds = a.Grounds
	a.Attempt = o.attempt
	err := t.add(attempts, a.Order, a.Attempt, a.Card, a.Requester, t.db.epoch, "intent", t.at, nil)
	if err != nil {
		return err
	}
	if o.card != nil {
		err = t.commitTo(cards, o.card)
		if err != nil {
			return err
		}
	}
	for i := range a.Intents {
		intent := &a.Intents[i]
		intent.Order, intent.Attempt = a.Order, a.Attempt
		_, bound := known[intent.Key]
		if !bound {
			err = t.add(keys, intent.Key, a.Card, intent.Use, t.at)
			if err != nil {
				return err
			}
		}
		err = t.intent(intent)
		if err != nil {
			return err
		}
	}
	if t.opened == nil {
		t.opened = make(map[card.OrderID]underway)
	}
	t.opened[a.Order] = remember(a, o.bureau, t.intents)
	return nil
}
