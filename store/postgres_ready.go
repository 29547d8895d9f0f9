package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// ErrRole is returned by Open when the role of the DSN could do more to the ledger
// than the authority ever does: then the grants guard nothing.
var ErrRole = errors.New("the ledger's role may do more than the authority needs")

// promises are the settings without which an answer of COMMIT says nothing, with
// the values that are enough.
var promises = []struct{ name, value string }{
	{"fsync", "on"},
	{"synchronous_commit", "on"},
	{"full_page_writes", "on"},
	{"data_sync_retry", "off"}, // an fsync that failed is not tried again: the cache is no longer the disk
	{"zero_damaged_pages", "off"},
	{"ignore_checksum_failure", "off"},
	{"session_replication_role", "origin"}, // triggers and foreign keys act
	{"transaction_read_only", "off"},
	{"transaction_isolation", "read committed"},
}

// readyPostgres reads the settings of the writer's session back and looks at its
// role.
func readyPostgres(ctx context.Context, conn *sql.Conn) error {
	for _, p := range promises {
		var value string
		err := conn.QueryRowContext(ctx, "SELECT current_setting($1)", p.name).Scan(&value)
		if err != nil {
			return fmt.Errorf("reading %s: %w", p.name, err)
		}
		if value != p.value {
			return fmt.Errorf("%w: %s=%s, want %s", ErrDurability, p.name, value, p.value)
		}
	}
	err := settings(ctx, conn)
	if err != nil {
		return err
	}
	var fault sql.NullString
	err = conn.QueryRowContext(ctx, tooMuch).Scan(&fault)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("reading what the role may do: %w", err)
	}
	if fault.Valid {
		return fmt.Errorf("%w: it %s", ErrRole, fault.String)
	}
	return nil
}

// settings refuses a database whose texts are not in the order of their octets:
// the order of the system's language changes with the system, and with it what an
// index finds.
func settings(ctx context.Context, q querier) error {
	var encoding, collation, provider string
	err := q.QueryRowContext(ctx, `SELECT pg_encoding_to_char(encoding), datcollate, datlocprovider::text FROM pg_database
		WHERE datname = current_database()`).Scan(&encoding, &collation, &provider)
	if err != nil {
		return fmt.Errorf("reading the database's encoding: %w", err)
	}
	if encoding != "UTF8" || provider != "c" || collation != "C" && collation != "POSIX" {
		return fmt.Errorf("%w: the database has encoding %s and collation %s, want UTF8 and C (CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C')",
			ErrSchema, encoding, collation)
	}
	return nil
}

// tooMuch finds what the session's role may do and the authority never does.
const tooMuch = `WITH mine AS (SELECT c.oid, c.relname, c.relowner FROM pg_class c
	WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f'))
SELECT 'is a superuser, or may become one' FROM pg_roles
	WHERE rolname = current_user AND (rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls)
UNION ALL SELECT 'is a member of ' || rolname FROM pg_roles WHERE pg_has_role(oid, 'MEMBER') AND rolname IN ('pg_write_all_data',
	'pg_write_server_files', 'pg_execute_server_program', 'pg_database_owner')
UNION ALL SELECT 'owns ' || relname FROM mine WHERE pg_has_role(relowner, 'MEMBER')
UNION ALL SELECT 'may make tables in the schema public' WHERE has_schema_privilege('public', 'CREATE')
UNION ALL SELECT 'may ' || p.name || ' ' || relname FROM mine, (VALUES ('DELETE'), ('TRUNCATE'), ('TRIGGER'), ('REFERENCES')) AS p (name)
	WHERE has_table_privilege(mine.oid, p.name)
UNION ALL SELECT 'may UPDATE ' || relname || '.' || a.attname FROM mine JOIN pg_attribute a ON a.attrelid = mine.oid AND a.attnum > 0 AND NOT a.attisdropped
	WHERE has_column_privilege(mine.oid, a.attnum, 'UPDATE') AND NOT EXISTS (SELECT 1 FROM aclexplode(a.attacl) g
		WHERE g.privilege_type = 'UPDATE' AND g.grantee = 'cpsca_authority'::regrole)
LIMIT 1`
