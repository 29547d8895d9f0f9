package store

import (
	"os"
	"testing"

	"cpsca/card"
)

func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func TestTheLogIsMovedIntoTheFileBesideTheChanges(t *testing.T) {
	db := newLedger(t)
	var bound int
	err := db.write.conn.QueryRowContext(t.Context(), "PRAGMA wal_autocheckpoint").Scan(&bound)
	if err != nil || bound != logBound {
		t.Fatalf("the log is bound to %d pages, %v, want %d", bound, err, logBound)
	}
	first := sizeOf(t, db.config.Path)
	for round := 0; sizeOf(t, db.config.Path) == first; round++ {
		if sizeOf(t, db.config.Path+"-wal") > 4096*logBound/2 {
			t.Fatalf("after %d rounds all is in the log", round)
		}
		orders := make([]card.Order, 256)
		for i := range orders {
			orders[i] = orderFor(newHolder(), card.First, "")
		}
		apply(t, db, card.Decision{Actor: "desk", Action: "order", At: dawn, Opens: orders})
		chunk := make([]card.Attempt, len(orders))
		for i, o := range orders {
			chunk[i] = attemptAt(t, db, o)
		}
		_, err = db.Intend(t.Context(), chunk)
		if err != nil {
			t.Fatal(err)
		}
	}
	checkAll(t, db)
}
