package store

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"sync"
	"testing"

	"cpsca/card"

	"github.com/jackc/pgx/v5"
)

// hangUp ends a connection as a cable that is pulled would.
func hangUp(conn *sql.Conn) error {
	return onPostgres(conn, func(c *pgx.Conn) error { return c.PgConn().Conn().Close() })
}

func TestPostgresTheOutcomeOfACommitIsReadAndNotAssumed(t *testing.T) {
	for name, c := range map[string]struct {
		commit func(ctx context.Context, conn *sql.Conn) error
		stands bool
	}{
		"lost before the server heard of it": {func(ctx context.Context, conn *sql.Conn) error {
			return errors.Join(hangUp(conn), commitPostgres(ctx, conn))
		}, false},
		"lost before the answer came": {func(ctx context.Context, conn *sql.Conn) error {
			return errors.Join(commitPostgres(ctx, conn), hangUp(conn), func() error {
				_, err := conn.ExecContext(ctx, "SELECT 1") // the package notices
				return err
			}(), io.ErrUnexpectedEOF)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			db := newLedger(t)
			db.config.Fatal = func(err error) { t.Errorf("fatal: %v", err) }
			ordered(t, db)
			cut := postgres
			cut.commit = c.commit
			db.dialect = &cut
			o := orderFor(newHolder(), card.First, "")
			err := db.Apply(t.Context(), card.Decision{Actor: "desk", Action: "order", At: dawn, Opens: []card.Order{o}})
			if c.stands != (err == nil) {
				t.Fatalf("got %v", err)
			}
			db.dialect = &postgres
			count(t, db, map[bool]int{false: 0, true: 1}[c.stands], "SELECT COUNT(*) FROM orders WHERE id = $1", string(o.ID))
			ordered(t, db) // it goes on by itself
			checkAll(t, db)
		})
	}
}

func TestPostgresALostConnectionIsMadeAnew(t *testing.T) {
	db := newLedger(t)
	a := intend(t, db, attemptAt(t, db, ordered(t, db)))
	for range 3 {
		err := server.Do(t.Context(), "postgres", "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '"+database(t, place(db))+"'")
		if err != nil {
			t.Fatal(err)
		}
		o := orderFor(newHolder(), card.First, "")
		apply(t, db, card.Decision{Actor: "desk", Action: "order", At: dawn, Opens: []card.Order{o}})
	}
	record(t, db, a, card.GateChip) // what was under way still is
	checkAll(t, db)
}

func TestPostgresAProcessThatWasFencedWhileAwayStaysSo(t *testing.T) {
	db := newLedger(t)
	ordered(t, db)
	heard := false
	db.config.Fenced = func(error) { heard = true }
	db.config.Fatal = func(err error) { t.Errorf("fatal: %v", err) }
	err := hangUp(db.write.conn)
	if err != nil {
		t.Fatal(err)
	}
	newer := openLedger(t, place(db))
	ordered(t, newer)
	err = db.Apply(t.Context(), card.Decision{Actor: "desk", Action: "order", At: dawn, Opens: []card.Order{orderFor(newHolder(), card.First, "")}})
	if !errors.Is(err, card.ErrFenced) || !heard {
		t.Fatalf("got %v", err)
	}
	checkAll(t, newer)
}

func TestPostgresALedgerThatWentBackIsFatal(t *testing.T) {
	db := newLedger(t)
	ordered(t, db)
	var heard error
	db.config.Fatal = func(err error) { heard = err }
	db.write.journal.Sequence++ // as if the server had lost the last event
	err := hangUp(db.write.conn)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Apply(t.Context(), card.Decision{Actor: "desk", Action: "order", At: dawn, Opens: []card.Order{orderFor(newHolder(), card.First, "")}})
	if !errors.Is(err, errOtherPast) || !errors.Is(heard, errOtherPast) {
		t.Fatalf("got %v, and Fatal heard %v", err, heard)
	}
}

// lives issues cards until it is told to stop, and notes what was acknowledged and
// what was refused.
type lives struct {
	mu            sync.Mutex
	said, refused []string
	told          chan struct{}
}

func (l *lives) run(t *testing.T, db *DB) {
	for {
		select {
		case <-l.told:
			return
		default:
		}
		o := orderFor(newHolder(), card.First, "")
		err := db.Apply(context.Background(), card.Decision{Actor: "desk", Action: "order", At: dawn, Opens: []card.Order{o}})
		l.note("ordered", string(o.ID), err)
		cards, read := db.CardsOfOrder(context.Background(), o.ID)
		if err != nil || read != nil {
			continue
		}
		chunk := []card.Attempt{{Order: o.ID, Card: cards[0].ID, Number: newNumber(), Requester: "bureau-client",
			Intents: []card.Intent{newIntent(o.ID, card.Authentication), newIntent(o.ID, card.Signature)}}}
		answers, err := db.Intend(context.Background(), chunk)
		l.note("intended", string(o.ID), errors.Join(append(answers, err)...))
		if err != nil {
			continue
		}
		err = db.Record(context.Background(), []card.Signed{sign(chunk[0])}, card.GateChip)
		l.note("recorded", string(chunk[0].Number), err)
	}
}

func (l *lives) note(what, name string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.said = append(l.said, what+" "+name)
	} else {
		l.refused = append(l.refused, what+" "+name)
	}
}

func (l *lives) acknowledged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.said)
}

func TestPostgresNothingAcknowledgedIsLostWhenTheServerDies(t *testing.T) {
	db := newLedger(t)
	db.config.Fatal = func(err error) { t.Errorf("fatal: %v", err) }
	l := &lives{told: make(chan struct{})}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { l.run(t, db) })
	}
	for range 5 {
		for before := l.acknowledged(); l.acknowledged() < before+20 && t.Context().Err() == nil; {
			<-db.Changed()
		}
		err := errors.Join(server.Crash(), server.Restart(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
	}
	for before := l.acknowledged(); l.acknowledged() < before+5; {
		<-db.Changed()
	}
	close(l.told)
	all.Wait()
	acknowledged(t, db, l.said)
	for _, line := range l.refused {
		table := map[string]string{"ordered": "orders WHERE id", "intended": "intents WHERE order_id",
			"recorded": "cards WHERE state = 'personalised' AND number"}
		for what, rows := range table {
			if len(line) > len(what) && line[:len(what)] == what {
				count(t, db, 0, "SELECT COUNT(*) FROM "+rows+" = $1", line[len(what)+1:])
			}
		}
	}
	if len(l.refused) == 0 {
		t.Error("no crash met a change: the instants prove nothing")
	}
	checkAll(t, db)
	t.Logf("%d acknowledged, %d refused", len(l.said), len(l.refused))
}
