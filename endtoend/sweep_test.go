package endtoend_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cpsca/card"
	"cpsca/endtoend/powercut"
)

const (
	sweptCards = 2
	// Without a soak all operations fail, but of the writes to SQLite's log
	// after the first ones only one in sparse.
	firstWrites = 20
	sparse      = 12
)

// ground is what every run of the sweep starts from: a ledger with open orders.
type ground struct {
	content      string // folder
	asked        map[card.OrderID]asked
	applications []card.Application
}

func newSweptGround(t *testing.T) *ground {
	t.Helper()
	g := &ground{content: t.TempDir()}
	foundRooms(t, g.content)
	r := newRooms(t, g.content)
	err := r.open(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	g.applications = r.applications(t, 1, sweptCards)
	g.asked = r.asked
	err = r.db.Close()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestDiskFaultAtAnyOperationLosesNothingThatWasAcknowledged(t *testing.T) {
	g := newSweptGround(t)
	usual := g.run(t, 0, powercut.Proceed)
	for name, outcome := range map[string]powercut.Outcome{
		"refused": powercut.Refuse, "done but said to have failed": powercut.Deceive,
		"power cut before": powercut.CutBefore, "power cut after": powercut.CutAfter,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tried := make(map[string]int)
			for n := 1; ; n++ {
				write := n <= len(usual) && usual[n-1] == "write ledger.db-wal"
				if soakFolder == "" && write && n > firstWrites && (n+int(outcome))%sparse != 0 {
					continue
				}
				seen := g.run(t, n, outcome)
				if len(seen) < n {
					t.Logf("until operation %d: %v", len(seen), tried)
					break
				}
				tried[seen[n-1]]++
			}
			for _, operation := range usual {
				if tried[operation] == 0 {
					t.Errorf("no %s failed", operation)
				}
			}
		})
	}
}

// run lets the n-th operation of a pass fail, the first being 1, judges what is
// left, and returns which operations there were.
func (g *ground) run(t *testing.T, n int, outcome powercut.Outcome) []string {
	t.Helper()
	r := newRooms(t, t.TempDir())
	maps.Copy(r.asked, g.asked)
	disk := powercut.New()
	err := disk.Import(g.content)
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	disk.Follow(func(o powercut.Operation) powercut.Outcome {
		if strings.HasSuffix(o.Path, "-shm") {
			return powercut.Proceed // shared memory, which is made anew
		}
		seen = append(seen, fmt.Sprintf("%s %s", o.Kind, filepath.Base(o.Path)))
		if len(seen) != n {
			return powercut.Proceed
		}
		return outcome
	})
	_, faults := g.child(t, r, disk)
	rest := disk.Cut(nil) // what was not synced is gone in any case
	if rest == nil {
		rest = disk.Survivor()
	}
	if len(seen) < n {
		return seen
	}
	faults = append(faults, r.judged(t, rest, moment{})...)
	failed, wrong := g.child(t, r, rest)
	faults = append(append(faults, failed...), wrong...)
	faults = append(faults, r.judged(t, rest, moment{serving: true, idle: true, whole: true})...)
	for _, fault := range faults {
		t.Error(fault)
	}
	if t.Failed() {
		t.Fatalf("operation %d of %d: %s", n, len(seen), seen[max(n, 1)-1])
	}
	return seen
}

// judged judges a copy of what is on a disk.
func (r *rooms) judged(t *testing.T, d *powercut.Disk, m moment) []string {
	t.Helper()
	folder := t.TempDir()
	defer os.RemoveAll(folder) // there are hundreds
	err := d.Export(folder)
	if err != nil {
		t.Fatal(err)
	}
	m.ledger, m.folder, m.signed = filepath.Join(folder, "ledger.db"), filepath.Join(folder, "lists"), r.witnessed()
	return r.checkAll(t, m)
}
