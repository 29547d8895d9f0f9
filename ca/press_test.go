package ca_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cpsca/ca"
	"cpsca/card"
)

// clerk is a ledger with one writer that takes its time.
type clerk struct {
	book
	desk  chan struct{}
	takes time.Duration
}

func (c clerk) write() {
	c.desk <- struct{}{}
	<-time.After(c.takes)
	<-c.desk
}

func (c clerk) Intend(_ context.Context, chunk []card.Attempt) ([]error, error) {
	c.write()
	return make([]error, len(chunk)), nil
}

func (c clerk) Record(context.Context, []card.Signed, card.Gate) error {
	c.write()
	return nil
}

// busy is how long each signature takes, and how much of its time the device
// signed while there was something to sign.
type busy struct {
	takes       time.Duration
	calls       atomic.Int64
	mu          sync.Mutex
	first, last time.Time
}

func (b *busy) sign(_ int, sign func() ([]byte, error)) ([]byte, error) {
	b.mu.Lock()
	if b.first.IsZero() {
		b.first = time.Now()
	}
	b.mu.Unlock()
	b.calls.Add(1)
	<-time.After(b.takes)
	b.mu.Lock()
	b.last = time.Now()
	b.mu.Unlock()
	return sign()
}

// idle is the share of the time from its first to its last signature that so
// many sessions did not sign.
func (b *busy) idle(sessions int) float64 {
	could := b.last.Sub(b.first) * time.Duration(sessions)
	return 1 - float64(b.takes*time.Duration(b.calls.Load()))/float64(could)
}

