package hsm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/miekg/pkcs11"
)

// Token is an open token with its pool of sessions. All methods may be called from several goroutines.
type Token struct {
	cfg    Config
	module *module
	info   Info

	life  context.Context // ends with ErrClosed when Close is called; for those who bring no context of their own
	end   context.CancelCauseFunc
	jobs  chan *job // unbuffered: a job is handed to an idle worker, or its caller still waits and may leave
	idle  sync.Pool // of *job
	wait  atomic.Int64
	works sync.WaitGroup

	management chan struct{} // holds one value while somebody looks up or makes keys: the check of a label and its use are one step

	closing  sync.Once
	closeErr error // written once, in closing

	slot       uint                 // guarded by module.slotsAndLogin
	keep       pkcs11.SessionHandle // holds the login; 0 if there is none; guarded by module.slotsAndLogin
	held       []byte               // the PIN, where its source yields it only once; guarded by module.slotsAndLogin
	generation uint64               // counts the sessions that held the login; written under module.gate, read under its read side
}

// Info describes a token (CK_TOKEN_INFO, v2.40 §3.2), without the padding.
type Info struct {
	Label        string
	Serial       string
	Manufacturer string
	Model        string
}

// Software says that the token is SoftHSM: its keys lie in files, so production refuses it.
func (i Info) Software() bool {
	return strings.Contains(strings.ToLower(i.Manufacturer+" "+i.Model), "softhsm")
}

// session is an open session and the login it was opened under.
type session struct {
	handle     pkcs11.SessionHandle
	generation uint64
}

// Open initialises the module (once per process), finds the token, logs in with one try and opens the sessions. ctx
// is looked at between these calls; a PKCS#11 call itself cannot be interrupted. If this process is logged in to the
// token already, through another Token, the PIN is not presented again. Errors to test: ErrPIN, ErrPINSource,
// ErrTokenNotFound, ErrTokenAmbiguous, *Error. After ErrPIN every further Open of the same token in this process fails
// in the same way without asking the token.
func Open(ctx context.Context, cfg Config) (*Token, error) {
	err := cfg.Validate()
	if err != nil {
		return nil, fmt.Errorf("opening a token: %w", err)
	}
	cfg = cfg.withDefaults()
	m, err := modules.acquire(cfg.Module)
	if err != nil {
		return nil, fmt.Errorf("opening token %s: %w", nameOf(cfg.Token, cfg.Serial), err)
	}
	t := &Token{cfg: cfg, module: m, jobs: make(chan *job), management: make(chan struct{}, 1)}
	t.life, t.end = context.WithCancelCause(context.WithoutCancel(ctx))
	t.idle.New = func() any { return newJob() }
	err = t.start(ctx)
	if err != nil {
		// What closing says of a token that did not open adds nothing to why it did not.
		_ = t.Close()
		return nil, fmt.Errorf("opening token %s: %w", nameOf(cfg.Token, cfg.Serial), err)
	}
	return t, nil
}

// start opens every session before the first worker runs, so that a token with too few says so now.
func (t *Token) start(ctx context.Context) error {
	var sessions []session
	for range t.cfg.Sessions {
		err := ctx.Err()
		var s session
		if err == nil {
			s, err = t.openSession(0)
		}
		if err != nil {
			for _, opened := range sessions {
				t.closeSession(opened)
			}
			return err
		}
		sessions = append(sessions, s)
	}
	for _, s := range sessions {
		w := &worker{token: t, session: s, open: true, handles: make(map[keyIdentity]pkcs11.ObjectHandle)}
		t.works.Go(w.run)
	}
	return nil
}

// Info describes the token as it was when opened.
func (t *Token) Info() Info { return t.info }

// Close lets requests in progress end, refuses new ones with ErrClosed, closes the sessions (which ends the login)
// and gives the module back; the last Token of a module finalises it. Closing twice returns the same error.
func (t *Token) Close() error {
	t.closing.Do(func() {
		t.end(ErrClosed)
		t.works.Wait()
		t.management <- struct{}{} // never given back: no more management
		t.module.slotsAndLogin.Lock()
		if t.keep != 0 {
			t.module.gate.RLock()
			t.closeErr = opError("C_CloseSession", t.module.binding.CloseSession(t.keep))
			t.module.gate.RUnlock()
			t.keep = 0
		}
		wipe(t.held)
		t.held = nil
		t.module.slotsAndLogin.Unlock()
		t.closeErr = errors.Join(t.closeErr, modules.release(t.module))
	})
	return t.closeErr
}

// manage runs f on a session of its own, one caller at a time.
func (t *Token) manage(ctx context.Context, flags uint, f func(pkcs11.SessionHandle) error) error {
	select {
	case t.management <- struct{}{}:
	case <-t.life.Done():
		return ErrClosed
	case <-ctx.Done():
		return gaveUp(ctx)
	}
	defer func() { <-t.management }()
	if t.life.Err() != nil {
		return ErrClosed
	}
	if ctx.Err() != nil {
		return gaveUp(ctx)
	}
	s, err := t.openSession(flags)
	if err != nil {
		return err
	}
	defer t.closeSession(s)
	t.module.gate.RLock()
	defer t.module.gate.RUnlock()
	return f(s.handle)
}

// openSession returns a session of a logged-in token for the caller to use alone and to close.
func (t *Token) openSession(flags uint) (session, error) {
	t.module.slotsAndLogin.Lock()
	defer t.module.slotsAndLogin.Unlock()
	err := t.login()
	if err != nil {
		return session{}, err
	}
	t.module.gate.RLock()
	defer t.module.gate.RUnlock()
	handle, err := t.module.binding.OpenSession(t.slot, pkcs11.CKF_SERIAL_SESSION|flags)
	if err != nil {
		return session{}, opError("C_OpenSession", err)
	}
	return session{handle, t.generation}, nil
}

// closeSession is called by the owner of s only. A session from before the last loss is left alone: it is gone, and
// its handle may by now name a session of somebody else.
func (t *Token) closeSession(s session) {
	t.module.gate.RLock()
	defer t.module.gate.RUnlock()
	if s.generation == t.generation {
		// A failure means that the session is gone already, which is what was wanted.
		_ = t.module.binding.CloseSession(s.handle)
	}
}
