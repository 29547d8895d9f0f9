package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"cpsca/hsm"
	"cpsca/store"

	"github.com/spf13/cobra"
)

// The test binary is cpsca when the bench calls it for one of its steps.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "bench" {
		err := program(os.Stdout, os.Stderr).Execute()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(built) // a temporary folder
	}
	os.Exit(code)
}

var errMisused = errors.New("misused")

// program is a cpsca that has no other verb.
func program(out, err *os.File) *cobra.Command {
	root := &cobra.Command{Use: "cpsca", SilenceUsage: true, SilenceErrors: true}
	root.PersistentFlags().Bool("json", false, "")
	root.AddCommand(Command(Tools{
		Progress: func(string, int64) (func(int64), func()) { return func(int64) {}, func() {} },
		Misused:  func(_ *cobra.Command, what string) error { return fmt.Errorf("%w: %s", errMisused, what) },
	}))
	root.SetOut(out)
	root.SetErr(err)
	return root
}

// runBench runs a command line and returns what it printed.
func runBench(ctx context.Context, t *testing.T, args ...string) (out, progress string, err error) {
	t.Helper()
	root := program(nil, nil)
	var stdout, stderr bytes.Buffer
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	root.SetArgs(append([]string{"bench"}, args...))
	err = root.ExecuteContext(ctx)
	return stdout.String(), stderr.String(), err
}

// built holds the authority's binaries once they are there; it goes with the
// test process.
var built string

// build makes cpsca-authority from this tree, once as it is and once with
// protections that can be taken off.
var build = sync.OnceValue(func() error {
	err := readModule()
	if err != nil {
		return err
	}
	built, err = os.MkdirTemp("", "cpsca-bench-programs")
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"build", "-o", filepath.Join(built, "cpsca-authority"), "cpsca/cmd/cpsca-authority"},
		{"build", "-tags", "unprotected", "-o", filepath.Join(built, "unprotected", "cpsca-authority"), "cpsca/cmd/cpsca-authority"},
	} {
		output, err := exec.Command("go", args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("building the authority: %w\n%s", err, output)
		}
	}
	return nil
})

// readModule opens every folder of the module, of which the authority is made:
// go keeps a test's result until something changes that the test has opened.
func readModule() error {
	return filepath.WalkDir(filepath.Join("..", "..", ".."), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || !d.IsDir():
			return err
		case slices.Contains([]string{".git", "bin", "var", "testdata"}, d.Name()):
			return filepath.SkipDir
		}
		_, err = os.ReadDir(path)
		return err
	})
}

// programs is the folder of the authority's binaries.
func programs(t *testing.T) string {
	t.Helper()
	_, err := hsm.FindSoftHSM()
	if err != nil && os.Getenv("CPSCA_TEST_STRICT") != "1" {
		t.Skip("SoftHSM is not installed; `make test` installs it")
	}
	if err == nil {
		err = build()
	}
	if err != nil {
		t.Fatal(err)
	}
	return built
}

func TestTheBenchPrintsEveryFigureOnce(t *testing.T) {
	folder := t.TempDir()
	out, progress, err := runBench(t.Context(), t, "issue", "--quick", "--programs", programs(t), "--folder", folder, "--only", "p384,p256,single,memory,prices,growth")
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, progress)
	}
	printed := make(map[string]string)
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) != 4 || fields[0] != "figure" || printed[fields[1]] != "" {
			t.Fatalf("not a figure, or a second one: %q", line)
		}
		var number float64
		_, err := fmt.Sscan(fields[2], &number)
		if err != nil || number <= 0 {
			t.Errorf("%s is %s", fields[1], fields[2])
		}
		printed[fields[1]] = fields[3]
	}
	for name, unit := range map[string]string{
		"ratio_p256": "ratio", "certs_p256": "per_s", "raw_sign_p256": "per_s", "floor_p256": "per_s",
		"ratio_p384": "ratio", "certs_p384": "per_s", "raw_sign_p384": "per_s", "floor_p384": "per_s",
		"single_p50_ms": "ms", "single_p99_ms": "ms", "single_floor_ms": "ms", "rss_mb": "MB", "growth": "ratio", "stored": "count",
		"without_verification": "per_s", "without_journal": "per_s", "without_keys": "per_s", "without_durability": "per_s", "with_all": "per_s",
	} {
		if printed["issue."+name] != unit {
			t.Errorf("issue.%s has the unit %q, want %q\n%s", name, printed["issue."+name], unit, progress)
		}
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 0 {
		t.Errorf("the bench left %v, %v", left, err)
	}
}

