package hsm

import (
	"errors"
	"fmt"
	"time"
)

// failuresInARow make an outage of failures that each alone may be one session's.
const failuresInARow = 3

// state says whether a place signs. It is replaced, never changed.
type state struct {
	up    bool
	since time.Time
	cause error         // nil if up
	over  chan struct{} // closed when up turns into something else
}

// asCause is err as the cause of an outage: that C_Sign was entered for one request must not be read in the answers to
// others.
func asCause(err error) error {
	var returned *Error
	if errors.As(err, &returned) && returned.Entered {
		return &Error{Op: returned.Op, Code: returned.Code}
	}
	return err
}

// refusal is the answer to a request while the place is down. C_Sign was not entered.
func (s *state) refusal() error {
	return fmt.Errorf("%w since %s: %w", ErrUnavailable, s.since.UTC().Format(time.RFC3339), s.cause)
}

// become replaces the state; tally is held.
func (p *place) become(up bool, cause error) {
	before := p.state.Load()
	p.state.Store(&state{up: up, since: p.cfg.Now(), cause: asCause(cause), over: make(chan struct{})})
	if before != nil {
		close(before.over)
	}
}

// fall takes the place down, from where its keeper alone brings it up again.
func (p *place) fall(cause error) {
	p.tally.Lock()
	defer p.tally.Unlock()
	if !p.state.Load().up {
		return
	}
	p.outages.Add(1)
	p.become(false, cause)
	p.nudge()
}

// rise is called by the keeper.
func (p *place) rise() (since time.Time) {
	p.tally.Lock()
	defer p.tally.Unlock()
	p.failures.Store(0)
	p.become(true, nil)
	return p.state.Load().since
}

// blame replaces the cause of an outage by a newer one; the keeper calls it.
func (p *place) blame(cause error) {
	p.tally.Lock()
	defer p.tally.Unlock()
	before := *p.state.Load()
	before.cause = cause
	p.state.Store(&before)
}

// judge decides by the outcome of a request, or of a look at the token, whether the place is down.
func (p *place) judge(err error) {
	if err == nil {
		if p.failures.Load() != 0 {
			p.failures.Store(0)
		}
		if p.patience.Load() != 0 {
			p.patience.Store(0)
		}
		return
	}
	var returned *Error
	r := remedyFor(err)
	switch {
	case errors.Is(err, ErrKeyNotFound):
		return // a deleted key is no outage of the others
	case r == remedyNever, r == remedyRebuild:
		p.fall(err)
	case r == remedySession, r == remedyLogin, r == remedyUnknown, entered(err), errors.Is(err, errLate),
		errors.As(err, &returned) && returned.Code == 0:
		if p.failures.Add(1) >= failuresInARow {
			p.fall(err)
		}
	}
}
