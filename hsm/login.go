package hsm

import (
	"errors"
	"fmt"

	"github.com/miekg/pkcs11"
)

// login makes sure that the keep-alive session lives and is logged in; slotsAndLogin is held, the gate is not.
func (t *Token) login() error {
	state, alive := t.keepState()
	if alive && loggedIn(state) {
		return nil
	}
	if !alive {
		err := t.reopenKeep()
		if err != nil {
			return err
		}
		state, alive = t.keepState()
		if alive && loggedIn(state) { // by another Token of this process
			return nil
		}
	}
	return t.presentPIN()
}

func (t *Token) keepState() (state uint, alive bool) {
	if t.keep == 0 {
		return 0, false
	}
	t.module.gate.RLock()
	defer t.module.gate.RUnlock()
	info, err := t.module.binding.GetSessionInfo(t.keep)
	return info.State, err == nil
}

func loggedIn(state uint) bool {
	return state == pkcs11.CKS_RO_USER_FUNCTIONS || state == pkcs11.CKS_RW_USER_FUNCTIONS
}

// reopenKeep looks the token up anew, for its slot may have changed, and opens the session that holds the login. The
// new generation tells the workers that their sessions went with the old one.
func (t *Token) reopenKeep() error {
	t.module.gate.Lock()
	defer t.module.gate.Unlock()
	t.keep = 0
	t.generation++
	slot, token, err := t.module.find(t.cfg.Token, t.cfg.Serial)
	if err != nil {
		return err
	}
	info := Info{Label: token.Label, Serial: token.SerialNumber, Manufacturer: token.ManufacturerID, Model: token.Model}
	if t.info == (Info{}) {
		t.info = info
	}
	if t.info != info {
		return fmt.Errorf("another token has taken the place of %q: %w", t.info.Label, ErrTokenNotFound)
	}
	keep, err := t.module.binding.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION)
	if err != nil {
		return opError("C_OpenSession", err)
	}
	t.slot, t.keep = slot, keep
	return nil
}

// presentPIN logs in with exactly one try. Unless the answer is a known outage, a refusal is final for this process:
// a value that we do not know may mean a wrong PIN too.
func (t *Token) presentPIN() error {
	identity := tokenIdentity{t.info.Label, t.info.Serial}
	if refused := t.module.refused[identity]; refused != nil {
		return refused
	}
	t.module.gate.RLock()
	defer t.module.gate.RUnlock()
	token, err := t.module.binding.GetTokenInfo(t.slot)
	if err != nil {
		return opError("C_GetTokenInfo", err)
	}
	if token.Flags&pkcs11.CKF_USER_PIN_LOCKED != 0 {
		return fmt.Errorf("%w: %w", ErrPIN, &Error{Op: "C_GetTokenInfo", Code: pkcs11.CKR_PIN_LOCKED})
	}
	pin := t.held
	if pin == nil {
		pin, err = t.cfg.PIN.read()
		if err != nil {
			return err
		}
	}
	err = t.module.functions.login(t.keep, pkcs11.CKU_USER, pin)
	if isCode(err, pkcs11.CKR_USER_ALREADY_LOGGED_IN) {
		err = nil
	}
	refused := err != nil && !remedyFor(err).outage()
	if refused || t.cfg.PIN.source.again() {
		wipe(pin)
		t.held = nil
	} else {
		t.held = pin
	}
	if refused {
		err = fmt.Errorf("%w: %w", ErrPIN, err)
		t.module.refused[identity] = err
	}
	return err
}

// isCode says whether err is the return value code.
func isCode(err error, code uint) bool {
	var returned *Error
	return errors.As(err, &returned) && returned.Code == code
}
