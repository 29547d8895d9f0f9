package status

import (
	"fmt"
	"time"

	"cpsca/card"
	"cpsca/ocsp"
)

// shortestLife is what a responder certificate must have left, so that the node
// can go on for as long as its image is good for anything.
const shortestLife = ocsp.DefaultStale

// Position is how far the node is, for the authority to know since when a
// change can be seen (GET /v1/position on the management port).
type Position struct {
	Sequence uint64                  `json:"sequence"` // applied and answered from
	AsOf     time.Time               `json:"as_of,omitzero"`
	Lists    map[string]ListPosition `json:"lists"`
}

// ListPosition is the list served for one issuer.
type ListPosition struct {
	Number     int64     `json:"number"` // cRLNumber
	ThisUpdate time.Time `json:"this_update"`
	NextUpdate time.Time `json:"next_update"`
}

// Position returns how far the node is.
func (f *Follower) Position() Position {
	head := f.cfg.Image.Head()
	return Position{Sequence: head.Sequence, AsOf: head.AsOf, Lists: f.cfg.Lists.positions()}
}

func (l *Lists) positions() map[string]ListPosition {
	l.mu.RLock()
	defer l.mu.RUnlock()
	all := make(map[string]ListPosition, len(l.current))
	for name, s := range l.current {
		all[name] = ListPosition{Number: s.Number, ThisUpdate: s.ThisUpdate, NextUpdate: s.NextUpdate}
	}
	return all
}

// Health is how the node stands at one moment.
type Health struct {
	// Serving is false when OCSP answers tryLater for at least one issuer.
	Serving bool `json:"serving"`
	// Alarms are sentences for people; none if all is well.
	Alarms     []string                 `json:"alarms"`
	Position   Position                 `json:"position"`
	Age        time.Duration            `json:"age"`        // of the image
	Revivals   int                      `json:"revivals"`   // records refused by the image since the start
	Responders map[card.KeyID]time.Time `json:"responders"` // end of the certificates in use
}

// Examine looks at a node. Image ages and certificate lives follow the defaults
// of ocsp.
func Examine(f *Follower, e *Enrolment) Health {
	now := f.cfg.Now()
	h := Health{Serving: true, Alarms: []string{}, Position: f.Position(), Responders: map[card.KeyID]time.Time{}}
	h.Revivals, _ = f.cfg.Image.Alarms()
	h.Age = now.Sub(h.Position.AsOf)
	if h.Position.AsOf.IsZero() {
		h.Age = 0
		h.stop("the feed was never read")
	} else if h.Age >= ocsp.DefaultStale {
		h.stop("the image is too old to answer from: %s", h.Age)
	} else if h.Age > ocsp.DefaultFresh {
		h.alarm("the image is stale: %s", h.Age)
	}
	if h.Revivals > 0 {
		h.alarm("the feed tried %d times to revive a serial", h.Revivals)
	}
	f.examineErrors(&h)
	f.examineLists(&h, now)
	e.examine(&h, now)
	return h
}

func (h *Health) alarm(format string, args ...any) {
	h.Alarms = append(h.Alarms, fmt.Sprintf(format, args...))
}

func (h *Health) stop(format string, args ...any) {
	h.Serving = false
	h.alarm(format, args...)
}

func (f *Follower) examineErrors(h *Health) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.feedErr != nil {
		h.alarm("the feed: %v", f.feedErr)
	}
	if f.copyErr != nil {
		h.alarm("the feed copy: %v", f.copyErr)
	}
	for name, err := range f.listErrs {
		h.alarm("list %s: %v", name, err)
	}
}

// examineLists warns when a list is missing or more than half of its life is
// over without a new one.
func (f *Follower) examineLists(h *Health, now time.Time) {
	for name := range f.cfg.Lists.issuers {
		p, ok := h.Position.Lists[name]
		if !ok {
			h.alarm("list %s: none yet", name)
		} else if now.After(p.NextUpdate) {
			h.alarm("list %s: out of date", name)
		} else if now.After(p.ThisUpdate.Add(p.NextUpdate.Sub(p.ThisUpdate) / 2)) {
			h.alarm("list %s: more than half of its life is over", name)
		}
	}
}

func (e *Enrolment) examine(h *Health, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, k := range e.cfg.Keys {
		c := e.current[k.Issuer]
		if c == nil || now.After(c.NotAfter) {
			h.stop("issuer %s: no responder certificate", k.Issuer)
			continue
		}
		h.Responders[k.Issuer] = c.NotAfter
		if c.NotAfter.Sub(now) < shortestLife {
			h.alarm("issuer %s: the responder certificate ends in %s", k.Issuer, c.NotAfter.Sub(now))
		}
		if e.errs[k.Issuer] != nil {
			h.alarm("issuer %s: %v", k.Issuer, e.errs[k.Issuer])
		}
	}
}