func TestTheBenchPrintsJSON(t *testing.T) {
	out, _, err := runBench(t.Context(), t, "issue", "--quick", "--json", "--programs", programs(t), "--folder", t.TempDir(), "--only", "single")
	if err != nil {
		t.Fatal(err)
	}
	var r Result
	err = json.Unmarshal([]byte(out), &r)
	if err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	_, ok := r.number("issue.single_p99_ms")
	if !ok || len(r.Latencies) == 0 || !slices.IsSorted(r.Latencies) || r.Machine.Cores == 0 {
		t.Errorf("got %+v", r)
	}
	if len(r.Left) != 0 {
		t.Errorf("left out: %v", r.Left)
	}
}

// quiet is a run whose figures nobody reads, in a folder of the test.
func quiet(t *testing.T) *bench {
	t.Helper()
	return &bench{
		plan: plan{folder: t.TempDir(), programs: programs(t), rounds: 1, seconds: 0.1}, streams: streams{out: io.Discard, err: io.Discard},
		tools:   Tools{Progress: func(string, int64) (func(int64), func()) { return func(int64) {}, func() {} }},
		founded: make(map[suite]house), prepared: make(map[suite]*prepared),
	}
}

func TestABatchCountsOnlyIfTheLedgerHoldsIt(t *testing.T) {
	b := quiet(t)
	p, err := b.prepare(t.Context(), p256)
	if err != nil {
		t.Fatal(err)
	}
	all, as := p.work.all(), variant{program: b.program()}
	issued, err := b.copy(p.house)
	if err != nil {
		t.Fatal(err)
	}
	o, err := b.batch(t.Context(), issued, all, as)
	if err != nil {
		t.Fatal(err)
	}
	if o.rate <= 0 || o.memory < 1<<20 || len(o.sample) < 10 {
		t.Errorf("got %+v", o)
	}
	err = p.house.holds(t.Context(), o.sample)
	if !errors.Is(err, errAnswers) {
		t.Errorf("a ledger in which nothing was issued: got %v", err)
	}
	last := &o.sample[len(o.sample)-1].Certificates[1]
	last.Certificate = o.sample[0].Certificates[1].Certificate
	err = issued.holds(t.Context(), o.sample)
	if !errors.Is(err, errAnswers) {
		t.Errorf("another certificate than the ledger's: got %v", err)
	}
	_, err = b.batch(t.Context(), issued, all, as)
	if !errors.Is(err, errAnswers) {
		t.Errorf("the same batch again, which costs no signature: got %v", err)
	}
	_, err = b.batch(t.Context(), p.house, span{p.work, 0, 1}, variant{program: filepath.Join(b.programs, "none")})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a program that is not there: got %v", err)
	}
}

