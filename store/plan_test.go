package store

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"cpsca/card"
	"cpsca/officer"
)

// TestNoStatementReadsAWholeTable asks SQLite how it runs each statement that
// the writer has prepared, and each that the doors and the nodes wait for.
func TestNoStatementReadsAWholeTable(t *testing.T) {
	db := newLedger(t)
	everyMove(t, db)
	var statements []string
	for s := range db.write.statements {
		if !strings.HasPrefix(s, "INSERT") && !strings.Contains(s, "SAVEPOINT") {
			statements = append(statements, s)
		}
	}
	if len(statements) < 20 {
		t.Fatalf("only %d statements were prepared", len(statements))
	}
	for _, s := range statements {
		earlier := strings.Contains(s, "epoch < ")
		for _, line := range plan(t, db, s) {
			if line == "SCAN CONSTANT ROW" || line == "SCAN given" { // what the statement itself brings
				continue
			}
			if earlier && line == "SCAN i USING INDEX intents_of_infrastructure" {
				continue
			}
			if strings.HasPrefix(line, "SCAN") || strings.Contains(line, "TEMP B-TREE") {
				t.Errorf("%s\n%s", line, s)
			}
			if !earlier && strings.Contains(line, "attempts_intent") {
				t.Errorf("%s: it reads all that is open\n%s", line, s)
			}
		}
	}
	for _, s := range []string{
		"SELECT id FROM orders o WHERE o.bureau = $1 AND o.state = $2 AND (o.created, o.id) > (SELECT p.created, p.id FROM orders p WHERE p.id = $3) ORDER BY o.created, o.id LIMIT $4",
		"SELECT id FROM orders o WHERE o.state = $1 ORDER BY o.created, o.id LIMIT $2",
		"SELECT " + cardColumns + " FROM cards WHERE holder = $1 ORDER BY id",
		"SELECT use, fingerprint FROM keys WHERE card_id = $1",
		"SELECT id FROM loss_reports WHERE card_id = $1 ORDER BY id",
		"SELECT at FROM card_steps WHERE card_id = $1 ORDER BY journal",
		"SELECT sequence FROM feed WHERE sequence > $1 ORDER BY sequence LIMIT $2",
		"SELECT serial FROM revocations WHERE issuer = $1",
	} {
		for _, line := range plan(t, db, s) {
			if strings.HasPrefix(line, "SCAN") && !strings.Contains(line, "INDEX") {
				t.Errorf("%s\n%s", line, s)
			}
		}
	}
}

// everyMove makes the writer prepare what it has.
func everyMove(t *testing.T, db *DB) {
	t.Helper()
	abandoned(t, db)
	c, _ := personalised(t, db, card.GateHold)
	c = moved(t, db, c.Number, card.Activate, dawn)
	apply(t, db, lossOf(t, c, orderFor(c.Holder, card.Replacement, c.Number)))
	c, _ = personalised(t, db, card.GateChip)
	moved(t, db, c.Number, card.Spoil, dawn)
	i := newIntent("", "ocsp")
	renewed := newIntent("", "ocsp")
	renewed.Key = i.Key
	for _, err := range []error{
		db.IntendInfrastructure(t.Context(), "init", i, false),
		db.RecordInfrastructure(t.Context(), "init", i, []byte{1}),
		db.IntendInfrastructure(t.Context(), "init", renewed, true),
		db.AbandonInfrastructure(t.Context(), "init", renewed),
		db.RevokeInfrastructure(t.Context(), "init", i.Issuer, i.Serial, card.Superseded),
		db.Enrol(t.Context(), "init", officer.Enrolment{Person: "Zoe", Role: officer.Desk}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := db.ReserveNumber(t.Context(), testIssuer, dawn, dawn)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.AbandonEarlier(t.Context())
	if err != nil {
		t.Fatal(err)
	}
}

func plan(t *testing.T, db *DB, statement string) []string {
	t.Helper()
	places := 0
	for strings.Contains(statement, fmt.Sprintf("$%d", places+1)) {
		places++
	}
	rows, err := db.write.conn.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+statement, make([]any, places)...)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var line string
		var skip sql.RawBytes
		err = rows.Scan(&skip, &skip, &skip, &line)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, line)
	}
	return out
}
