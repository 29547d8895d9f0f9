package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// ErrSchema is returned by Open and VerifySchema when tables, indexes or
// triggers are not those that the migrations make: somebody took a guard away,
// or added something that acts by itself.
var ErrSchema = errors.New("the ledger's schema was changed")

// VerifySchema compares the ledger's tables, indexes and triggers with those
// that the migrations make in an empty database. The error names the first
// that differs.
func (db *DB) VerifySchema(ctx context.Context) error {
	want, err := expectedSchema(ctx)
	if err != nil {
		return err
	}
	got, err := schemaOf(ctx, db.readers)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		text, ok := got[name]
		if !ok {
			return fmt.Errorf("%w: %s is missing", ErrSchema, name)
		}
		if text != want[name] {
			return fmt.Errorf("%w: %s is another one", ErrSchema, name)
		}
		delete(got, name)
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		return fmt.Errorf("%w: %s does not belong here", ErrSchema, name)
	}
	return nil
}

func expectedSchema(ctx context.Context) (map[string]string, error) {
	reference, err := sql.Open("sqlite3", "file::memory:")
	if err != nil {
		return nil, fmt.Errorf("opening a database in memory: %w", err)
	}
	defer reference.Close()
	reference.SetMaxOpenConns(1) // each connection would have a memory of its own
	err = migrateDB(ctx, reference)
	if err != nil {
		return nil, err
	}
	return schemaOf(ctx, reference)
}

// schemaOf reads what was created, by kind and name. What SQLite makes by
// itself has no text.
func schemaOf(ctx context.Context, db *sql.DB) (map[string]string, error) {
	out := make(map[string]string)
	err := each(ctx, db, "the schema", "SELECT type || ' ' || name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'", nil, func(rows *sql.Rows) error {
		var name, text string
		err := rows.Scan(&name, &text)
		out[name] = text
		return err
	})
	return out, err
}
