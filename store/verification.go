package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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

func (v *verification) walk() error {
	var all int64
	err := v.tx.QueryRowContext(v.ctx, "SELECT COUNT(*) FROM journal").Scan(&all)
	if err != nil {
		return fmt.Errorf("counting the journal: %w", err)
	}
	leaves, err := v.tx.QueryContext(v.ctx, `SELECT l.event, l.commitment, c.subject, c.salt, c.clear, l.position
		FROM journal_leaves l LEFT JOIN journal_clear c ON c.event = l.event AND c.position = l.position
		ORDER BY l.event, l.position`)
	if err != nil {
		return fmt.Errorf("reading the leaves: %w", err)
	}
	defer leaves.Close()
	events, err := v.tx.QueryContext(v.ctx, "SELECT sequence, time, actor, action, leaves, previous, hash FROM journal ORDER BY sequence")
	if err != nil {
		return fmt.Errorf("reading the journal: %w", err)
	}
	defer events.Close()
	source := leafReader{rows: leaves}
	for events.Next() {
		event, hash, err := scanEvent(events)
		if err != nil {
			return err
		}
		opened, err := source.of(event.Sequence)
		if err != nil {
			return err
		}
		err = v.event(event, hash, opened)
		if err != nil {
			return err
		}
		if v.progress != nil {
			v.progress(event.Sequence, all)
		}
	}
	err = events.Err()
	if err != nil {
		return fmt.Errorf("reading the journal: %w", err)
	}
	err = source.end()
	if err != nil {
		return err
	}
	return v.strays()
}

// strays looks for clear text that belongs to no leaf.
func (v *verification) strays() error {
	var n int
	err := v.tx.QueryRowContext(v.ctx, `SELECT COUNT(*) FROM journal_clear c WHERE NOT EXISTS
		(SELECT 1 FROM journal_leaves l WHERE l.event = c.event AND l.position = c.position)`).Scan(&n)
	if err != nil {
		return fmt.Errorf("reading the clear text: %w", err)
	}
	if n > 0 {
		return fmt.Errorf("%w: clear text without its leaf", audit.ErrLeaf)
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