// stream issues chunks as a door does, so many of them under way at a time, and
// says how much of its time the device stood idle.
func stream(t *testing.T, ahead, chunks, size int, takes, commit time.Duration) float64 {
	t.Helper()
	const sessions = 4
	config, signer, application := inMemory(t, func(c *ca.Config) {
		c.Signers = sessions
		c.Ledger = clerk{book: c.Ledger.(book), desk: make(chan struct{}, 1), takes: commit}
	})
	device := &busy{takes: takes}
	signer.does(device.sign)
	synctest.Test(t, func(t *testing.T) {
		l := config.Ledger.(clerk)
		l.desk = make(chan struct{}, 1) // one of the bubble
		config.Ledger = l
		authority := must(ca.New(config))(t)
		places := make(chan struct{}, ahead)
		var group sync.WaitGroup
		for n := range chunks {
			places <- struct{}{}
			var chunk []card.Application
			for i := range size {
				chunk = append(chunk, application(card.OrderID(fmt.Sprintf("%d-%d", n, i))))
			}
			group.Go(func() {
				defer func() { <-places }()
				_, err := authority.Issue(context.Background(), requester, bureau, chunk)
				if err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	})
	return device.idle(sessions)
}

// While lines are waiting, the device signs: chunks are examined, intended and
// recorded beside the signatures of others. One chunk at a time would not do.
func TestTheDeviceDoesNotWaitForTheLedger(t *testing.T) {
	for name, c := range map[string]struct{ takes, commit time.Duration }{
		"a fast device": {200 * time.Microsecond, 1 * time.Millisecond}, "a slow one": {4 * time.Millisecond, 20 * time.Millisecond},
	} {
		idle := stream(t, 3, 16, 48, c.takes, c.commit)
		if idle > 0.01 {
			t.Errorf("%s: idle %.1f %% of its time", name, 100*idle)
		}
		if alone := stream(t, 1, 8, 48, c.takes, c.commit); alone < 0.1 {
			t.Errorf("%s: idle %.1f %% with one chunk at a time: this test sees nothing", name, 100*alone)
		}
	}
}

// An application alone does not wait behind a chunk that is being signed, and
// the chunk that came first does not wait for those behind it.
func TestAnApplicationAloneOvertakesAChunk(t *testing.T) {
	config, signer, application := inMemory(t, func(c *ca.Config) { c.Signers = 2 })
	device := &busy{takes: 10 * time.Millisecond}
	signer.does(device.sign)
	chunk := func(name string, n int) []card.Application {
		var out []card.Application
		for i := range n {
			out = append(out, application(card.OrderID(fmt.Sprintf("%s-%d", name, i))))
		}
		return out
	}
	synctest.Test(t, func(t *testing.T) {
		authority := must(ca.New(config))(t)
		began := time.Now()
		var group sync.WaitGroup
		took := map[string]time.Duration{}
		var mu sync.Mutex
		issue := func(name string, applications []card.Application) {
			group.Go(func() {
				_, err := authority.Issue(context.Background(), requester, bureau, applications)
				mu.Lock()
				defer mu.Unlock()
				took[name] = time.Since(began)
				if err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		issue("first", chunk("first", 40)) // 80 signatures, 0.4 s alone
		issue("second", chunk("second", 40))
		issue("alone", chunk("alone", 1))
		group.Wait()
		if took["alone"] > 50*time.Millisecond {
			t.Errorf("alone, it took %v", took["alone"])
		}
		if took["first"] > 420*time.Millisecond || took["second"] > 830*time.Millisecond {
			t.Errorf("the chunks took %v and %v", took["first"], took["second"])
		}
	})
}

// A chunk is what is signed in a quarter of a second, within its bounds.
func TestChunksFollowTheDevice(t *testing.T) {
	for takes, want := range map[time.Duration]int{
		100 * time.Microsecond: ca.MaxChunk, 4 * time.Millisecond: 62, 200 * time.Millisecond: 16,
	} {
		config, signer, application := inMemory(t, func(c *ca.Config) { c.Signers = 2 })
		device := &busy{takes: takes}
		signer.does(device.sign)
		synctest.Test(t, func(t *testing.T) {
			authority := must(ca.New(config))(t)
			if n := authority.Chunk(); n != 64 {
				t.Errorf("a chunk of %d at first", n)
			}
			for n := range 8 {
				_ = must(authority.Issue(context.Background(), requester, bureau, []card.Application{application(card.OrderID(fmt.Sprint(n)))}))(t)
			}
			if n := authority.Chunk(); n != want {
				t.Errorf("a signature takes %v: chunks of %d, want %d", takes, n, want)
			}
		})
	}
}

// tally is a meter.
type tally struct {
	mu      sync.Mutex
	passed  map[ca.Stage]time.Duration
	load    [2]int // most
	now     [2]int
	answers [4]int
}

func (m *tally) StagePassed(stage ca.Stage, _ int, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.passed[stage] += took
}

func (m *tally) IssuingLoad(chunks, signatures int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = [2]int{chunks, signatures}
	m.load = [2]int{max(m.load[0], chunks), max(m.load[1], signatures)}
}

func (m *tally) ApplicationsAnswered(certified, replayed, refused, abandoned int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n, more := range []int{certified, replayed, refused, abandoned} {
		m.answers[n] += more
	}
}

func TestTheMeterHearsStagesLoadAndOutcomes(t *testing.T) {
	meter := &tally{passed: map[ca.Stage]time.Duration{}}
	var tick atomic.Int64
	h := newHouse(t, func(c *ca.Config) {
		c.Meter = meter
		c.Stopwatch = func() time.Time { return time.Unix(tick.Add(1), 0) }
	})
	applications := h.applications(4)
	applications[3].Order = "nowhere"
	h.issue(applications...)
	h.issue(applications[0])
	h.signer.does(func(int, func() ([]byte, error)) ([]byte, error) { return nil, context.DeadlineExceeded })
	h.issue(h.application())
	if want := [4]int{3, 1, 1, 1}; meter.answers != want {
		t.Errorf("got %v answers, want %v", meter.answers, want)
	}
	if meter.load[0] != 1 || meter.load[1] != 6 || meter.now != [2]int{} {
		t.Errorf("the load was %v, is %v", meter.load, meter.now)
	}
	for _, stage := range []ca.Stage{ca.Examine, ca.Intend, ca.Sign, ca.Record} {
		if meter.passed[stage] == 0 {
			t.Errorf("%s took no time", stage)
		}
	}
}
