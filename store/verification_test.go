package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"cpsca/audit"
	"cpsca/card"
	"cpsca/officer"
	"cpsca/registry"
)

// furnished is a ledger with rows in every table, closed, as a path.
func furnished(t *testing.T) string {
	t.Helper()
	db := newLedger(t)
	certificate := newIntent("", "tls-server")
	steps := []error{
		db.AddIssuer(t.Context(), "init", Issuer{KeyID: testIssuer, Name: "cards", Role: "cards", Certificate: make([]byte, 900)}),
		db.IntendInfrastructure(t.Context(), "init", certificate, false),
		db.RecordInfrastructure(t.Context(), "init", certificate, make([]byte, 70)),
		db.Enrol(t.Context(), "init", officer.Enrolment{Fingerprint: officer.Fingerprint{1}, Person: "Zoe", Role: officer.Bureau, Bureau: "bureau", Issuer: testIssuer, Serial: certificate.Serial}),
	}
	file, err := db.BeginImport(t.Context(), "officer", "persons", "persons.txt")
	if err != nil {
		t.Fatal(err)
	}
	number, err := db.ReserveNumber(t.Context(), testIssuer, dawn, dawn.AddDate(0, 0, 1))
	steps = append(steps, err, db.Published(t.Context(), testIssuer, number, [32]byte{5}, 1),
		file.Finish(t.Context(), &registry.Report{SHA256: "00ff", Accepted: 1, Rejected: 2}))
	err = errors.Join(steps...)
	if err != nil {
		t.Fatal(err)
	}
	abandoned(t, db)
	lost, _ := personalised(t, db, card.GateHold)
	lost = moved(t, db, lost.Number, card.Activate, dawn)
	apply(t, db, lossOf(t, lost, orderFor(lost.Holder, card.Replacement, lost.Number)))
	personalised(t, db, card.GateChip)
	checkAll(t, db)
	err = db.Close()
	if err != nil {
		t.Fatal(err)
	}
	return place(db)
}

// tampered copies the ledger, lifts its guards, runs statements on it as an
// intruder with the file in hand would, and returns what VerifyJournal says.
func tampered(t *testing.T, place string, statements ...string) (JournalReport, error) {
	t.Helper()
	raw, copied := unguarded(t, place)
	for _, s := range statements {
		result, err := raw.Exec(inDialect(s))
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		n, _ := result.RowsAffected()
		if n == 0 {
			t.Fatalf("%s: changed nothing", s)
		}
	}
	err := raw.Close()
	if err != nil {
		t.Fatal(err)
	}
	db, err := OpenReadOnly(at(copied))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	return db.VerifyJournal(t.Context(), nil)
}

