package store

import (
	"testing"

	"cpsca/card"
)

func TestTheLedgerTellsHowItStands(t *testing.T) {
	db, at := metered(t, card.Quota{Hour: 5})
	chunk := attemptsAt(t, db, 3)
	_, err := db.Intend(t.Context(), chunk)
	if err != nil {
		t.Fatal(err)
	}
	record(t, db, chunk[0], card.GateChip)
	s, err := db.Standing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Open != 2 || s.Journal != db.write.journal.Sequence || s.Feed != 8 || s.File == 0 || s.Log == 0 || s.Free <= 0 || !s.Issuing {
		t.Errorf("got %+v", s)
	}
	want := []card.QuotaUse{{Bureau: "bureau", Period: "hour", Used: 3, Bound: 5}, {Bureau: "bureau", Period: "day", Used: 3}}
	if len(s.Quotas) != 2 || s.Quotas[0] != want[0] || s.Quotas[1] != want[1] {
		t.Errorf("got %+v, want %+v", s.Quotas, want)
	}
	*at = at.AddDate(0, 0, 1)
	s, err = db.Standing(t.Context())
	if err != nil || len(s.Quotas) != 0 {
		t.Errorf("the next day: got %+v, %v", s.Quotas, err)
	}
}
