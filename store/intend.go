package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"cpsca/card"
)

// Intend records the intents of a chunk of attempts in one durable
// transaction, before anything is signed. The answer has one error per
// attempt, nil where its intents stand: a refusal of one (those of refusals)
// does not touch the others. The second result is an error of the whole chunk:
// then nothing stands.
func (db *DB) Intend(ctx context.Context, chunk []card.Attempt) ([]error, error) {
	answers, err := db.intend(ctx, chunk, (*transaction).intendAll)
	if refused(err) {
		// The unique indexes have the last word: one of them refused what was
		// admitted. Nothing stands, and the attempts are tried one by one.
		answers, err = db.intend(ctx, chunk, (*transaction).intendEach)
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
	card.ErrKeyKnown, card.ErrNumberTaken, card.ErrSerialTaken,
}

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

// intendAll adds what of a chunk may stand and answers the rest.
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
		err = t.intendOne(a, known)
		if err != nil {
			return err
		}
	}
	return nil
}

// intendOne writes an attempt that was admitted.
func (t *transaction) intendOne(a *card.Attempt, known *standing) error {
	if len(a.Intents) == 0 {
		return fmt.Errorf("the attempt at order %s has no intents", a.Order)
	}
	t.about("order " + string(a.Order))
	t.leaves[len(t.leaves)-1].grounds = a.Grounds
	c := known.cards[a.Card]
	c.attempts++
	c.open = true
	a.Attempt = c.attempts
	err := t.add(attempts, a.Order, a.Attempt, a.Card, a.Requester, t.db.epoch, "intent", t.at, nil)
	if err != nil {
		return err
	}
	if c.number == "" {
		err = t.number(c, a)
		if err != nil {
			return err
		}
		known.numbers[a.Number] = true
	}
	for i := range a.Intents {
		intent := &a.Intents[i]
		intent.Order, intent.Attempt = a.Order, a.Attempt
		owner := bond{a.Card, intent.Use}
		_, bound := known.keys[intent.Key]
		if !bound {
			known.keys[intent.Key], known.bonds[owner] = owner, true
			err = t.add(keys, intent.Key, a.Card, intent.Use, t.at)
			if err != nil {
				return err
			}
		}
		known.serials[name{intent.Issuer, intent.Serial}] = true
		err = t.intent(intent)
		if err != nil {
			return err
		}
	}
	return nil
}

// number gives a card its number for ever.
func (t *transaction) number(c *standingCard, a *card.Attempt) error {
	n, err := t.affect("UPDATE cards SET number = $1 WHERE id = $2 AND number IS NULL", string(a.Number), a.Card)
	if err != nil {
		return fmt.Errorf("numbering a card: %w", refusal(err))
	}
	if n != 1 {
		return fmt.Errorf("%w: the card of order %s is gone", card.ErrStale, a.Order)
	}
	c.number = a.Number
	c.row[cards.at("number")] = string(a.Number)
	return t.commitTo(cards, c.row)
}
