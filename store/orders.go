package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"cpsca/card"
)

// open adds an order and the card row that waits for it. A second waiting card
// of the holder is refused with card.ErrWaitingCard.
func (t *transaction) open(o card.Order, actor string) error {
	t.about("order " + string(o.ID))
	for _, use := range card.Uses {
		if o.Challenges[use] == "" {
			return fmt.Errorf("opening order %s: it has no challenge for %s", o.ID, use)
		}
	}
	err := t.insert(orders, o.ID, o.Holder, int64(o.Profession), o.Type, o.Form, o.Why, nullText(string(o.Replaces)), o.Bureau, card.OrderOpen,
		o.Challenges[card.Authentication], o.Challenges[card.Signature], t.at)
	if err != nil {
		return err
	}
	return t.newCard(o, actor)
}

func (t *transaction) newCard(o card.Order, actor string) error {
	t.card++
	err := t.insert(cards, t.card, o.ID, nil, o.Holder, int64(o.Profession), o.Type, o.Form, o.Bureau, card.Ordered, t.at, t.at, nil, nil)
	if errors.Is(err, errPlaceTaken) {
		return fmt.Errorf("%w (%w)", card.ErrWaitingCard, err)
	}
	if err != nil {
		return err
	}
	return t.insert(cardSteps, t.card, t.sequence(), "order", nil, card.Ordered, actor, t.at)
}

func nullText(s string) any {
	if s == "" {
		return nil
	}
	return s
}

const orderColumns = "o.id, o.holder, o.profession, o.type, o.form, o.why, o.replaces, o.bureau, o.state, o.challenge_authentication, o.challenge_signature, o.created"

// scanner is a *sql.Row or *sql.Rows.
type scanner interface{ Scan(...any) error }

func orderFields(o *card.Order, authentication, signature *string, replaces *sql.NullString, created *int64) []any {
	return []any{&o.ID, &o.Holder, &o.Profession, &o.Type, &o.Form, &o.Why, replaces, &o.Bureau, &o.State, authentication, signature, created}
}

func scanOrder(row scanner) (card.Order, error) {
	var o card.Order
	var authentication, signature string
	var replaces sql.NullString
	var created int64
	err := row.Scan(orderFields(&o, &authentication, &signature, &replaces, &created)...)
	if errors.Is(err, sql.ErrNoRows) {
		return o, card.ErrNotFound
	}
	if err != nil {
		return o, fmt.Errorf("reading an order: %w", err)
	}
	o.Replaces = card.Number(replaces.String)
	o.Created = moment(&created)
	o.Challenges = map[card.Use]string{card.Authentication: authentication, card.Signature: signature}
	return o, nil
}

// Order reads one order; card.ErrNotFound if there is none.
func (db *DB) Order(ctx context.Context, id card.OrderID) (card.Order, error) {
	return scanOrder(db.readers.QueryRowContext(ctx, "SELECT "+orderColumns+" FROM orders o WHERE o.id = $1", string(id)))
}

// Orders lists orders of a bureau (all bureaux if empty) in a state (all if
// empty), oldest first, after the given one, at most limit.
func (db *DB) Orders(ctx context.Context, bureau string, state card.OrderState, after card.OrderID, limit int) ([]card.Order, error) {
	// Only what is asked for is in the statement: an index serves each case.
	statement, args := "SELECT "+orderColumns+" FROM orders o WHERE o.id <> ''", []any{}
	for _, condition := range []struct{ text, value string }{
		{"o.bureau = $%d", bureau},
		{"o.state = $%d", string(state)},
		{"(o.created, o.id) > (SELECT p.created, p.id FROM orders p WHERE p.id = $%d)", string(after)},
	} {
		if condition.value != "" {
			args = append(args, condition.value)
			statement += " AND " + fmt.Sprintf(condition.text, len(args))
		}
	}
	args = append(args, limit)
	rows, err := db.readers.QueryContext(ctx, statement+fmt.Sprintf(" ORDER BY o.created, o.id LIMIT $%d", len(args)), args...)
	if err != nil {
		return nil, fmt.Errorf("listing orders: %w", err)
	}
	defer rows.Close()
	var out []card.Order
	for rows.Next() {
		o, err := scanOrder(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, rows.Err()
}

// querier is what reads: the pool, a snapshot.
type querier interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	QueryRowContext(context.Context, string, ...any) *sql.Row
}
