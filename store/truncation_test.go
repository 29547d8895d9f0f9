package store

import (
	"errors"
	"fmt"
	"testing"

	"cpsca/audit"
)

func TestOnlyAnOutsideHeadFindsATruncatedJournal(t *testing.T) {
	path := furnished(t)
	whole, err := tampered(t, path)
	if err != nil {
		t.Fatal(err)
	}
	// The last decision recorded one card: it is undone to the row, as by a
	// restored backup.
	db := openLedger(t, path)
	o := ordered(t, db)
	after, err := db.VerifyJournal(t.Context(), nil)
	if err != nil || after.Head.Sequence != whole.Head.Sequence+2 {
		t.Fatalf("the journal ends at %d, %v", after.Head.Sequence, err)
	}
	err = db.Close()
	if err != nil {
		t.Fatal(err)
	}
	last := after.Head.Sequence
	report, err := tampered(t, path,
		fmt.Sprintf("DELETE FROM journal_clear WHERE event = %d", last), fmt.Sprintf("DELETE FROM journal_leaves WHERE event = %d", last),
		fmt.Sprintf("DELETE FROM journal WHERE sequence = %d", last), fmt.Sprintf("DELETE FROM card_steps WHERE journal = %d", last),
		fmt.Sprintf("DELETE FROM cards WHERE order_id = '%s'", o.ID), fmt.Sprintf("DELETE FROM orders WHERE id = '%s'", o.ID))
	if err != nil || report.Head.Sequence != last-1 {
		t.Fatalf("a consistent truncation is seen without a head from outside: %v", err)
	}
	if report.Head == after.Head {
		t.Fatal("the truncated journal ends where the whole one did")
	}
	// What an auditor with the outside head does.
	var v audit.Verifier
	walk(t, path, &v)
	err = v.Reaches(after.Head)
	if err != nil {
		t.Fatalf("the whole journal: %v", err)
	}
	err = v.Reaches(report.Head)
	if !errors.Is(err, audit.ErrHead) {
		t.Fatalf("got %v, want ErrHead", err)
	}
}

// walk follows the chain of a ledger with audit's own verifier.
func walk(t *testing.T, path string, v *audit.Verifier) {
	t.Helper()
	db, err := OpenReadOnly(at(path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.readers.Query("SELECT sequence, time, actor, action, leaves, previous, hash FROM journal ORDER BY sequence")
	if err != nil {
		t.Fatal(err)
	}
	var events []audit.Event
	for rows.Next() {
		e, _, err := scanEvent(rows)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	_ = rows.Close()
	for _, e := range events {
		leaves := leavesOf(t, db, e.Sequence)
		err = v.Next(e, leaves)
		if err != nil {
			t.Fatal(err)
		}
	}
}

func leavesOf(t *testing.T, db *DB, event int64) []audit.Opened {
	t.Helper()
	rows, err := db.readers.Query("SELECT commitment FROM journal_leaves WHERE event = $1 ORDER BY position", event)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var leaves []audit.Opened
	for rows.Next() {
		o := audit.Opened{Erased: true}
		err = rows.Scan(octets{o.Commitment[:]})
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, o)
	}
	return leaves
}
