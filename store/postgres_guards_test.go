package store

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cpsca/card"
	"cpsca/testpostgres"

	"github.com/jackc/pgx/v5/pgconn"
)

// code is the SQLSTATE of an error.
func code(err error) string {
	var p *pgconn.PgError
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}

const (
	forbidden   = "42501" // insufficient_privilege
	isUnique    = "23505" // unique_violation
	isViolation = "23"    // the class of integrity constraints
)

// ledgerTables are all but the migrations' own, with their columns.
func ledgerTables(t *testing.T, raw *sql.DB) map[string][]string {
	t.Helper()
	out := make(map[string][]string)
	for _, name := range texts(t, raw, "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'goose_db_version'") {
		out[name] = texts(t, raw, "SELECT attname FROM pg_attribute WHERE attrelid = '"+name+"'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum")
	}
	if len(out) < 20 {
		t.Fatalf("only %d tables", len(out))
	}
	return out
}

func TestPostgresTheAuthorityMayDoNoMoreThanItNeeds(t *testing.T) {
	place := furnished(t)
	authority, auditor, owner := rawly(t, place, testpostgres.Authority), rawly(t, place, testpostgres.Auditor), rawly(t, place, testpostgres.Owner)
	refuse := func(db *sql.DB, who, statement string) {
		t.Helper()
		_, err := db.Exec(statement)
		if code(err) != forbidden {
			t.Errorf("%s: %s: got %v", who, statement, err)
		}
	}
	// What an import says again replaces what the last one said.
	overwritten := map[string]bool{"persons": true, "practices": true, "contacts": true}
	for table, columns := range ledgerTables(t, owner) {
		for _, statement := range []string{"DELETE FROM " + table, "TRUNCATE " + table} {
			refuse(authority, "the authority", statement)
			refuse(auditor, "the auditor", statement)
			if table != "journal_clear" {
				refuse(owner, "the owner", statement)
			}
		}
		refuse(authority, "the authority", "ALTER TABLE "+table+" ADD extra BIGINT")
		refuse(authority, "the authority", "DROP TABLE "+table)
		refuse(auditor, "the auditor", "INSERT INTO "+table+" SELECT * FROM "+table)
		refuse(auditor, "the auditor", "UPDATE "+table+" SET "+columns[0]+" = "+columns[0])
		for _, column := range columns {
			statement := "UPDATE " + table + " SET " + column + " = " + column + " WHERE false"
			_, err := authority.Exec(statement)
			if overwritten[table] {
				continue
			}
			if may := slices.Contains(mutable[table], column); may != (err == nil) || err != nil && code(err) != forbidden {
				t.Errorf("%s: got %v, may it: %t", statement, err, may)
			}
		}
		var n int
		err := auditor.QueryRow("SELECT COUNT(*) FROM " + table).Scan(&n)
		if err != nil {
			t.Errorf("the auditor reads %s: %v", table, err)
		}
	}
	refuse(authority, "the authority", "CREATE TABLE extra (x BIGINT)")
	_, err := owner.Exec("DELETE FROM journal_clear WHERE event = 1")
	if err != nil {
		t.Errorf("the owner erases: %v", err)
	}
}

