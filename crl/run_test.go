package crl

import (
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cpsca/card"
)

// diary notes what a publisher did and when.
type diary struct {
	mu        sync.Mutex
	published []Published
	at        []time.Time
	failed    []error
}

func (d *diary) ListPublished(p Published) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.published = append(d.published, p)
	d.at = append(d.at, time.Now())
}

func (d *diary) ListFailed(_ card.KeyID, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed = append(d.failed, err)
}

func (d *diary) count() int { return len(d.lists()) }

func (d *diary) lists() []Published {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.published)
}

func (d *diary) times() []time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.at)
}

func (d *diary) failures() []error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.failed)
}

// running starts a publisher inside a synctest bubble; its clock is the
// bubble's.
func running(t *testing.T, change func(*world)) (*world, *diary) {
	t.Helper()
	w, d := newWorld(t, Policy{}), &diary{}
	w.cfg.Now, w.cfg.Meter = time.Now, d
	if change != nil {
		change(w)
	}
	w.restart()
	w.start(t)
	return w, d
}

func (w *world) start(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		err := <-ended
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func after(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

func TestRunPublishesEveryPeriod(t *testing.T) {
	p256Key()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, d := running(t, nil)
		after(3*DefaultPeriod + time.Hour)
		if d.count() != 4 || len(d.failures()) != 0 {
			t.Fatalf("got %d lists and failures %v, want 4 lists", d.count(), d.failures())
		}
		for i, at := range d.times() {
			late := at.Sub(start.Add(time.Duration(i) * DefaultPeriod))
			if late < 0 || late > time.Minute || d.lists()[i].Kind != Regular {
				t.Fatalf("list %d, %s, came %s late", i, d.lists()[i].Kind, late)
			}
		}
	})
}

func TestRunTellsWakesOfAMomentInOneList(t *testing.T) {
	p256Key()
	synctest.Test(t, func(t *testing.T) {
		w, d := running(t, nil)
		after(time.Hour)
		for n := range 100 {
			w.ledger.add(revoked(w.issuer, n))
			w.Wake()
			after(40 * time.Millisecond)
		}
		after(DefaultDelay)
		if d.count() != 2 || d.lists()[1].Kind != Emergency || d.lists()[1].Entries != 100 {
			t.Fatalf("got %+v", d.lists())
		}
		if late := d.times()[1].Sub(d.times()[0].Add(time.Hour)); late > DefaultDelay+time.Second {
			t.Fatalf("the list came %s after the first wake", late)
		}
		w.Wake() // nothing new
		after(time.Minute)
		if d.count() != 2 || w.ledger.reserved() != 2 {
			t.Fatalf("a wake without news made a list: %d lists, number %d", d.count(), w.ledger.reserved())
		}
		after(DefaultPeriod - time.Hour)
		if d.count() != 3 || d.lists()[2].Kind != Regular || d.times()[2].Sub(d.times()[0]) > DefaultPeriod+time.Minute {
			t.Fatalf("the emergency list moved the schedule: %v", d.times())
		}
	})
}

// failing is a key that can be taken away.
type failing struct {
	mu   sync.Mutex
	away bool
}

var errGone = errors.New("the module is gone")

func (f *failing) set(away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = away
}

func (f *failing) sign(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return nil, errGone
	}
	return p256Key().Sign(rand.Reader, digest, opts)
}

func TestRunTriesAgainUntilTheKeyIsBack(t *testing.T) {
	p256Key()
	for name, c := range map[string]struct {
		since time.Duration // from the first list until the key goes
		gone  time.Duration
		news  bool
		kind  Kind
	}{
		"an emergency list":               {time.Hour, 5 * time.Minute, true, Emergency},
		"a regular list":                  {DefaultPeriod - time.Minute, 5 * time.Minute, false, Regular},
		"both, after more than one alarm": {time.Hour, 40 * time.Hour, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				key := &failing{}
				w, d := running(t, func(w *world) { w.sign = key.sign })
				after(c.since)
				key.set(true)
				if c.news {
					w.ledger.add(revoked(w.issuer, 1))
					w.Wake()
				}
				after(c.gone)
				if d.count() != 1 || len(d.failures()) < int(5*time.Minute/DefaultRetry)/2 || !errors.Is(d.failures()[0], errGone) {
					t.Fatalf("got %d lists and %d failures", d.count(), len(d.failures()))
				}
				key.set(false)
				back := time.Now()
				after(time.Minute)
				if d.count() < 2 || d.times()[1].Sub(back) > DefaultRetry+time.Second || c.news != (d.lists()[1].Entries == 1) {
					t.Fatalf("got %d lists at %v, back at %s", d.count(), d.times(), back)
				}
				if c.kind != "" && (d.count() != 2 || d.lists()[1].Kind != c.kind) {
					t.Fatalf("got %+v, want one %s list", d.lists()[1:], c.kind)
				}
				failures := len(d.failures())
				after(2 * DefaultPeriod)
				if len(d.failures()) != failures {
					t.Fatalf("still failing: %v", d.failures()[failures:])
				}
			})
		})
	}
}

func TestRunAfterARestart(t *testing.T) {
	p256Key()
	synctest.Test(t, func(t *testing.T) {
		w, d := running(t, nil)
		after(time.Second)
		if d.count() != 1 {
			t.Fatalf("got %d lists at the first start", d.count())
		}
		w.restart()
		w.start(t)
		after(time.Hour)
		if d.count() != 1 {
			t.Fatal("a start without news made a list before its time")
		}
		w.ledger.add(revoked(w.issuer, 1)) // committed, and the process died before the wake
		w.restart()
		w.start(t)
		after(time.Minute)
		if d.count() != 2 || d.lists()[1].Entries != 1 || d.lists()[1].Kind != Emergency {
			t.Fatalf("what was committed before the start is not told: %+v", d.lists())
		}
	})
}

func TestRunPublishesAtHalfLifeOfAListFromAnotherPolicy(t *testing.T) {
	p256Key()
	synctest.Test(t, func(t *testing.T) {
		_, d := running(t, func(w *world) {
			der := must(Build(w.issuer, contentAt(1, time.Now().UTC().Add(-70*time.Hour)), nil))
			must(0, os.WriteFile(w.path(), der, 0o644))
			w.ledger.number = 1
			w.cfg.Policy.Lifetime = 366 * 24 * time.Hour
			w.cfg.Period = 100 * 24 * time.Hour
		})
		after(90 * time.Minute)
		if d.count() != 0 {
			t.Fatal("published before half life")
		}
		after(time.Hour)
		if d.count() != 1 {
			t.Fatalf("got %d lists after half life, failures %v", d.count(), d.failures())
		}
	})
}
