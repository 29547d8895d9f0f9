package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"cpsca/audit"
)

// verification is one walk over the journal in one snapshot of the ledger.
type verification struct {
	ctx      context.Context
	tx       *sql.Tx
	chain    audit.Verifier
	last     map[string]rowDigest // canonical row name to the digest last committed to
	feedEnd  []byte               // the text last committed to
	report   JournalReport
	progress func(done, all int64)
}

// stretch is how many events are read before their leaves: a connection answers
// one question at a time.
const stretch = 1024

func (v *verification) walk() error {
	var all, done int64
	err := v.tx.QueryRowContext(v.ctx, "SELECT COUNT(*) FROM journal").Scan(&all)
	if err != nil {
		return fmt.Errorf("counting the journal: %w", err)
	}
	for after := int64(math.MinInt64); ; {
		events, err := v.events(after)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			break
		}
		last := events[len(events)-1].Sequence
		err = v.stretch(events, after, last, all)
		if err != nil {
			return err
		}
		after, done = last, done+int64(len(events))
	}
	if done != all {
		return fmt.Errorf("%w: %d events of %d have a place", audit.ErrGap, done, all)
	}
	return v.strays()
}

// chained is an event with the hash that is stored beside it.
type chained struct {
	audit.Event
	hash audit.Digest
}

// events reads the events that follow one.
func (v *verification) events(after int64) ([]chained, error) {
	var out []chained
	err := each(v.ctx, v.tx, "the journal", `SELECT sequence, time, actor, action, leaves, previous, hash FROM journal
		WHERE sequence > $1 ORDER BY sequence LIMIT $2`, []any{after, stretch}, func(rows *sql.Rows) error {
		event, hash, err := scanEvent(rows)
		out = append(out, chained{event, hash})
		return err
	})
	return out, err
}

// stretch checks some events with their leaves.
func (v *verification) stretch(events []chained, after, last, all int64) error {
	leaves, err := v.tx.QueryContext(v.ctx, `SELECT l.event, l.commitment, c.subject, c.salt, c.clear, l.position
		FROM journal_leaves l LEFT JOIN journal_clear c ON c.event = l.event AND c.position = l.position
		WHERE l.event > $1 AND l.event <= $2 ORDER BY l.event, l.position`, after, last)
	if err != nil {
		return fmt.Errorf("reading the leaves: %w", err)
	}
	defer leaves.Close()
	source := leafReader{rows: leaves}
	for _, e := range events {
		opened, err := source.of(e.Sequence)
		if err != nil {
			return err
		}
		err = v.event(e.Event, e.hash, opened)
		if err != nil {
			return err
		}
		if v.progress != nil {
			v.progress(e.Sequence, all)
		}
	}
	return source.end()
}

// strays looks for leaves that belong to no event, and for clear text that
// belongs to no leaf.
func (v *verification) strays() error {
	for _, one := range []struct {
		query string
		fault error
		what  string
	}{
		{"SELECT COUNT(*) FROM journal_leaves l WHERE NOT EXISTS (SELECT 1 FROM journal j WHERE j.sequence = l.event)", audit.ErrLeaves, "leaves without their event"},
		{`SELECT COUNT(*) FROM journal_clear c WHERE NOT EXISTS
			(SELECT 1 FROM journal_leaves l WHERE l.event = c.event AND l.position = c.position)`, audit.ErrLeaf, "clear text without its leaf"},
	} {
		var n int
		err := v.tx.QueryRowContext(v.ctx, one.query).Scan(&n)
		if err != nil {
			return fmt.Errorf("reading the leaves: %w", err)
		}
		if n > 0 {
			return fmt.Errorf("%w: %s", one.fault, one.what)
		}
	}
	return nil
}

func (v *verification) event(event audit.Event, hash audit.Digest, opened []audit.Opened) error {
	err := v.chain.Next(event, opened)
	if err != nil {
		return err
	}
	if v.chain.Head().Hash != hash {
		return fmt.Errorf("%w: the hash beside event %d is not its own", audit.ErrChain, event.Sequence)
	}
	v.report.Head = v.chain.Head()
	for _, o := range opened {
		v.report.Leaves++
		if o.Erased {
			v.report.Erased++
			continue
		}
		err = v.note(o.Leaf)
		if err != nil {
			return fmt.Errorf("event %d: %w", event.Sequence, err)
		}
	}
	return nil
}

func scanEvent(rows *sql.Rows) (audit.Event, audit.Digest, error) {
	var e audit.Event
	var hash audit.Digest
	var at int64
	err := rows.Scan(exact[int64]{&e.Sequence}, exact[int64]{&at}, exact[string]{&e.Actor}, exact[string]{&e.Action}, octets{e.Leaves[:]}, octets{e.Previous[:]}, octets{hash[:]})
	if err != nil {
		return e, hash, fmt.Errorf("reading an event: %w", err)
	}
	e.Time = time.UnixMilli(at).UTC()
	return e, hash, nil
}

// leafReader gives out the leaves of one event after the other.
type leafReader struct {
	rows    *sql.Rows
	pending *audit.Opened
	// of pending
	event    int64
	position int64
}

func (r *leafReader) of(event int64) ([]audit.Opened, error) {
	var out []audit.Opened
	for {
		if r.pending == nil {
			err := r.next()
			if err != nil {
				return nil, err
			}
		}
		if r.pending == nil || r.event > event {
			return out, nil
		}
		if r.event < event {
			return nil, fmt.Errorf("%w: leaves of event %d without their event", audit.ErrLeaves, r.event)
		}
		if r.position != int64(len(out)) {
			return nil, fmt.Errorf("%w: leaf %d of event %d is out of its place", audit.ErrLeaves, r.position, event)
		}
		out = append(out, *r.pending)
		r.pending = nil
	}
}

func (r *leafReader) end() error {
	if r.pending == nil {
		err := r.next()
		if err != nil {
			return err
		}
	}
	if r.pending != nil {
		return fmt.Errorf("%w: leaves of event %d without their event", audit.ErrLeaves, r.event)
	}
	return nil
}

func (r *leafReader) next() error {
	if !r.rows.Next() {
		return r.rows.Err()
	}
	var o audit.Opened
	var subject, salt, clear any
	err := r.rows.Scan(exact[int64]{&r.event}, octets{o.Commitment[:]}, &subject, &salt, &clear, exact[int64]{&r.position})
	if err != nil {
		return fmt.Errorf("reading a leaf: %w", err)
	}
	o.Erased = subject == nil
	if !o.Erased {
		var ok bool
		o.Leaf.Clear, ok = clear.([]byte)
		err = errors.Join(exact[string]{&o.Leaf.Subject}.Scan(subject), octets{o.Leaf.Salt[:]}.Scan(salt))
		if err == nil && !ok {
			err = fmt.Errorf("%w: its clear text is a %T", ErrRow, clear)
		}
		if err != nil {
			return fmt.Errorf("%w: leaf %d of event %d: %w", audit.ErrLeaf, r.position, r.event, err)
		}
	}
	r.pending = &o
	return nil
}
