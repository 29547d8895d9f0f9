package hsm

import (
	"context"
	"crypto"

	"github.com/miekg/pkcs11"
)

// Raw runs f on the binding and the slot of an open Token while no worker is inside the module.
func (t *Token) Raw(f func(binding *pkcs11.Ctx, slot uint)) {
	t.module.slotsAndLogin.Lock()
	defer t.module.slotsAndLogin.Unlock()
	t.module.gate.Lock()
	defer t.module.gate.Unlock()
	f(t.module.binding, t.slot)
}

// Occupy keeps workers from signing until the returned function is called.
func (t *Token) Occupy() func() {
	t.module.gate.Lock()
	return t.module.gate.Unlock
}

// Waiting is the number of requests that wait or are being signed.
func (t *Token) Waiting() int { return int(t.wait.Load()) }

// Generation counts the sessions that held the login.
func (t *Token) Generation() uint64 {
	t.module.gate.RLock()
	defer t.module.gate.RUnlock()
	return t.generation
}

// SignInto signs a SHA-256 digest into a buffer of that many bytes.
func (k *Key) SignInto(ctx context.Context, digest []byte, room int) error {
	m, data, err := k.mechanism(digest, crypto.SHA256)
	if err != nil {
		return err
	}
	j := &job{ctx: ctx, key: k.identity, mechanism: m, data: data, room: make([]byte, room), done: make(chan struct{}, 1)}
	k.token.jobs <- j
	<-j.done
	return j.err
}
