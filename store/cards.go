package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"cpsca/card"
	"cpsca/registry"
)

const cardColumns = "id, order_id, number, holder, profession, type, form, bureau, state, since, created, expires, activated"

func scanCard(row scanner) (card.Card, error) {
	var c card.Card
	var number sql.NullString
	var since, created int64
	var expires, activated *int64
	err := row.Scan(&c.ID, &c.Order, &number, &c.Holder, &c.Profession, &c.Type, &c.Form, &c.Bureau, &c.State, &since, &created, &expires, &activated)
	if errors.Is(err, sql.ErrNoRows) {
		return c, card.ErrNotFound
	}
	if err != nil {
		return c, fmt.Errorf("reading a card: %w", err)
	}
	c.Number = card.Number(number.String)
	c.Since, c.Created, c.Expires, c.Activated = moment(&since), moment(&created), moment(expires), moment(activated)
	return c, nil
}

// Card reads a card by its number; card.ErrNotFound if there is none.
func (db *DB) Card(ctx context.Context, number card.Number) (card.Card, error) {
	return scanCard(db.readers.QueryRowContext(ctx, "SELECT "+cardColumns+" FROM cards WHERE number = $1", string(number)))
}

// CardsOf lists every card that a holder has or had, oldest first.
func (db *DB) CardsOf(ctx context.Context, holder registry.NationalID) ([]card.Card, error) {
	return db.cards(ctx, "holder = $1 ORDER BY id", string(holder))
}

// CardsOfOrder lists the cards made, or to be made, for an order.
func (db *DB) CardsOfOrder(ctx context.Context, id card.OrderID) ([]card.Card, error) {
	return db.cards(ctx, "order_id = $1 ORDER BY id", string(id))
}

