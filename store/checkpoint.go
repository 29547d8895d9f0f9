package store

import (
	"context"
	"fmt"
)

// What a change adds to the write-ahead log is moved into the file beside the
// changes that follow, so that no decision waits for it. Should the log reach
// logBound all the same, the change that finds it so moves the rest: then SQLite
// begins it anew, unless somebody reads an old state.
const (
	logBound  = 49152 // pages of 4 KiB: 192 MiB
	moveAfter = 65536 // rows: some 60 MiB of the log
)

// mover moves the log into the file until it is stopped.
type mover struct {
	due  chan struct{} // holds one when enough has gathered
	stop context.CancelFunc
	done chan struct{}
}

func (db *DB) startMover() {
	ctx, cancel := context.WithCancel(context.Background())
	db.mover = mover{due: make(chan struct{}, 1), stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(db.mover.done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-db.mover.due:
				db.moveLog()
			}
		}
	}()
}

// moveLog moves what no reader needs in the log. An error that a process may
// survive, such as a full disk, is left to the change that meets it next.
func (db *DB) moveLog() {
	var busy, pages, moved int64
	err := db.writers.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &pages, &moved)
	if err != nil {
		_ = db.fatal(fmt.Errorf("moving the log into the ledger: %w", err))
	}
}

// gathered wakes the mover when enough rows have changed since it last was
// woken. Whoever calls it holds the turn.
func (db *DB) gathered() {
	if db.mover.due == nil || db.write.rows < moveAfter {
		return // PostgreSQL moves its log by itself
	}
	select {
	case db.mover.due <- struct{}{}:
		db.write.rows = 0
	default: // it is at work, and told
	}
}
