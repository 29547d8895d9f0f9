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
// attempt, nil where its intents stand: a refusal of one (those of refusals)
// does not touch the others. The second result is an error of the whole chunk:
// then nothing stands.
func (db *DB) Intend(ctx context.Context, chunk []card.Attempt) ([]error, error) {
	answers := make([]error, len(chunk))
	stand := 0
	err := db.change(ctx, ordinary, func(t *transaction) error {
		for i := range chunk {
			answers[i] = t.savepoint(func() error { return t.intend(&chunk[i]) })
			switch {
			case answers[i] == nil:
				stand++
			case !refused(answers[i]):
				return answers[i]
			}
		}
		if stand == 0 {
			return errNothing
		}
		return t.decide(chunk[0].Requester, "intend")
	})
	if errors.Is(err, errNothing) {
		return answers, nil
	}
	if err != nil {
		return nil, fmt.Errorf("recording intents: %w", err)
	}
	return answers, nil
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

// errNothing ends a change that turned out to change nothing.
var errNothing = errors.New("nothing to change")

func (t *transaction) intend(a *card.Attempt) error {
	t.about("order " + string(a.Order))
	var state card.OrderState
	var number sql.NullString
	var cardState card.State
	err := t.row(`SELECT o.state, c.number, c.state, (SELECT COALESCE(MAX(a.attempt), 0) + 1 FROM attempts a WHERE a.order_id = o.id)
		FROM orders o JOIN cards c ON c.order_id = o.id WHERE o.id = $1 AND c.id = $2`, string(a.Order), a.Card).Scan(&state, &number, &cardState, &a.Attempt)
	if errors.Is(err, sql.ErrNoRows) {
		return card.ErrOrderUnknown
	}
	if err != nil {
		return fmt.Errorf("reading the order again: %w", err)
	}
	if state != card.OrderOpen || cardState != card.Ordered {
		return card.ErrOrderClosed
	}
	if number.Valid && number.String != string(a.Number) {
		return card.ErrOrderBound
	}
	if len(a.Intents) == 0 {
		return fmt.Errorf("the attempt at order %s has no intents", a.Order)
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
	t.leaves[len(t.leaves)-1].grounds = a.Grounds
	for i := range a.Intents {
		intent := &a.Intents[i]
		intent.Order, intent.Attempt = a.Order, a.Attempt
		err = t.bindKey(intent.Key, a.Card, intent.Use)
		if err != nil {
			return err
		}
		err = t.intent(intent)
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

func (t *transaction) intent(i *card.Intent) error {
	var order, attempt any // NULL for the infrastructure
	if i.Order != "" {
		order, attempt = string(i.Order), i.Attempt
	}
	err := t.insert(intents, i.Issuer, i.Serial, order, attempt, i.Use, i.Subject, i.Profile.Name, i.Profile.Version, i.Profile.Hash,
		i.Key, i.NotBefore, i.NotAfter, i.TBS, t.db.epoch, "intent")
	if err != nil {
		return err
	}
	return t.publish(target{i.Issuer, i.Serial, i.NotAfter}, card.StatusIntended, t.at, card.Unspecified)
}

// Record makes certificates of signed attempts in one durable transaction:
// signatures, cards personalised, orders fulfilled, feed and journal. Only
// then may a byte of a signature leave the process. gate says whether they are
// good at once. An attempt that is no longer an intent of this epoch gives
// card.ErrStale and nothing of the chunk is recorded.
func (db *DB) Record(ctx context.Context, signed []card.Signed, gate card.Gate) error {
	if gate != card.GateChip && gate != card.GateHold {
		return fmt.Errorf("recording certificates: no gate %q", gate)
	}
	if len(signed) == 0 {
		return nil
	}
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
	if len(s.Signatures) != len(s.Intents) {
		return fmt.Errorf("order %s: %d signatures for %d intents", s.Order, len(s.Signatures), len(s.Intents))
	}
	t.about("order " + string(s.Order))
	err := t.closeAttempt(s)
	if err != nil {
		return err
	}
	var expires time.Time
	for i, intent := range s.Intents {
		serial, err := t.certify(intent, s.Card, s.Signatures[i])
		if err != nil {
			return err
		}
		if gate == card.GateHold {
			err = t.hold(serial, t.at, card.CauseGate)
		} else {
			err = t.publish(serial, card.StatusGood, t.at, card.Unspecified)
		}
		if err != nil {
			return err
		}
		if expires.IsZero() || serial.notAfter.Before(expires) {
			expires = serial.notAfter
		}
	}
	n, err := t.update(cards, "state = $1, since = $2, expires = $3 WHERE id = $4 AND state = $5", card.Personalised, t.at, expires, s.Card, card.Ordered)
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

// closeAttempt turns an open attempt of this epoch and all its intents into
// recorded ones.
func (t *transaction) closeAttempt(s card.Signed) error {
	n, err := t.update(attempts, "state = 'recorded', closed = $1 WHERE order_id = $2 AND attempt = $3 AND card_id = $4 AND state = 'intent' AND epoch = $5",
		t.at, s.Order, s.Attempt.Attempt, s.Card, t.db.epoch)
	if err != nil {
		return err
	}
	if n != 1 {
		return fmt.Errorf("%w: attempt %d at order %s is not open", card.ErrStale, s.Attempt.Attempt, s.Order)
	}
	n, err = t.update(intents, "state = 'recorded' WHERE order_id = $1 AND attempt = $2 AND state = 'intent'", s.Order, s.Attempt.Attempt)
	if err != nil {
		return err
	}
	if n != len(s.Intents) {
		return fmt.Errorf("%w: attempt %d at order %s has %d intents, not %d", card.ErrStale, s.Attempt.Attempt, s.Order, n, len(s.Intents))
	}
	return nil
}

// certify adds the certificate of a recorded intent. What the caller says of
// the intent must be what the ledger holds of it.
func (t *transaction) certify(i card.Intent, cardID any, signature []byte) (target, error) {
	var order card.OrderID
	var attempt int
	var notAfter int64
	err := t.row("SELECT COALESCE(order_id, ''), COALESCE(attempt, 0), not_after FROM intents WHERE issuer = $1 AND serial = $2 AND state = 'recorded'",
		i.Issuer[:], i.Serial[:]).Scan(&order, &attempt, &notAfter)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return target{}, fmt.Errorf("reading an intent: %w", err)
	}
	if err != nil || order != i.Order || attempt != i.Attempt {
		return target{}, fmt.Errorf("%w: serial %s is not an intent of this attempt", card.ErrStale, i.Serial)
	}
	if len(signature) == 0 {
		return target{}, fmt.Errorf("serial %s has no signature", i.Serial)
	}
	return target{i.Issuer, i.Serial, moment(&notAfter)}, t.insert(certs, i.Issuer, i.Serial, cardID, signature, t.at)
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
	_, err = t.abandonIntents("order_id = $1 AND attempt = $2 AND state = 'intent'", string(order), attempt)
	return n, err
}

// abandonIntents revokes the intents of which where holds and returns how many
// those were.
func (t *transaction) abandonIntents(where string, args ...any) (int, error) {
	given, err := t.targets("SELECT issuer, serial, not_after FROM intents WHERE "+where, args...)
	if err != nil {
		return 0, err
	}
	for _, s := range given {
		_, err = t.update(intents, "state = 'abandoned' WHERE issuer = $1 AND serial = $2", s.issuer, s.serial)
		if err != nil {
			return 0, err
		}
		err = t.revoke(s, t.at, card.Unspecified, time.Time{}, card.CauseAbandoned)
		if err != nil {
			return 0, err
		}
	}
	return len(given), nil
}

// AbandonEarlier abandons every open intent of the epochs before this one,
// whatever its age, and returns how many attempts and infrastructure intents
// that were. It runs at start, before anything is served.
func (db *DB) AbandonEarlier(ctx context.Context) (int, error) {
	total := 0
	err := db.change(ctx, urgent, func(t *transaction) error {
		open, err := t.openAttempts()
		if err != nil {
			return err
		}
		for _, a := range open {
			t.about("order " + string(a.Order))
			_, err = t.abandonAttempt(a.Order, a.Attempt)
			if err != nil {
				return err
			}
		}
		t.about("recovery")
		loose, err := t.abandonIntents("state = 'intent' AND epoch < $1", t.db.epoch)
		if err != nil {
			return err
		}
		total = len(open) + loose
		if total == 0 {
			return errNothing
		}
		return t.decide("authority", "abandon earlier intents")
	})
	if errors.Is(err, errNothing) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("abandoning earlier intents: %w", err)
	}
	return total, nil
}

// openAttempts lists the attempts that an earlier epoch left open.
func (t *transaction) openAttempts() ([]card.Attempt, error) {
	rows, err := t.query("SELECT order_id, attempt FROM attempts WHERE state = 'intent' AND epoch < $1 ORDER BY epoch, order_id", t.db.epoch)
	if err != nil {
		return nil, fmt.Errorf("reading attempts: %w", err)
	}
	defer rows.Close()
	var open []card.Attempt
	for rows.Next() {
		var a card.Attempt
		err = rows.Scan(&a.Order, &a.Attempt)
		if err != nil {
			return nil, fmt.Errorf("reading an attempt: %w", err)
		}
		open = append(open, a)
	}
	return open, rows.Err()
}
