package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"time"

	"cpsca/audit"
	"cpsca/card"
)

// writer is the one connection that changes the ledger, with its prepared
// statements and the ends of the chains. Whoever holds the turn owns it.
type writer struct {
	dialect    *dialect
	conn       *sql.Conn
	statements map[string]*sql.Stmt
	rows       int64 // changed since the log was last due to be moved
	underway   map[card.OrderID]underway
	ends
}

// ends are the ends of the ledger's chains and counters after the last commit.
type ends struct {
	epoch   int64
	journal audit.Head
	feed    feedEnd
	card    int64
	intents int64
	loss    int64
}

func (w *writer) start(ctx context.Context, db *sql.DB) error {
	w.underway = make(map[card.OrderID]underway)
	return w.connect(ctx, db)
}

// connect makes the writer's connection and readies it.
func (w *writer) connect(ctx context.Context, db *sql.DB) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connecting to the ledger: %w", err)
	}
	w.conn = conn
	w.statements = make(map[string]*sql.Stmt)
	return w.dialect.ready(ctx, conn)
}

func (w *writer) stop() error {
	if w.conn == nil {
		return nil
	}
	var errs []error
	for _, s := range w.statements {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}

func (w *writer) prepare(ctx context.Context, statement string) (*sql.Stmt, error) {
	s, ok := w.statements[statement]
	if ok {
		return s, nil
	}
	s, err := w.conn.PrepareContext(ctx, statement)
	if err != nil {
		return nil, fmt.Errorf("preparing %q: %w", statement, err)
	}
	w.statements[statement] = s
	return s, nil
}

// readEnds reads where the chains end.
func (w *writer) readEnds(ctx context.Context) error {
	var e ends
	for _, counter := range []struct {
		into  *int64
		query string
	}{
		{&e.epoch, "SELECT COALESCE(MAX(epoch), 0) FROM epochs"},
		{&e.card, "SELECT COALESCE(MAX(id), 0) FROM cards"},
		{&e.intents, "SELECT COALESCE(MAX(number), 0) FROM intents"},
		{&e.loss, "SELECT COALESCE(MAX(id), 0) FROM loss_reports"},
	} {
		err := w.conn.QueryRowContext(ctx, counter.query).Scan(counter.into)
		if err != nil {
			return fmt.Errorf("reading where the ledger ends: %w", err)
		}
	}
	err := w.conn.QueryRowContext(ctx, "SELECT sequence, hash FROM journal ORDER BY sequence DESC LIMIT 1").Scan(&e.journal.Sequence, octets{e.journal.Hash[:]})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("reading the journal's end: %w", err)
	}
	err = w.conn.QueryRowContext(ctx, "SELECT sequence, hash FROM feed ORDER BY sequence DESC LIMIT 1").Scan(&e.feed.sequence, octets{e.feed.hash[:]})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("reading the feed's end: %w", err)
	}
	w.ends = e
	return nil
}

// transaction is one durable unit of work: rows, the leaves that commit to
// them, and the events of the journal that decide them.
type transaction struct {
	ctx      context.Context
	db       *DB
	w        *writer
	at       time.Time
	leaves   []leaf
	pending  map[*table][]any          // rows committed to and not yet written
	opened   map[card.OrderID]underway // attempts that it opened,
	ended    []card.OrderID            // and ended
	ends                               // become the writer's when the commit is durable
	feedSaid feedEnd                   // the end of the feed that the last event committed to
	fed      bool
	broken   bool // a part could not be undone: nothing of it may stand
}

type leaf struct {
	subject string
	rows    []byte // canonical texts, with commas between
	grounds []byte // JSON, nil where a decision has none but its rows
}