func (db *DB) cards(ctx context.Context, where string, args ...any) ([]card.Card, error) {
	rows, err := db.readers.QueryContext(ctx, "SELECT "+cardColumns+" FROM cards WHERE "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("listing cards: %w", err)
	}
	defer rows.Close()
	var out []card.Card
	for rows.Next() {
		c, err := scanCard(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// History lists the steps of a card, oldest first.
func (db *DB) History(ctx context.Context, id int64) ([]card.Step, error) {
	rows, err := db.readers.QueryContext(ctx, "SELECT at, event, origin, outcome, actor, journal FROM card_steps WHERE card_id = $1 ORDER BY journal, at", id)
	if err != nil {
		return nil, fmt.Errorf("reading the history of a card: %w", err)
	}
	defer rows.Close()
	var out []card.Step
	for rows.Next() {
		var s card.Step
		var at int64
		var from sql.NullString
		err = rows.Scan(&at, &s.Event, &from, &s.To, &s.Actor, &s.Journal)
		if err != nil {
			return nil, fmt.Errorf("reading a step: %w", err)
		}
		s.At, s.From = moment(&at), card.State(from.String)
		out = append(out, s)
	}
	return out, rows.Err()
}

// LossReports lists the reports about a card, oldest first.
func (db *DB) LossReports(ctx context.Context, c card.Card) ([]card.LossReport, error) {
	rows, err := db.readers.QueryContext(ctx, "SELECT id, circumstance, happened, received, committed, reporter FROM loss_reports WHERE card_id = $1 ORDER BY id", c.ID)
	if err != nil {
		return nil, fmt.Errorf("reading loss reports: %w", err)
	}
	defer rows.Close()
	var out []card.LossReport
	for rows.Next() {
		r := card.LossReport{Card: c.Number}
		var happened *int64
		var received, committed int64
		err = rows.Scan(&r.ID, &r.Circumstance, &happened, &received, &committed, &r.Reporter)
		if err != nil {
			return nil, fmt.Errorf("reading a loss report: %w", err)
		}
		r.Happened, r.Received, r.Committed = moment(happened), moment(&received), moment(&committed)
		out = append(out, r)
	}
	return out, rows.Err()
}

// Apply carries out a decision: every step, order and report, their
// certificates, feed and journal in one transaction, on disk when it returns.
// A card that is no longer in the state that its step left from gives
// card.ErrStale and nothing is changed; a second waiting or live card gives
// card.ErrWaitingCard or card.ErrLiveCard.
func (db *DB) Apply(ctx context.Context, d card.Decision) error {
	r := ordinary
	if d.Report != nil {
		r = urgent
	}
	for _, c := range d.Changes {
		if c.Effect == card.EffectRevoke || c.Effect == card.EffectHold {
			r = urgent
		}
	}
	return db.change(ctx, r, func(t *transaction) error {
		for _, c := range d.Changes {
			err := t.step(c, d.Actor)
			if err != nil {
				return err
			}
		}
		for _, o := range d.Opens {
			err := t.open(o, d.Actor)
			if err != nil {
				return err
			}
		}
		if d.Report != nil {
			err := t.report(d.Report)
			if err != nil {
				return err
			}
		}
		return t.decide(d.Actor, d.Action)
	})
}

func (t *transaction) report(r *card.LossReport) error {
	t.about("card " + string(r.Card))
	t.loss++
	var cardID int64
	err := t.row("SELECT id FROM cards WHERE number = $1", string(r.Card)).Scan(&cardID)
	if errors.Is(err, sql.ErrNoRows) {
		return card.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("reading the reported card: %w", err)
	}
	r.ID, r.Committed = t.loss, t.at
	return t.insert(losses, r.ID, cardID, r.Circumstance, r.Happened, r.Received, r.Committed, r.Reporter)
}

// step moves one card and its certificates.
func (t *transaction) step(c card.Change, actor string) error {
	law, err := card.Next(c.From, c.Event)
	if err != nil {
		return err
	}
	if law.To != c.To || law.Effect != c.Effect || c.Event == card.Personalise {
		return fmt.Errorf("%s from %s to %s is no step of a decision", c.Event, c.From, c.To)
	}
	t.about(fmt.Sprintf("card row %d", c.Card))
	var n int
	if c.To == card.Active && c.From.Waiting() {
		n, err = t.update(cards, "state = $1, since = $2, activated = $2 WHERE id = $3 AND state = $4", c.To, c.At, c.Card, c.From)
	} else {
		n, err = t.update(cards, "state = $1, since = $2 WHERE id = $3 AND state = $4", c.To, c.At, c.Card, c.From)
	}
	if errors.Is(err, errPlaceTaken) {
		return fmt.Errorf("%w (%w)", card.ErrLiveCard, err)
	}
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("%w: the card is no longer %s", card.ErrStale, c.From)
	}
	err = t.insert(cardSteps, c.Card, t.sequence(), string(c.Event), string(c.From), c.To, actor, c.At)
	if err != nil {
		return err
	}
	err = t.settle(c)
	if err != nil {
		return err
	}
	return t.cardEffect(c)
}

// settle does to the order and its attempts what the step of its card means.
func (t *transaction) settle(c card.Change) error {
	switch c.To {
	case card.Cancelled, card.Revoked, card.Expired, card.Replaced:
		_, err := t.update(orders, "state = 'closed' WHERE state <> 'closed' AND id = (SELECT order_id FROM cards WHERE id = $1)", c.Card)
		return err
	case card.Spoiled:
		_, err := t.update(attempts, "state = 'spoiled', closed = $1 WHERE order_id = (SELECT order_id FROM cards WHERE id = $2) AND card_id = $2 AND state = 'recorded'",
			c.At, c.Card)
		if err != nil {
			return err
		}
		_, err = t.update(orders, "state = 'open' WHERE state = 'fulfilled' AND id = (SELECT order_id FROM cards WHERE id = $1)", c.Card)
		if err != nil {
			return err
		}
		o, err := scanOrder(t.row("SELECT "+orderColumns+" FROM orders o WHERE o.id = (SELECT order_id FROM cards WHERE id = $1)", c.Card))
		if err != nil {
			return err
		}
		return t.newCard(o, "authority")
	}
	return nil
}

// cardEffect does to the certificates of a card what a step says.
func (t *transaction) cardEffect(c card.Change) error {
	if c.Effect == card.EffectNone {
		return nil
	}
	given, err := t.targets(`SELECT i.number, i.issuer, i.serial, i.not_after FROM certificates c
		JOIN intents i ON i.number = c.intent WHERE c.card_id = $1`, c.Card)
	if err != nil {
		return err
	}
	for _, s := range given {
		switch c.Effect {
		case card.EffectHold:
			err = t.hold(s, c.At, card.CauseCard)
		case card.EffectRelease:
			err = t.release(s, c.At)
		case card.EffectRevoke:
			err = t.revoke(s, c.At, c.Reason, c.Invalidity, card.CauseCard)
		default:
			err = fmt.Errorf("effect %q does not follow a step", c.Effect)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// target is one serial whose status changes.
type target struct {
	intent   int64 // its number
	issuer   card.KeyID
	serial   card.Serial
	notAfter time.Time
}

// targets reads number, issuer, serial and notAfter of each row of a query.
func (t *transaction) targets(query string, args ...any) ([]target, error) {
	rows, err := t.query(query, args...)
	if err != nil {
		return nil, fmt.Errorf("reading serials: %w", err)
	}
	defer rows.Close()
	var out []target
	for rows.Next() {
		var s target
		var notAfter int64
		err = rows.Scan(&s.intent, octets{s.issuer[:]}, octets{s.serial[:]}, &notAfter)
		if err != nil {
			return nil, fmt.Errorf("reading a serial: %w", err)
		}
		s.notAfter = moment(&notAfter)
		out = append(out, s)
	}
	return out, rows.Err()
}
