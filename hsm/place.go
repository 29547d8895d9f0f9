package hsm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/pkcs11"
)

// place is one token in one module, with its own pool of sessions and its own keeper, the goroutine that alone brings
// it up again when it is down.
type place struct {
	cfg    *Config
	where  Place
	number int
	keys   *keyring        // what was opened through the Token
	life   context.Context // ends with ErrClosed when the Token is closed
	module *module         // nil until it is loaded; written by Open, then by the keeper while the place is down

	jobs       chan *job      // unbuffered: a job is handed to an idle worker, or its caller still waits and may leave
	idle       sync.Pool      // of *job
	management chan struct{}  // holds one value while somebody looks up or makes keys: the check of a label and its use are one step
	wake       chan struct{}  // of capacity 1: something for the keeper to look at
	working    sync.WaitGroup // workers that are not stuck, and the keeper

	state    atomic.Pointer[state]
	failures atomic.Int64 // of requests, in a row
	patience atomic.Int64 // tries of the keeper since the last signature: its pauses grow with them

	waiting, busy                    atomic.Int64
	signed, failed, entered, outages atomic.Uint64
	latency                          atomic.Int64

	tally sync.Mutex // guards changes of state, and what follows
	crew  int        // workers that are not stuck
	stuck int        // workers that were given up in a call

	info        atomic.Pointer[Info] // nil until the token was found once
	slot        uint                 // guarded by module.slotsAndLogin, as is what follows
	keep        pkcs11.SessionHandle // holds the login; 0 if there is none
	keepRebuild uint64               // module.rebuilds when keep was opened
	held        []byte               // the PIN, where its source yields it only once
	pinTaken    bool                 // from a source that yields it only once
	generation  uint64               // counts the sessions that held the login; written under module.gate, read under its read side
}

// name is how the place is called in messages.
func (p Place) name() string { return nameOf(p.Token, p.Serial) }

func newPlace(cfg *Config, number int, keys *keyring, life context.Context) *place {
	p := &place{cfg: cfg, where: cfg.places()[number], number: number, keys: keys, life: life,
		jobs: make(chan *job), management: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	p.idle.New = func() any { return newJob() }
	p.become(true, nil)
	return p
}

// session is an open session and the login it was opened under.
type session struct {
	handle     pkcs11.SessionHandle
	generation uint64
	rebuild    uint64
}

// current says that s was not lost as far as anybody knows; the gate is held.
func (p *place) current(s session) bool {
	return s.generation == p.generation && s.rebuild == p.module.rebuilds
}

// openSession returns a session of a logged-in token for the caller to use alone and to close.
func (p *place) openSession(flags uint) (session, error) {
	p.module.slotsAndLogin.Lock()
	defer p.module.slotsAndLogin.Unlock()
	err := p.login()
	if err != nil {
		return session{}, err
	}
	p.module.gate.RLock()
	defer p.module.gate.RUnlock()
	handle, err := p.module.binding.OpenSession(p.slot, pkcs11.CKF_SERIAL_SESSION|flags)
	if err != nil {
		return session{}, opError("C_OpenSession", err)
	}
	return session{handle, p.generation, p.module.rebuilds}, nil
}

// closeSession is called by the owner of s only. A session from before the last loss is left alone: it is gone, and
// its handle may by now name a session of somebody else.
func (p *place) closeSession(s session) {
	p.module.gate.RLock()
	defer p.module.gate.RUnlock()
	if p.current(s) {
		// A failure means that the session is gone already, which is what was wanted.
		_ = p.module.binding.CloseSession(s.handle)
	}
}

// manage runs f on a session of its own, one caller at a time, unless the place is down.
func (p *place) manage(ctx context.Context, flags uint, f func(pkcs11.SessionHandle) error) error {
	select {
	case p.management <- struct{}{}:
	case <-p.life.Done():
		return ErrClosed
	case <-ctx.Done():
		return gaveUp(ctx)
	}
	defer func() { <-p.management }()
	s := p.state.Load()
	switch {
	case p.life.Err() != nil:
		return ErrClosed
	case ctx.Err() != nil:
		return gaveUp(ctx)
	case !s.up:
		return s.refusal()
	}
	err := p.onSession(flags, f)
	if isCode(err, pkcs11.CKR_SESSION_COUNT) {
		err = p.onBorrowedSession(ctx, func() error { return p.onSession(flags, f) })
	}
	if err != nil {
		p.judge(err)
	}
	return err
}

// onSession runs f on a session that is closed again.
func (p *place) onSession(flags uint, f func(pkcs11.SessionHandle) error) error {
	s, err := p.openSession(flags)
	if err != nil {
		return err
	}
	defer p.closeSession(s)
	p.module.gate.RLock()
	defer p.module.gate.RUnlock()
	return f(s.handle)
}

// onBorrowedSession lets a worker close its session and run f: the token allows no session more.
func (p *place) onBorrowedSession(ctx context.Context, f func() error) error {
	j := &job{ctx: ctx, errand: f, done: make(chan struct{}, 1)}
	err := p.hand(ctx, j)
	if err != nil {
		return err
	}
	<-j.done
	return j.err
}

// nudge tells the keeper that there is something to look at.
func (p *place) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// close ends what the place has open, after life has ended. Calls that do not return in time keep the module: to close
// or finalise anything under them may end the process.
func (p *place) close() error {
	ended := make(chan struct{})
	go func() {
		p.working.Wait()
		p.management <- struct{}{} // never given back: no more management
		close(ended)
	}()
	late := time.NewTimer(p.cfg.Deadline)
	defer late.Stop()
	select {
	case <-ended:
	case <-late.C:
		return fmt.Errorf("closing token %s: a call of the module has not returned", p.where.name())
	}
	if p.module == nil {
		return nil
	}
	return errors.Join(p.closeKeep(), p.module.release())
}

func (p *place) closeKeep() error {
	p.module.slotsAndLogin.Lock()
	defer p.module.slotsAndLogin.Unlock()
	delete(p.module.places, p)
	wipe(p.held)
	p.held = nil
	if p.keep == 0 || p.keepRebuild != p.module.rebuilds {
		return nil
	}
	p.module.gate.RLock()
	defer p.module.gate.RUnlock()
	err := opError("C_CloseSession", p.module.binding.CloseSession(p.keep))
	p.keep = 0
	if lost(err) || !p.state.Load().up {
		return nil // the session went with the token
	}
	return err
}
