package hsm

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/miekg/pkcs11"
)

// The phases of a request in a worker's hands. It goes from the first to the third, or back from the second to the
// first when C_Sign was not entered. Whoever waits for it leaves by setting phaseLeft, in whatever phase it is.
const (
	phaseTaken    = iota // outside C_SignInit and C_Sign
	phaseBegun           // inside, before C_Sign
	phaseEntered         // C_Sign was entered; set in cpsca_sign
	phaseReturned        // C_Sign has returned
	phaseLeft            // nobody waits any more: C_Sign is not entered, or the worker that is in it is given up
)

// keyIdentity finds the same key again in any session.
type keyIdentity struct {
	label string // CKA_LABEL
	id    string // CKA_ID, as bytes
}

// job is one signature. It belongs to the caller until it is handed over, then to the worker until done; if the caller
// leaves, it stays the worker's.
type job struct {
	ctx       context.Context
	key       keyIdentity
	mechanism mechanism
	data      []byte
	room      []byte // for the signature
	length    int
	err       error
	phase     atomic.Uint32
	done      chan struct{} // of capacity 1: the worker never waits for the caller
	late      *time.Timer   // stopped but while the caller waits
	errand    func() error  // run instead of signing, without a session; nil for a signature
}

// Bounds of a job: most inputs are at most a DigestInfo of SHA-512, but Ed25519 signs whole messages.
const (
	maxDigestInfo = 19 + 64
	maxKept       = 1 << 14
)

func newJob() *job {
	late := time.NewTimer(time.Hour)
	late.Stop()
	return &job{data: make([]byte, 0, maxDigestInfo), room: make([]byte, 4096/8), done: make(chan struct{}, 1), late: late}
}

// errLeft is the outcome of a job that nobody waits for any more.
var errLeft = errors.New("nobody waits any more")

// worker is one goroutine with one session, which it alone uses and closes.
type worker struct {
	place   *place
	session session
	open    bool
	stuck   bool                                // it was given up in a call: its session and its place in the crew are no longer its own
	handles map[keyIdentity]pkcs11.ObjectHandle // of this session
}

func (w *worker) run() {
	for {
		select {
		case <-w.place.life.Done():
			w.drop()
			w.place.dismiss(0)
			return
		case j := <-w.place.jobs:
			if !w.serve(j) {
				return
			}
		}
	}
}

// serve signs, and says whether the worker is still of the crew. Whatever becomes of the request, a lost session is
// dropped, so that the next request gets a new one.
func (w *worker) serve(j *job) (stay bool) {
	p := w.place
	if j.errand != nil {
		w.drop()
		j.err = j.errand()
		j.done <- struct{}{}
		return true
	}
	p.busy.Add(1)
	began := p.cfg.Now()
	err := enterOnce(func() error { return w.sign(j) }, w.drop)
	if w.stuck {
		w.comeBack()
		return false
	}
	p.busy.Add(-1)
	if remedyFor(err) == remedyUnknown {
		w.drop()
	}
	// The token allows fewer sessions than there are workers: whoever has none leaves the work to the others.
	if isCode(err, pkcs11.CKR_SESSION_COUNT) && !entered(err) && p.dismiss(1) {
		select {
		case p.jobs <- j:
			return false
		case <-p.life.Done():
			err = ErrClosed
		}
		j.err = err
		j.done <- struct{}{}
		return false
	}
	j.err = err
	if !errors.Is(err, errLeft) {
		p.judge(err)
		p.account(p.cfg.Now().Sub(began), err)
	}
	j.done <- struct{}{}
	return true
}

// enterOnce tries, and after an outage tries a second time if the first one provably did not enter C_Sign. It drops
// the session after every outage.
func enterOnce(try func() error, drop func()) error {
	err := try()
	if !remedyFor(err).outage() {
		return err
	}
	drop()
	if entered(err) {
		return err
	}
	err = try()
	if remedyFor(err).outage() {
		drop()
	}
	return err
}

// sign makes one try.
func (w *worker) sign(j *job) error {
	p := w.place
	if !w.open {
		s, err := p.openSession(0)
		if err != nil {
			return err
		}
		w.session, w.open = s, true
	}
	p.module.gate.RLock()
	err := w.signGated(j)
	if !w.stuck { // else whoever gave the worker up has opened the gate
		p.module.gate.RUnlock()
	}
	return err
}

func (w *worker) signGated(j *job) error {
	p := w.place
	if !p.current(w.session) {
		return &Error{Op: "C_SignInit", Code: pkcs11.CKR_SESSION_HANDLE_INVALID}
	}
	handle, err := w.handle(j.key)
	if err != nil {
		return err
	}
	// The last moment: whoever left while a session was opened has abandoned the request.
	if j.ctx.Err() != nil {
		return gaveUp(j.ctx)
	}
	if !j.phase.CompareAndSwap(phaseTaken, phaseBegun) {
		return errLeft
	}
	length, err := p.module.functions.sign(w.session.handle, handle, j.mechanism, j.data, j.room, &j.phase)
	w.stuck = !j.phase.CompareAndSwap(phaseEntered, phaseReturned) && !j.phase.CompareAndSwap(phaseBegun, phaseTaken)
	if w.stuck {
		return errLeft
	}
	j.length = length
	return err
}

