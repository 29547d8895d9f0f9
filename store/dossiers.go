package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"cpsca/card"
	"cpsca/registry"
)

// Dossiers reads everything about some orders of one bureau in one snapshot.
// Orders that do not exist, or are another bureau's, are not in the answer. It
// asks a few questions about all of them at once: one by one they would cost
// more than the signatures.
func (db *DB) Dossiers(ctx context.Context, bureau string, ids []card.OrderID) (map[card.OrderID]card.Dossier, error) {
	tx, err := db.readers.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("reading orders: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	r := dossierReader{ctx: ctx, q: tx, byOrder: make(map[card.OrderID]*card.Dossier, len(ids)), byCard: make(map[int64]*card.Dossier, len(ids))}
	for _, step := range []func() error{
		func() error { return r.orders(bureau, ids) }, r.cards, r.holders, r.attempted,
	} {
		err = step()
		if err != nil {
			return nil, err
		}
		if len(r.byOrder) == 0 {
			break
		}
	}
	out := make(map[card.OrderID]card.Dossier, len(r.byOrder))
	for id, d := range r.byOrder {
		out[id] = *d
	}
	return out, nil
}

// dossierReader gathers dossiers question by question.
type dossierReader struct {
	ctx     context.Context
	q       querier
	byOrder map[card.OrderID]*card.Dossier
	byCard  map[int64]*card.Dossier
}

func (r *dossierReader) orders(bureau string, ids []card.OrderID) error {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = string(id)
	}
	list, args := in([]any{bureau}, texts)
	// The index of the bureau would find all that it ever had.
	return each(r.ctx, r.q, "orders", "SELECT "+orderColumns+" FROM orders o WHERE o.bureau || '' = $1 AND o.id "+list, args, func(rows *sql.Rows) error {
		o, err := scanOrder(rows)
		if err == nil {
			r.byOrder[o.ID] = &card.Dossier{Order: o, Keys: make(map[card.Use]card.Fingerprint, len(card.Uses))}
		}
		return err
	})
}

// cards reads the newest card of each order: the one that is not spoiled.
func (r *dossierReader) cards() error {
	list, args := in(nil, r.orderIDs())
	// Nor is the index of the order in which they are asked for to be walked.
	err := each(r.ctx, r.q, "cards", "SELECT "+cardColumns+" FROM cards WHERE order_id "+list+" ORDER BY id + 0", args, func(rows *sql.Rows) error {
		c, err := scanCard(rows)
		if err == nil {
			r.byOrder[c.Order].Card = c
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, d := range r.byOrder {
		r.byCard[d.Card.ID] = d
	}
	return nil
}

func (r *dossierReader) orderIDs() []string {
	out := make([]string, 0, len(r.byOrder))
	for id := range r.byOrder {
		out = append(out, string(id))
	}
	return out
}

func (r *dossierReader) holders() error {
	ids := make([]registry.NationalID, 0, len(r.byOrder))
	for _, d := range r.byOrder {
		ids = append(ids, d.Order.Holder)
	}
	known, err := holders(r.ctx, r.q, ids)
	if err != nil {
		return err
	}
	for _, d := range r.byOrder {
		h, ok := known[d.Order.Holder]
		if ok {
			d.Person, d.Events, d.Contact = h.person, h.events, h.contact
		}
	}
	return nil
}

// attempted reads what earlier attempts left. The first one gives a card its
// number: without one there was none.
func (r *dossierReader) attempted() error {
	numbered := make(map[card.Number]*card.Dossier)
	var ids []int64
	var orderIDs []string
	for _, d := range r.byOrder {
		if d.Card.Number != "" {
			numbered[d.Card.Number] = d
			ids, orderIDs = append(ids, d.Card.ID), append(orderIDs, string(d.Order.ID))
		}
	}
	if len(numbered) == 0 {
		return nil
	}
	return errors.Join(r.keys(ids), r.intents(orderIDs), r.issued(ids, numbered))
}

func (r *dossierReader) keys(ids []int64) error {
	list, args := in(nil, ids)
	return each(r.ctx, r.q, "keys", "SELECT card_id, use, fingerprint FROM keys WHERE card_id "+list, args, func(rows *sql.Rows) error {
		var id int64
		var use card.Use
		var key card.Fingerprint
		err := rows.Scan(&id, &use, octets{key[:]})
		if err == nil {
			r.byCard[id].Keys[use] = key
		}
		return err
	})
}

func (r *dossierReader) intents(orderIDs []string) error {
	list, args := in(nil, orderIDs)
	return each(r.ctx, r.q, "attempts", "SELECT order_id FROM attempts WHERE state = 'intent' AND order_id "+list, args, func(rows *sql.Rows) error {
		var id card.OrderID
		err := rows.Scan(&id)
		if err == nil {
			r.byOrder[id].Intent = true
		}
		return err
	})
}

func (r *dossierReader) issued(ids []int64, numbered map[card.Number]*card.Dossier) error {
	list, args := in(nil, ids)
	found, err := certificates(r.ctx, r.q, "c.card_id "+list, args...)
	if err != nil {
		return err
	}
	for _, c := range found {
		d, ok := numbered[c.Card]
		if !ok {
			return fmt.Errorf("%w: a certificate of a card without a number", ErrRow)
		}
		d.Issued = append(d.Issued, c)
	}
	return nil
}
