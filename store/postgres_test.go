package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"cpsca/testpostgres"

	_ "github.com/jackc/pgx/v5/stdlib" // for raw connections
)

var update = flag.Bool("update", false, "write migrations/postgres/catalogue.json anew")

// rawly connects to the database of a ledger, around the package.
func rawly(t testing.TB, place, role string) *sql.DB {
	t.Helper()
	address := server.DSN(role, database(t, place))
	if role == "" {
		address = server.Superuser(database(t, place))
	}
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestPostgresTheCatalogueIsThatOfTheMigrations(t *testing.T) {
	got, err := schemaOfPostgres(t.Context(), rawly(t, emptyLedger(t), ""))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		text, err := json.MarshalIndent(got, "", "  ")
		if err == nil {
			err = os.WriteFile("migrations/postgres/catalogue.json", append(text, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		catalogue = text
	}
	want, err := expectedOfPostgres(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(got, want) {
		t.Fatal("the recorded catalogue is not that of the migrations: go test ./store -run TestPostgresTheCatalogue -update")
	}
}

// shape is the columns of a database's tables, in their order with their types,
// and its keys.
func shape(t *testing.T, db *sql.DB, query string) []string {
	t.Helper()
	out := texts(t, db, query)
	for i, s := range out {
		s = strings.ReplaceAll(strings.ToLower(s), "integer", "bigint")
		out[i] = strings.Join(strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(s)), " ")
	}
	slices.Sort(out)
	return out
}

func TestPostgresHasTheColumnsAndKeysOfSQLite(t *testing.T) {
	here := rawly(t, emptyLedger(t), "")
	there, err := sql.Open("sqlite3", "file::memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	there.SetMaxOpenConns(1)
	err = migrate(t.Context(), there, "sqlite3", "migrations/sqlite")
	if err != nil {
		t.Fatal(err)
	}
	for what, queries := range map[string][2]string{
		"columns": {`SELECT c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, NULL) || ' ' || a.attnotnull || ' ' || a.attnum
			FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'r' WHERE c.relnamespace = 'public'::regnamespace
			AND c.relname <> 'goose_db_version' AND a.attnum > 0`,
			`SELECT m.name || '.' || c.name || ' ' || c.type || ' ' || CASE c."notnull" WHEN 1 THEN 'true' ELSE 'false' END || ' ' || (c.cid + 1)
			FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT IN ('goose_db_version', 'sqlite_sequence')`},
		"primary keys": {`SELECT c.relname || '.' || a.attname || ' ' || array_position(i.indkey::int[], a.attnum::int) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
			JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey) WHERE i.indisprimary AND c.relnamespace = 'public'::regnamespace AND c.relname <> 'goose_db_version'`,
			`SELECT m.name || '.' || c.name || ' ' || (c.pk - 1) FROM sqlite_master m, pragma_table_info(m.name) c
			WHERE m.type = 'table' AND c.pk > 0 AND m.name <> 'goose_db_version'`},
		"foreign keys": {`SELECT k.conrelid::regclass || '.' || a.attname || ' ' || k.confrelid::regclass FROM pg_constraint k
			JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey) WHERE k.contype = 'f'`,
			`SELECT m.name || '.' || f."from" || ' ' || f."table" FROM sqlite_master m, pragma_foreign_key_list(m.name) f`},
		"indexes": {`SELECT relname FROM pg_class WHERE relkind = 'i' AND relnamespace = 'public'::regnamespace AND relname !~ '_(pkey|key)$'`,
			`SELECT name FROM sqlite_master WHERE type = 'index' AND name NOT LIKE 'sqlite%'`},
		"unique indexes": {`SELECT c.relname || ' ' || CASE WHEN i.indpred IS NULL THEN 0 ELSE 1 END || ' ' || (SELECT string_agg(a.attname, ' ' ORDER BY array_position(i.indkey::int[], a.attnum::int))
			FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey)) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
			WHERE i.indisunique AND NOT i.indisprimary AND c.relnamespace = 'public'::regnamespace`,
			`SELECT m.name || ' ' || l.partial || ' ' || (SELECT group_concat(name, ' ') FROM pragma_index_info(l.name)) FROM sqlite_master m, pragma_index_list(m.name) l
			WHERE m.type = 'table' AND l."unique" = 1 AND l.origin <> 'pk'`},
	} {
		postgres, sqlite := shape(t, here, queries[0]), shape(t, there, queries[1])
		if !slices.Equal(postgres, sqlite) || len(sqlite) < 4 {
			t.Errorf("%s: PostgreSQL has\n%s\nSQLite has\n%s", what, strings.Join(postgres, "\n"), strings.Join(sqlite, "\n"))
		}
	}
}

func TestPostgresAChangedSchemaIsRefused(t *testing.T) {
	for name, statement := range map[string]string{
		"a unique index is dropped":      "DROP INDEX cards_one_live",
		"a trigger is dropped":           "DROP TRIGGER revocations_for_ever ON revocations",
		"a trigger is switched off":      "ALTER TABLE cards DISABLE TRIGGER cards_end_for_ever",
		"foreign keys are switched off":  "ALTER TABLE certificates DISABLE TRIGGER ALL",
		"a trigger that acts by itself":  "CREATE TRIGGER helper BEFORE INSERT ON feed FOR EACH ROW EXECUTE FUNCTION stays('no')",
		"a rule that acts by itself":     "CREATE RULE helper AS ON INSERT TO feed DO INSTEAD NOTHING",
		"a table nobody knows":           "CREATE TABLE extra (x BIGINT)",
		"a function is weakened":         "CREATE OR REPLACE FUNCTION stays() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
		"a check is dropped":             "ALTER TABLE revocations DROP CONSTRAINT revocations_status_check",
		"a column takes everything":      "ALTER TABLE certificates ALTER signature DROP NOT NULL",
		"a table does not survive":       "ALTER TABLE loss_reports SET UNLOGGED",
		"a stranger may write":           "GRANT INSERT ON feed TO PUBLIC",
		"the authority may change it":    "GRANT UPDATE ON journal TO cpsca_authority",
		"the authority may change a bit": "GRANT UPDATE (serial) ON intents TO cpsca_authority",
		"the auditor may write":          "GRANT INSERT ON journal TO cpsca_auditor",
	} {
		t.Run(name, func(t *testing.T) {
			place := emptyLedger(t)
			_, err := rawly(t, place, "").Exec(statement)
			if err != nil {
				t.Fatal(err)
			}
			db, err := Open(t.Context(), at(place))
			if err == nil {
				db.Close()
			}
			if !errors.Is(err, ErrSchema) {
				t.Fatalf("got %v, want ErrSchema", err)
			}
		})
	}
}

func TestPostgresCreateAndOpenRefuseWhatTheyShould(t *testing.T) {
	used := emptyLedger(t)
	for _, name := range []string{"bare", "strange"} {
		err := server.Create(t.Context(), name, "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Drop(context.Background(), name) })
	}
	err := server.Do(t.Context(), "strange", "CREATE TABLE precious (x BIGINT)")
	if err == nil {
		err = server.Do(t.Context(), "postgres", "CREATE DATABASE spoken TEMPLATE template0 LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8' OWNER cpsca_owner")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Drop(context.Background(), "spoken") })
	for name, c := range map[string]struct {
		address string
		want    error
	}{
		"a ledger":                       {server.DSN(testpostgres.Owner, database(t, used)), ErrExists},
		"a database with tables":         {server.DSN(testpostgres.Owner, "strange"), ErrExists},
		"an order of texts that changes": {server.DSN(testpostgres.Owner, "spoken"), ErrSchema},
		"a password in a URL":            {"postgres://one:secret@localhost/x", ErrDSN},
		"a password in a string":         {"host=localhost password=secret dbname=x", ErrDSN},
		"nonsense":                       {"postgres://localhost:port/x", ErrDSN},
	} {
		err := createPostgres(t.Context(), c.address)
		if !errors.Is(err, c.want) || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("creating in %s: got %v", name, err)
		}
	}
	_, err = Open(t.Context(), Config{DSN: server.DSN(testpostgres.Authority, "bare")})
	if !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), "cpsca init") {
		t.Errorf("opening a bare database: got %v", err)
	}
	for _, role := range []string{server.DSN(testpostgres.Owner, database(t, used)), server.Superuser(database(t, used))} {
		_, err = Open(t.Context(), Config{DSN: role})
		if !errors.Is(err, ErrRole) {
			t.Errorf("opening as %s: got %v", role, err)
		}
	}
}

func TestPostgresWeakDurabilityIsRefused(t *testing.T) {
	place := emptyLedger(t)
	for _, setting := range []string{"fsync = off", "full_page_writes = off", "zero_damaged_pages = on"} {
		name, _, _ := strings.Cut(setting, " ")
		alter(t, "ALTER SYSTEM SET "+setting)
		_, err := Open(t.Context(), at(place))
		alter(t, "ALTER SYSTEM RESET "+name)
		if !errors.Is(err, ErrDurability) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", setting, err)
		}
	}
	// What the session sets for itself does not follow the role's defaults.
	alter(t, "ALTER ROLE cpsca_authority SET synchronous_commit = off")
	defer alter(t, "ALTER ROLE cpsca_authority RESET ALL")
	db := openLedger(t, place)
	var value string
	err := db.write.conn.QueryRowContext(t.Context(), "SHOW synchronous_commit").Scan(&value)
	if err != nil || value != "on" {
		t.Fatalf("synchronous_commit=%s, %v", value, err)
	}
	ordered(t, db)
}

// alter changes a setting of the server and waits until new sessions have it.
func alter(t *testing.T, statement string) {
	t.Helper()
	for _, s := range []string{statement, "SELECT pg_reload_conf()"} {
		err := server.Do(t.Context(), "postgres", s)
		if err != nil {
			t.Fatal(err)
		}
	}
	settled(t, statement)
}

// settled waits until a fresh session shows what a statement set.
func settled(t *testing.T, statement string) {
	t.Helper()
	fields := strings.Fields(statement)
	if fields[1] != "SYSTEM" {
		return
	}
	want := map[string]string{"fsync": "on", "full_page_writes": "on", "zero_damaged_pages": "off"}[fields[3]]
	if fields[2] == "SET" {
		want = fields[5]
	}
	for range 1000 {
		db, err := sql.Open("pgx", server.Superuser("postgres"))
		if err != nil {
			t.Fatal(err)
		}
		var value string
		err = db.QueryRow("SELECT current_setting($1)", fields[3]).Scan(&value)
		_ = db.Close()
		if err != nil {
			t.Fatal(err)
		}
		if value == want {
			return
		}
	}
	t.Fatal(fmt.Sprintf("%s has no effect", statement))
}
