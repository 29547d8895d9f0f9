package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cpsca/card"
	"cpsca/registry"
)

// Activate puts a card into its holder's hands: the desk has identified the
// holder. In the same transaction the live card that it follows is replaced.
// A *card.TransitionError if the card is not waiting for activation, or its
// certificates have ended; those of registry.Eligible if the holder lost the
// right to it meanwhile.
func (d *Desk) Activate(ctx context.Context, actor string, number card.Number) (card.Card, error) {
	var after card.Card
	err := move(func() error {
		c, err := d.config.Book.Card(ctx, number)
		if err != nil {
			return err
		}
		now := d.now()
		step, err := c.Step(card.Activate, now)
		if err != nil {
			return err
		}
		if now.After(c.Expires) { // it would retire a card that may still serve
			return &card.TransitionError{State: card.Expired, Event: card.Activate}
		}
		err = d.entitled(ctx, c, now)
		if err != nil {
			return err
		}
		decision := card.Decision{Actor: actor, Action: "activate", At: now}
		retired, err := d.retire(ctx, c, now)
		if err != nil {
			return err
		}
		decision.Changes = append(retired, step) // the old one first: one live card at any moment
		after = c
		after.State, after.Since, after.Activated = step.To, now, now
		return d.config.Book.Apply(ctx, decision)
	})
	return after, err
}

func (d *Desk) entitled(ctx context.Context, c card.Card, now time.Time) error {
	person, events, _, err := d.config.Register.Holder(ctx, c.Holder)
	if err != nil {
		return err
	}
	return registry.Eligible(person, c.Profession, events, now)
}

// retire computes the end of the live card that a newly activated one follows.
func (d *Desk) retire(ctx context.Context, next card.Card, now time.Time) ([]card.Change, error) {
	cards, err := d.config.Book.CardsOf(ctx, next.Holder)
	if err != nil {
		return nil, fmt.Errorf("reading the holder's cards: %w", err)
	}
	for _, c := range cards {
		if c.ID == next.ID || c.Profession != next.Profession || c.Form != next.Form || !c.State.Live() {
			continue
		}
		step, err := c.Step(card.Replace, now)
		if err != nil {
			return nil, err
		}
		return []card.Change{step}, nil
	}
	return nil, nil
}

// Loss is what a report declares about a card. The desk has checked who
// reports: the proof is strong and the revocation definitive.
type Loss struct {
	Card         card.Number
	Circumstance card.Circumstance
	Happened     time.Time // zero if unknown; kept to the second
	Received     time.Time // when the report reached the authority; zero, or what is yet to come, means now
}

// Reported is what a loss report caused.
type Reported struct {
	Report      card.LossReport
	Card        card.Card
	Replacement *card.Order // nil if none could be opened
	Why         error       // why none was opened; the report stands all the same
}

// ReportLoss revokes a card for ever and orders its replacement in the same
// transaction, on disk when it returns. A replacement that cannot be ordered
// (the holder lost the right to a card, one is already on its way) never stops
// the revocation. A report about a card whose certificates are revoked already,
// or have ended, is recorded and changes nothing else; a card that was never
// made, or spoiled, gives a *card.TransitionError. Refusals: card.ErrNotFound,
// ErrCircumstance, ErrHappened.
func (d *Desk) ReportLoss(ctx context.Context, actor string, l Loss) (Reported, error) {
	reason, ok := l.Circumstance.Reason()
	if !ok {
		return Reported{}, fmt.Errorf("%w: %q", ErrCircumstance, l.Circumstance)
	}
	now := d.now()
	if l.Received.IsZero() || l.Received.After(now) {
		l.Received = now
	}
	l.Happened = l.Happened.Truncate(time.Second) // what lies within the present second is not in the future
	if l.Happened.After(l.Received) {
		return Reported{}, ErrHappened
	}
	var out Reported
	err := move(func() error {
		c, err := d.config.Book.Card(ctx, l.Card)
		if err != nil {
			return err
		}
		out = Reported{Report: card.LossReport{Card: l.Card, Circumstance: l.Circumstance, Happened: l.Happened, Received: l.Received, Reporter: actor}}
		decision := card.Decision{Actor: actor, Action: "loss report", At: now, Report: &out.Report}
		if c.State == card.Revoked || c.State == card.Replaced || c.State == card.Expired {
			out.Card = c
			return d.config.Book.Apply(ctx, decision)
		}
		step, err := c.Step(card.Revoke, now)
		if err != nil {
			return err
		}
		step.Reason, step.Invalidity = reason, l.Happened
		decision.Changes = []card.Change{step}
		replacement, err := d.replacement(ctx, c, now)
		switch {
		case err != nil:
			out.Why = err
		default:
			decision.Opens = []card.Order{replacement}
			out.Replacement = &replacement
		}
		out.Card = c
		out.Card.State, out.Card.Since = step.To, now
		return d.apply(ctx, &decision, &out)
	})
	return out, err
}

// apply carries a loss decision out; if it fails with the replacement, the
// loss is recorded without it. A card that moved meanwhile is read again first.
func (d *Desk) apply(ctx context.Context, decision *card.Decision, out *Reported) error {
	err := d.config.Book.Apply(ctx, *decision)
	if err == nil || errors.Is(err, card.ErrStale) || len(decision.Opens) == 0 {
		return err
	}
	decision.Opens = nil
	out.Replacement, out.Why = nil, err
	return d.config.Book.Apply(ctx, *decision)
}

// replacement is the order that follows a revoked card, unless the holder may
// have none.
func (d *Desk) replacement(ctx context.Context, c card.Card, now time.Time) (card.Order, error) {
	err := d.entitled(ctx, c, now)
	if err != nil {
		return card.Order{}, err
	}
	cards, err := d.config.Book.CardsOf(ctx, c.Holder)
	if err != nil {
		return card.Order{}, fmt.Errorf("reading the holder's cards: %w", err)
	}
	for _, other := range cards {
		if other.ID != c.ID && other.Profession == c.Profession && other.Form == c.Form && other.State.Waiting() {
			return card.Order{}, card.ErrWaitingCard
		}
	}
	return newOrder(card.Order{
		Holder: c.Holder, Profession: c.Profession, Type: c.Type, Form: c.Form,
		Why: card.Replacement, Replaces: c.Number, Bureau: c.Bureau, Created: now,
	}), nil
}

// Spoil hears from a bureau that a card failed: its certificates are revoked
// and the order is open again, for another card. ErrBureau if the card is
// another bureau's; a *card.TransitionError once it was dispatched.
func (d *Desk) Spoil(ctx context.Context, actor, bureau string, number card.Number) (card.Card, error) {
	var after card.Card
	err := move(func() error {
		c, err := d.config.Book.Card(ctx, number)
		if err != nil {
			return err
		}
		if c.Bureau != bureau {
			return ErrBureau
		}
		now := d.now()
		step, err := c.Step(card.Spoil, now)
		if err != nil {
			return err
		}
		after = c
		after.State, after.Since = step.To, now
		return d.config.Book.Apply(ctx, card.Decision{Actor: actor, Action: "spoiled", At: now, Changes: []card.Change{step}})
	})
	return after, err
}
