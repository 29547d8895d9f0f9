package hsm

import (
	"context"
	"fmt"

	"github.com/miekg/pkcs11"
)

// keyIdentity finds the same key again in any session.
type keyIdentity struct {
	label string // CKA_LABEL
	id    string // CKA_ID, as bytes
}

// job is one signature. It belongs to the caller until it is handed over, then to the worker until done.
type job struct {
	ctx       context.Context
	key       keyIdentity
	mechanism mechanism
	data      []byte
	room      []byte // for the signature
	length    int
	err       error
	done      chan struct{} // of capacity 1: the worker never waits for the caller
}

// maxDigestInfo is the longest input: DigestInfo of SHA-512.
const maxDigestInfo = 19 + 64

func newJob() *job {
	return &job{data: make([]byte, 0, maxDigestInfo), room: make([]byte, 4096/8), done: make(chan struct{}, 1)}
}

// worker is one goroutine with one session, which it alone uses and closes.
type worker struct {
	token   *Token
	session session
	open    bool
	handles map[keyIdentity]pkcs11.ObjectHandle // of this session
}

func (w *worker) run() {
	defer w.drop()
	for {
		select {
		case <-w.token.life.Done():
			return
		case j := <-w.token.jobs:
			w.serve(j)
			j.done <- struct{}{}
		}
	}
}

// serve signs. Whatever becomes of the request, a lost session is dropped, so that the next request gets a new one.
func (w *worker) serve(j *job) {
	j.err = enterOnce(func() error { return w.sign(j) }, w.drop)
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
	if !w.open {
		s, err := w.token.openSession(0)
		if err != nil {
			return err
		}
		w.session, w.open = s, true
	}
	w.token.module.gate.RLock()
	defer w.token.module.gate.RUnlock()
	if w.session.generation != w.token.generation {
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
	j.length, err = w.token.module.functions.sign(w.session.handle, handle, j.mechanism, j.data, j.room)
	return err
}

// handle finds the private key in this session; a handle of another session may be invalid here, or name another key.
func (w *worker) handle(key keyIdentity) (pkcs11.ObjectHandle, error) {
	handle, ok := w.handles[key]
	if ok {
		return handle, nil
	}
	reader := objects{binding: w.token.module.binding, session: w.session.handle}
	handle, err := reader.one(pkcs11.CKO_PRIVATE_KEY, key.label, []byte(key.id))
	if err != nil {
		return 0, err
	}
	err = reader.enforce(handle, key.label)
	if err != nil {
		return 0, err
	}
	w.handles[key] = handle
	return handle, nil
}

// drop closes the session and forgets what was known in it.
func (w *worker) drop() {
	if w.open {
		w.token.closeSession(w.session)
	}
	w.open = false
	clear(w.handles)
}

// signature waits for a session until ctx ends, signs data and returns the signature as the token gave it. Once a
// worker has taken the request it waits for the outcome: C_Sign cannot be interrupted, and an unknown outcome would be
// worse than a late one.
func (t *Token) signature(ctx context.Context, key keyIdentity, m mechanism, data []byte) ([]byte, error) {
	if t.wait.Add(1) > int64(t.cfg.Queue+t.cfg.Sessions) {
		t.wait.Add(-1)
		return nil, ErrBusy
	}
	defer t.wait.Add(-1)
	if t.life.Err() != nil {
		return nil, ErrClosed
	}
	if ctx.Err() != nil {
		return nil, gaveUp(ctx)
	}
	j := t.idle.Get().(*job)
	defer t.idle.Put(j)
	j.ctx, j.key, j.mechanism, j.data = ctx, key, m, append(j.data[:0], data...)
	select {
	case t.jobs <- j:
	case <-t.life.Done():
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, gaveUp(ctx)
	}
	<-j.done
	j.ctx = nil
	if j.err != nil {
		return nil, j.err
	}
	return append([]byte(nil), j.room[:j.length]...), nil
}

// gaveUp is the error of a request that was not signed because its context had ended.
func gaveUp(ctx context.Context) error {
	return fmt.Errorf("waiting for a session: %w", context.Cause(ctx))
}
