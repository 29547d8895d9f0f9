package store

import "maps"

// A change that has done its own work does that of the next in the queue along,
// so that one fsync is for all of them: who waits while a commit is under way
// shares the next one. Each has its savepoint and its own event in the journal;
// what is refused undoes itself alone. A transaction takes nothing along any more
// once it has changed so many rows that those who come later would wait long.
const (
	alongRows = 4096
	alongMost = 64
)

// companion is a waiter whose work is in a transaction of somebody else.
type companion struct {
	*waiter
	err error // of the work itself
}

type companions []companion

// takeAlong does the work of others. An error is of the whole transaction.
func (t *transaction) takeAlong() (companions, error) {
	var all companions
	before := t.w.rows
	for len(all) < alongMost && t.w.rows-before < alongRows {
		next := t.db.turn.share()
		if next == nil {
			break
		}
		err := t.workAlong(next.work)
		all = append(all, companion{next, err})
		if err != nil && (t.broken || damaged(err)) {
			return all, err
		}
	}
	return all, nil
}

// workAlong does the work of one, whose attempts are counted for themselves.
func (t *transaction) workAlong(work func(*transaction) error) error {
	earlier := t.opened
	t.opened = nil
	err := t.savepoint(func() error { return t.decided(work) })
	if len(earlier) > 0 {
		maps.Copy(earlier, t.opened)
		t.opened = earlier
	}
	return err
}

// tell gives each the outcome: its own refusal, or what became of the commit.
func (all companions) tell(commit error) {
	for _, c := range all {
		if c.err == nil {
			c.err = commit
		}
		c.done <- c.err
	}
}
