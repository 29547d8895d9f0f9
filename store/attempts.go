package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cpsca/card"
)

func (t *transaction) intent(i *card.Intent) error {
	var order, attempt any // NULL for the infrastructure
	if i.Order != "" {
		order, attempt = string(i.Order), i.Attempt
	}
	t.intents++
	err := t.add(intents, t.intents, i.Issuer, i.Serial, order, attempt, i.Use, i.Subject, i.Profile.Name, i.Profile.Version, i.Profile.Hash,
		i.Key, i.NotBefore, i.NotAfter, i.TBS, t.db.epoch)
	if err != nil {
		return err
	}
	return t.publish(target{t.intents, i.Issuer, i.Serial, i.NotAfter}, card.StatusIntended, t.at, card.Unspecified)
}

// certify adds the certificate of a recorded intent.
func (t *transaction) certify(s target, cardID any, signature []byte) error {
	if len(signature) == 0 {
		return fmt.Errorf("serial %s has no signature", s.serial)
	}
	return t.add(certs, s.intent, cardID, signature, t.at)
}

// errNothing ends a change that turned out to change nothing.
var errNothing = errors.New("nothing to change")

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

// abandonAttempt gives one attempt up and says how many it was: 1 or 0.
func (t *transaction) abandonAttempt(order card.OrderID, attempt int) (int, error) {
	n, err := t.update(attempts, "state = 'abandoned', closed = $1 WHERE order_id = $2 AND attempt = $3 AND state = 'intent'", t.at, order, attempt)
	if err != nil || n == 0 {
		return n, err
	}
	t.ended = append(t.ended, order)
	_, err = t.abandonIntents("order_id = $1 AND attempt = $2", string(order), attempt)
	return n, err
}

// stillOpen is what makes an intent of the infrastructure i an open one: those
// of cards go by the state of their attempt.
const stillOpen = ` AND NOT EXISTS (SELECT 1 FROM certificates c WHERE c.intent = i.number)
	AND NOT EXISTS (SELECT 1 FROM revocations r WHERE r.issuer = i.issuer AND r.serial = i.serial)`

// abandonIntents gives the intents i up of which where holds: all of them are
// open. It says how many there were.
func (t *transaction) abandonIntents(where string, args ...any) (int, error) {
	given, err := t.targets("SELECT i.number, i.issuer, i.serial, i.not_after FROM intents i WHERE "+where, args...)
	if err != nil {
		return 0, err
	}
	for _, s := range given {
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
		loose, err := t.abandonIntents("i.order_id IS NULL AND i.epoch < $1"+stillOpen, t.db.epoch)
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
