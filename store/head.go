package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"cpsca/audit"
)

// JournalHead reads where the journal stood after an event: what a witness
// that was there would have kept. audit.ErrHead if the journal does not reach
// that event.
func (db *DB) JournalHead(ctx context.Context, sequence int64) (audit.Head, error) {
	h := audit.Head{Sequence: sequence}
	err := db.readers.QueryRowContext(ctx, "SELECT hash FROM journal WHERE sequence = $1", sequence).Scan(octets{h.Hash[:]})
	if errors.Is(err, sql.ErrNoRows) {
		return audit.Head{}, fmt.Errorf("%w: it ends before event %d", audit.ErrHead, sequence)
	}
	if err != nil {
		return audit.Head{}, fmt.Errorf("reading the journal's head: %w", err)
	}
	return h, nil
}
