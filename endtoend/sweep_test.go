package endtoend_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"cpsca/card"
	"cpsca/crl"
	"cpsca/endtoend/powercut"
	"cpsca/lifecycle"
)

const (
	sweptCards = 2
	// Without a soak all operations fail, but of the writes to SQLite's log
	// after the first ones only one in sparse.
	firstWrites = 20
	sparse      = 8
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

// run is one pass over the ground with one fault in it.
type run struct {
	*rooms
	ground *ground
	disk   *powercut.Disk
	seen   []string // operations, as the disk saw them

	mu   sync.Mutex // guards what follows
	rest *powercut.Disk
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
	r := &run{rooms: newRooms(t, t.TempDir()), ground: g, disk: powercut.New()}
	maps.Copy(r.asked, g.asked)
	err := r.disk.Import(g.content)
	if err != nil {
		t.Fatal(err)
	}
	unmount := powercut.MountForTest(t, r.disk, r.folder)
	r.disk.Follow(func(o powercut.Operation) powercut.Outcome {
		if strings.HasSuffix(o.Path, "-shm") {
			return powercut.Proceed // shared memory, which is made anew
		}
		r.seen = append(r.seen, fmt.Sprintf("%s %s", o.Kind, filepath.Base(o.Path)))
		if len(r.seen) != n {
			return powercut.Proceed
		}
		return outcome
	})
	r.work(t.Context(), r.dies)
	r.dies(nil) // what was not synced is gone in any case
	r.close()
	unmount()
	if len(r.seen) < n {
		return r.seen
	}
	for _, fault := range r.again(t) {
		t.Error(fault)
	}
	if t.Failed() {
		t.Fatalf("operation %d of %d: %s", n, len(r.seen), r.seen[max(n, 1)-1])
	}
	return r.seen
}

// dies ends the process, so to speak: from now on nothing gets on the disk, and
// nothing out of the door.
func (r *run) dies(error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rest := r.disk.Cut(nil)
	if rest == nil {
		rest = r.disk.Survivor()
	}
	if r.rest == nil {
		r.rest = rest
	}
}

func (r *run) lives() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.disk.Failed():
		return false
	default:
		return r.rest == nil
	}
}

// work does everything once: a start, a chunk, a list, a loss, all of it again, an
// end. What is acknowledged while the process lives is remembered.
func (r *run) work(ctx context.Context, fatal func(error)) {
	err := r.open(ctx, fatal)
	if err != nil {
		return
	}
	for range 2 {
		answers, err := r.issue(ctx, r.ground.applications)
		if err == nil && r.lives() {
			r.hear(answers)
		}
		list, err := r.publisher.Publish(ctx, r.issuerID, crl.Emergency)
		if err == nil && r.lives() {
			r.number = list.Number
		}
		number := r.ground.applications[0].Number
		_, err = r.desk.ReportLoss(ctx, "desk", lifecycle.Loss{Card: number, Circumstance: card.Lost})
		if err == nil && r.lives() {
			r.lost[number] = true
		}
	}
	r.close()
}

// again starts on what is left, judges, and wants everything to succeed.
func (r *run) again(t *testing.T) []string {
	t.Helper()
	copies := t.TempDir()
	judge := func(d *powercut.Disk, m moment) []string {
		err := d.Export(copies)
		if err != nil {
			t.Fatal(err)
		}
		m.ledger, m.folder, m.signed = filepath.Join(copies, "ledger.db"), filepath.Join(copies, "lists"), r.witnessed()
		return r.checkAll(t, m)
	}
	faults := judge(r.rest, moment{})
	clearFolder(t, copies)
	unmount := powercut.MountForTest(t, r.rest, r.folder)
	defer unmount()
	err := r.open(t.Context(), nil)
	if err != nil {
		return append(faults, fmt.Sprintf("the second start: %v", err))
	}
	defer r.close()
	faults = append(faults, judge(r.rest, moment{serving: true})...)
	clearFolder(t, copies)
	answers, err := r.issue(t.Context(), r.ground.applications)
	if err != nil {
		return append(faults, fmt.Sprintf("sending the chunk again: %v", err))
	}
	for _, a := range answers {
		if a.Err != nil {
			faults = append(faults, fmt.Sprintf("sending order %s again: %v", a.Order, a.Err))
		}
	}
	faults = append(faults, r.hear(answers)...)
	_, err = r.publisher.Publish(t.Context(), r.issuerID, crl.Emergency)
	if err != nil {
		return append(faults, fmt.Sprintf("publishing again: %v", err))
	}
	return append(faults, judge(r.rest, moment{serving: true, idle: true, whole: true})...)
}

func clearFolder(t *testing.T, path string) {
	t.Helper()
	err := os.RemoveAll(path)
	if err == nil {
		err = os.Mkdir(path, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
}
