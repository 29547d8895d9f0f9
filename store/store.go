// Package store is the ledger: orders, cards, intents, certificates,
// revocations, the status feed and the journal, in SQLite or PostgreSQL.
//
// It offers the nouns of card and registry to the rooms above, which declare
// what they need of it in small interfaces of their own (ca.Ledger,
// crl.Source, lifecycle.Book, …); *DB fits them by shape. The law of card is
// stated here a second time by two partial unique indexes.
//
// Every method that changes something commits one transaction with its line in
// the journal, and returns only when both are on disk (SQLite: WAL,
// synchronous=FULL; PostgreSQL: fsync and synchronous_commit; read back at Open).
// There is no DELETE: triggers and grants refuse it, except for the side table that
// holds the clear text of the journal.
//
// One process writes a ledger. Each start takes a new epoch; a process whose
// epoch is not the last one finds its commits refused with card.ErrFenced.
// Shared statements hold no SQL that only one of the two databases has; what each
// does in its own way is in its dialect. A connection to a server that is lost is
// made anew, and what became of a commit is read, never assumed.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cpsca/audit"
	"cpsca/card"
)

//go:embed migrations/sqlite/*.sql migrations/postgres/*.sql
var migrations embed.FS

// Config says where the ledger is and how it reports what it cannot survive.
type Config struct {
	// Path is the SQLite file. It must exist unless Create made it.
	Path string
	// DSN is the PostgreSQL database, as a URL (postgres://…) or a libpq string,
	// without a password; it goes before Path. Create takes the role that owns the
	// tables, Open the one of the authority.
	DSN string
	// Now is business time; nil means time.Now.
	Now func() time.Time
	// Fatal is called when a commit failed in a way that leaves the disk's
	// content unknown (an I/O error, an fsync error). The process must end:
	// what the page cache says is no longer what the disk holds. Nil means
	// that the error is only returned.
	Fatal func(error)
	// Quota says how much a bureau may be given; nil means no bound for any.
	Quota func(bureau string) card.Quota
	// Space says what happens when the disk fills up.
	Space Space
	// Fenced is called when a change was refused because another process took
	// the ledger over: this one can do nothing any more and should stop. Nil
	// means that the error is only returned.
	Fenced func(error)
}

// DB is an open ledger. Its methods may be called concurrently; changes are
// serialised, loss reports before everything else.
type DB struct {
	config  Config
	dialect *dialect
	readers *sql.DB
	writers *sql.DB

	turn turnstile
	// commits counts transactions, each with one synchronisation of the disk.
	commits atomic.Int64
	write   writer // owned by whoever holds the turn
	mover   mover
	disk    *disk

	epoch    int64
	changed  chan struct{} // closed and renewed at each change of the feed
	changing sync.Mutex    // guards changed
}

// ErrExists is returned by Create for a path where something already is.
var ErrExists = errors.New("the ledger already exists")

// ErrDurability is returned by Open when the database does not confirm the
// durability that the protocol needs.
var ErrDurability = errors.New("the database does not promise durability")

// At is the configuration of a ledger by its place, as configurations write it: the
// path of a file, or the URL of a database (postgres://…, postgresql://…).
func At(place string) Config {
	if strings.HasPrefix(place, "postgres://") || strings.HasPrefix(place, "postgresql://") {
		return Config{DSN: place}
	}
	return Config{Path: place}
}

// Create makes an empty ledger at a place (see At) and never touches an existing one: then it returns
// ErrExists. A PostgreSQL database must exist and have no tables; its DSN names the
// role that will own them, and the roles cpsca_authority and cpsca_auditor exist.
func Create(ctx context.Context, place string) error {
	c := At(place)
	if c.DSN != "" {
		return createPostgres(ctx, c.DSN)
	}
	return createSQLite(ctx, c.Path)
}

// Open opens an existing ledger for writing, brings a file's schema up to date,
// enforces the durability settings and takes a new epoch. ErrSchema if tables,
// indexes, triggers or grants are not those of the migrations, ErrDurability if the
// settings are too weak, ErrRole if the DSN's role may do too much.
func Open(ctx context.Context, config Config) (*DB, error) {
	db, err := OpenReadOnly(config)
	if err != nil {
		return nil, err
	}
	if config.DSN == "" {
		err = migrateSQLite(ctx, config.Path)
		if err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	db.writers, err = db.dialect.connect(config, true)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	db.writers.SetMaxOpenConns(2) // one changes the ledger, the other moves the log
	if config.DSN == "" {
		db.startMover()
		db.disk = newDisk(config.Path, config.Space)
		_ = db.disk.admit() // takes the reserve; whoever issues hears if there is no room
	}
	err = db.VerifySchema(ctx)
	if err == nil {
		err = db.write.start(ctx, db.writers)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	err = db.takeEpoch(ctx)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// OpenReadOnly opens an existing ledger for reading beside the process that
// writes it. Methods that change something must not be called. A PostgreSQL
// database is reached by the first method that reads.
func OpenReadOnly(config Config) (*DB, error) {
	if config.Now == nil {
		config.Now = time.Now
	}
	d := config.dialect()
	readers, err := d.connect(config, false)
	if err != nil {
		return nil, err
	}
	readers.SetMaxOpenConns(8)
	readers.SetMaxIdleConns(8)
	return &DB{config: config, dialect: d, readers: readers, write: writer{dialect: d}, changed: make(chan struct{})}, nil
}

// Close waits for the change under way and closes the ledger. The writer goes
// last: then SQLite moves what its log holds into the file, which is whole by
// itself, for a backup.
func (db *DB) Close() error {
	errs := []error{db.readers.Close()}
	if db.writers != nil {
		release, err := db.turn.take(context.Background(), ordinary)
		if err == nil {
			if db.mover.due != nil {
				db.mover.stop()
				<-db.mover.done
			}
			errs = append(errs, db.write.stop())
			release()
		}
		errs = append(errs, db.writers.Close())
	}
	return errors.Join(errs...)
}

// Epoch is the number that this opening took.
func (db *DB) Epoch() int64 { return db.epoch }

func (db *DB) takeEpoch(ctx context.Context) error {
	var epoch int64
	err := db.change(ctx, urgent, func(t *transaction) error {
		// The ends are read inside the transaction: another process may have
		// written until it began.
		err := t.w.readEnds(t.ctx)
		if err != nil {
			return err
		}
		t.ends = t.w.ends
		t.epoch++
		epoch = t.epoch
		t.about("epoch")
		err = t.insert(epochs, epoch, t.at)
		if err != nil {
			return err
		}
		return t.decide("authority", "start")
	})
	if err != nil {
		return fmt.Errorf("taking an epoch: %w", err)
	}
	db.epoch = epoch
	return nil
}

// now is business time with the precision of the ledger.
func (db *DB) now() time.Time { return db.config.Now().UTC().Truncate(time.Millisecond) }

// Changed returns a channel that is closed at the next change of the feed.
func (db *DB) Changed() <-chan struct{} {
	db.changing.Lock()
	defer db.changing.Unlock()
	return db.changed
}

func (db *DB) announce() {
	db.changing.Lock()
	defer db.changing.Unlock()
	close(db.changed)
	db.changed = make(chan struct{})
}

// genesis is the hash before the first event of the journal.
var genesis audit.Digest
