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

// Cancel withdraws an order before its card is made: nothing is issued for it
// any more, and its holder may have another. A *card.TransitionError once the
// certificates are recorded (then the bureau reports the card spoiled, or the
// desk its loss), or if it was cancelled before; card.ErrNotFound if there is no
// such order.
//
// An attempt that is under way does not hinder it. The signatures are made, but
// the ledger records them only for a card that is still ordered: the attempt is
// abandoned, no certificate leaves the house, and the serials are listed as
// revoked. The other cards of its chunk are recorded all the same.
func (d *Desk) Cancel(ctx context.Context, actor string, order card.OrderID) (card.Card, error) {
	var after card.Card
	err := move(func() error {
		cards, err := d.config.Book.CardsOfOrder(ctx, order)
		if err != nil {
			return fmt.Errorf("reading the cards of the order: %w", err)
		}
		if len(cards) == 0 {
			return card.ErrNotFound
		}
		now := d.now()
		after = cards[len(cards)-1]
		step, err := after.Step(card.Cancel, now)
		if err != nil {
			return err
		}
		after.State, after.Since = step.To, now
		return d.config.Book.Apply(ctx, card.Decision{Actor: actor, Action: "cancel", At: now, Changes: []card.Change{step}})
	})
	return after, err
}

// MaxFailures is how many cards of one order may fail. Each costs the CA two
// signatures, and a workshop that spoils so many needs somebody to look.
const MaxFailures = 5

// Spoil hears from a bureau that a card failed: its certificates are revoked
// and the order is open again, for another card. ErrBureau if the card is
// another bureau's; a *card.TransitionError once it was dispatched.
//
// A failure is never refused, but the fifth of an order (MaxFailures) closes it
// in the same transaction: the card is revoked for ever with the reason that a
// spoiled one has, or cancelled if its certificates were not recorded yet, and
// the desk has to order anew.
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
		decision, err := d.failure(ctx, c, now)
		if err != nil {
			return err
		}
		decision.Actor = actor
		after = c
		after.State, after.Since = decision.Changes[0].To, now
		return d.config.Book.Apply(ctx, decision)
	})
	return after, err
}

// failure decides what follows from a card that failed.
func (d *Desk) failure(ctx context.Context, c card.Card, now time.Time) (card.Decision, error) {
	step, err := c.Step(card.Spoil, now)
	if err != nil {
		return card.Decision{}, err
	}
	decision := card.Decision{Action: "spoiled", At: now, Changes: []card.Change{step}}
	cards, err := d.config.Book.CardsOfOrder(ctx, c.Order)
	if err != nil {
		return card.Decision{}, fmt.Errorf("reading the cards of the order: %w", err)
	}
	if len(cards) < MaxFailures { // all but the last one failed before
		return decision, nil
	}
	event := card.Revoke
	if c.State == card.Ordered {
		event = card.Cancel // there is no certificate to revoke
	}
	last, err := c.Step(event, now)
	if err != nil {
		return card.Decision{}, err
	}
	if event == card.Revoke {
		last.Reason = step.Reason
	}
	decision.Action, decision.Changes = "spoiled too often", []card.Change{last}
	return decision, nil
}
