package hsm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Token is an open token with its pool of sessions, or several with the same keys. All methods may be called from
// several goroutines.
type Token struct {
	life   context.Context // ends with ErrClosed when Close is called; for those who bring no context of their own
	end    context.CancelCauseFunc
	places []*place
	keys   *keyring
	close  func() error // once
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

// Open initialises the module (once per process), finds the token, logs in with one try and opens the sessions. ctx
// is looked at between these calls; a PKCS#11 call itself cannot be interrupted. If this process is logged in to the
// token already, through another Token, the PIN is not presented again. With several places one that opens is enough;
// the others are tried again in the background, as are all that go down later. Errors to test, unless another place
// opened: ErrPIN, ErrPINSource, ErrTokenNotFound, ErrTokenAmbiguous, ErrSoftware, *Error. After ErrPIN every further
// Open of the same token in this process fails in the same way without asking the token.
func Open(ctx context.Context, cfg Config) (*Token, error) {
	err := cfg.Validate()
	if err != nil {
		return nil, fmt.Errorf("opening a token: %w", err)
	}
	cfg = cfg.withDefaults()
	t := &Token{keys: &keyring{records: make(map[string]*keyRecord)}}
	t.life, t.end = context.WithCancelCause(context.WithoutCancel(ctx))
	t.close = sync.OnceValue(t.shut)
	var errs []error
	for number := range cfg.places() {
		p := newPlace(&cfg, number, t.keys, t.life)
		t.places = append(t.places, p)
		err := p.ascend(ctx)
		if err != nil {
			p.fall(err)
			errs = append(errs, fmt.Errorf("opening token %s: %w", p.where.name(), err))
		}
	}
	if len(errs) == len(t.places) {
		// What closing says of a token that did not open adds nothing to why it did not.
		_ = t.Close()
		return nil, errors.Join(errs...)
	}
	for _, p := range t.places {
		p.working.Add(1)
		go p.tend()
	}
	return t, nil
}

// Info describes the token as it was when opened. Of several places it is the first that was found, but a software
// token before any other, so that whoever refuses these sees it.
func (t *Token) Info() Info {
	var out Info
	for _, p := range t.places {
		info := p.info.Load()
		if info != nil && (out == Info{} || info.Software() && !out.Software()) {
			out = *info
		}
	}
	return out
}

// Close lets requests in progress end, refuses new ones with ErrClosed, closes the sessions (which ends the login)
// and gives the module back; the last Token of a module finalises it. A call that hangs is waited for no longer than
// Config.Deadline; its module is then left as it is. Closing twice returns the same error.
func (t *Token) Close() error { return t.close() }

func (t *Token) shut() error {
	t.end(ErrClosed)
	var errs []error
	for _, p := range t.places {
		errs = append(errs, p.close())
	}
	return errors.Join(errs...)
}

// byLoad lists the places where a key can sign now, the least busy first.
func (t *Token) byLoad(k *keyRecord) []*place {
	places := make([]*place, 0, maxPlaces)
	for _, p := range t.places {
		if p.state.Load().up && k.identity(p) != nil {
			places = append(places, p)
		}
	}
	slices.SortStableFunc(places, func(a, b *place) int { return cmp.Compare(a.waiting.Load(), b.waiting.Load()) })
	return places
}

// signature signs in one place after the other until one has a signature, or may have one.
func (t *Token) signature(ctx context.Context, k *keyRecord, m mechanism, data []byte) ([]byte, error) {
	if len(t.places) == 1 {
		return t.places[0].signature(ctx, *k.identity(t.places[0]), m, data)
	}
	var errs []error
	for _, p := range t.byLoad(k) {
		raw, err := p.signature(ctx, *k.identity(p), m, data)
		if err == nil || !elsewhere(err) {
			return raw, err
		}
		errs = append(errs, err)
	}
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	if t.life.Err() != nil {
		return nil, ErrClosed
	}
	for _, p := range t.places {
		s := p.state.Load()
		if !s.up {
			errs = append(errs, fmt.Errorf("%s: %w", p.where.name(), s.refusal()))
		}
	}
	return nil, errors.Join(append(errs, ErrUnavailable)...)
}

// elsewhere says that a request that failed with err may be made in another place: C_Sign was not entered in this one.
func elsewhere(err error) bool {
	return !entered(err) && (errors.Is(err, ErrUnavailable) || errors.Is(err, ErrBusy) || errors.Is(err, ErrKeyNotFound))
}
