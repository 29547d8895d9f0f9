package hsm

import (
	"context"
	"crypto"
	"time"

	"github.com/miekg/pkcs11"
)

// Raw runs f on the binding and the slot of an open Token while no worker is inside the module.
func (t *Token) Raw(f func(binding *pkcs11.Ctx, slot uint)) {
	p := t.places[0]
	p.module.slotsAndLogin.Lock()
	defer p.module.slotsAndLogin.Unlock()
	p.module.gate.Lock()
	defer p.module.gate.Unlock()
	f(p.module.binding, p.slot)
}

// Occupy keeps workers from signing until the returned function is called.
func (t *Token) Occupy() func() {
	t.places[0].module.gate.Lock()
	return t.places[0].module.gate.Unlock
}

// Waiting is the number of requests that wait or are being signed.
func (t *Token) Waiting() int { return int(t.places[0].waiting.Load()) }

// Generation counts the sessions that held the login.
func (t *Token) Generation() uint64 {
	p := t.places[0]
	p.module.gate.RLock()
	defer p.module.gate.RUnlock()
	return p.generation
}

// Rebuilds counts how often the module was initialised anew.
func (t *Token) Rebuilds() uint64 {
	p := t.places[0]
	p.module.gate.RLock()
	defer p.module.gate.RUnlock()
	return p.module.rebuilds
}

// SignInto signs a SHA-256 digest into a buffer of that many bytes.
func (k *Key) SignInto(ctx context.Context, digest []byte, room int) error {
	m, data, err := k.algorithm.mechanism(digest, crypto.SHA256)
	if err != nil {
		return err
	}
	p := k.token.places[0]
	j := newJob()
	j.ctx, j.key, j.mechanism, j.data, j.room = ctx, *k.identity(p), m, data, make([]byte, room)
	p.jobs <- j
	<-j.done
	return j.err
}

// Quickly shortens the pauses of the keepers of places that are down; places that are up are looked at no more.
func (c Config) Quickly() Config {
	c.pauses = pauses{look: time.Hour, first: time.Millisecond, last: 10 * time.Millisecond}
	return c
}

// Attentively lets places that are up be looked at all the time.
func (c Config) Attentively() Config {
	c.pauses.look = 5 * time.Millisecond
	return c
}

// Forgive forgets the logins that the module does not try again.
func (t *Token) Forgive() {
	t.places[0].module.slotsAndLogin.Lock()
	defer t.places[0].module.slotsAndLogin.Unlock()
	clear(t.places[0].module.refused)
}

// Remedial says whether another session, login or initialisation is tried after a return value.
func Remedial(code uint) bool { return remedyFor(&Error{Code: code}).outage() }

// Tries is how often the keeper tried to bring the first place up since the last signature.
func (t *Token) Tries() int64 { return t.places[0].patience.Load() }

// Fall takes the first place down.
func (t *Token) Fall(cause error) { t.places[0].fall(cause) }
