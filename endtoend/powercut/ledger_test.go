package powercut_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"cpsca/endtoend/powercut"

	_ "github.com/mattn/go-sqlite3"
)

// SQLite promises that a transaction outlives a power cut with a write-ahead log
// and synchronous=FULL, and that it may be lost with less
// (sqlite.org/pragma.html#pragma_synchronous). A disk on which less loses nothing
// would prove nothing of a ledger.
func TestSQLiteKeepsItsTransactionsWithFullSynchronisationAlone(t *testing.T) {
	for synchronous, lost := range map[string]bool{"FULL": false, "NORMAL": true} {
		t.Run(synchronous, func(t *testing.T) {
			d := powercut.New()
			folder := mounted(t, d)
			const rows = 50
			db := open(t, folder, synchronous)
			exec(t, db, "CREATE TABLE numbers (n INTEGER)")
			exec(t, db, "PRAGMA wal_checkpoint(TRUNCATE)")
			syncFolder(t, folder)
			for n := range rows {
				exec(t, db, "INSERT INTO numbers VALUES (?)", n)
			}
			after := mounted(t, d.Cut(nil))
			var kept int
			check(t, open(t, after, "FULL").QueryRow("SELECT COUNT(*) FROM numbers").Scan(&kept))
			if (kept < rows) != lost {
				t.Errorf("%d of %d transactions outlived the cut", kept, rows)
			}
		})
	}
}

// A database that is cut in the middle of its work, with torn pages, is whole.
func TestSQLiteIsWholeAfterTornCuts(t *testing.T) {
	d := powercut.New()
	folder := mounted(t, d)
	exec(t, open(t, folder, "FULL"), "CREATE TABLE numbers (n INTEGER, filling BLOB)")
	n, operations, rows := 0, 0, 0
	for cut := range 25 {
		db := open(t, folder, "FULL")
		exec(t, db, "PRAGMA wal_autocheckpoint=20")
		committed := rows
		failed := make(chan *powercut.Disk, 1)
		operations = 0
		d.Follow(func(powercut.Operation) powercut.Outcome {
			operations++
			if operations == 7+13*cut {
				go func() { failed <- d.Cut(func() bool { n++; return n%3 == 0 }) }()
			}
			return powercut.Proceed
		})
		for {
			_, err := db.Exec("INSERT INTO numbers VALUES (?, randomblob(3000))", committed)
			if err != nil {
				break
			}
			committed++
		}
		d = <-failed
		folder = mounted(t, d)
		var verdict string
		check(t, open(t, folder, "FULL").QueryRow("PRAGMA integrity_check").Scan(&verdict))
		check(t, open(t, folder, "FULL").QueryRow("SELECT COUNT(*) FROM numbers").Scan(&rows))
		if verdict != "ok" || rows < committed {
			t.Fatalf("cut %d: %s; %d of %d transactions are there", cut, verdict, rows, committed)
		}
	}
}

func open(t *testing.T, folder, synchronous string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(folder, "ledger.db")+"?_journal_mode=WAL&_synchronous="+synchronous)
	check(t, err)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() }) // of a disk that was cut
	return db
}

func exec(t *testing.T, db *sql.DB, statement string, args ...any) {
	t.Helper()
	_, err := db.Exec(statement, args...)
	check(t, err)
}