// handle finds the private key in this session; a handle of another session may be invalid here, or name another key.
func (w *worker) handle(key keyIdentity) (pkcs11.ObjectHandle, error) {
	handle, ok := w.handles[key]
	if ok {
		return handle, nil
	}
	o := objects{w.place.module, w.session.handle}
	handle, err := o.one(pkcs11.CKO_PRIVATE_KEY, key.label, []byte(key.id))
	if err != nil {
		return 0, err
	}
	err = o.enforce(handle, key.label)
	if err != nil {
		return 0, err
	}
	if !w.place.cfg.TokenObjects {
		handle = o.copyIntoSession(handle, key.label)
	}
	w.handles[key] = handle
	return handle, nil
}

// drop closes the session and forgets what was known in it.
func (w *worker) drop() {
	if w.open {
		w.place.closeSession(w.session)
	}
	w.open = false
	clear(w.handles)
}

// comeBack ends a worker that was given up, when its call has returned at last.
func (w *worker) comeBack() {
	p := w.place
	if p.life.Err() == nil {
		w.drop()
	}
	p.module.stuck.Add(-1)
	p.tally.Lock()
	p.stuck--
	p.tally.Unlock()
	p.nudge()
}

// dismiss takes a worker off the crew, unless fewer than atLeast were left.
func (p *place) dismiss(atLeast int) bool {
	p.tally.Lock()
	defer p.tally.Unlock()
	if p.crew-1 < atLeast {
		return false
	}
	p.crew--
	p.working.Done()
	return true
}

// writeOff gives up a worker that is in C_SignInit or C_Sign. The gate is open for those who wait for it, but for
// those who finalise the module, which counts its stuck calls.
func (p *place) writeOff() {
	p.module.stuck.Add(1)
	p.module.gate.RUnlock()
	p.tally.Lock()
	p.crew--
	p.stuck++
	p.tally.Unlock()
	p.busy.Add(-1)
	p.working.Done()
	p.nudge()
}

// signature waits for a session until ctx ends, signs data and returns the signature as the token gave it. Once a
// worker has taken the request it waits for the outcome, but no longer than the deadline: C_Sign cannot be interrupted,
// and an unknown outcome would be worse than a late one.
func (p *place) signature(ctx context.Context, key keyIdentity, m mechanism, data []byte) ([]byte, error) {
	if p.life.Err() != nil {
		return nil, ErrClosed
	}
	if s := p.state.Load(); !s.up {
		return nil, s.refusal()
	}
	if p.waiting.Add(1) > int64(p.cfg.Queue+p.cfg.Sessions) {
		p.waiting.Add(-1)
		return nil, ErrBusy
	}
	defer p.waiting.Add(-1)
	if ctx.Err() != nil {
		return nil, gaveUp(ctx)
	}
	j := p.idle.Get().(*job)
	j.phase.Store(phaseTaken)
	j.ctx, j.key, j.mechanism, j.data = ctx, key, m, append(j.data[:0], data...)
	err := p.hand(ctx, j)
	if err != nil {
		j.ctx = nil
		p.idle.Put(j)
		return nil, err
	}
	err = p.outcome(j)
	if err != nil {
		return nil, err // the worker may have the job still
	}
	err = j.err
	var raw []byte
	if err == nil {
		raw = append(raw, j.room[:j.length]...)
	}
	j.ctx = nil
	if cap(j.data) <= maxKept {
		p.idle.Put(j)
	}
	if err != nil && !entered(err) && (remedyFor(err) == remedyUnknown || remedyFor(err).outage()) && !errors.Is(err, ErrKeyNotFound) {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return raw, err
}

// hand gives the job to a worker.
func (p *place) hand(ctx context.Context, j *job) error {
	for {
		s := p.state.Load()
		if !s.up {
			return s.refusal()
		}
		select {
		case p.jobs <- j:
			return nil
		case <-s.over:
		case <-p.life.Done():
			return ErrClosed
		case <-ctx.Done():
			return gaveUp(ctx)
		}
	}
}

// outcome waits until the job is done. An error says that it was left to its worker.
func (p *place) outcome(j *job) error {
	j.late.Reset(p.cfg.Deadline)
	select {
	case <-j.done:
		j.late.Stop()
		return nil
	case <-j.late.C:
	}
	for {
		phase := j.phase.Load()
		if phase == phaseReturned {
			<-j.done
			return nil
		}
		if !j.phase.CompareAndSwap(phase, phaseLeft) {
			continue
		}
		var err error = errLate
		if phase == phaseEntered {
			err = &Error{Op: "C_Sign", Entered: true}
		}
		if phase != phaseTaken {
			p.writeOff()
		}
		p.account(p.cfg.Deadline, err)
		if phase == phaseTaken {
			p.fall(err) // no session can be opened, or no key found: the workers hang one after the other
		} else {
			p.judge(err)
		}
		if phase != phaseEntered {
			err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return err
	}
}

// gaveUp is the error of a request that was not signed because its context had ended.
func gaveUp(ctx context.Context) error {
	return fmt.Errorf("waiting for a session: %w", context.Cause(ctx))
}
