package store

import (
	"context"
	"database/sql"
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
	report   JournalReport
	progress func(done, all int64)
}

func (v *verification) walk() error {
	var all int64
	err := v.tx.QueryRowContext(v.ctx, "SELECT COUNT(*) FROM journal").Scan(&all)
	if err != nil {
		return fmt.Errorf("counting the journal: %w", err)
	}
	leaves, err := v.tx.QueryContext(v.ctx, `SELECT l.event, l.commitment, c.subject, c.salt, c.clear
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
	return source.end()
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
		err = v.note(o.Leaf.Clear)
		if err != nil {
			return fmt.Errorf("event %d: %w", event.Sequence, err)
		}
	}
	return nil
}

func scanEvent(rows *sql.Rows) (audit.Event, audit.Digest, error) {
	var e audit.Event
	var at int64
	var leaves, previous, stored []byte
	err := rows.Scan(&e.Sequence, &at, &e.Actor, &e.Action, &leaves, &previous, &stored)
	if err != nil {
		return e, audit.Digest{}, fmt.Errorf("reading an event: %w", err)
	}
	e.Time = time.UnixMilli(at).UTC()
	copy(e.Leaves[:], leaves)
	copy(e.Previous[:], previous)
	var hash audit.Digest
	copy(hash[:], stored)
	return e, hash, nil
}

// leafReader gives out the leaves of one event after the other.
type leafReader struct {
	rows    *sql.Rows
	pending *audit.Opened
	event   int64 // of pending
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
	var commitment, salt, clear []byte
	var subject sql.NullString
	err := r.rows.Scan(&r.event, &commitment, &subject, &salt, &clear)
	if err != nil {
		return fmt.Errorf("reading a leaf: %w", err)
	}
	copy(o.Commitment[:], commitment)
	o.Erased = !subject.Valid
	o.Leaf = audit.Leaf{Subject: subject.String, Clear: clear}
	copy(o.Leaf.Salt[:], salt)
	r.pending = &o
	return nil
}
