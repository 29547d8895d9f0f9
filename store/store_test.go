package store

import (
	"database/sql"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cpsca/card"

	"github.com/mattn/go-sqlite3"
)

func TestCreateNeverTouchesWhatExists(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	err := os.WriteFile(path, []byte("precious"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	err = Create(t.Context(), path)
	content, _ := os.ReadFile(path)
	if !errors.Is(err, ErrExists) || string(content) != "precious" {
		t.Fatalf("got %v, and the file holds %q", err, content)
	}
	err = Create(t.Context(), filepath.Join(t.TempDir(), "no folder", "ledger.db"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("got %v", err)
	}
}

func TestOpenRefusesWhatIsNoLedger(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.db")
	_, err := Open(t.Context(), Config{Path: missing})
	_, readOnly := OpenReadOnly(Config{Path: missing})
	_, stat := os.Stat(missing)
	if !errors.Is(err, fs.ErrNotExist) || !errors.Is(readOnly, fs.ErrNotExist) || !errors.Is(stat, fs.ErrNotExist) {
		t.Fatalf("got %v and %v, and the file: %v", err, readOnly, stat)
	}
	foreign := filepath.Join(t.TempDir(), "foreign.db")
	err = os.WriteFile(foreign, slices.Repeat([]byte("not a database "), 100), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), Config{Path: foreign})
	if err == nil {
		t.Fatal("a foreign file was opened")
	}
}

func TestALedgerWithAnOddNameOpens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a name with spaces? & percent%20#.db")
	err := Create(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ordered(t, openLedger(t, path))
	_, err = os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheWriterRefusesWeakDurability(t *testing.T) {
	db := newLedger(t)
	var synchronous int
	err := db.write.conn.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&synchronous)
	if err != nil || synchronous != 2 {
		t.Fatalf("synchronous is %d, %v, want 2 (FULL)", synchronous, err)
	}
	cases := map[string]bool{
		"_journal_mode=WAL&_synchronous=FULL&_foreign_keys=1":    true,
		"_journal_mode=WAL&_synchronous=EXTRA&_foreign_keys=1":   true,
		"_journal_mode=WAL&_synchronous=NORMAL&_foreign_keys=1":  false,
		"_journal_mode=WAL&_synchronous=OFF&_foreign_keys=1":     false,
		"_journal_mode=DELETE&_synchronous=FULL&_foreign_keys=1": false,
		"_journal_mode=WAL&_synchronous=FULL&_foreign_keys=0":    false,
	}
	for settings, enough := range cases {
		path := filepath.Join(t.TempDir(), "ledger.db")
		err := Create(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := sql.Open("sqlite3", "file:"+path+"?"+settings)
		if err != nil {
			t.Fatal(err)
		}
		w := writer{dialect: &sqlite}
		err = w.start(t.Context(), raw)
		if enough != (err == nil) || !enough && !errors.Is(err, ErrDurability) {
			t.Errorf("%s: got %v", settings, err)
		}
		_ = w.stop()
		_ = raw.Close()
	}
}

func TestAReadOnlyLedgerRefusesChanges(t *testing.T) {
	db := newLedger(t)
	ordered(t, db)
	reader, err := OpenReadOnly(at(place(db)))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	err = reader.Apply(t.Context(), card.Decision{Actor: "desk", Action: "order", At: dawn, Opens: []card.Order{orderFor(newHolder(), card.First, "")}})
	if err == nil {
		t.Fatal("a ledger open for reading was changed")
	}
	orders, err := reader.Orders(t.Context(), "", "", "", 10)
	if err != nil || len(orders) != 1 {
		t.Fatalf("got %v, %v", orders, err)
	}
}

func TestEachOpeningTakesANewEpoch(t *testing.T) {
	db := newLedger(t)
	for want := int64(2); want < 5; want++ {
		err := db.Close()
		if err != nil {
			t.Fatal(err)
		}
		db = openLedger(t, place(db))
		if db.Epoch() != want {
			t.Fatalf("epoch %d, want %d", db.Epoch(), want)
		}
	}
	checkAll(t, db)
}

func TestACloseLeavesOneWholeFile(t *testing.T) {
	path := furnished(t)
	_, err := os.Stat(path + "-wal")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the log beside the ledger: %v", err)
	}
}

func TestFatalHearsOfDamageAndOfNothingElse(t *testing.T) {
	var heard []error
	db := &DB{config: Config{Fatal: func(err error) { heard = append(heard, err) }}}
	for _, mild := range []error{nil, card.ErrStale, sqlite3.Error{Code: sqlite3.ErrConstraint}, sqlite3.Error{Code: sqlite3.ErrFull}, sqlite3.Error{Code: sqlite3.ErrBusy}} {
		err := db.fatal(mild)
		if err != mild {
			t.Errorf("%v became %v", mild, err)
		}
	}
	if len(heard) != 0 {
		t.Fatalf("heard %v", heard)
	}
	for _, grave := range []sqlite3.ErrNo{sqlite3.ErrIoErr, sqlite3.ErrCorrupt, sqlite3.ErrNotADB} {
		_ = db.fatal(fmt.Errorf("committing: %w", sqlite3.Error{Code: grave}))
	}
	if len(heard) != 3 {
		t.Fatalf("heard %v", heard)
	}
}

func TestTheFeedsChangeIsAnnounced(t *testing.T) {
	db := newLedger(t)
	o := ordered(t, db)
	changed := db.Changed()
	select {
	case <-changed:
		t.Fatal("announced before anything changed")
	default:
	}
	intend(t, db, attemptAt(t, db, o))
	select {
	case <-changed:
	default:
		t.Fatal("the change was not announced before it returned")
	}
	if db.Changed() == changed {
		t.Fatal("the channel was not renewed")
	}
}

// registers are the tables that the journal does not commit to row by row, and
// why not.
var registers = map[string]string{
	"persons":          "an import's event names the file's hash",
	"practices":        "an import's event names the file's hash",
	"register_events":  "an import's event names the file's hash",
	"contacts":         "an import's event names the file's hash",
	"feed":             "a chain of its own, of which the journal holds the ends",
	"journal":          "it is the journal",
	"journal_leaves":   "it is the journal",
	"journal_clear":    "what the journal commits to",
	"goose_db_version": "the migrations' own",
}

func TestEveryTableIsProtectedOrListed(t *testing.T) {
	db := newLedger(t)
	expected := map[string]*table{}
	for _, tab := range protected {
		expected[tab.name] = tab
	}
	for _, name := range texts(t, db.readers, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'") {
		columns := texts(t, db.readers, "SELECT name FROM pragma_table_info('"+name+"') ORDER BY cid")
		key := texts(t, db.readers, "SELECT name FROM pragma_table_info('"+name+"') WHERE pk > 0 ORDER BY pk")
		tab, known := expected[name]
		_, listed := registers[name]
		switch {
		case known == listed:
			t.Errorf("%s is to be protected by the journal, or listed with a reason", name)
		case known && (!slices.Equal(tab.columns, columns) || !slices.Equal(tab.columns[:tab.key], key)):
			t.Errorf("%s: the journal knows %v with key %v, the schema has %v with key %v", name, tab.columns, tab.columns[:tab.key], columns, key)
		}
		delete(expected, name)
		if name == "goose_db_version" {
			continue
		}
		for _, kind := range texts(t, db.readers, "SELECT type FROM pragma_table_info('"+name+"')") {
			if kind != "BIGINT" && kind != "INTEGER" && kind != "TEXT" && kind != "BYTEA" {
				t.Errorf("%s has a column of type %s: whole numbers are BIGINT or the INTEGER that numbers a table, octets BYTEA", name, kind)
			}
		}
	}
	for name := range expected {
		t.Errorf("the table %s does not exist", name)
	}
}

// mutable are the columns that a state may change; every other column of a
// protected table is written once.
var mutable = map[string][]string{
	"imports":     {"finished", "sha256", "accepted", "rejected"},
	"enrolments":  {"ended"},
	"orders":      {"state"},
	"cards":       {"state", "since", "expires", "activated", "number"},
	"attempts":    {"state", "closed"},
	"quotas":      {"used"},
	"revocations": {"status", "since", "reason", "invalidity", "cause"},
	"crls":        {"feed_sequence", "sha256", "published"},
}

func TestNothingIsDeletedAndWhatIsWrittenOnceStays(t *testing.T) {
	raw, err := sql.Open("sqlite3", "file:"+furnished(t)+"?_foreign_keys=0")
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	names := []string{"feed", "journal", "journal_leaves"}
	for _, tab := range protected {
		names = append(names, tab.name)
	}
	for _, name := range names {
		_, err := raw.Exec("DELETE FROM " + name)
		if err == nil || !strings.Contains(err.Error(), "never deleted") {
			t.Errorf("deleting from %s: got %v", name, err)
		}
		for _, column := range texts(t, raw, "SELECT name FROM pragma_table_info('"+name+"')") {
			if slices.Contains(mutable[name], column) {
				continue
			}
			_, err := raw.Exec("UPDATE " + name + " SET " + column + " = " + column)
			if err == nil || !strings.Contains(err.Error(), "never changed") && !strings.Contains(err.Error(), "for ever") {
				t.Errorf("updating %s.%s: got %v", name, column, err)
			}
		}
	}
	for what, statement := range map[string]string{
		"a revocation taken back":      "UPDATE revocations SET status = 'good' WHERE status = 'revoked'",
		"another number for a card":    "UPDATE cards SET number = '7777777777' WHERE number IS NOT NULL",
		"a revoked card made active":   "UPDATE cards SET state = 'active' WHERE state = 'revoked'",
		"a state that is none":         "UPDATE orders SET state = 'lost'",
		"a status that is none":        "INSERT INTO revocations SELECT issuer, x'11', 'unknown', since, reason, invalidity, not_after, cause FROM revocations LIMIT 1",
		"two open attempts of a order": "INSERT INTO attempts SELECT order_id, attempt + 1, card_id, requester, epoch, 'intent', opened, NULL FROM attempts WHERE state = 'recorded'",
		"a serial of another use":      "INSERT INTO intents SELECT number + 1000, issuer, serial, NULL, NULL, 'tls', '', profile, 1, profile_hash, key_fingerprint, 1, 2, tbs, 1 FROM intents LIMIT 1",
	} {
		_, err := raw.Exec(statement)
		var refused sqlite3.Error
		if !errors.As(err, &refused) || refused.Code != sqlite3.ErrConstraint {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

func TestTheIndexesStateTheLawWithoutTheCode(t *testing.T) {
	db := newLedger(t)
	c, _ := personalised(t, db, card.GateChip)
	moved(t, db, c.Number, card.Activate, dawn)
	apply(t, db, card.Decision{Actor: "desk", Action: "order", At: dawn, Opens: []card.Order{orderFor(c.Holder, card.Renewal, c.Number)}})
	_ = db.Close()
	raw, err := sql.Open("sqlite3", "file:"+db.config.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	insert := "INSERT INTO cards SELECT id + 100, order_id, NULL, holder, profession, type, form, bureau, '%s', since, created, expires, activated FROM cards WHERE state = 'active'"
	for _, s := range card.States {
		_, err := raw.Exec(fmt.Sprintf(insert, s))
		refused := err != nil && strings.Contains(err.Error(), "UNIQUE constraint failed: cards.holder, cards.profession, cards.form")
		if refused != (s.Live() || s.Waiting()) {
			t.Errorf("inserting a second card that is %s: got %v", s, err)
		}
		if err == nil {
			_, err = raw.Exec("DROP TRIGGER IF EXISTS cards_stay")
			if err == nil {
				_, err = raw.Exec("DELETE FROM cards WHERE id > 100")
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, s := range []card.State{card.Active, card.Held} {
		_, err = raw.Exec("UPDATE cards SET state = ? WHERE state = 'ordered'", s)
		if err == nil || !strings.Contains(err.Error(), "UNIQUE") {
			t.Errorf("the waiting card becomes %s beside the live one: got %v", s, err)
		}
	}
	for _, s := range []card.State{card.Ordered, card.Personalised, card.Dispatched} {
		_, err = raw.Exec("UPDATE cards SET state = ? WHERE state = 'active'", s)
		if err == nil || !strings.Contains(err.Error(), "UNIQUE") {
			t.Errorf("the live card becomes %s beside the waiting one: got %v", s, err)
		}
	}
	// Another profession or form is another pair of places.
	_, err = raw.Exec("INSERT INTO cards SELECT id + 200, order_id, NULL, holder, profession + 1, type, form, bureau, state, since, created, expires, activated FROM cards WHERE state = 'active'")
	if err != nil {
		t.Errorf("a live card of another profession: %v", err)
	}
}

// TestPlaceholdersComeInOrder reads every statement in the package: SQLite
// numbers $1, $2, … by their first appearance, PostgreSQL by their digits, so
// the two must agree.
func TestPlaceholdersComeInOrder(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	placeholder := regexp.MustCompile(`\$(\d+)`)
	read := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			highest := 0
			for _, match := range placeholder.FindAllStringSubmatch(literal.Value, -1) {
				number, _ := strconv.Atoi(match[1])
				if number > highest+1 {
					t.Errorf("%s: $%d appears before $%d", set.Position(literal.Pos()), number, highest+1)
				}
				highest = max(highest, number)
				read++
			}
			return true
		})
	}
	if read < 100 {
		t.Fatalf("only %d placeholders were read", read)
	}
}
