package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
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
		w, err := t.workpieces(signed)
		if err != nil {
			return err
		}
		for i := range signed {
			err = t.record(&signed[i], w, gate)
			if err != nil {
				return err
			}
		}
		err = t.changeStates(w)
		if err != nil {
			return err
		}
		return t.decide(signed[0].Requester, "record")
	})
}

// workpieces are the rows that a chunk of signed attempts is about, as the
// ledger holds them, and those of them whose state is to change.
type workpieces struct {
	attempts map[string][]any // open, by order
	intents  map[name][]any   // open
	open     map[string]int   // how many of intents each order has
	cards    map[int64][]any
	orders   map[string][]any

	orderIDs []string
	serials  map[card.KeyID][][]byte
	expiring map[time.Time][]int64 // cards, by when they expire
}

// workpieces reads what the ledger says of a chunk with a question for each
// table.
func (t *transaction) workpieces(signed []card.Signed) (*workpieces, error) {
	w := &workpieces{
		attempts: make(map[string][]any, len(signed)), intents: make(map[name][]any, 2*len(signed)), open: make(map[string]int, len(signed)),
		cards: make(map[int64][]any, len(signed)), orders: make(map[string][]any, len(signed)),
		serials: make(map[card.KeyID][][]byte), expiring: make(map[time.Time][]int64),
	}
	ids := make([]int64, len(signed))
	orderIDs := make([]string, len(signed))
	for i, s := range signed {
		ids[i], orderIDs[i] = s.Card, string(s.Order)
	}
	err := errors.Join(
		rowsAmong(t, attempts, "state = 'intent' AND order_id ", orderIDs, func(row []any) error {
			id, _ := row[attempts.at("order_id")].(string)
			w.attempts[id] = row
			return nil
		}),
		rowsAmong(t, intents, "state = 'intent' AND order_id ", orderIDs, w.noteIntent),
		rowsAmong(t, cards, "id ", ids, func(row []any) error {
			id, _ := row[cards.at("id")].(int64)
			w.cards[id] = row
			return nil
		}),
		rowsAmong(t, orders, "id ", orderIDs, func(row []any) error {
			id, _ := row[orders.at("id")].(string)
			w.orders[id] = row
			return nil
		}),
	)
	return w, err
}

func (w *workpieces) noteIntent(row []any) error {
	var n name
	for column, into := range map[string][]byte{"issuer": n.issuer[:], "serial": n.serial[:]} {
		err := octets{into}.Scan(row[intents.at(column)])
		if err != nil {
			return err
		}
	}
	id, _ := row[intents.at("order_id")].(string)
	w.intents[n] = row
	w.open[id]++
	return nil
}

// rowsAmong reads whole rows of which a column is one of values. where ends
// before that list.
func rowsAmong[T any](t *transaction, tab *table, where string, values []T, note func(row []any) error) error {
	return among(t, tab.name, "SELECT "+tab.list+" FROM "+tab.name+" WHERE "+where, values, func(rows *sql.Rows) error {
		row, err := scanRow(rows, len(tab.columns))
		if err != nil {
			return err
		}
		return note(row)
	})
}

// record makes certificates of one attempt. The states of the rows it is about
// change with those of the whole chunk, in changeStates.
func (t *transaction) record(s *card.Signed, w *workpieces, gate card.Gate) error {
	if len(s.Signatures) != len(s.Intents) {
		return fmt.Errorf("order %s: %d signatures for %d intents", s.Order, len(s.Signatures), len(s.Intents))
	}
	t.about("order " + string(s.Order))
	err := t.closeAttempt(s, w)
	if err != nil {
		return err
	}
	var expires time.Time
	for i := range s.Intents {
		notAfter, err := t.recordIntent(&s.Intents[i], s, s.Signatures[i], w, gate)
		if err != nil {
			return err
		}
		if expires.IsZero() || notAfter.Before(expires) {
			expires = notAfter
		}
	}
	return t.personalise(s, w, expires)
}

