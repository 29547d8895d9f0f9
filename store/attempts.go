package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"cpsca/card"
)

// Intend records the intents of a chunk of attempts in one durable
// transaction, before anything is signed. The answer has one error per
// attempt, nil where its intents stand: a refusal of one (card.ErrKeyKnown,
// card.ErrNumberTaken, card.ErrSerialTaken, card.ErrOrderBound,
// card.ErrInFlight, card.ErrOrderClosed) does not touch the others. The second
// result is an error of the whole chunk: then nothing stands.
func (db *DB) Intend(ctx context.Context, chunk []card.Attempt) ([]error, error) {
	refusals := make([]error, len(chunk))
	stand := 0
	err := db.change(ctx, ordinary, func(t *transaction) error {
		for i := range chunk {
			refusals[i] = t.savepoint(func() error { return t.intend(&chunk[i]) })
			if errors.Is(refusals[i], errBroken) {
				return refusals[i]
			}
			if refusals[i] == nil {
				stand++
			}
		}
		if stand == 0 {
			return errNothing
		}
		return t.decide(chunk[0].Requester, "intend")
	})
	if errors.Is(err, errNothing) {
		return refusals, nil
	}
	if err != nil {
		return nil, fmt.Errorf("recording intents: %w", err)
	}
	return refusals, nil
}

// errNothing ends a change that turned out to change nothing.
var errNothing = errors.New("nothing to change")

func (t *transaction) intend(a *card.Attempt) error {
	t.about("order " + string(a.Order))
	var state card.OrderState
	var number sql.NullString
	var cardState card.State
	err := t.row("SELECT o.state, c.number, c.state FROM orders o JOIN cards c ON c.id = $1 WHERE o.id = $2", a.Card, string(a.Order)).Scan(&state, &number, &cardState)
	if err != nil {
		return fmt.Errorf("reading the order again: %w", err)
	}
	if state != card.OrderOpen || cardState != card.Ordered {
		return card.ErrOrderClosed
	}
	if number.Valid && number.String != string(a.Number) {
		return card.ErrOrderBound
	}
	err = t.row("SELECT COALESCE(MAX(attempt), 0) + 1 FROM attempts WHERE order_id = $1", string(a.Order)).Scan(&a.Attempt)
	if err != nil {
		return fmt.Errorf("counting attempts: %w", err)
	}
	err = t.insert(attempts, a.Order, a.Attempt, a.Card, a.Requester, t.db.epoch, "intent", t.at, nil)
	if err != nil {
		return err
	}
	if !number.Valid {
		_, err = t.update(cards, "number = $1 WHERE id = $2", a.Number, a.Card)
		if err != nil {
			return err
		}
	}
	for i := range a.Intents {
		a.Intents[i].Attempt = a.Attempt
		err = t.bindKey(a.Intents[i].Key, a.Card, a.Intents[i].Use)
		if err != nil {
			return err
		}
		err = t.intent(a.Intents[i], a.Attempt)
		if err != nil {
			return err
		}
	}
	return nil
}

// bindKey makes a public key the card's for ever. A key that the card already
// has for this use, from an abandoned attempt, is bound already.
func (t *transaction) bindKey(key card.Fingerprint, cardID int64, use card.Use) error {
	var owner sql.NullInt64
	var known card.Use
	err := t.row("SELECT card_id, use FROM keys WHERE fingerprint = $1", key[:]).Scan(&owner, &known)
	if errors.Is(err, sql.ErrNoRows) {
		return t.insert(keys, key, cardID, use, t.at)
	}
	if err != nil {
		return fmt.Errorf("looking a key up: %w", err)
	}
	if owner.Valid && owner.Int64 == cardID && known == use {
		return nil
	}
	return card.ErrKeyKnown
}

func (t *transaction) intent(i card.Intent, attempt any) error {
	err := t.insert(intents, i.Issuer, i.Serial, nullText(string(i.Order)), attempt, i.Use, i.Subject, i.Profile.Name, i.Profile.Version, i.Profile.Hash,
		i.Key, i.NotBefore, i.NotAfter, i.TBS, t.db.epoch, "intent")
	if err != nil {
		return err
	}
	return t.publish(target{i.Issuer[:], i.Serial[:], i.NotAfter.UnixMilli()}, card.StatusIntended, t.at, card.Unspecified)
}

// Record makes certificates of signed attempts in one durable transaction:
// signatures, cards personalised, orders fulfilled, feed and journal. Only
// then may a byte of a signature leave the process. gate says whether they are
// good at once. An attempt that is no longer an intent of this epoch gives
// card.ErrStale and nothing of the chunk is recorded.
func (db *DB) Record(ctx context.Context, signed []card.Signed, gate card.Gate) error {
	return db.change(ctx, ordinary, func(t *transaction) error {
		for _, s := range signed {
			err := t.record(s, gate)
			if err != nil {
				return err
			}
		}
		return t.decide(signed[0].Requester, "record")
	})
}

