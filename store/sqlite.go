package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strconv"

	_ "github.com/mattn/go-sqlite3" // the SQLite driver
	"github.com/pressly/goose/v3"
)

var sqlite = dialect{
	connect:  connectSQLite,
	begin:    "BEGIN IMMEDIATE",
	ready:    readySQLite,
	commit:   commitSQLite,
	lost:     func(*sql.Conn) bool { return false }, // it is in this process
	schema:   schemaOfSQLite,
	expected: expectedOfSQLite,
}

// createSQLite makes the file of a ledger and its tables.
func createSQLite(ctx context.Context, path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("creating %s: %w", path, ErrExists)
	}
	if err != nil {
		return fmt.Errorf("creating the ledger: %w", err)
	}
	err = f.Close()
	if err != nil {
		return fmt.Errorf("creating the ledger: %w", err)
	}
	return migrateSQLite(ctx, path)
}

func migrateSQLite(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite3", dsn(path, "rw"))
	if err != nil {
		return fmt.Errorf("opening %s: %w", path, err)
	}
	defer db.Close()
	err = migrate(ctx, db, goose.DialectSQLite3, "migrations/sqlite")
	if err != nil {
		return fmt.Errorf("migrating %s: %w", path, err)
	}
	return nil
}

// connectSQLite opens a file that exists.
func connectSQLite(config Config, writing bool) (*sql.DB, error) {
	_, err := os.Stat(config.Path)
	if err != nil {
		return nil, fmt.Errorf("opening the ledger (run `cpsca init` to make one): %w", err)
	}
	mode := "ro"
	if writing {
		mode = "rw"
	}
	db, err := sql.Open("sqlite3", dsn(config.Path, mode))
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", config.Path, err)
	}
	return db, nil
}

func dsn(path, mode string) string {
	q := url.Values{
		"mode":          {mode},
		"_busy_timeout": {"10000"},
		"_foreign_keys": {"1"},
		// Every query of the package fits, so that none is compiled twice.
		"_stmt_cache_size": {"128"},
	}
	if mode == "rw" {
		q.Set("_journal_mode", "WAL")
		q.Set("_synchronous", "FULL")
		if !durable {
			q.Set("_synchronous", "NORMAL")
		}
		q.Set("_cache_size", "-65536") // KiB: a chunk's pages stay in memory until its commit
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// readySQLite bounds the log, reads the settings back and refuses to go on
// without them.
func readySQLite(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "PRAGMA wal_autocheckpoint = "+strconv.Itoa(logBound))
	if err != nil {
		return fmt.Errorf("bounding the log: %w", err)
	}
	var mode string
	err = conn.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode)
	if err != nil {
		return fmt.Errorf("reading journal_mode: %w", err)
	}
	var synchronous int
	err = conn.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&synchronous)
	if err != nil {
		return fmt.Errorf("reading synchronous: %w", err)
	}
	var foreignKeys bool
	err = conn.QueryRowContext(ctx, "PRAGMA foreign_keys").Scan(&foreignKeys)
	if err != nil {
		return fmt.Errorf("reading foreign_keys: %w", err)
	}
	const full = 2
	if mode != "wal" || durable && synchronous < full || !foreignKeys {
		return fmt.Errorf("%w: journal_mode=%s synchronous=%d foreign_keys=%t, want wal, 2 (FULL) and true", ErrDurability, mode, synchronous, foreignKeys)
	}
	return nil
}

func commitSQLite(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "COMMIT")
	if err != nil {
		_, _ = conn.ExecContext(ctx, "ROLLBACK") // SQLite has rolled back by itself after an I/O error
	}
	return err
}

func expectedOfSQLite(ctx context.Context) (map[string]string, error) {
	reference, err := sql.Open("sqlite3", "file::memory:")
	if err != nil {
		return nil, fmt.Errorf("opening a database in memory: %w", err)
	}
	defer reference.Close()
	reference.SetMaxOpenConns(1) // each connection would have a memory of its own
	err = migrate(ctx, reference, goose.DialectSQLite3, "migrations/sqlite")
	if err != nil {
		return nil, err
	}
	return schemaOfSQLite(ctx, reference)
}

// schemaOfSQLite reads what was created. What SQLite makes by itself has no text.
func schemaOfSQLite(ctx context.Context, db querier) (map[string]string, error) {
	return described(ctx, db, "SELECT type || ' ' || name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
}
