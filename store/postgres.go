package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

var postgres = dialect{
	connect: connectPostgres,
	// The lock of the transaction is what BEGIN IMMEDIATE is on SQLite. It goes
	// with its session: a process that hangs is fenced by the next one, and not
	// waited for.
	begin:    fmt.Sprintf("BEGIN; SELECT pg_advisory_xact_lock(%d)", writersLock),
	ready:    readyPostgres,
	commit:   commitPostgres,
	lost:     lostPostgres,
	bulk:     copyPostgres,
	schema:   schemaOfPostgres,
	expected: expectedOfPostgres,
}

// writersLock is the advisory lock of changes: "cpsca" in ASCII.
const writersLock = 0x6370736361

// ErrDSN is returned for a DSN that cannot be used: it is none, or it holds a
// password, which belongs into a file (passfile, PGPASSFILE or ~/.pgpass).
var ErrDSN = errors.New("the DSN of the ledger cannot be used")

// always are the settings of every session, whatever the server's defaults. No
// statement of the package is to read a whole table, and each is planned once.
var always = map[string]string{
	"application_name":  "cpsca",
	"client_encoding":   "UTF8",
	"TimeZone":          "UTC",
	"search_path":       "public, pg_temp",
	"plan_cache_mode":   "force_generic_plan",
	"enable_seqscan":    "off",
	"random_page_cost":  "1", // what is asked for is in memory, or on a disk without a head
	"jit":               "off",
	"statement_timeout": "0",
}

// writing are the settings of the writer's session.
var writing = map[string]string{
	"synchronous_commit":                  "on",
	"default_transaction_isolation":       "read committed", // the fence is to see what was committed before the lock was got
	"default_transaction_read_only":       "off",
	"lock_timeout":                        "10s",
	"idle_in_transaction_session_timeout": "60s",
}

// reading are those of the readers: a transaction sees one snapshot.
var reading = map[string]string{
	"default_transaction_isolation": "repeatable read",
	"default_transaction_read_only": "on",
}

var passwordKey = regexp.MustCompile(`(?i)(^|\s)(ssl)?password\s*=`)

// parseDSN reads a URL or a libpq string. Its errors do not repeat it.
func parseDSN(text string) (*pgx.ConnConfig, error) {
	secret := passwordKey.MatchString(text)
	if strings.Contains(text, "://") {
		u, err := url.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%w: it is no URL", ErrDSN)
		}
		_, set := u.User.Password()
		secret = set || u.Query().Has("password") || u.Query().Has("sslpassword")
	}
	if secret {
		return nil, fmt.Errorf("%w: it holds a password, which belongs into a file (passfile=…, PGPASSFILE)", ErrDSN)
	}
	c, err := pgx.ParseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDSN, err)
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 10 * time.Second
	}
	return c, nil
}

// connectPostgres opens a pool. Nothing is reached before the first statement.
func connectPostgres(config Config, writer bool) (*sql.DB, error) {
	c, err := parseDSN(config.DSN)
	if err != nil {
		return nil, err
	}
	set := reading
	if writer {
		set = writing
	}
	for _, settings := range []map[string]string{always, set} {
		for name, value := range settings {
			c.RuntimeParams[name] = value
		}
	}
	// A connection that the server has left is noticed before it is used.
	return stdlib.OpenDB(*c, stdlib.OptionShouldPing(func(context.Context, stdlib.ShouldPingParams) bool { return true })), nil
}

// createPostgres makes the tables of a ledger in a database that has none, as the
// role that will own them.
func createPostgres(ctx context.Context, text string) error {
	c, err := parseDSN(text)
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*c)
	defer db.Close()
	err = settings(ctx, db)
	if err != nil {
		return err
	}
	var tables int
	err = db.QueryRowContext(ctx, "SELECT COUNT(*) FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND relnamespace = 'public'::regnamespace").Scan(&tables)
	if err != nil {
		return fmt.Errorf("looking for tables: %w", err)
	}
	if tables > 0 {
		return fmt.Errorf("creating the ledger: %w (database %s has %d tables)", ErrExists, c.Database, tables)
	}
	err = migrate(ctx, db, goose.DialectPostgres, "migrations/postgres")
	if err != nil {
		return fmt.Errorf("migrating database %s: %w", c.Database, err)
	}
	return nil
}

// onPostgres hands the connection itself to f.
func onPostgres(conn *sql.Conn, f func(c *pgx.Conn) error) error {
	return conn.Raw(func(driver any) error {
		c, ok := driver.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("no connection to PostgreSQL but a %T", driver)
		}
		return f(c.Conn())
	})
}

func lostPostgres(conn *sql.Conn) bool {
	closed := false
	err := onPostgres(conn, func(c *pgx.Conn) error {
		closed = c.IsClosed()
		return nil
	})
	return err != nil || closed
}

// commitPostgres commits, and takes nothing for a commit that is none: COMMIT of
// a transaction in which something failed is a rollback without an error.
func commitPostgres(ctx context.Context, conn *sql.Conn) error {
	return onPostgres(conn, func(c *pgx.Conn) error {
		done, err := c.Exec(ctx, "COMMIT")
		if err == nil && done.String() != "COMMIT" {
			err = fmt.Errorf("the database answered %q", done.String())
		}
		return err
	})
}
