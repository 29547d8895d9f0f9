package store

import (
	"errors"
	"slices"
	"testing"

	"cpsca/card"
)

func TestAbandonEarlierAbandonsEveryOpenIntentOfEarlierEpochs(t *testing.T) {
	db := newLedger(t)
	var open []card.Attempt
	for range 3 {
		open = append(open, intend(t, db, attemptAt(t, db, ordered(t, db))))
	}
	kept, _ := personalised(t, db, card.GateChip)
	loose := newIntent("", "ocsp")
	err := db.IntendInfrastructure(t.Context(), "init", loose, false)
	if err != nil {
		t.Fatal(err)
	}
	next := openLedger(t, place(db))
	mine := intend(t, next, attemptAt(t, next, ordered(t, next)))
	n, err := next.AbandonEarlier(t.Context())
	if err != nil || n != 4 {
		t.Fatalf("got %d, %v, want 4", n, err)
	}
	n, err = next.AbandonEarlier(t.Context())
	if err != nil || n != 0 {
		t.Fatalf("a second time: got %d, %v, want 0", n, err)
	}
	for _, a := range open {
		if got := statuses(t, next, card.Signed{Attempt: a}); !slices.Equal(got, []card.Status{card.StatusRevoked, card.StatusRevoked}) {
			t.Fatalf("got %v", got)
		}
	}
	r, _ := imageOf(t, next).Lookup(loose.Issuer, loose.Serial)
	if r.Status != card.StatusRevoked {
		t.Fatalf("the infrastructure's intent is %s", r.Status)
	}
	record(t, next, mine, card.GateChip)
	record(t, next, intend(t, next, again(open[0])), card.GateChip)
	count(t, next, 3, "SELECT COUNT(*) FROM journal_clear WHERE event = (SELECT MAX(sequence) FROM journal WHERE action = 'abandon earlier intents') AND subject LIKE 'order %'")
	if kept.State != card.Personalised {
		t.Fatal("a recorded card was touched")
	}
	checkAll(t, next)
}

func TestTheOlderOfTwoProcessesIsFencedAndChangesNothing(t *testing.T) {
	older := newLedger(t)
	o := ordered(t, older)
	a := intend(t, older, attemptAt(t, older, o))
	c, _ := personalised(t, older, card.GateChip)
	newer := openLedger(t, place(older))
	if newer.Epoch() <= older.Epoch() {
		t.Fatalf("epochs %d and %d", older.Epoch(), newer.Epoch())
	}
	before := content(t, newer)
	cases := map[string]func() error{
		"Intend":  func() error { _, err := older.Intend(t.Context(), []card.Attempt{attemptAt(t, older, o)}); return err },
		"Record":  func() error { return older.Record(t.Context(), []card.Signed{sign(a)}, card.GateChip) },
		"Abandon": func() error { return older.Abandon(t.Context(), "authority", []card.Attempt{a}) },
		"Apply": func() error {
			return older.Apply(t.Context(), card.Decision{Actor: "desk", Action: "activate", At: dawn, Changes: []card.Change{step(t, c, card.Activate, dawn)}})
		},
		"AbandonEarlier": func() error { _, err := older.AbandonEarlier(t.Context()); return err },
		"ReserveNumber":  func() error { _, err := older.ReserveNumber(t.Context(), testIssuer, dawn, dawn); return err },
	}
	for name, f := range cases {
		err := f()
		if !errors.Is(err, card.ErrFenced) {
			t.Errorf("%s: got %v, want ErrFenced", name, err)
		}
	}
	if content(t, newer) != before {
		t.Error("the fenced process changed the ledger")
	}
	// An intent of the older epoch cannot be recorded by the newer one either.
	err := newer.Record(t.Context(), []card.Signed{sign(a)}, card.GateChip)
	if !errors.Is(err, card.ErrStale) {
		t.Errorf("recording an intent of another epoch: got %v, want ErrStale", err)
	}
	ordered(t, newer)
	checkAll(t, newer)
}
