package store

import (
	"errors"
	"sync"
	"testing"
	"time"

	"cpsca/card"
)

// metered is a ledger whose bureaux are given no more than quota, and its
// clock, which stands still.
func metered(t *testing.T, quota card.Quota) (*DB, *time.Time) {
	t.Helper()
	c := at(emptyLedger(t))
	now := dawn.Add(30 * time.Minute)
	c.Now, c.Quota = func() time.Time { return now }, func(string) card.Quota { return quota }
	db, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db, &now
}

func attemptsAt(t *testing.T, db *DB, n int) []card.Attempt {
	t.Helper()
	chunk := make([]card.Attempt, n)
	for i := range chunk {
		chunk[i] = attemptAt(t, db, ordered(t, db))
	}
	return chunk
}

func refusedOf(answers []error) (n int) {
	for _, err := range answers {
		if errors.Is(err, card.ErrQuota) {
			n++
		}
	}
	return n
}

func TestABureauIsGivenItsQuotaAndNoMore(t *testing.T) {
	for name, quota := range map[string]card.Quota{"of the hour": {Hour: 5}, "of the day": {Day: 5}, "of the hour below that of the day": {Hour: 5, Day: 6}} {
		t.Run(name, func(t *testing.T) {
			db, at := metered(t, quota)
			chunk := attemptsAt(t, db, 3)
			answers, err := db.Intend(t.Context(), chunk)
			if err != nil || refusedOf(answers) != 0 {
				t.Fatalf("got %v, %v", answers, err)
			}
			chunk = attemptsAt(t, db, 4)
			answers, err = db.Intend(t.Context(), chunk)
			if err != nil || answers[0] != nil || answers[1] != nil || refusedOf(answers) != 2 {
				t.Fatalf("two of four were left: got %v, %v", answers, err)
			}
			var enough *card.QuotaError
			if !errors.As(answers[2], &enough) {
				t.Fatalf("got %v", answers[2])
			}
			want := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
			if quota.Hour == 0 {
				want = time.Date(2026, 1, 6, 0, 0, 0, 0, time.UTC)
			}
			if got := at.Add(enough.After); !got.Equal(want) {
				t.Errorf("more is promised at %v, want %v", got, want)
			}
			checkAll(t, db)
			*at = want.Add(-time.Millisecond)
			answers, err = db.Intend(t.Context(), chunk[2:])
			if err != nil || refusedOf(answers) != 2 {
				t.Fatalf("a millisecond too early: got %v, %v", answers, err)
			}
			*at = want
			answers, err = db.Intend(t.Context(), chunk[2:])
			if err != nil || answers[0] != nil || quota.Day != 6 && answers[1] != nil || quota.Day == 6 && refusedOf(answers) != 1 {
				t.Fatalf("in the next period: got %v, %v", answers, err)
			}
			checkAll(t, db)
		})
	}
}

// Many at once share one quota exactly: it is counted where the intents are
// written.
func TestAQuotaIsNeverExceededByMany(t *testing.T) {
	db, _ := metered(t, card.Quota{Hour: 20})
	var chunks [][]card.Attempt
	for range 8 {
		chunks = append(chunks, attemptsAt(t, db, 5))
	}
	var wait sync.WaitGroup
	for _, chunk := range chunks {
		wait.Go(func() {
			_, err := db.Intend(t.Context(), chunk)
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	count(t, db, 20, "SELECT COUNT(*) FROM attempts")
	count(t, db, 20, "SELECT used FROM quotas WHERE period = 'hour'")
	checkAll(t, db)
}
