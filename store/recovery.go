package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"cpsca/audit"
)

// How long a change waits for a server that is away: until it begins, and until
// it is known what became of its commit.
const (
	beginPatience   = 10 * time.Second
	outcomePatience = 2 * time.Minute
	longestPause    = time.Second
)

// errOutcome says that nobody knows whether a change was committed: the server
// went away before it answered and did not come back. The process must end; the
// next one reads what stands.
var errOutcome = errors.New("the database did not say whether a change was committed")

// errOtherPast says that the ledger after a lost connection is not the one before
// it: a copy that was behind took its place.
var errOtherPast = errors.New("the ledger does not end where this process left it")

// begin starts a change. A connection that was lost meanwhile is made anew.
func (db *DB) begin(ctx context.Context) error {
	_, err := db.write.conn.ExecContext(ctx, db.dialect.begin)
	if err == nil || !db.dialect.lost(db.write.conn) {
		return err
	}
	return db.write.again(ctx, db, beginPatience, func() error {
		_, err := db.write.conn.ExecContext(ctx, db.dialect.begin)
		if err != nil {
			return err
		}
		return db.write.sameEnds(ctx)
	})
}

// again makes the writer's connection anew and does f on it, as often as the
// connection is lost, with growing pauses.
func (w *writer) again(ctx context.Context, db *DB, patience time.Duration, f func() error) error {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, longestPause) {
		_ = w.stop()
		err := w.connect(ctx, db.writers)
		connected := err == nil
		if connected {
			err = f()
		}
		if err == nil || connected && !w.dialect.lost(w.conn) || errors.Is(err, ErrDurability) || errors.Is(err, ErrRole) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-limit.C:
			return fmt.Errorf("connecting to the ledger again: %w", err)
		}
	}
}

// sameEnds holds the ends of the chains against those that this process left. Who
// has a later epoch may have moved them: then the fence says so.
func (w *writer) sameEnds(ctx context.Context) error {
	left := w.ends
	err := w.readEnds(ctx)
	if err != nil {
		return err
	}
	if w.epoch == left.epoch && w.ends != left {
		w.ends = left
		return fmt.Errorf("%w: the journal ends with event %d, not %d", errOtherPast, w.journal.Sequence, left.journal.Sequence)
	}
	return nil
}

// rollback undoes a change. One whose connection is lost is undone by the server.
func (db *DB) rollback(ctx context.Context) error {
	if db.dialect.lost(db.write.conn) {
		return nil
	}
	_, err := db.write.conn.ExecContext(ctx, "ROLLBACK")
	return err
}

// commit makes a change durable. If the connection is lost before the answer, the
// ledger is asked: an outcome is never assumed.
func (db *DB) commit(ctx context.Context, t *transaction) error {
	err := db.dialect.commit(ctx, db.write.conn)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("committing a change: %w", err)
	if !db.dialect.lost(db.write.conn) {
		return errors.Join(err, db.write.readEnds(ctx))
	}
	committed := false
	asking := db.write.again(ctx, db, outcomePatience, func() error {
		var err error
		committed, err = db.stands(ctx, t)
		return err
	})
	switch {
	case asking != nil:
		return fmt.Errorf("%w: %w", errOutcome, errors.Join(err, asking))
	case committed:
		return nil
	default:
		return err
	}
}

// stands says whether the event by which a change ends is in the journal. It waits
// for the lock of changes, so that a commit that is still under way in the lost
// session is over. A change without an event, a slice of an import, counts as
// undone: to make it twice is to make it once.
func (db *DB) stands(ctx context.Context, t *transaction) (bool, error) {
	_, err := db.write.conn.ExecContext(ctx, db.dialect.begin)
	if err != nil {
		return false, err
	}
	defer func() { _, _ = db.write.conn.ExecContext(ctx, "ROLLBACK") }()
	if t.journal == db.write.journal {
		return false, nil
	}
	var hash audit.Digest
	err = db.write.conn.QueryRowContext(ctx, "SELECT hash FROM journal WHERE sequence = $1", t.journal.Sequence).Scan(octets{hash[:]})
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil && hash == t.journal.Hash, err
}
