package hsm

import (
	"errors"
	"fmt"

	"github.com/miekg/pkcs11"
)

// login makes sure that the keep-alive session lives and is logged in; slotsAndLogin is held, the gate is not.
func (p *place) login() error {
	in, err := p.keepState()
	if in || err != nil {
		return err
	}
	if p.keep == 0 {
		err = p.reopenKeep()
		if err != nil {
			return err
		}
		in, err = p.keepState()
		if in || err != nil { // logged in by another Token of this process
			return err
		}
		if p.keep == 0 {
			return &Error{Op: "C_GetSessionInfo", Code: pkcs11.CKR_SESSION_HANDLE_INVALID} // lost as soon as it was opened
		}
	}
	return p.presentPIN()
}

// keepState asks the keep-alive session whether it is logged in, and forgets it if it is lost. An error says that
// nobody knows. slotsAndLogin is held.
func (p *place) keepState() (in bool, err error) {
	if p.keepRebuild != p.module.rebuilds {
		p.keep = 0
	}
	if p.keep == 0 {
		return false, nil
	}
	p.module.gate.RLock()
	defer p.module.gate.RUnlock()
	info, err := p.module.binding.GetSessionInfo(p.keep)
	if err != nil {
		err = opError("C_GetSessionInfo", err)
		if !lost(err) {
			return false, err
		}
		p.keep = 0
		return false, nil
	}
	return info.State == pkcs11.CKS_RO_USER_FUNCTIONS || info.State == pkcs11.CKS_RW_USER_FUNCTIONS, nil
}

// lost says that the session that err is about is no more, for sure.
func lost(err error) bool {
	for _, code := range []uint{pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED,
		pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_SLOT_ID_INVALID} {
		if isCode(err, code) {
			return true
		}
	}
	return false
}

// reopenKeep looks the token up anew, for its slot may have changed, and opens the session that holds the login. The
// new generation tells the workers that their sessions went with the old one.
func (p *place) reopenKeep() error {
	p.module.gate.Lock()
	defer p.module.gate.Unlock()
	p.keep = 0
	p.generation++
	slot, token, err := p.module.find(p.where.Token, p.where.Serial)
	if err != nil {
		return err
	}
	info := Info{Label: token.Label, Serial: token.SerialNumber, Manufacturer: token.ManufacturerID, Model: token.Model}
	if p.cfg.HardwareOnly && info.Software() {
		return fmt.Errorf("looking at token %s: %w", p.where.name(), ErrSoftware)
	}
	before := p.info.Load()
	if before != nil && *before != info {
		return fmt.Errorf("another token has taken the place of %q: %w", before.Label, ErrTokenNotFound)
	}
	keep, err := p.module.binding.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION)
	if err != nil {
		return opError("C_OpenSession", err)
	}
	p.info.Store(&info)
	p.slot, p.keep, p.keepRebuild = slot, keep, p.module.rebuilds
	return nil
}

// presentPIN logs in with exactly one try. Unless the answer is a known outage, a refusal is final for this process:
// a value that we do not know may mean a wrong PIN too.
func (p *place) presentPIN() error {
	info := p.info.Load()
	identity := tokenIdentity{info.Label, info.Serial}
	if refused := p.module.refused[identity]; refused != nil {
		return refused
	}
	p.module.gate.RLock()
	defer p.module.gate.RUnlock()
	token, err := p.module.binding.GetTokenInfo(p.slot)
	if err != nil {
		return opError("C_GetTokenInfo", err)
	}
	if token.Flags&pkcs11.CKF_USER_PIN_LOCKED != 0 {
		return fmt.Errorf("%w: %w", ErrPIN, &Error{Op: "C_GetTokenInfo", Code: pkcs11.CKR_PIN_LOCKED})
	}
	pin, err := p.pin()
	if err != nil {
		return err
	}
	err = p.module.functions.login(p.keep, pkcs11.CKU_USER, pin)
	if isCode(err, pkcs11.CKR_USER_ALREADY_LOGGED_IN) {
		err = nil
	}
	refused := err != nil && !remedyFor(err).outage()
	if refused || p.where.PIN.source.again() {
		wipe(pin)
		p.held = nil
	} else {
		p.held = pin
	}
	if refused {
		err = fmt.Errorf("%w: %w", ErrPIN, err)
		p.module.refused[identity] = err
	}
	return err
}

// pin takes the PIN from where it is. A source that yields it once is not touched again: its descriptor may be
// another's by now.
func (p *place) pin() ([]byte, error) {
	if p.held != nil {
		return p.held, nil
	}
	if p.pinTaken {
		return nil, fmt.Errorf("%w: %s yields it only once", ErrPINSource, p.where.PIN)
	}
	p.pinTaken = !p.where.PIN.source.again()
	return p.where.PIN.read()
}

// isCode says whether err is the return value code.
func isCode(err error, code uint) bool {
	var returned *Error
	return errors.As(err, &returned) && returned.Code == code
}
