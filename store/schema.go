package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/pressly/goose/v3"
)

// ErrSchema is returned by Open and VerifySchema when tables, indexes, triggers
// or grants are not those that the migrations make: somebody took a guard away,
// or added something that acts by itself.
var ErrSchema = errors.New("the ledger's schema was changed")

// migrate brings the tables of a database up to date.
func migrate(ctx context.Context, db *sql.DB, kind goose.Dialect, folder string) error {
	files, err := fs.Sub(migrations, folder)
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	provider, err := goose.NewProvider(kind, db, files)
	if err != nil {
		return fmt.Errorf("preparing the migrations: %w", err)
	}
	_, err = provider.Up(ctx)
	return err
}

// VerifySchema compares the ledger's tables, indexes and triggers (on PostgreSQL
// also constraints, functions and grants) with those that the migrations make in an
// empty database. The error names the first that differs.
func (db *DB) VerifySchema(ctx context.Context) error {
	want, err := db.dialect.expected(ctx)
	if err != nil {
		return err
	}
	got, err := db.dialect.schema(ctx, db.readers)
	if err != nil {
		return err
	}
	if len(got) == 0 {
		return fmt.Errorf("%w: there are no tables (run `cpsca init` to make a ledger)", ErrSchema)
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

// described reads names and texts.
func described(ctx context.Context, db querier, query string) (map[string]string, error) {
	out := make(map[string]string)
	err := each(ctx, db, "the schema", query, nil, func(rows *sql.Rows) error {
		var name, text string
		err := rows.Scan(&name, &text)
		out[name] = text
		return err
	})
	return out, err
}