func (t *transaction) record(s card.Signed, gate card.Gate) error {
	t.about("order " + string(s.Order))
	n, err := t.update(attempts, "state = 'recorded', closed = $1 WHERE order_id = $2 AND attempt = $3 AND state = 'intent' AND epoch = $4",
		t.at, s.Order, s.Attempt.Attempt, t.db.epoch)
	if err != nil {
		return err
	}
	if n != 1 {
		return fmt.Errorf("%w: attempt %d at order %s is not open", card.ErrStale, s.Attempt.Attempt, s.Order)
	}
	var expires time.Time
	for i, intent := range s.Intents {
		err = t.certify(intent, s.Card, s.Signatures[i])
		if err != nil {
			return err
		}
		serial := target{intent.Issuer[:], intent.Serial[:], intent.NotAfter.UnixMilli()}
		if gate == card.GateHold {
			err = t.hold(serial, t.at, card.CauseGate)
		} else {
			err = t.publish(serial, card.StatusGood, t.at, card.Unspecified)
		}
		if err != nil {
			return err
		}
		if expires.IsZero() || intent.NotAfter.Before(expires) {
			expires = intent.NotAfter
		}
	}
	n, err = t.update(cards, "state = $1, since = $2, expires = $3 WHERE id = $4 AND state = $5", card.Personalised, t.at, expires, s.Card, card.Ordered)
	if err != nil {
		return err
	}
	if n != 1 {
		return fmt.Errorf("%w: the card of order %s is not being made", card.ErrStale, s.Order)
	}
	err = t.insert(cardSteps, s.Card, t.sequence(), string(card.Personalise), string(card.Ordered), card.Personalised, s.Requester, t.at)
	if err != nil {
		return err
	}
	_, err = t.update(orders, "state = 'fulfilled' WHERE id = $1", s.Order)
	return err
}

func (t *transaction) certify(i card.Intent, cardID any, signature []byte) error {
	n, err := t.update(intents, "state = 'recorded' WHERE issuer = $1 AND serial = $2 AND state = 'intent' AND epoch = $3", i.Issuer, i.Serial, t.db.epoch)
	if err != nil {
		return err
	}
	if n != 1 {
		return fmt.Errorf("%w: serial %s is not an open intent", card.ErrStale, i.Serial)
	}
	return t.insert(certs, i.Issuer, i.Serial, cardID, signature, t.at)
}

// Abandon gives attempts up: their intents are revoked for the world, without
// a reason, and their serials are never used again. Attempts that are not open
// intents are passed over.
func (db *DB) Abandon(ctx context.Context, actor string, given []card.Attempt) error {
	err := db.change(ctx, urgent, func(t *transaction) error {
		n := 0
		for _, a := range given {
			t.about("order " + string(a.Order))
			changed, err := t.abandonAttempt(a.Order, a.Attempt)
			if err != nil {
				return err
			}
			n += changed
		}
		if n == 0 {
			return errNothing
		}
		return t.decide(actor, "abandon")
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("abandoning attempts: %w", err)
	}
	return nil
}

func (t *transaction) abandonAttempt(order card.OrderID, attempt int) (int, error) {
	n, err := t.update(attempts, "state = 'abandoned', closed = $1 WHERE order_id = $2 AND attempt = $3 AND state = 'intent'", t.at, order, attempt)
	if err != nil || n == 0 {
		return n, err
	}
	return n, t.abandonIntents("order_id = $1 AND attempt = $2 AND state = 'intent'", string(order), attempt)
}

func (t *transaction) abandonIntents(where string, args ...any) error {
	rows, err := t.w.conn.QueryContext(t.ctx, "SELECT issuer, serial, not_after FROM intents WHERE "+where, args...)
	if err != nil {
		return fmt.Errorf("reading intents: %w", err)
	}
	defer rows.Close()
	var given []target
	for rows.Next() {
		var s target
		err = rows.Scan(&s.issuer, &s.serial, &s.notAfter)
		if err != nil {
			return fmt.Errorf("reading an intent: %w", err)
		}
		given = append(given, s)
	}
	err = errors.Join(rows.Err(), rows.Close())
	if err != nil {
		return fmt.Errorf("reading intents: %w", err)
	}
	for _, s := range given {
		_, err = t.update(intents, "state = 'abandoned' WHERE issuer = $1 AND serial = $2", s.issuer, s.serial)
		if err != nil {
			return err
		}
		err = t.revoke(s, t.at, card.Unspecified, time.Time{}, card.CauseAbandoned)
		if err != nil {
			return err
		}
	}
	return nil
}

// AbandonEarlier abandons every open intent of the epochs before this one,
// whatever its age, and returns how many attempts and infrastructure intents
// that were. It runs at start, before anything is served.
func (db *DB) AbandonEarlier(ctx context.Context) (int, error) {
	total := 0
	err := db.change(ctx, urgent, func(t *transaction) error {
		t.about("recovery")
		n, err := t.update(attempts, "state = 'abandoned', closed = $1 WHERE state = 'intent' AND epoch < $2", t.at, t.db.epoch)
		if err != nil {
			return err
		}
		var loose int
		err = t.row("SELECT COUNT(*) FROM intents WHERE state = 'intent' AND epoch < $1 AND order_id IS NULL", t.db.epoch).Scan(&loose)
		if err != nil {
			return fmt.Errorf("counting intents: %w", err)
		}
		total = n + loose
		if total == 0 {
			return errNothing
		}
		err = t.abandonIntents("state = 'intent' AND epoch < $1", t.db.epoch)
		if err != nil {
			return err
		}
		return t.decide("authority", "abandon earlier intents")
	})
	if errors.Is(err, errNothing) {
		return 0, nil
	}
	return total, err
}
