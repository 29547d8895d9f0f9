package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"cpsca/card"
)

// batches are how many rows one INSERT adds, largest first. There are few, so
// that each is compiled once; one row always fits.
var batches = [...]int{64, 16, 4, 1}

// insertion is the statement that adds n rows.
func (t *table) insertion(n int) string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + t.name + " (" + t.list + ") VALUES ")
	place := 0
	for row := range n {
		if row > 0 {
			b.WriteString(", ")
		}
		for i := range t.columns {
			place++
			b.WriteString([...]string{"(", ", "}[min(i, 1)])
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(place))
		}
		b.WriteByte(')')
	}
	return b.String()
}

// add gives one row to the ledger: it is committed to at once and written, with
// the others of its table, by flush. Who reads a table, or wants the refusal
// of its indexes, before the decision uses insert.
func (t *transaction) add(tab *table, values ...any) error {
	err := t.stage(tab, values...)
	if err != nil {
		return err
	}
	staged := t.pending[tab]
	return t.commitTo(tab, staged[len(staged)-len(values):])
}

// stage keeps a row to be written with others.
func (t *transaction) stage(tab *table, values ...any) error {
	if t.pending == nil {
		t.pending = make(map[*table][]any)
	}
	var err error
	t.pending[tab], err = appendColumnValues(t.pending[tab], values)
	if err != nil {
		return fmt.Errorf("inserting into %s: %w", tab.name, err)
	}
	return nil
}

// flush writes the rows that were added. The order of protected is one in
// which what is referred to comes first.
func (t *transaction) flush() error {
	for _, tab := range append(protected[:len(protected):len(protected)], feedTable) {
		err := t.write(tab, t.pending[tab])
		if err != nil {
			return err
		}
	}
	t.pending = nil
	return nil
}

// write adds rows, given as the values of one after the other.
func (t *transaction) write(tab *table, values []any) error {
	width := len(tab.columns)
	if t.w.dialect.bulk != nil && len(values) >= bulk*width {
		err := t.w.dialect.bulk(t.ctx, t.w.conn, tab, values)
		if err != nil {
			return fmt.Errorf("inserting into %s: %w", tab.name, refusal(err))
		}
		t.w.rows += int64(len(values) / width)
		return nil
	}
	for i, n := range batches {
		for len(values) >= n*width {
			err := t.exec(tab.insertions[i], values[:n*width]...)
			if err != nil {
				return fmt.Errorf("inserting into %s: %w", tab.name, refusal(err))
			}
			values = values[n*width:]
		}
	}
	return nil
}

// bulk is from how many rows on a dialect's own way of adding them is cheaper.
const bulk = 8

// lists are the lengths of the lists of values in statements. A shorter list
// repeats its last value, so that few statements are compiled.
var lists = [...]int{1, 4, 16, 64, 256}

// padded is the length of the list that n values are written in.
func padded(n int) int {
	for _, length := range lists {
		if n <= length {
			return length
		}
	}
	return n
}

// in writes a list of places for values and adds them to args. The values are
// of the kinds that columns hold.
func in[T any](args []any, values []T) (string, []any) {
	length := padded(len(values))
	var b strings.Builder
	b.WriteString("IN (")
	for i := range length {
		if i > 0 {
			b.WriteString(", ")
		}
		args = append(args, values[min(i, len(values)-1)])
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(len(args)))
	}
	b.WriteByte(')')
	return b.String(), args
}

// each asks and hands every row to scan.
func each(ctx context.Context, q querier, what, statement string, args []any, scan func(rows *sql.Rows) error) error {
	rows, err := q.QueryContext(ctx, statement, args...)
	if err != nil {
		return fmt.Errorf("reading %s: %w", what, err)
	}
	return eachRow(rows, what, scan)
}

func eachRow(rows *sql.Rows, what string, scan func(rows *sql.Rows) error) error {
	defer rows.Close()
	for rows.Next() {
		err := scan(rows)
		if err != nil {
			return fmt.Errorf("reading %s: %w", what, err)
		}
	}
	err := rows.Err()
	if err != nil {
		return fmt.Errorf("reading %s: %w", what, err)
	}
	return nil
}

// among asks the writer for the rows of which a column is one of values. The
// statement ends where that list begins.
func among[T any](t *transaction, what, statement string, values []T, scan func(rows *sql.Rows) error) error {
	if len(values) == 0 {
		return nil
	}
	list, args := in(nil, values)
	rows, err := t.query(statement+list, args...)
	if err != nil {
		return fmt.Errorf("reading %s: %w", what, err)
	}
	return eachRow(rows, what, scan)
}

// changeAmong updates the rows of which a column is one of values, all
// different, and files them as they are now under another column. assignments
// is everything after SET, up to that list. All rows change, or it is
// card.ErrStale.
func changeAmong[T, K comparable](t *transaction, tab *table, assignments string, args []any, values []T, by string, into map[K][]any) error {
	args, err := columnValues(args)
	if err != nil {
		return fmt.Errorf("updating %s: %w", tab.name, err)
	}
	list, args := in(args, values)
	rows, err := t.query("UPDATE "+tab.name+" SET "+assignments+list+" RETURNING "+tab.list, args...)
	if err != nil {
		return fmt.Errorf("updating %s: %w", tab.name, refusal(err))
	}
	n := 0
	key := tab.at(by)
	err = eachRow(rows, tab.name, func(rows *sql.Rows) error {
		row, err := scanRow(rows, len(tab.columns))
		if err != nil {
			return err
		}
		k, ok := row[key].(K)
		if !ok {
			return fmt.Errorf("%w: %s is a %T", ErrRow, by, row[key])
		}
		into[k] = row
		n++
		return nil
	})
	if err != nil {
		return refusal(err)
	}
	t.w.rows += int64(n)
	if n != len(values) {
		return fmt.Errorf("%w: %d rows of %s changed, not %d", card.ErrStale, n, tab.name, len(values))
	}
	return nil
}