// change runs f in one transaction and returns when it is on disk. An error of
// f, or of the commit, leaves the ledger as it was, but for a commit whose
// outcome the disk hides: then Config.Fatal is called.
//
// What is urgent and finds the disk full is tried again in the room that was
// kept for it.
func (db *DB) change(ctx context.Context, r rank, f func(t *transaction) error) error {
	if db.writers == nil {
		return errors.New("the ledger is open for reading only")
	}
	err := db.changeOnce(ctx, r, f)
	if r == urgent && full(err) && db.disk.release() {
		err = db.changeOnce(ctx, r, f)
	}
	if full(err) {
		err = fmt.Errorf("%w: %w", card.ErrNoSpace, err)
	}
	return err
}

func (db *DB) changeOnce(ctx context.Context, r rank, f func(t *transaction) error) error {
	release, served, err := db.turn.enter(ctx, r, f)
	if served {
		return err
	}
	if err != nil {
		return fmt.Errorf("waiting for the ledger: %w", err)
	}
	defer release()
	// A change that began is carried to its end: half a second saved at
	// shutdown is not worth an unknown outcome.
	ctx = context.WithoutCancel(ctx)
	err = db.begin(ctx)
	if err != nil {
		return db.fatal(fmt.Errorf("beginning a change: %w", err))
	}
	t := &transaction{ctx: ctx, db: db, w: &db.write, at: db.now(), ends: db.write.ends, feedSaid: db.write.feed}
	err = t.fence()
	if err == nil {
		err = t.decided(f)
	}
	if err != nil {
		return db.fatal(errors.Join(err, db.rollback(ctx)))
	}
	along, err := t.takeAlong()
	if err != nil {
		err = errors.Join(err, db.rollback(ctx))
	} else {
		err = db.commit(ctx, t)
	}
	defer along.tell(err)
	if err != nil {
		return db.fatal(err)
	}
	db.commits.Add(1)
	db.write.ends = t.ends
	maps.Copy(db.write.underway, t.opened)
	for _, id := range t.ended {
		delete(db.write.underway, id)
	}
	db.gathered()
	if t.fed {
		db.announce()
	}
	return nil
}

// decided runs f, all of whose rows must be decided by an event.
func (t *transaction) decided(f func(*transaction) error) error {
	err := f(t)
	if err == nil && (len(t.leaves) > 0 || len(t.pending) > 0) {
		err = errors.New("rows were changed that no event of the journal decides")
	}
	return err
}

// fence refuses the change if another process has taken a later epoch. The
// change by which this one takes its own has none to compare.
func (t *transaction) fence() error {
	if t.db.epoch == 0 {
		return nil
	}
	var last int64
	err := t.row("SELECT COALESCE(MAX(epoch), 0) FROM epochs").Scan(&last)
	if err != nil {
		return fmt.Errorf("reading the epoch: %w", err)
	}
	if last > t.db.epoch {
		return fmt.Errorf("%w: epoch %d was taken, ours is %d", card.ErrFenced, last, t.db.epoch)
	}
	return nil
}

// fatal hands errors that no process should survive to Config.Fatal.
func (db *DB) fatal(err error) error {
	if errors.Is(err, card.ErrFenced) && db.config.Fenced != nil {
		db.config.Fenced(err)
	}
	if damaged(err) && db.config.Fatal != nil {
		db.config.Fatal(err)
	}
	return err
}

// about says whose rows the next inserts and updates are.
func (t *transaction) about(subject string) {
	t.leaves = append(t.leaves, leaf{subject: subject})
}

func (t *transaction) commitTo(tab *table, values []any) error {
	if !journalled {
		return nil
	}
	if len(t.leaves) == 0 {
		return fmt.Errorf("a row of %s belongs to no subject", tab.name)
	}
	last := &t.leaves[len(t.leaves)-1]
	if last.rows == nil {
		last.rows = make([]byte, 0, 4096) // what an attempt at a card takes
	} else {
		last.rows = append(last.rows, ',')
	}
	var err error
	last.rows, err = tab.appendCanonical(last.rows, values)
	return err
}

