package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"cpsca/audit"
)

// decide closes the leaves gathered so far with one event of the journal.
func (t *transaction) decide(actor, action string) error {
	err := t.flush()
	if err != nil {
		return err
	}
	if !journalled {
		t.leaves = nil
		return nil
	}
	if t.feed != t.feedSaid {
		t.about("feed")
		err = t.commitTo(feedEnds, []any{int64(t.feed.sequence), t.feed.hash[:]})
		if err != nil {
			return err
		}
	}
	event := audit.Event{Sequence: t.journal.Sequence + 1, Time: t.at, Actor: actor, Action: action, Previous: t.journal.Hash}
	commitments := make([]audit.Digest, len(t.leaves))
	opened := make([]audit.Leaf, len(t.leaves))
	for i, l := range t.leaves {
		clear, err := clearText(l)
		if err != nil {
			return fmt.Errorf("deciding %s: %w", action, err)
		}
		opened[i] = audit.Leaf{Subject: l.subject, Clear: clear, Salt: audit.NewSalt()}
		commitments[i] = opened[i].Commitment()
	}
	event.Leaves = audit.LeavesDigest(commitments)
	hash, err := event.Hash()
	if err != nil {
		return fmt.Errorf("deciding %s: %w", action, err)
	}
	err = t.exec("INSERT INTO journal (sequence, time, actor, action, leaves, previous, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		event.Sequence, event.Time.UnixMilli(), event.Actor, event.Action, event.Leaves[:], event.Previous[:], hash[:])
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	var leaves, clear []any
	for i, l := range opened {
		leaves = append(leaves, event.Sequence, int64(i), commitments[i][:])
		clear = append(clear, event.Sequence, int64(i), l.Subject, l.Salt[:], l.Clear)
	}
	err = errors.Join(t.write(journalLeaves, leaves), t.write(journalClear, clear))
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	t.journal = audit.Head{Sequence: event.Sequence, Hash: hash}
	t.leaves, t.feedSaid = nil, t.feed
	return nil
}

// Note writes a decision into the journal that changes no row, such as what
// became of the HSM. actor and action are those of audit.Event.
func (db *DB) Note(ctx context.Context, actor, action string) error {
	return db.change(ctx, urgent, func(t *transaction) error { return t.decide(actor, action) })
}

// sequence is the number of the event that will decide what is being changed.
func (t *transaction) sequence() int64 { return t.journal.Sequence + 1 }

// clearText is what a leaf commits to: its subject, the canonical rows, and the
// grounds of the decision where it has some.
func clearText(l leaf) ([]byte, error) {
	b := make([]byte, 0, len(l.rows)+len(l.grounds)+128)
	b, err := appendText(append(b, `{"subject":`...), l.subject)
	if err != nil {
		return nil, fmt.Errorf("encoding the subject: %w", err)
	}
	b = append(b, `,"rows":[`...)
	b = append(b, l.rows...)
	b = append(b, ']')
	if l.grounds != nil {
		b = append(append(b, `,"grounds":`...), l.grounds...)
	}
	return append(b, '}'), nil
}

// ErrRow is returned by VerifyJournal when a row of the ledger is not what the
// journal last committed to, is missing, or was never decided.
var ErrRow = errors.New("a row differs from the journal")

// ErrErased is returned by VerifyJournal when clear text is missing that no
// act of erasure took away.
var ErrErased = errors.New("clear text of the journal is missing")

// JournalReport is what VerifyJournal saw.
type JournalReport struct {
	Head   audit.Head `json:"head"`
	Leaves int        `json:"leaves"`
	Erased int        `json:"erased"` // leaves whose clear text was erased
	Rows   int        `json:"rows"`   // rows compared with the journal
}

// VerifyJournal walks the journal from its first event, checks every leaf, and
// then recomputes each row of the protected tables from the last leaf that
// names it. Errors wrap those of audit.Verifier, ErrRow or ErrErased. It reads one
// snapshot and may run beside the process that writes. progress, if not nil,
// is called with the number of events done and to do.
func (db *DB) VerifyJournal(ctx context.Context, progress func(done, all int64)) (JournalReport, error) {
	tx, err := db.readers.BeginTx(ctx, nil)
	if err != nil {
		return JournalReport{}, fmt.Errorf("reading the journal: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	return verify(ctx, tx, progress)
}

func verify(ctx context.Context, tx *sql.Tx, progress func(done, all int64)) (JournalReport, error) {
	v := verification{ctx: ctx, tx: tx, last: make(map[string]rowDigest), progress: progress}
	err := v.walk()
	if err != nil {
		return v.report, err
	}
	if v.report.Erased > 0 {
		return v.report, fmt.Errorf("%w: %d leaves", ErrErased, v.report.Erased)
	}
	for _, tab := range protected {
		err = v.compare(tab)
		if err != nil {
			return v.report, err
		}
	}
	err = v.compareFeed()
	if err != nil {
		return v.report, err
	}
	for name := range v.last {
		return v.report, fmt.Errorf("%w: %s is missing", ErrRow, plain(name))
	}
	return v.report, nil
}

type rowDigest [sha256.Size]byte

// note remembers the last text that the journal committed to for each row.
func (v *verification) note(l audit.Leaf) error {
	var text struct {
		Subject string
		Rows    []json.RawMessage
	}
	err := json.Unmarshal(l.Clear, &text)
	if err != nil {
		return fmt.Errorf("reading a leaf: %w", err)
	}
	if text.Subject != l.Subject {
		return fmt.Errorf("%w: it is filed under another subject", audit.ErrLeaf)
	}
	for _, row := range text.Rows {
		if bytes.HasPrefix(row, []byte(feedEnds.labels[0])) {
			v.feedEnd = row
			continue
		}
		name, err := rowName(row)
		if err != nil {
			return err
		}
		v.last[name] = sha256.Sum256(row)
	}
	return nil
}

// rowName is the table and primary key of a canonical row: its leading
// members, cut from the text.
func rowName(row []byte) (string, error) {
	for _, tab := range protected {
		if !bytes.HasPrefix(row, []byte(tab.labels[0])) {
			continue
		}
		end := bytes.Index(row, []byte(tab.labels[tab.key]))
		if end < 0 {
			break
		}
		return string(row[:end]), nil
	}
	return "", fmt.Errorf("%w: the journal names a row of an unknown table", ErrRow)
}

func (v *verification) compare(tab *table) error {
	rows, err := v.tx.QueryContext(v.ctx, "SELECT "+tab.list+" FROM "+tab.name)
	if err != nil {
		return fmt.Errorf("reading %s: %w", tab.name, err)
	}
	defer rows.Close()
	for rows.Next() {
		values, err := scanRow(rows, len(tab.columns))
		if err != nil {
			return fmt.Errorf("reading %s: %w", tab.name, err)
		}
		text, err := tab.canonical(values)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrRow, err)
		}
		name, err := rowName(text)
		if err != nil {
			return err
		}
		want, known := v.last[name]
		if !known {
			return fmt.Errorf("%w: nothing in the journal decided %s", ErrRow, plain(name))
		}
		if sha256.Sum256(text) != want {
			return fmt.Errorf("%w: %s was changed outside the journal", ErrRow, plain(name))
		}
		delete(v.last, name)
		v.report.Rows++
	}
	return rows.Err()
}

func plain(name string) string {
	return strings.NewReplacer(`{"table":`, "", `"`, "").Replace(name)
}
