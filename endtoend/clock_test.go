package endtoend_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/crl"
	"cpsca/lifecycle"

	"golang.org/x/sync/errgroup"
)

// steppedStart lies far enough behind the issuer's first day to step back from.
var steppedStart = roomsStart.AddDate(0, 1, 0)

// steps are where a clock that is set by hand, or by a broken time service, jumps
// to, one after the other.
var steps = []time.Duration{0, time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour, 23 * time.Hour}

// stepped is a clock that runs, and jumps: after each so many readings, and when
// it is told to.
type stepped struct {
	every    int64 // readings; 0: it is told
	readings atomic.Int64
	told     atomic.Int64
}

func (s *stepped) now() time.Time {
	n := s.readings.Add(1)
	at := s.told.Load()
	if s.every > 0 {
		at += n / s.every
	}
	return steppedStart.Add(steps[at%int64(len(steps))] + time.Duration(n)*time.Millisecond)
}

func TestClockStepsBreakNoPromise(t *testing.T) {
	for name, every := range map[string]int64{"between batches": 0, "during batches": 5, "at every reading": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := &stepped{every: every}
			folder := t.TempDir()
			foundRooms(t, folder)
			r := newRooms(t, folder)
			r.now = clock.now
			err := r.open(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer r.close()
			applications := r.applications(t, 2, 60)
			published := time.Time{}
			for n := range 2 * len(steps) {
				clock.told.Add(1)
				part := applications[n*5 : n*5+5]
				r.busy(t, part, applications[:n*5])
				published = r.listGoesOn(t, published)
				if n%4 == 3 {
					r.close()
					clock.told.Add(1)
					err = r.open(t.Context(), nil)
					if err != nil {
						t.Fatal(err)
					}
				}
				r.fine(t, moment{})
			}
			r.settles(t, applications)
		})
	}
}

// busy sends new applications in chunks, and some that were answered, reports a
// card lost and wants a list, all at once.
func (r *rooms) busy(t *testing.T, fresh, before []card.Application) {
	t.Helper()
	var g errgroup.Group
	var mu sync.Mutex
	var answers []ca.Answer
	for _, chunk := range [][]card.Application{fresh[:2], fresh[2:], before[max(0, len(before)-3):]} {
		g.Go(func() error {
			some, err := r.issue(t.Context(), chunk)
			mu.Lock()
			defer mu.Unlock()
			answers = append(answers, some...)
			return err
		})
	}
	if len(before) > 0 {
		number := before[len(before)-1].Number
		r.lost[number] = true
		g.Go(func() error {
			_, err := r.desk.ReportLoss(t.Context(), "desk", lifecycle.Loss{Card: number, Circumstance: card.Lost})
			return err
		})
	}
	g.Go(func() error { return r.publish(t) })
	err := g.Wait()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range answers {
		if a.Err != nil {
			t.Errorf("order %s: %v", a.Order, a.Err)
		}
	}
	for _, fault := range r.hear(answers) {
		t.Error(fault)
	}
}

// publish makes a list, unless the clock is behind the last one: none may seem
// older than the one before it.
func (r *rooms) publish(t *testing.T) error {
	_, err := r.publisher.Publish(t.Context(), r.issuerID, crl.Emergency)
	if errors.Is(err, crl.ErrBehind) {
		return nil
	}
	return err
}

// listGoesOn checks that the published list is not older than the one before.
func (r *rooms) listGoesOn(t *testing.T, before time.Time) time.Time {
	t.Helper()
	der, err := os.ReadFile(filepath.Join(r.folder, "lists", "cards.crl"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := crl.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	if list.ThisUpdate.Before(before) {
		t.Errorf("the list is of %v, the one before of %v", list.ThisUpdate, before)
	}
	return list.ThisUpdate
}

func (r *rooms) fine(t *testing.T, m moment) {
	t.Helper()
	m.ledger, m.folder, m.signed, m.serving = filepath.Join(r.folder, "ledger.db"), filepath.Join(r.folder, "lists"), r.witnessed(), true
	for _, fault := range r.checkAll(t, m) {
		t.Error(fault)
	}
	if t.Failed() {
		t.FailNow()
	}
}

// settles lets the clock be right again: every answer is what it was, the list
// tells everything, and no certificate is valid at a time that it should not be.
func (r *rooms) settles(t *testing.T, applications []card.Application) {
	t.Helper()
	right := steppedStart.Add(48 * time.Hour)
	r.close()
	r.now = func() time.Time { return right }
	err := r.open(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	answers, err := r.issue(t.Context(), applications)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range answers {
		if a.Err != nil || !a.Replayed {
			t.Errorf("order %s is answered anew: %v", a.Order, a.Err)
		}
		for _, one := range a.Certificates {
			fault := r.validity(one.DER)
			if fault != "" {
				t.Error(fault)
			}
		}
	}
	for _, fault := range r.hear(answers) {
		t.Error(fault)
	}
	_, err = r.publisher.Publish(t.Context(), r.issuerID, crl.Emergency)
	if err != nil {
		t.Fatal(err)
	}
	r.fine(t, moment{idle: true, whole: true})
}

func (r *rooms) validity(der []byte) string {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return err.Error()
	}
	day := 24 * time.Hour
	switch {
	case c.NotBefore.Before(steppedStart.Add(-day)) || c.NotBefore.After(steppedStart.Add(day+time.Hour)):
		return fmt.Sprintf("%x begins on %v, when the clock never was", c.SerialNumber, c.NotBefore)
	case !c.NotAfter.After(c.NotBefore) || c.NotAfter.After(r.issuing.NotAfter) || c.NotBefore.Before(r.issuing.NotBefore):
		return fmt.Sprintf("%x is valid from %v to %v, its issuer from %v to %v", c.SerialNumber, c.NotBefore, c.NotAfter, r.issuing.NotBefore, r.issuing.NotAfter)
	}
	return ""
}
