package store

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"cpsca/testpostgres"
)

// The tests run twice: on SQLite, and on PostgreSQL with a server of their own.
// Those whose names begin with TestPostgres are of the second pass alone.

// server is that of the second pass; nil in the first.
var server *testpostgres.Cluster

// template is the database that the ledgers of the second pass are copies of.
const template = "template"

// ofSQLite are the tests that say nothing of PostgreSQL, and why.
var ofSQLite = map[string]string{
	"TestCreateNeverTouchesWhatExists":              "of files",
	"TestOpenRefusesWhatIsNoLedger":                 "of files",
	"TestALedgerWithAnOddNameOpens":                 "of files",
	"TestACloseLeavesOneWholeFile":                  "of files",
	"TestTheLogIsMovedIntoTheFileBesideTheChanges":  "of files",
	"TestTheWriterRefusesWeakDurability":            "of pragmas",
	"TestAChangedSchemaIsRefused":                   "of triggers; see TestPostgresAChangedSchemaIsRefused",
	"TestEveryTableIsProtectedOrListed":             "of SQLite's catalogue; see TestPostgresHasTheColumnsAndKeysOfSQLite",
	"TestNothingIsDeletedAndWhatIsWrittenOnceStays": "of triggers; see TestPostgresTheAuthorityMayDoNoMoreThanItNeeds",
	"TestTheIndexesStateTheLawWithoutTheCode":       "of a file; see TestPostgresTheIndexesStateTheLaw",
	"TestNoStatementReadsAWholeTable":               "of SQLite's plans",
	"TestVerifyJournalFindsEveryFlippedColumn":      "of types that change; see TestPostgresTampering",
	"TestVerifyJournalFindsDeletedAndInsertedRows":  "of row numbers; see TestPostgresTampering",
	"TestAFullDiskStopsIssuingAndNoRevocation":      "of files",
	"TestTheLedgerTellsHowItStands":                 "of files",
	"TestPlaceholdersComeInOrder":                   "of the source",
	"TestFatalHearsOfDamageAndOfNothingElse":        "of both at once",
}

func TestMain(m *testing.M) {
	path := os.Getenv(childLedger)
	if path == "" {
		os.Exit(passes(m))
	}
	err := work(context.Background(), path)
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// passes runs the tests on the one database and on the other.
func passes(m *testing.M) int {
	flag.Parse()
	given := flag.Lookup("test.skip").Value.String()
	if flag.Lookup("test.list").Value.String() != "" {
		return m.Run()
	}
	leaveOut(given, "TestPostgres")
	code := m.Run()
	err := onServer(func() {
		leaveOut(given, strings.Join(slices.Collect(maps.Keys(ofSQLite)), "$|")+"$")
		code = max(code, m.Run())
	})
	switch {
	case errors.Is(err, testpostgres.ErrNotInstalled) && os.Getenv("CPSCA_TEST_STRICT") != "1":
		fmt.Println("the tests were not run on PostgreSQL:", err)
	case err != nil:
		fmt.Println("the tests on PostgreSQL:", err)
		code = 1
	}
	return code
}

func leaveOut(given, names string) {
	pattern := "^(" + names + ")"
	if given != "" {
		pattern = "(" + given + ")|" + pattern
	}
	err := flag.Set("test.skip", pattern)
	if err != nil {
		panic(err)
	}
}

// onServer starts the server of the second pass for f.
func onServer(f func()) (err error) {
	ctx := context.Background()
	server, err = testpostgres.Start(ctx, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	err = server.Create(ctx, template, "")
	if err == nil {
		err = Create(ctx, server.DSN(testpostgres.Owner, template))
	}
	if err != nil {
		return err
	}
	f()
	return nil
}

// copied makes a copy of a database, which goes with the test, and says how the
// authority reaches it.
func copied(t testing.TB, of string) string {
	t.Helper()
	name := fmt.Sprintf("ledger%d", next())
	err := server.Create(t.Context(), name, of)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := server.Drop(context.Background(), name)
		if err != nil {
			t.Error(err)
		}
	})
	return server.DSN(testpostgres.Authority, name)
}

// database is the name in a DSN.
func database(t testing.TB, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(u.Path, "/")
}