// unguarded copies a ledger and opens the copy, around the package, with its
// triggers and foreign keys out of action.
func unguarded(t *testing.T, place string) (raw *sql.DB, copy string) {
	t.Helper()
	if server != nil {
		copy = copied(t, database(t, place))
		raw = rawly(t, copy, "")
		raw.SetMaxOpenConns(1)
		_, err := raw.Exec("SET session_replication_role = replica")
		if err != nil {
			t.Fatal(err)
		}
		return raw, copy
	}
	content, err := os.ReadFile(place)
	if err != nil {
		t.Fatal(err)
	}
	copy = filepath.Join(t.TempDir(), "copy.db")
	err = os.WriteFile(copy, content, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	raw, err = sql.Open("sqlite3", "file:"+copy+"?_foreign_keys=0&_journal_mode=MEMORY&_synchronous=OFF")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	for _, trigger := range texts(t, raw, "SELECT name FROM sqlite_master WHERE type = 'trigger'") {
		_, err = raw.Exec("DROP TRIGGER " + trigger)
		if err != nil {
			t.Fatal(err)
		}
	}
	return raw, copy
}

var octetLiteral = regexp.MustCompile(`x'([0-9a-f]*)'`)

// inDialect writes octets as the database of this pass does.
func inDialect(statement string) string {
	if server == nil {
		return statement
	}
	return octetLiteral.ReplaceAllString(statement, `'\x$1'::bytea`)
}

// texts reads the one column of a query.
func texts(t testing.TB, raw *sql.DB, query string) []string {
	t.Helper()
	rows, err := raw.QueryContext(context.Background(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		err = rows.Scan(&s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

// found reports whether the error is one of those that VerifyJournal promises.
func found(err error) bool {
	for _, want := range []error{ErrRow, ErrErased, audit.ErrChain, audit.ErrGap, audit.ErrLeaf, audit.ErrLeaves, audit.ErrText} {
		if errors.Is(err, want) {
			return true
		}
	}
	return false
}

// flips are the ways in which one value is changed: by little, in its type, to
// nothing, from nothing.
var flips = map[string]string{
	"another value": `CASE typeof(%[1]s) WHEN 'integer' THEN %[1]s + 1 WHEN 'text' THEN %[1]s || ' ' WHEN 'null' THEN 1
		ELSE CAST(substr(%[1]s, 1, length(%[1]s) - 1) || CASE substr(%[1]s, -1) WHEN x'f0' THEN x'0f' ELSE x'f0' END AS BLOB) END`,
	"cut or lengthened": `CASE typeof(%[1]s) WHEN 'integer' THEN -%[1]s - 1 WHEN 'text' THEN substr(%[1]s, 2) || 'x' WHEN 'null' THEN ''
		ELSE CAST(%[1]s || x'00' AS BLOB) END`,
	"another type": `CASE typeof(%[1]s) WHEN 'integer' THEN CAST(CAST(%[1]s AS TEXT) AS BLOB) WHEN 'text' THEN CAST(%[1]s AS BLOB) WHEN 'null' THEN 'null'
		ELSE lower(hex(%[1]s)) || '' END`,
	"nothing": `CASE typeof(%[1]s) WHEN 'null' THEN 0 END`,
}

func TestVerifyJournalFindsEveryFlippedColumn(t *testing.T) {
	path := furnished(t)
	tables := map[string][]string{
		"feed":           feedTable.columns,
		"journal":        {"sequence", "time", "actor", "action", "leaves", "previous", "hash"},
		"journal_leaves": {"event", "position", "commitment"},
		"journal_clear":  {"event", "position", "subject", "salt", "clear"},
	}
	for _, tab := range protected {
		tables[tab.name] = tab.columns
	}
	tried := 0
	for table, columns := range tables {
		db := relaxed(t, path, table)
		ids := texts(t, db.readers, "SELECT rowid FROM "+table+" ORDER BY rowid")
		if len(ids) == 0 {
			t.Errorf("no row of %s to try", table)
		}
		for _, column := range columns {
			for name, flip := range flips {
				for _, id := range sampled(ids) {
					tried++
					err := flipped(t, db, fmt.Sprintf("UPDATE %s SET %s = %s WHERE rowid = %s", table, column, fmt.Sprintf(flip, column), id))
					if !found(err) {
						t.Errorf("%s.%s of row %s: %s: got %v", table, column, id, name, err)
					}
				}
			}
		}
	}
	t.Logf("%d flips", tried)
}

// sampled is every row of a short table, and the ends and the middle of a long
// one.
func sampled(ids []string) []string {
	if len(ids) <= 4 {
		return ids
	}
	return []string{ids[0], ids[len(ids)/3], ids[len(ids)/2], ids[len(ids)-1]}
}

// relaxed copies the ledger into one whose table has lost its constraints, as
// somebody would do who edits the file below SQL.
func relaxed(t *testing.T, path, table string) *DB {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), table+".db")
	err = os.WriteFile(copied, content, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open("sqlite3", "file:"+copied+"?_foreign_keys=0&_journal_mode=WAL&_synchronous=OFF")
	if err != nil {
		t.Fatal(err)
	}
	raw.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = raw.Close() })
	statements := []string{
		"PRAGMA legacy_alter_table = ON",
		"ALTER TABLE " + table + " RENAME TO original",
		"CREATE TABLE " + table + " AS SELECT * FROM original",
		"DROP TABLE original",
	}
	for _, trigger := range texts(t, raw, "SELECT name FROM sqlite_master WHERE type = 'trigger'") {
		statements = append([]string{"DROP TRIGGER " + trigger}, statements...)
	}
	for _, s := range statements {
		_, err = raw.Exec(s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	return &DB{readers: raw}
}

// flipped runs one statement and the verification in a transaction that is
// undone.
func flipped(t *testing.T, db *DB, statement string) error {
	t.Helper()
	tx, err := db.readers.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	result, err := tx.Exec(statement)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	n, _ := result.RowsAffected()
	if n != 1 {
		t.Fatalf("%s: changed %d rows", statement, n)
	}
	_, err = verify(t.Context(), tx, nil)
	return err
}

func TestVerifyJournalFindsDeletedAndInsertedRows(t *testing.T) {
	path := furnished(t)
	names := []string{"feed", "journal", "journal_leaves", "journal_clear"}
	for _, tab := range protected {
		names = append(names, tab.name)
	}
	for _, name := range names {
		db := relaxed(t, path, name)
		ids := texts(t, db.readers, "SELECT rowid FROM "+name+" ORDER BY rowid")
		for _, id := range ids {
			err := flipped(t, db, "DELETE FROM "+name+" WHERE rowid = "+id)
			last := name == "journal" && id == ids[len(ids)-1]
			if !found(err) {
				t.Errorf("row %s of %s deleted (the last: %t): got %v", id, name, last, err)
			}
		}
		for _, id := range sampled(ids) {
			err := flipped(t, db, "INSERT INTO "+name+" SELECT * FROM "+name+" WHERE rowid = "+id)
			if !found(err) {
				t.Errorf("row %s of %s twice: got %v", id, name, err)
			}
		}
	}
}

func TestVerifyJournalFindsForgedRows(t *testing.T) {
	path := furnished(t)
	cases := map[string][]string{
		"a certificate that nobody decided": {"INSERT INTO certificates SELECT number, NULL, x'00', 1 FROM intents WHERE number NOT IN (SELECT intent FROM certificates) LIMIT 1"},
		"an enrolment that nobody decided":  {"INSERT INTO enrolments SELECT x'aa', person, 'officer', '', issuer, serial, since, NULL FROM enrolments LIMIT 1"},
		"a revocation taken back":           {"UPDATE revocations SET status = 'good' WHERE status = 'revoked'"},
		"clear text without its leaf":       {"INSERT INTO journal_clear SELECT event, position + 100, subject, salt, clear FROM journal_clear LIMIT 1"},
		"clear text of two leaves swapped": {
			"UPDATE journal_clear SET event = -1 WHERE event = 3", "UPDATE journal_clear SET event = 3 WHERE event = 4", "UPDATE journal_clear SET event = 4 WHERE event = -1",
		},
		"two events swapped": {
			"UPDATE journal SET sequence = -1 WHERE sequence = 3", "UPDATE journal SET sequence = 3 WHERE sequence = 4", "UPDATE journal SET sequence = 4 WHERE sequence = -1",
		},
		"an event in the middle taken away with all that it decided": {
			"DELETE FROM journal_clear WHERE event = 3", "DELETE FROM journal_leaves WHERE event = 3", "DELETE FROM journal WHERE sequence = 3",
		},
		"leaves after the last event":                         {"INSERT INTO journal_leaves SELECT event + 1000, position, commitment FROM journal_leaves LIMIT 1"},
		"an event after the last":                             {"INSERT INTO journal SELECT sequence + 1, time, actor, action, leaves, hash, hash FROM journal ORDER BY sequence DESC LIMIT 1"},
		"an empty journal":                                    {"DELETE FROM journal_clear", "DELETE FROM journal_leaves", "DELETE FROM journal"},
		"clear text destroyed":                                {"DELETE FROM journal_clear WHERE event = (SELECT MIN(journal) FROM card_steps)"},
		"clear text of what was overwritten since, destroyed": {"DELETE FROM journal_clear WHERE event = (SELECT MIN(sequence) FROM journal WHERE action LIKE 'begin import%')"},
		"a leaf and its clear text moved to another place": {
			"UPDATE journal_leaves SET position = 7 WHERE event = 1 AND position = 0", "UPDATE journal_clear SET position = 7 WHERE event = 1 AND position = 0",
		},
	}
	for name, statements := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := tampered(t, path, statements...)
			if !found(err) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestVerifyJournalReportsWhatItSaw(t *testing.T) {
	path := furnished(t)
	db, err := OpenReadOnly(at(path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var done []int64
	report, err := db.VerifyJournal(t.Context(), func(n, all int64) { done = append(done, n) })
	if err != nil || report.Rows < 50 || report.Leaves < 15 || report.Erased != 0 || int64(len(done)) != report.Head.Sequence || !slices.IsSorted(done) {
		t.Fatalf("%+v, %v", report, err)
	}
	rows := 0
	for _, tab := range append(slices.Clone(protected), feedTable) {
		var n int
		err = db.readers.QueryRow("SELECT COUNT(*) FROM " + tab.name).Scan(&n)
		if err != nil || n == 0 {
			t.Fatalf("%s has %d rows, %v", tab.name, n, err)
		}
		rows += n
	}
	if rows != report.Rows {
		t.Fatalf("%d rows were compared of %d", report.Rows, rows)
	}
}
