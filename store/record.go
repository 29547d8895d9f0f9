package store

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"cpsca/card"
)

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
		r, err := t.changeStates(signed)
		if err != nil {
			return err
		}
		for i := range signed {
			err = t.record(&signed[i], r, gate)
			if err != nil {
				return err
			}
		}
		return t.decide(signed[0].Requester, "record")
	})
}

// intended is what the writer remembers of an intent until its attempt ends, so
// that the ledger need not be asked for what it was just told.
type intended struct {
	number   int64
	issuer   card.KeyID
	serial   card.Serial
	notAfter time.Time
	tbs      [sha256.Size]byte
}

// underway is an open attempt of this epoch.
type underway struct {
	attempt int
	card    int64
	bureau  string
	intents []intended
}

// remember is called when the intents of an attempt were numbered, the last of
// them with last.
func remember(a *card.Attempt, bureau string, last int64) underway {
	u := underway{attempt: a.Attempt, card: a.Card, bureau: bureau, intents: make([]intended, len(a.Intents))}
	for i := range a.Intents {
		intent := &a.Intents[i]
		// As the ledger gives it back, in whole milliseconds.
		notAfter := time.UnixMilli(intent.NotAfter.UnixMilli()).UTC()
		u.intents[i] = intended{last - int64(len(a.Intents)-1-i), intent.Issuer, intent.Serial, notAfter, sha256.Sum256(intent.TBS)}
	}
	return u
}

// holds refuses certificates that are not those intended.
func (u *underway) holds(s *card.Signed) error {
	if u.attempt != s.Attempt.Attempt || u.card != s.Card {
		return fmt.Errorf("%w: attempt %d at order %s is not open", card.ErrStale, s.Attempt.Attempt, s.Order)
	}
	if len(u.intents) != len(s.Intents) {
		return fmt.Errorf("%w: attempt %d at order %s has %d intents, not %d", card.ErrStale, s.Attempt.Attempt, s.Order, len(u.intents), len(s.Intents))
	}
	if len(s.Signatures) != len(s.Intents) {
		return fmt.Errorf("order %s: %d signatures for %d intents", s.Order, len(s.Signatures), len(s.Intents))
	}
	for i, known := range u.intents {
		given := &s.Intents[i]
		if given.Issuer != known.issuer || given.Serial != known.serial {
			return fmt.Errorf("%w: serial %s is not an intent of this attempt", card.ErrStale, given.Serial)
		}
		if sha256.Sum256(given.TBS) != known.tbs {
			return fmt.Errorf("%w: serial %s was intended for another certificate", card.ErrStale, given.Serial)
		}
	}
	return nil
}

// expires is when the first certificate of the attempt does.
func (u *underway) expires() time.Time {
	first := u.intents[0].notAfter
	for _, i := range u.intents[1:] {
		if i.notAfter.Before(first) {
			first = i.notAfter
		}
	}
	return first
}

// states are the rows whose state has changed, as they are now.
type states struct {
	attempts map[string][]any // by order
	cards    map[int64][]any
	orders   map[string][]any
}

// changeStates ends the attempts of a chunk, makes their cards personalised and
// their orders fulfilled, with a statement for each table. All of them change,
// or it is card.ErrStale.
func (t *transaction) changeStates(signed []card.Signed) (*states, error) {
	orderIDs := make([]string, len(signed))
	expiring := make(map[time.Time][]int64) // cards, by when they expire
	for i := range signed {
		s := &signed[i]
		open, ok := t.w.underway[s.Order]
		if !ok {
			return nil, fmt.Errorf("%w: attempt %d at order %s is not open", card.ErrStale, s.Attempt.Attempt, s.Order)
		}
		err := open.holds(s)
		if err != nil {
			return nil, err
		}
		orderIDs[i] = string(s.Order)
		expiring[open.expires()] = append(expiring[open.expires()], s.Card)
	}
	r := &states{
		attempts: make(map[string][]any, len(signed)), cards: make(map[int64][]any, len(signed)), orders: make(map[string][]any, len(signed)),
	}
	err := changeAmong(t, attempts, "state = 'recorded', closed = $1 WHERE state = 'intent' AND epoch = $2 AND order_id ",
		[]any{t.at, t.db.epoch}, orderIDs, "order_id", r.attempts)
	if err != nil {
		return nil, err
	}
	for expires, ids := range expiring {
		err = changeAmong(t, cards, "state = 'personalised', since = $1, expires = $2 WHERE state = 'ordered' AND id ",
			[]any{t.at, expires}, ids, "id", r.cards)
		if err != nil {
			return nil, err
		}
	}
	err = changeAmong(t, orders, "state = 'fulfilled' WHERE state = 'open' AND id ", nil, orderIDs, "id", r.orders)
	return r, err
}

// record adds the certificates of one attempt and commits to all that became
// of it.
func (t *transaction) record(s *card.Signed, r *states, gate card.Gate) error {
	t.about("order " + string(s.Order))
	err := t.commitTo(attempts, r.attempts[string(s.Order)])
	if err != nil {
		return err
	}
	open := t.w.underway[s.Order]
	t.ended = append(t.ended, s.Order)
	for i, known := range open.intents {
		certified := target{known.number, known.issuer, known.serial, known.notAfter}
		err = t.certify(certified, s.Card, s.Signatures[i])
		if err != nil {
			return err
		}
		if gate == card.GateHold {
			err = t.holdNew(certified, t.at, card.CauseGate)
		} else {
			err = t.publish(certified, card.StatusGood, t.at, card.Unspecified)
		}
		if err != nil {
			return err
		}
	}
	row := r.cards[s.Card]
	if row[cards.at("order_id")] != string(s.Order) {
		return fmt.Errorf("%w: the card of order %s is not being made", card.ErrStale, s.Order)
	}
	err = t.commitTo(cards, row)
	if err != nil {
		return err
	}
	err = t.add(cardSteps, s.Card, t.sequence(), string(card.Personalise), string(card.Ordered), card.Personalised, s.Requester, t.at)
	if err != nil {
		return err
	}
	return t.commitTo(orders, r.orders[string(s.Order)])
}
