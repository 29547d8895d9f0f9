package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"cpsca/card"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/mattn/go-sqlite3"
)

// dialect is what one kind of database does in its own way. All the rest is
// statements that both understand.
type dialect struct {
	// connect opens a pool of connections, for reading alone or for writing.
	connect func(config Config, writing bool) (*sql.DB, error)
	// begin starts a change as soon as every other one has ended, whoever makes it.
	begin string
	// ready prepares the writer's connection and refuses a database that does
	// not promise what the protocol needs.
	ready func(ctx context.Context, conn *sql.Conn) error
	// commit ends a change.
	commit func(ctx context.Context, conn *sql.Conn) error
	// lost says whether a connection is of no use any more.
	lost func(conn *sql.Conn) bool
	// bulk adds rows in one go, where that is cheaper than INSERT; else nil.
	bulk func(ctx context.Context, conn *sql.Conn, tab *table, values []any) error
	// schema reads what was created, by kind and name; expected is what the
	// migrations create.
	schema   func(ctx context.Context, db querier) (map[string]string, error)
	expected func(ctx context.Context) (map[string]string, error)
}

// dialect is chosen by where the ledger is.
func (c *Config) dialect() *dialect {
	if c.DSN != "" {
		return &postgres
	}
	return &sqlite
}

// errPlaceTaken says that a card would be a second waiting or live one.
var errPlaceTaken = errors.New("the holder has such a card already")

// uniqueness is what the unique indexes mean in the words of card: the columns by
// which SQLite names them, the names by which PostgreSQL does.
var uniqueness = []struct {
	columns string
	names   string
	meaning error
}{
	{"intents.issuer, intents.serial", "intents_issuer_serial_key", card.ErrSerialTaken},
	{"cards.number", "cards_number_key", card.ErrNumberTaken},
	{"keys.fingerprint", "keys_pkey", card.ErrKeyKnown},
	{"keys.card_id, keys.use", "keys_by_card", card.ErrOrderBound},
	{"attempts.order_id", "attempts_one_open attempts_pkey", card.ErrInFlight},
	{"cards.holder", "cards_one_live cards_one_waiting", errPlaceTaken},
}

// refusal turns the violation of a unique index into the sentinel that says
// the same in the words of card.
func refusal(err error) error {
	if err == nil {
		return nil
	}
	var p *pgconn.PgError
	isPostgres := errors.As(err, &p)
	text := err.Error()
	if isPostgres && p.Code != "23505" || !isPostgres && !strings.Contains(text, "UNIQUE constraint failed") {
		return err
	}
	for _, known := range uniqueness {
		if isPostgres && contains(known.names, p.ConstraintName) || !isPostgres && strings.Contains(text, known.columns) {
			return fmt.Errorf("%w (%w)", known.meaning, err)
		}
	}
	return err
}

func contains(names, name string) bool {
	for n := range strings.FieldsSeq(names) {
		if n == name {
			return true
		}
	}
	return false
}

// damaged says that what the disk holds is no longer known: an I/O error, a corrupt
// page, a commit without an answer.
func damaged(err error) bool {
	if errors.Is(err, errOutcome) || errors.Is(err, errOtherPast) {
		return true
	}
	var s sqlite3.Error
	if errors.As(err, &s) {
		return s.Code == sqlite3.ErrIoErr || s.Code == sqlite3.ErrCorrupt || s.Code == sqlite3.ErrNotADB
	}
	var p *pgconn.PgError
	if errors.As(err, &p) {
		// Classes of SQLSTATE: system errors (io_error, undefined_file) and corruption.
		return strings.HasPrefix(p.Code, "58") || p.Code == "XX001" || p.Code == "XX002"
	}
	return false
}