// insert adds one row, given its values in the order of the table's columns.
func (t *transaction) insert(tab *table, values ...any) error {
	values, err := columnValues(values)
	if err != nil {
		return fmt.Errorf("inserting into %s: %w", tab.name, err)
	}
	err = t.write(tab, values)
	if err != nil {
		return err
	}
	return t.commitTo(tab, values)
}

// update changes rows and returns how many. assignments is everything after
// SET, with its WHERE.
func (t *transaction) update(tab *table, assignments string, args ...any) (int, error) {
	args, err := columnValues(args)
	if err != nil {
		return 0, fmt.Errorf("updating %s: %w", tab.name, err)
	}
	s, err := t.w.prepare(t.ctx, "UPDATE "+tab.name+" SET "+assignments+" RETURNING "+tab.list)
	if err != nil {
		return 0, err
	}
	rows, err := s.QueryContext(t.ctx, args...)
	if err != nil {
		return 0, fmt.Errorf("updating %s: %w", tab.name, refusal(err))
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		values, err := scanRow(rows, len(tab.columns))
		if err != nil {
			return 0, fmt.Errorf("updating %s: %w", tab.name, err)
		}
		err = t.commitTo(tab, values)
		if err != nil {
			return 0, err
		}
		n++
	}
	t.w.rows += int64(n)
	err = rows.Err()
	if err != nil {
		return 0, fmt.Errorf("updating %s: %w", tab.name, refusal(err))
	}
	return n, nil
}

func scanRow(rows *sql.Rows, n int) ([]any, error) {
	values := make([]any, n)
	into := make([]any, n)
	for i := range values {
		into[i] = &values[i]
	}
	err := rows.Scan(into...)
	return values, err
}

func (t *transaction) exec(statement string, args ...any) error {
	_, err := t.affect(statement, args...)
	return err
}

// affect executes a statement and says how many rows it changed.
func (t *transaction) affect(statement string, args ...any) (int64, error) {
	s, err := t.w.prepare(t.ctx, statement)
	if err != nil {
		return 0, err
	}
	done, err := s.ExecContext(t.ctx, args...)
	if err != nil {
		return 0, err
	}
	n, err := done.RowsAffected()
	t.w.rows += n
	return n, err
}

func (t *transaction) query(query string, args ...any) (*sql.Rows, error) {
	s, err := t.w.prepare(t.ctx, query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(t.ctx, args...)
}

func (t *transaction) row(query string, args ...any) *sql.Row {
	s, err := t.w.prepare(t.ctx, query)
	if err != nil {
		return t.w.conn.QueryRowContext(t.ctx, query, args...) // the row carries the error
	}
	return s.QueryRowContext(t.ctx, args...)
}

// savepoint runs f, and writes what it added, so that its failure undoes f
// alone and the transaction goes on. The error is f's.
func (t *transaction) savepoint(f func() error) error {
	err := t.flush()
	if err == nil {
		err = t.exec("SAVEPOINT item")
	}
	if err != nil {
		return fmt.Errorf("setting a savepoint: %w", err)
	}
	before, said := t.ends, t.feedSaid
	leaves, ended := len(t.leaves), len(t.ended)
	opened := maps.Clone(t.opened)
	fed := t.fed
	failure := f()
	if failure == nil {
		failure = t.flush()
	}
	if failure == nil {
		err = t.exec("RELEASE SAVEPOINT item")
		t.broken = err != nil
		return err
	}
	err = t.exec("ROLLBACK TO SAVEPOINT item")
	if err == nil {
		err = t.exec("RELEASE SAVEPOINT item")
	}
	if err != nil {
		t.broken = true
		return fmt.Errorf("undoing a refused part of a change: %w", err)
	}
	t.ends, t.leaves, t.fed, t.pending = before, t.leaves[:leaves], fed, nil
	t.opened, t.ended, t.feedSaid = opened, t.ended[:ended], said
	return failure
}