// closeAttempt commits to the end of an open attempt of this epoch.
func (t *transaction) closeAttempt(s *card.Signed, w *workpieces) error {
	id := string(s.Order)
	row, ok := w.attempts[id]
	if !ok || row[attempts.at("attempt")] != int64(s.Attempt.Attempt) || row[attempts.at("card_id")] != s.Card || row[attempts.at("epoch")] != t.db.epoch {
		return fmt.Errorf("%w: attempt %d at order %s is not open", card.ErrStale, s.Attempt.Attempt, s.Order)
	}
	if w.open[id] != len(s.Intents) {
		return fmt.Errorf("%w: attempt %d at order %s has %d intents, not %d", card.ErrStale, s.Attempt.Attempt, s.Order, w.open[id], len(s.Intents))
	}
	delete(w.attempts, id) // a second time in the chunk it is not open any more
	w.orderIDs = append(w.orderIDs, id)
	row[attempts.at("state")], row[attempts.at("closed")] = "recorded", t.at.UnixMilli()
	return t.commitTo(attempts, row)
}

// recordIntent adds the certificate of an open intent of the attempt and says
// when it ends.
func (t *transaction) recordIntent(i *card.Intent, s *card.Signed, signature []byte, w *workpieces, gate card.Gate) (time.Time, error) {
	n := name{i.Issuer, i.Serial}
	row, ok := w.intents[n]
	if !ok || row[intents.at("order_id")] != string(s.Order) || row[intents.at("attempt")] != int64(s.Attempt.Attempt) {
		return time.Time{}, fmt.Errorf("%w: serial %s is not an intent of this attempt", card.ErrStale, i.Serial)
	}
	notAfter, ok := row[intents.at("not_after")].(int64)
	if !ok {
		return time.Time{}, fmt.Errorf("%w: serial %s ends at no time", ErrRow, i.Serial)
	}
	tbs, _ := row[intents.at("tbs")].([]byte)
	if !bytes.Equal(tbs, i.TBS) {
		return time.Time{}, fmt.Errorf("%w: serial %s was intended for another certificate", card.ErrStale, i.Serial)
	}
	delete(w.intents, n) // a second time it is not open any more
	w.serials[i.Issuer] = append(w.serials[i.Issuer], i.Serial[:])
	row[intents.at("state")] = "recorded"
	err := t.commitTo(intents, row)
	if err != nil {
		return time.Time{}, err
	}
	certified := target{i.Issuer, i.Serial, moment(&notAfter)}
	err = t.certify(certified, s.Card, signature)
	if err != nil {
		return time.Time{}, err
	}
	if gate == card.GateHold {
		err = t.hold(certified, t.at, card.CauseGate)
	} else {
		err = t.publish(certified, card.StatusGood, t.at, card.Unspecified)
	}
	return certified.notAfter, err
}

// personalise commits to the step of the card and the end of its order.
func (t *transaction) personalise(s *card.Signed, w *workpieces, expires time.Time) error {
	row, ok := w.cards[s.Card]
	if !ok || row[cards.at("state")] != string(card.Ordered) || row[cards.at("order_id")] != string(s.Order) {
		return fmt.Errorf("%w: the card of order %s is not being made", card.ErrStale, s.Order)
	}
	w.expiring[expires] = append(w.expiring[expires], s.Card)
	row[cards.at("state")], row[cards.at("since")], row[cards.at("expires")] = string(card.Personalised), t.at.UnixMilli(), expires.UnixMilli()
	err := t.commitTo(cards, row)
	if err != nil {
		return err
	}
	err = t.add(cardSteps, s.Card, t.sequence(), string(card.Personalise), string(card.Ordered), card.Personalised, s.Requester, t.at)
	if err != nil {
		return err
	}
	row, ok = w.orders[string(s.Order)]
	if !ok {
		return fmt.Errorf("%w: order %s is gone", card.ErrStale, s.Order)
	}
	row[orders.at("state")] = string(card.OrderFulfilled)
	return t.commitTo(orders, row)
}

// changeStates writes the states to which record committed, a statement for
// each table. What was read is what changes, or nothing does.
func (t *transaction) changeStates(w *workpieces) error {
	err := changeAmong(t, attempts, "state = 'recorded', closed = $1 WHERE state = 'intent' AND order_id ", []any{t.at}, w.orderIDs)
	if err != nil {
		return err
	}
	for issuer, serials := range w.serials {
		err = changeAmong(t, intents, "state = 'recorded' WHERE state = 'intent' AND issuer = $1 AND serial ", []any{issuer}, serials)
		if err != nil {
			return err
		}
	}
	for expires, ids := range w.expiring {
		err = changeAmong(t, cards, "state = 'personalised', since = $1, expires = $2 WHERE state = 'ordered' AND id ", []any{t.at, expires}, ids)
		if err != nil {
			return err
		}
	}
	return changeAmong(t, orders, "state = 'fulfilled' WHERE id ", nil, w.orderIDs)
}
