package bench

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cpsca/config"
	"cpsca/testpostgres"
)

func TestTheRateOnPostgresStandsBesideThatOnSQLite(t *testing.T) {
	folder := t.TempDir()
	out, progress, err := runBench(t.Context(), t, "issue", "--quick", "--json", "--programs", programs(t), "--folder", folder, "--only", "postgres")
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, progress)
	}
	var r Result
	err = json.Unmarshal([]byte(out), &r)
	if err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if r.Left["postgres"] != "" && os.Getenv("CPSCA_TEST_STRICT") != "1" {
		t.Skip(r.Left["postgres"])
	}
	for name, unit := range map[string]string{"issue.certs_postgres": perSec, "issue.ratio_postgres": ratio} {
		f, ok := r.number(name)
		if !ok || f.Number <= 0 || f.Unit != unit {
			t.Errorf("%s: got %+v\n%s", name, f, progress)
		}
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 0 {
		t.Errorf("the bench left %v, %v", left, err)
	}
}

func TestAHouseOnPostgresLeavesNoCluster(t *testing.T) {
	b := quiet(t)
	h, end, err := b.onCluster(t.Context(), filepath.Join(b.folder, "house"), p256)
	if errors.Is(err, testpostgres.ErrNotInstalled) && os.Getenv("CPSCA_TEST_STRICT") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	settings, err := config.ReadAuthority(h.configuration())
	if err != nil {
		t.Fatal(err)
	}
	ledger, err := url.Parse(settings.Ledger)
	if err != nil || ledger.Scheme != "postgres" || ledger.User.Username() != testpostgres.Authority {
		t.Errorf("the ledger is at %s, %v", settings.Ledger, err)
	}
	for name, want := range map[string]error{ledger.Query().Get("host"): nil, h.path("ledger.db"): os.ErrNotExist} {
		_, err = os.Stat(name)
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
	// What stands in the folder already is a failure with the cluster running.
	clusters := running(t, b)
	_, _, err = b.onCluster(t.Context(), h.folder, p256)
	if err == nil || running(t, b) != clusters {
		t.Errorf("a founding that failed: got %v, %d clusters, want %d", err, running(t, b), clusters)
	}
	err = end()
	_, gone := os.Stat(ledger.Query().Get("host"))
	if err != nil || !errors.Is(gone, os.ErrNotExist) {
		t.Errorf("after the end: %v, %v", err, gone)
	}
}

// running counts the servers that this process has started.
func running(t *testing.T, b *bench) int {
	t.Helper()
	children, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range children {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		for _, pid := range strings.Fields(string(text)) {
			line, err := os.ReadFile(filepath.Join("/proc", pid, "cmdline"))
			if err == nil && strings.Contains(string(line), "unix_socket_directories="+b.clusters()) {
				found++
			}
		}
	}
	return found
}

func TestPostgresIsMeasuredBesideSQLite(t *testing.T) {
	b := quiet(t)
	ended := 0
	// A house on SQLite stands in: what is tested is the comparison.
	b.postgres = func(ctx context.Context, folder string, s suite) (house, func() error, error) {
		h, err := foundElsewhere(ctx, folder, s)
		return h, func() error { ended++; return nil }, err
	}
	err := b.onPostgres(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f, ok := b.result.number("issue.ratio_postgres")
	if !ok || f.Number <= 0 || ended != 1 {
		t.Errorf("got %+v, %d clusters ended", f, ended)
	}
	b.programs = t.TempDir()
	err = b.onPostgres(t.Context())
	if !errors.Is(err, os.ErrNotExist) || ended != 2 {
		t.Errorf("no authority: got %v, %d clusters ended", err, ended)
	}
}

func TestWithoutPostgresItsSectionIsLeftOut(t *testing.T) {
	b := quiet(t)
	b.postgres = func(context.Context, string, suite) (house, func() error, error) {
		return house{}, nil, testpostgres.ErrNotInstalled
	}
	b.only = []string{"postgres"}
	b.result.Left, b.result.Took = make(map[string]string), make(map[string]float64)
	err := b.all(t.Context())
	if err != nil || !strings.Contains(b.result.Left["postgres"], testpostgres.ErrNotInstalled.Error()) || len(b.result.Figures) != 0 {
		t.Errorf("got %v, left out %v, figures %v", err, b.result.Left, b.result.Figures)
	}
}
