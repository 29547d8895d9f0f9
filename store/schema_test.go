package store

import (
	"database/sql"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"cpsca/card"
	"cpsca/registry"
)

// A guard that is taken away, or a helper that is slipped in, is found before
// anything is served.
func TestAChangedSchemaIsRefused(t *testing.T) {
	cases := map[string]string{
		"a unique index is dropped":     "DROP INDEX cards_one_live",
		"a trigger is dropped":          "DROP TRIGGER revocations_stay",
		"a trigger that acts by itself": "CREATE TRIGGER helper AFTER INSERT ON register_events BEGIN DELETE FROM register_events WHERE rowid = NEW.rowid; END",
		"a table nobody knows":          "CREATE TABLE extra (x BIGINT)",
		"a trigger is weakened":         "DROP TRIGGER feed_stay; CREATE TRIGGER feed_stay BEFORE DELETE ON feed BEGIN SELECT 1; END",
	}
	for name, statement := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ledger.db")
			err := Create(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := sql.Open("sqlite3", path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = raw.Exec(statement)
			err = errors.Join(err, raw.Close())
			if err != nil {
				t.Fatal(err)
			}
			db, err := Open(t.Context(), Config{Path: path})
			if err == nil {
				db.Close()
			}
			if !errors.Is(err, ErrSchema) {
				t.Fatalf("got %v, want ErrSchema", err)
			}
		})
	}
}

// A profession that the last import of a person does not give any more is not
// held any more; while an import is under way the earlier rows count.
func TestAPracticeThatTheRegisterDropsIsNotHeld(t *testing.T) {
	db := newLedger(t)
	id := newHolder()
	held := func() int {
		t.Helper()
		p, _, _, err := db.Holder(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return len(p.Practices)
	}
	bring := func(rows ...registry.PersonRow) *Import {
		t.Helper()
		i, err := db.BeginImport(t.Context(), "officer", "persons", "file")
		if err == nil {
			err = i.Persons(t.Context(), rows)
		}
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	finish := func(i *Import) {
		t.Helper()
		err := i.Finish(t.Context(), &registry.Report{})
		if err != nil {
			t.Fatal(err)
		}
	}
	finish(bring(row(id, "Roux", 10, "C"), row(id, "Roux", 60, "C")))
	if held() != 2 {
		t.Fatalf("got %d practices, want both", held())
	}
	second := bring(row(id, "Roux", 60, "C"))
	if held() != 2 {
		t.Fatalf("got %d practices while the second import is under way, want both", held())
	}
	finish(second)
	if held() != 1 {
		t.Fatalf("got %d practices, want the one that is left", held())
	}
}

// The journal keeps what the register said when a card was issued, whatever
// becomes of the register.
func TestTheGroundsOfAnIssuanceAreInTheJournal(t *testing.T) {
	db := newLedger(t)
	o := ordered(t, db)
	a := attemptAt(t, db, o)
	a.Grounds = []byte(`{"person":{"id":"` + string(o.Holder) + `"}}`)
	intend(t, db, a)
	var clear string
	err := db.readers.QueryRow("SELECT clear FROM journal_clear WHERE subject = $1 ORDER BY event DESC LIMIT 1", "order "+string(o.ID)).Scan(&clear)
	if err != nil {
		t.Fatal(err)
	}
	var leaf struct{ Grounds json.RawMessage }
	err = json.Unmarshal([]byte(clear), &leaf)
	if err != nil || string(leaf.Grounds) != string(a.Grounds) {
		t.Fatalf("got %s, %v", leaf.Grounds, err)
	}
	checkAll(t, db)
	if !strings.Contains(clear, string(card.Authentication)) {
		t.Fatal("the grounds stand alone in their leaf")
	}
}
