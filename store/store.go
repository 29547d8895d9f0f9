// Package store is the ledger: orders, cards, intents, certificates,
// revocations, the status feed and the journal, in SQLite.
//
// It offers the nouns of card and registry to the rooms above, which declare
// what they need of it in small interfaces of their own (ca.Ledger,
// crl.Source, lifecycle.Book, …); *DB fits them by shape. The law of card is
// stated here a second time by two partial unique indexes.
//
// Every method that changes something commits one transaction with its line in
// the journal, and returns only when both are on disk (WAL, synchronous=FULL,
// read back at Open). There is no DELETE: triggers refuse it, except for the
// side table that holds the clear text of the journal.
//
// One process writes a ledger. Each start takes a new epoch; a process whose
// epoch is not the last one finds its commits refused with card.ErrFenced.
// Shared statements hold no SQL that only SQLite has.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"cpsca/audit"
	"cpsca/card"

	_ "github.com/mattn/go-sqlite3" // the SQLite driver
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*/*.sql
var migrations embed.FS

// Config says where the ledger is and how it reports what it cannot survive.
type Config struct {
	// Path is the SQLite file. It must exist unless Create made it.
	Path string
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
	readers *sql.DB
	writers *sql.DB

	turn  turnstile
	write writer // owned by whoever holds the turn
	mover mover
	disk  *disk

	epoch    int64
	changed  chan struct{} // closed and renewed at each change of the feed
	changing sync.Mutex    // guards changed
}

// ErrExists is returned by Create for a path where something already is.
var ErrExists = errors.New("the ledger already exists")

// ErrDurability is returned by Open when the database does not confirm the
// durability that the protocol needs.
var ErrDurability = errors.New("the database does not promise durability")

// Create makes an empty ledger at path and never touches an existing one:
// then it returns ErrExists.
func Create(ctx context.Context, path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("creating %s: %w", path, ErrExists)
	}
	if err != nil {
		return fmt.Errorf("creating the ledger: %w", err)
	}
	err = f.Close()
	if err != nil {
		return fmt.Errorf("creating the ledger: %w", err)
	}
	return migrate(ctx, path)
}

func migrate(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite3", dsn(path, "rw"))
	if err != nil {
		return fmt.Errorf("opening %s: %w", path, err)
	}
	defer db.Close()
	err = migrateDB(ctx, db)
	if err != nil {
		return fmt.Errorf("migrating %s: %w", path, err)
	}
	return nil
}

func migrateDB(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	if err != nil {
		return fmt.Errorf("preparing the migrations: %w", err)
	}
	_, err = provider.Up(ctx)
	return err
}

// Open opens an existing ledger for writing, brings its schema up to date,
// enforces its durability settings and takes a new epoch. ErrSchema if tables,
// indexes or triggers are not those of the migrations.
func Open(ctx context.Context, config Config) (*DB, error) {
	_, err := os.Stat(config.Path)
	if err != nil {
		return nil, fmt.Errorf("opening the ledger (run `cpsca init` to make one): %w", err)
	}
	err = migrate(ctx, config.Path)
	if err != nil {
		return nil, err
	}
	db, err := OpenReadOnly(config)
	if err != nil {
		return nil, err
	}
	db.writers, err = sql.Open("sqlite3", dsn(config.Path, "rw"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", config.Path, err), db.Close())
	}
	db.writers.SetMaxOpenConns(2) // one changes the ledger, the other moves the log
	db.startMover()
	db.disk = newDisk(config.Path, config.Space)
	_ = db.disk.admit() // takes the reserve; whoever issues hears if there is no room
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
// writes it. Methods that change something must not be called.
func OpenReadOnly(config Config) (*DB, error) {
	if config.Now == nil {
		config.Now = time.Now
	}
	_, err := os.Stat(config.Path)
	if err != nil {
		return nil, fmt.Errorf("opening the ledger (run `cpsca init` to make one): %w", err)
	}
	readers, err := sql.Open("sqlite3", dsn(config.Path, "ro"))
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", config.Path, err)
	}
	readers.SetMaxOpenConns(8)
	readers.SetMaxIdleConns(8)
	return &DB{config: config, readers: readers, changed: make(chan struct{})}, nil
}

// Close waits for the change under way and closes the ledger. The writer goes
// last: then SQLite moves what its log holds into the file, which is whole by
// itself, for a backup.
func (db *DB) Close() error {
	errs := []error{db.readers.Close()}
	if db.writers != nil {
		release, err := db.turn.take(context.Background(), ordinary)
		if err == nil {
			db.mover.stop()
			<-db.mover.done
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

func dsn(path, mode string) string {
	q := url.Values{
		"mode":          {mode},
		"_busy_timeout": {"10000"},
		"_foreign_keys": {"1"},
		// Every query of the package fits, so that none is compiled twice.
		"_stmt_cache_size": {"128"},
	}
	if mode == "rw" {
		q.Set("_journal_mode", "WAL")
		q.Set("_synchronous", "FULL")
		if !durable {
			q.Set("_synchronous", "NORMAL")
		}
		q.Set("_cache_size", "-65536") // KiB: a chunk's pages stay in memory until its commit
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

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

// refusal turns the violation of a unique index into the sentinel that says
// the same in the words of card.
func refusal(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if !strings.Contains(text, "UNIQUE constraint failed") {
		return err
	}
	for _, known := range []struct {
		columns string
		meaning error
	}{
		{"intents.issuer, intents.serial", card.ErrSerialTaken},
		{"cards.number", card.ErrNumberTaken},
		{"keys.fingerprint", card.ErrKeyKnown},
		{"keys.card_id, keys.use", card.ErrOrderBound},
		{"attempts.order_id", card.ErrInFlight},
	} {
		if strings.Contains(text, known.columns) {
			return fmt.Errorf("%w (%w)", known.meaning, err)
		}
	}
	return err
}

// genesis is the hash before the first event of the journal.
var genesis audit.Digest