func TestAnAuthorityThatDoesNotStartTellsWhy(t *testing.T) {
	b := quiet(t)
	h, err := b.house(t.Context(), p256)
	if err != nil {
		t.Fatal(err)
	}
	err = os.Remove(h.path("authority.pin"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.start(t.Context(), b.program())
	if err == nil || !strings.Contains(err.Error(), "authority.pin") {
		t.Errorf("got %v", err)
	}
}

func TestPricesNeedProgramsThatCanDoWithout(t *testing.T) {
	for name, folder := range map[string]string{"none": t.TempDir(), "as released": programs(t)} {
		b := quiet(t)
		b.unprotected = folder
		err := b.prices(t.Context())
		if !errors.Is(err, errNotOffered) {
			t.Errorf("%s: got %v, want errNotOffered", name, err)
		}
	}
}

func TestGrowthNeedsRoom(t *testing.T) {
	b := quiet(t)
	b.stored = 1 << 50
	err := b.growth(t.Context())
	if !errors.Is(err, errNotOffered) {
		t.Errorf("got %v, want errNotOffered", err)
	}
}

func TestStoredCertificatesAreKeptForTheNextRun(t *testing.T) {
	folder, authorities := filepath.Join(t.TempDir(), "stored"), programs(t)
	growth := func(certificates string) (string, error) {
		out, _, err := runBench(t.Context(), t, "issue", "--quick", "--programs", authorities, "--folder", t.TempDir(), "--only", "growth", "--stored-house", folder, "--stored", certificates)
		return out, err
	}
	for _, stores := range []bool{true, false} {
		out, err := growth("200")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out, "issue.preload") != stores || !strings.Contains(out, "figure issue.stored 200 count") || !strings.Contains(out, "issue.growth") {
			t.Errorf("stores %t: got\n%s", stores, out)
		}
	}
	db, err := store.OpenReadOnly(store.Config{Path: filepath.Join(folder, "ledger.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.VerifyJournal(t.Context(), nil)
	if err != nil {
		t.Errorf("the kept ledger: %v", err)
	}
	_, err = growth("300")
	if err == nil || !strings.Contains(err.Error(), "200") {
		t.Errorf("another number of certificates: got %v", err)
	}
}

func TestARunThatIsStoppedLeavesNothing(t *testing.T) {
	folder := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, _, err := runBench(ctx, t, "issue", "--quick", "--folder", folder, "--only", "p256")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the cause", err)
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 0 {
		t.Errorf("the bench left %v, %v", left, err)
	}
}

func TestCommandLinesThatMakeNoSenseAreRefused(t *testing.T) {
	for name, args := range map[string][]string{
		"an unknown section":        {"issue", "--only", "p257"},
		"no rounds":                 {"issue", "--rounds", "0"},
		"a report of a part":        {"issue", "--only", "p256", "--report", "docs"},
		"a report of a test":        {"issue", "--quick", "--report", "docs"},
		"a house of unknown suites": {"house", "--suite", "ed448"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := runBench(t.Context(), t, args...)
			if !errors.Is(err, errMisused) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestWorkIsCutIntoEqualParts(t *testing.T) {
	w, err := newWork(t.Context(), filepath.Join(t.TempDir(), "lines"), hsm.P256, 7, func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for n := range 3 {
		part := w.part(n, 3)
		lines, file, err := part.open()
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		found := 0
		decoder := json.NewDecoder(lines)
		for decoder.More() {
			var a struct{ Order, Card string }
			err = decoder.Decode(&a)
			if err != nil || seen[a.Order] || a.Order != string(w.orders[len(seen)].ID) {
				t.Fatalf("part %d: %v, order %s", n, err, a.Order)
			}
			seen[a.Order] = true
			found++
		}
		if found != part.applications() || found < 2 {
			t.Errorf("part %d has %d lines, says %d", n, found, part.applications())
		}
	}
	if len(seen) != 7 {
		t.Errorf("the parts have %d lines together", len(seen))
	}
}

func TestQuantiles(t *testing.T) {
	for _, c := range []struct {
		numbers []float64
		want    float64
	}{
		{nil, 0}, {[]float64{4}, 4}, {[]float64{3, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5},
	} {
		before := slices.Clone(c.numbers)
		if got := median(c.numbers); got != c.want || !slices.Equal(before, c.numbers) {
			t.Errorf("median of %v: got %v, want %v", c.numbers, got, c.want)
		}
	}
	var hundred []float64
	for i := range 101 {
		hundred = append(hundred, float64(i))
	}
	if got := quantile(hundred, 0.99); got != 99 {
		t.Errorf("got %v, want 99", got)
	}
}
