package store

import (
	"errors"
	"sync"
	"testing"

	"cpsca/card"
)

// crowd holds the ledger until all of works wait for it, then lets them in, and
// returns what came of each and how many commits they took.
func crowd(t *testing.T, db *DB, works ...func() error) ([]error, int64) {
	t.Helper()
	release, err := db.turn.take(t.Context(), urgent)
	if err != nil {
		t.Fatal(err)
	}
	before := db.commits.Load()
	outcomes := make([]error, len(works))
	var wait sync.WaitGroup
	for i, work := range works {
		wait.Go(func() { outcomes[i] = work() })
	}
	waitFor(&db.turn, len(works))
	release()
	wait.Wait()
	return outcomes, db.commits.Load() - before
}

func TestThoseWhoWaitShareACommit(t *testing.T) {
	db := newLedger(t)
	chunks := make([][]card.Attempt, 12)
	works := make([]func() error, 12)
	for i := range chunks {
		chunks[i] = attemptsAt(t, db, 2)
		works[i] = func() error { _, err := db.Intend(t.Context(), chunks[i]); return err }
	}
	before := db.write.journal.Sequence
	outcomes, commits := crowd(t, db, works...)
	if err := errors.Join(outcomes...); err != nil || commits != 1 {
		t.Fatalf("%d commits, %v", commits, err)
	}
	if events := db.write.journal.Sequence - before; events != 12 {
		t.Errorf("%d events of the journal for 12 decisions", events)
	}
	count(t, db, 24, "SELECT used FROM quotas WHERE period = 'day'")
	checkAll(t, db)
	for i := range works {
		works[i] = func() error {
			return db.Record(t.Context(), []card.Signed{sign(chunks[i][0]), sign(chunks[i][1])}, card.GateHold)
		}
	}
	outcomes, commits = crowd(t, db, works...)
	if err := errors.Join(outcomes...); err != nil || commits != 1 {
		t.Fatalf("%d commits, %v", commits, err)
	}
	checkAll(t, db)
}

// What one is refused undoes itself alone, and he alone hears of it.
func TestARefusalInASharedCommitIsItsOwn(t *testing.T) {
	db := newLedger(t)
	chunk := attemptsAt(t, db, 4)
	stranger := sign(attemptAt(t, db, ordered(t, db))) // never intended
	bad := attemptAt(t, db, ordered(t, db))
	bad.Intents[0].Key = chunk[0].Intents[0].Key
	good := func(i int) func() error {
		return func() error { _, err := db.Intend(t.Context(), chunk[i:i+1]); return err }
	}
	var answers []error
	holder := newHolder()
	half := []card.Order{orderFor(newHolder(), card.First, ""), orderFor(holder, card.First, ""), orderFor(holder, card.First, "")}
	works := []func() error{
		good(0), good(1),
		// It has opened two orders when the third is refused.
		func() error {
			return db.Apply(t.Context(), card.Decision{Actor: "desk", Action: "order", At: dawn, Opens: half})
		},
		func() error { return db.Record(t.Context(), []card.Signed{stranger}, card.GateChip) },
		func() error {
			return db.RevokeInfrastructure(t.Context(), "officer", testIssuer, card.Serial{1}, card.Superseded)
		},
		good(2), good(3),
	}
	outcomes, _ := crowd(t, db, works...)
	for i, want := range []error{nil, nil, card.ErrWaitingCard, card.ErrStale, card.ErrNotFound, nil, nil} {
		if !errors.Is(outcomes[i], want) {
			t.Errorf("work %d: got %v, want %v", i, outcomes[i], want)
		}
	}
	answers, err := db.Intend(t.Context(), []card.Attempt{bad})
	if err != nil || !errors.Is(answers[0], card.ErrKeyKnown) {
		t.Errorf("got %v, %v", answers, err)
	}
	count(t, db, 4, "SELECT COUNT(*) FROM attempts")
	for _, o := range half {
		count(t, db, 0, "SELECT COUNT(*) FROM orders WHERE id = $1", string(o.ID))
	}
	checkAll(t, db)
}

// A long change is not made longer by those who wait.
func TestALongChangeTakesNobodyAlong(t *testing.T) {
	db := newLedger(t)
	var works []func() error
	for range 4 {
		chunk := attemptsAt(t, db, 256)
		works = append(works, func() error { _, err := db.Intend(t.Context(), chunk); return err })
	}
	outcomes, commits := crowd(t, db, works...)
	if err := errors.Join(outcomes...); err != nil || commits < 2 {
		t.Fatalf("%d commits for four full chunks, %v", commits, err)
	}
	checkAll(t, db)
}