func TestPostgresFinalStatesStayAsTheyAre(t *testing.T) {
	raw := rawly(t, furnished(t), "") // not even the superuser, unless triggers are switched off
	for what, statement := range map[string]string{
		"a revocation taken back":      "UPDATE revocations SET status = 'good' WHERE status = 'revoked'",
		"another number for a card":    "UPDATE cards SET number = '7777777777' WHERE number IS NOT NULL",
		"a revoked card made active":   "UPDATE cards SET state = 'active' WHERE state = 'revoked'",
		"a state that is none":         "UPDATE orders SET state = 'lost'",
		"a status that is none":        `INSERT INTO revocations SELECT issuer, '\x11', 'unknown', since, reason, invalidity, not_after, cause FROM revocations LIMIT 1`,
		"two open attempts of a order": "INSERT INTO attempts SELECT order_id, attempt + 1, card_id, requester, epoch, 'intent', opened, NULL FROM attempts WHERE state = 'recorded'",
		"a serial of another use":      "INSERT INTO intents SELECT number + 1000, issuer, serial, NULL, NULL, 'tls', '', profile, 1, profile_hash, key_fingerprint, 1, 2, tbs, 1 FROM intents LIMIT 1",
		"a step of no card":            "INSERT INTO card_steps SELECT card_id + 1000, journal, event, origin, outcome, actor, at FROM card_steps",
	} {
		_, err := raw.Exec(statement)
		if !strings.HasPrefix(code(err), isViolation) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

func TestPostgresTheIndexesStateTheLaw(t *testing.T) {
	db := newLedger(t)
	c, _ := personalised(t, db, card.GateChip)
	moved(t, db, c.Number, card.Activate, dawn)
	apply(t, db, card.Decision{Actor: "desk", Action: "order", At: dawn, Opens: []card.Order{orderFor(c.Holder, card.Renewal, c.Number)}})
	raw := rawly(t, place(db), "")
	try := func(statement string) error {
		t.Helper()
		tx, err := raw.Begin()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback() }()
		_, err = tx.Exec(statement)
		return err
	}
	for _, s := range card.States {
		err := try(fmt.Sprintf("INSERT INTO cards SELECT id + 100, order_id, NULL, holder, profession, type, form, bureau, '%s', since, created, expires, activated FROM cards WHERE state = 'active'", s))
		if (code(err) == isUnique) != (s.Live() || s.Waiting()) || err != nil && code(err) != isUnique {
			t.Errorf("inserting a second card that is %s: got %v", s, err)
		}
	}
	for _, change := range [][2]card.State{{card.Ordered, card.Active}, {card.Ordered, card.Held}, {card.Active, card.Ordered}, {card.Active, card.Personalised}, {card.Active, card.Dispatched}} {
		err := try(fmt.Sprintf("UPDATE cards SET state = '%s' WHERE state = '%s'", change[1], change[0]))
		if code(err) != isUnique {
			t.Errorf("%s becomes %s: got %v", change[0], change[1], err)
		}
	}
	err := try("INSERT INTO cards SELECT id + 200, order_id, NULL, holder, profession + 1, type, form, bureau, state, since, created, expires, activated FROM cards WHERE state = 'active'")
	if err != nil {
		t.Errorf("a live card of another profession: %v", err)
	}
}

// forge is how an intruder changes a value of a type into another one.
var forge = map[string]string{
	"bigint": "COALESCE(%[1]s, 0) + 1",
	"text":   "COALESCE(%[1]s, '') || 'x'",
	"bytea":  `COALESCE(%[1]s, '\x') || '\x00'`,
}

// TestPostgresTampering lets a superuser change every column, and take away and
// double a row of every table, in transactions that are undone.
func TestPostgresTampering(t *testing.T) {
	raw, _ := unguarded(t, furnished(t))
	tables := ledgerTables(t, raw)
	for _, register := range []string{"persons", "practices", "register_events", "contacts"} {
		delete(tables, register) // each import is one event
	}
	for _, constraint := range texts(t, raw, `SELECT 'ALTER TABLE ' || conrelid::regclass || ' DROP CONSTRAINT ' || conname || ' CASCADE' FROM pg_constraint
		WHERE contype IN ('p', 'u', 'f', 'c') AND connamespace = 'public'::regnamespace ORDER BY contype = 'p'`) {
		_, err := raw.Exec(constraint)
		if err != nil && code(err) != "42704" { // it went with another one
			t.Fatal(err)
		}
	}
	for _, index := range texts(t, raw, "SELECT 'DROP INDEX ' || relname FROM pg_class WHERE relkind = 'i' AND relnamespace = 'public'::regnamespace") {
		_, err := raw.Exec(index)
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, column := range texts(t, raw, `SELECT 'ALTER TABLE ' || attrelid::regclass || ' ALTER ' || attname || ' DROP NOT NULL' FROM pg_attribute a
		JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
		WHERE attnum > 0 AND attnotnull AND attidentity = ''`) {
		_, err := raw.Exec(column)
		if err != nil {
			t.Fatal(err)
		}
	}
	tried := 0
	for table, columns := range tables {
		rows := sampled(texts(t, raw, "SELECT ctid::text FROM "+table+" ORDER BY ctid"))
		if len(rows) == 0 {
			t.Errorf("no row of %s to try", table)
		}
		for _, row := range rows {
			statements := []string{"DELETE FROM " + table, "INSERT INTO " + table + " SELECT * FROM " + table}
			for _, column := range columns {
				kind := texts(t, raw, "SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = '"+table+"'::regclass AND attname = '"+column+"'")[0]
				statements = append(statements, "UPDATE "+table+" SET "+column+" = "+fmt.Sprintf(forge[kind], column))
			}
			for _, s := range statements {
				tried++
				s += " WHERE ctid = '" + row + "'"
				err := flipped(t, &DB{readers: raw}, s)
				if !found(err) {
					t.Errorf("%s: got %v", s, err)
				}
			}
		}
	}
	t.Logf("%d acts of tampering", tried)
}
