package hsm

import "github.com/miekg/pkcs11"

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
