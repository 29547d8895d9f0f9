package hsm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/miekg/pkcs11"
)

// pauses says how often a place that is up is looked at, and how long its keeper pauses between two tries while it is
// down: twice as long each time, and not shorter again before something was signed.
type pauses struct{ look, first, last time.Duration }

var usualPauses = pauses{look: 5 * time.Second, first: 50 * time.Millisecond, last: 5 * time.Second}

// patientTries are made with a new session and a new login alone, unless the error calls for more.
const patientTries = 2

// tend is the keeper: it looks after the sessions while the place is up, and brings it up again when it is down.
func (p *place) tend() {
	defer p.working.Done()
	for p.life.Err() == nil {
		if p.state.Load().up {
			p.pause(p.cfg.pauses.look, p.wake)
			if p.life.Err() == nil && p.state.Load().up {
				p.look()
			}
			continue
		}
		p.recover()
	}
}

// pause waits for a while, for early if it is not nil, or until the Token is closed.
func (p *place) pause(d time.Duration, early <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-early:
	case <-p.life.Done():
	}
}

// look checks the login and replaces workers that were given up.
func (p *place) look() {
	err := p.enlist(p.life)
	if err == nil {
		err = p.lookAtLogin()
	}
	if err == nil && len(p.keys.missing(p)) > 0 {
		err = p.tryKeys()
	}
	switch {
	case err == nil || p.life.Err() != nil:
	case errors.Is(err, errNoWorker) || errors.Is(err, ErrKeyDiffers):
		p.fall(err)
	default:
		p.judge(err)
	}
}

func (p *place) lookAtLogin() error {
	p.module.slotsAndLogin.Lock()
	defer p.module.slotsAndLogin.Unlock()
	err := p.login()
	if err != nil {
		return err
	}
	p.module.gate.RLock()
	defer p.module.gate.RUnlock()
	_, err = p.module.binding.GetTokenInfo(p.slot)
	return opError("C_GetTokenInfo", err)
}

// works says that the place is up and its login alive, as far as can be seen without a session more; slotsAndLogin is
// held.
func (p *place) works() bool {
	in, err := p.keepState()
	if !in || err != nil || !p.state.Load().up {
		return false
	}
	p.module.gate.RLock()
	defer p.module.gate.RUnlock()
	_, err = p.module.binding.GetTokenInfo(p.slot)
	return err == nil
}

// recover climbs the ladder until the place is up or the Token closed. What the callers of Transition hear is in order,
// because the keeper alone brings a place up and waits for them.
func (p *place) recover() {
	s := p.state.Load()
	p.cfg.Transition(Transition{Token: p.where.name(), Place: p.number, Cause: s.cause, At: s.since})
	for try := 0; ; try++ {
		pause := p.cfg.pauses.last
		if n := p.patience.Add(1) - 1; n < 20 {
			pause = min(p.cfg.pauses.first<<n, pause)
		}
		p.pause(pause, nil)
		if p.life.Err() != nil {
			return
		}
		err := p.climb(try)
		if err == nil {
			break
		}
		p.blame(err)
	}
	since := p.rise()
	p.cfg.Transition(Transition{Token: p.where.name(), Place: p.number, Up: true, At: since})
}

// climb makes one try: a new session, with a new login if need be; then, if that is not enough, the module anew.
func (p *place) climb(try int) error {
	err := p.ascend(p.life)
	r := remedyFor(err)
	var returned *Error
	if err == nil || p.module == nil || r == remedyNever || r == remedyOurs && !errors.As(err, &returned) {
		return err
	}
	if r != remedyRebuild && try < patientTries {
		return err
	}
	refused := p.module.rebuild(p)
	if refused != nil {
		p.forsake()
		return errors.Join(err, fmt.Errorf("initialising the module anew: %w", refused))
	}
	return p.ascend(p.life)
}

// forsake forgets the keep-alive session, which answers nonsense: the next login opens another.
func (p *place) forsake() {
	p.module.slotsAndLogin.Lock()
	defer p.module.slotsAndLogin.Unlock()
	p.keep = 0
}

// ascend does all that signing needs but C_Sign.
func (p *place) ascend(ctx context.Context) error {
	if p.module == nil {
		m, err := modules.acquire(p.where.Module)
		if err != nil {
			return err
		}
		p.module = m
		m.slotsAndLogin.Lock()
		m.places[p] = true
		m.slotsAndLogin.Unlock()
	}
	err := p.enlist(ctx)
	if err != nil {
		return err
	}
	return p.tryKeys()
}

// enlist opens sessions for workers until there are enough, or as many as the token allows.
func (p *place) enlist(ctx context.Context) error {
	for {
		p.tally.Lock()
		crew, stuck := p.crew, p.stuck
		p.tally.Unlock()
		if crew >= p.cfg.Sessions {
			return nil
		}
		if crew+stuck >= 2*p.cfg.Sessions {
			if crew == 0 {
				return errNoWorker
			}
			return nil
		}
		if ctx.Err() != nil {
			return gaveUp(ctx)
		}
		s, err := p.openSession(0)
		if isCode(err, pkcs11.CKR_SESSION_COUNT) && crew > 0 {
			return nil
		}
		if err != nil {
			return err
		}
		p.tally.Lock()
		p.crew++
		p.working.Add(1)
		p.tally.Unlock()
		w := &worker{place: p, session: s, open: true, handles: make(map[keyIdentity]pkcs11.ObjectHandle)}
		go w.run()
	}
}

// tryKeys finds the keys that were opened and begins a signature with each, which goes with the session. A key that was
// here and is deleted is no outage of the others, unless none is found.
func (p *place) tryKeys() error {
	keys := p.keys.all()
	try := func(s pkcs11.SessionHandle) error {
		o := objects{p.module, s}
		tried := 0
		var gone error
		for _, k := range keys {
			if tried > 0 && k.identity(p) != nil {
				continue // a session has one signature at a time, and one key tells enough
			}
			err := p.tryKey(o, k, tried == 0)
			if errors.Is(err, ErrKeyNotFound) && k.identity(p) != nil {
				gone = err
				continue
			}
			if err != nil {
				return err
			}
			tried++
		}
		if tried == 0 {
			return gone
		}
		return nil
	}
	err := p.onSession(0, try)
	if isCode(err, pkcs11.CKR_SESSION_COUNT) {
		return nil // the workers have them all
	}
	return err
}

// tryKey finds k, with its public key if it was never seen in this place.
func (p *place) tryKey(o objects, k *keyRecord, begin bool) error {
	if k.identity(p) == nil {
		found, err := o.read(k.label)
		if err == nil && !found.same(k) {
			err = fmt.Errorf("looking at key %q in %s: %w", k.label, p.where.name(), ErrKeyDiffers)
		}
		if err != nil {
			return err
		}
		k.at[p.number].Store(&found.identity)
	}
	identity := *k.identity(p)
	handle, err := o.one(pkcs11.CKO_PRIVATE_KEY, identity.label, []byte(identity.id))
	if err != nil || !begin {
		return err
	}
	err = p.module.functions.signInit(o.session, handle, k.algorithm.trial())
	if remedyFor(err) == remedyOurs {
		return nil // the token answers, though the key may be for another mechanism alone
	}
	return err
}
