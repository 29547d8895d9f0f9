package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"cpsca/card"
)

// What the unique indexes alone know is still the refusal of one attempt.
func TestARefusalThatOnlyTheDatabaseKnowsIsThatAttemptsAlone(t *testing.T) {
	for index, want := range map[string]error{
		"intents.issuer, intents.serial": card.ErrSerialTaken, "attempts.order_id": card.ErrInFlight, "keys.fingerprint": card.ErrKeyKnown,
	} {
		table, _, _ := strings.Cut(index, ".")
		t.Run(table, func(t *testing.T) {
			db := newLedger(t)
			chunk := []card.Attempt{attemptAt(t, db, ordered(t, db)), attemptAt(t, db, ordered(t, db)), attemptAt(t, db, ordered(t, db))}
			condition := map[string]string{
				"intents": fmt.Sprintf("NEW.serial = x'%x'", chunk[1].Intents[1].Serial[:]), "attempts": fmt.Sprintf("NEW.order_id = '%s'", chunk[1].Order),
				"keys": fmt.Sprintf("NEW.fingerprint = x'%x'", chunk[1].Intents[0].Key[:]),
			}[table]
			collide(t, db, table, index, condition)
			before := content(t, db)
			answers, err := db.Intend(t.Context(), chunk)
			if err != nil || answers[0] != nil || !errors.Is(answers[1], want) || answers[2] != nil {
				t.Fatalf("got %v, %v, want only the second refused with %v", answers, err, want)
			}
			after := content(t, db)
			for i, more := range []int{2, 4, 4, 4, 1, 4} {
				if after[i] != before[i]+more {
					t.Errorf("attempts, intents, keys, feed, journal, leaves: %v became %v", before, after)
				}
			}
			checkAll(t, db)
			record(t, db, chunk[2], card.GateHold)
			checkAll(t, db)
		})
	}
}

// A chunk longer than any batch and any list, with its refusals at the seams.
func TestAChunkOfAnyLengthIsWrittenWhole(t *testing.T) {
	db := newLedger(t)
	for _, length := range []int{3, 5, 17, 65, 300} {
		var chunk []card.Attempt
		for range length {
			chunk = append(chunk, attemptAt(t, db, ordered(t, db)))
		}
		chunk[0].Order = "nowhere"
		chunk[length-1].Intents[1].Key = chunk[length-2].Intents[1].Key
		answers, err := db.Intend(t.Context(), chunk)
		if err != nil || !errors.Is(answers[0], card.ErrOrderUnknown) || !errors.Is(answers[length-1], card.ErrKeyKnown) {
			t.Fatalf("got %v, %v", answers, err)
		}
		var signed []card.Signed
		for i, a := range chunk[1 : length-1] {
			if answers[i+1] != nil {
				t.Fatalf("attempt %d of %d: %v", i+1, length, answers[i+1])
			}
			signed = append(signed, sign(a))
		}
		err = db.Record(t.Context(), signed, card.GateChip)
		if err != nil {
			t.Fatal(err)
		}
	}
	checkAll(t, db)
}

// collide makes the database refuse a row as a unique index would.
func collide(t *testing.T, db *DB, table, index, condition string) {
	t.Helper()
	if server == nil {
		_, err := db.write.conn.ExecContext(t.Context(), "CREATE TEMP TRIGGER collision BEFORE INSERT ON "+table+" WHEN "+condition+
			" BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: "+index+"'); END")
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	name := map[string]string{"intents": "intents_issuer_serial_key", "attempts": "attempts_one_open", "keys": "keys_pkey"}[table]
	_, err := rawly(t, place(db), "").Exec("CREATE FUNCTION collision() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN " +
		"RAISE EXCEPTION 'a collision' USING ERRCODE = 'unique_violation', CONSTRAINT = '" + name + "'; END $$; " +
		"CREATE TRIGGER collision BEFORE INSERT ON " + table + " FOR EACH ROW WHEN (" + inDialect(condition) + ") EXECUTE FUNCTION collision()")
	if err != nil {
		t.Fatal(err)
	}
}
