package store

import (
	"context"
	"database/sql"
	"fmt"
	"os"

	"cpsca/card"
)

// Standing tells how the ledger stands. It reads a few rows and may be asked
// often.
func (db *DB) Standing(ctx context.Context) (card.Standing, error) {
	s := card.Standing{Free: -1, Issuing: true, Commits: db.commits.Load()}
	for _, figure := range []struct {
		into  any
		query string
	}{
		{&s.Journal, "SELECT COALESCE(MAX(sequence), 0) FROM journal"},
		{&s.Feed, "SELECT COALESCE(MAX(sequence), 0) FROM feed"},
		{&s.Open, "SELECT COUNT(*) FROM attempts WHERE state = 'intent'"},
	} {
		err := db.readers.QueryRowContext(ctx, figure.query).Scan(figure.into)
		if err != nil {
			return s, fmt.Errorf("asking how the ledger stands: %w", err)
		}
	}
	err := db.quotasInUse(ctx, &s)
	if err != nil || db.disk == nil {
		return s, err
	}
	s.File, s.Log = octetsOf(db.config.Path), octetsOf(db.config.Path+"-wal")
	s.Free, err = db.disk.free()
	if err != nil {
		return s, err
	}
	s.Issuing = s.Free >= db.disk.bounds.Floor
	return s, nil
}

func (db *DB) quotasInUse(ctx context.Context, s *card.Standing) error {
	now := db.now()
	for _, p := range periods {
		err := each(ctx, db.readers, "quotas", "SELECT bureau, used FROM quotas WHERE period = $1 AND start = $2 ORDER BY bureau",
			[]any{p.name, now.Truncate(p.length).UnixMilli()}, func(rows *sql.Rows) error {
				q := card.QuotaUse{Period: p.name}
				err := rows.Scan(&q.Bureau, &q.Used)
				q.Bound = p.bound(db.quota(q.Bureau))
				s.Quotas = append(s.Quotas, q)
				return err
			})
		if err != nil {
			return err
		}
	}
	return nil
}

// octetsOf is the length of a file, 0 if there is none.
func octetsOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
