package testpostgres

import (
	"database/sql"
	"errors"
	"os"
	"testing"
)

// start makes a cluster that ends with the test.
func start(t *testing.T) *Cluster {
	t.Helper()
	c, err := Start(t.Context(), "")
	if errors.Is(err, ErrNotInstalled) && os.Getenv("CPSCA_TEST_STRICT") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := c.Stop()
		if err != nil {
			t.Error(err)
		}
		_, err = os.Stat(c.folder)
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the folder of a stopped cluster: %v", err)
		}
	})
	return c
}

func TestAClusterKeepsWhatWasCommittedThroughACrash(t *testing.T) {
	c := start(t)
	err := errors.Join(c.Create(t.Context(), "one", ""), c.Do(t.Context(), "one", "CREATE TABLE kept AS SELECT 7 AS x"), c.Crash(), c.Restart(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", c.Superuser("one"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var x int
	var fsync string
	err = db.QueryRow("SELECT x, current_setting('fsync') FROM kept").Scan(&x, &fsync)
	if err != nil || x != 7 || fsync != "on" {
		t.Fatalf("got %d, fsync=%s, %v", x, fsync, err)
	}
}

func TestACopyOfADatabaseIsTheOwners(t *testing.T) {
	c := start(t)
	err := errors.Join(c.Create(t.Context(), "first", ""), c.Do(t.Context(), "first", "CREATE TABLE t (x BIGINT)"), c.Create(t.Context(), "second", "first"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", c.DSN(Owner, "second"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var owner, user string
	err = db.QueryRow("SELECT pg_get_userbyid(datdba), current_user FROM pg_database WHERE datname = 'second'").Scan(&owner, &user)
	if err != nil || owner != Owner || user != Owner {
		t.Fatalf("owner %s, user %s, %v", owner, user, err)
	}
	_ = db.Close()
	err = c.Drop(t.Context(), "second")
	if err != nil {
		t.Fatal(err)
	}
}
