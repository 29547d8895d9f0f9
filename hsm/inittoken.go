package hsm

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/miekg/pkcs11"
)

// InitToken makes a new token of that label (1 to 32 bytes) in a slot whose token was never initialised, with the
// security officer's PIN and the user's, 1 to 255 bytes each, which stay the caller's to wipe. It never touches an
// initialised token. The module is initialised for the time of the call, unless it is already. Errors to test:
// ErrTokenExists, ErrTokenNotFound (no free slot), ErrPINSource (a PIN that no token takes), *Error.
func InitToken(module, label string, soPIN, pin []byte) error {
	if label == "" || len(label) > tokenLabel {
		return fmt.Errorf("initialising a token: the label is not of 1 to %d bytes", tokenLabel)
	}
	err := errors.Join(checkPIN(soPIN), checkPIN(pin))
	if err != nil {
		return fmt.Errorf("initialising token %q: %w: %w", label, ErrPINSource, err)
	}
	m, err := modules.acquire(module)
	if err != nil {
		return fmt.Errorf("initialising token %q: %w", label, err)
	}
	err = errors.Join(m.initToken(label, soPIN, pin), m.release())
	if err != nil {
		return fmt.Errorf("initialising token %q: %w", label, err)
	}
	return nil
}

// initToken keeps everybody else out of the module meanwhile, for slots come and go under it.
func (m *module) initToken(label string, soPIN, pin []byte) error {
	m.slotsAndLogin.Lock()
	defer m.slotsAndLogin.Unlock()
	m.gate.Lock()
	defer m.gate.Unlock()
	_, _, err := m.find(label, "")
	if err == nil || errors.Is(err, ErrTokenAmbiguous) {
		return ErrTokenExists
	}
	if !errors.Is(err, ErrTokenNotFound) {
		return err
	}
	slot, err := m.freeSlot()
	if err != nil {
		return err
	}
	var padded [tokenLabel]byte
	copy(padded[:], bytes.Repeat([]byte{' '}, tokenLabel))
	copy(padded[:], label)
	err = m.functions.initToken(slot, soPIN, padded)
	if err != nil {
		return err
	}
	slot, _, err = m.find(label, "")
	if err != nil {
		return err
	}
	session, err := m.binding.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return opError("C_OpenSession", err)
	}
	err = m.functions.login(session, pkcs11.CKU_SO, soPIN)
	if err == nil {
		err = m.functions.initPIN(session, pin)
	}
	// The only session of this token: closing it ends the security officer's login too.
	return errors.Join(err, opError("C_CloseSession", m.binding.CloseSession(session)))
}

// freeSlot returns a slot with a token that was never initialised.
func (m *module) freeSlot() (uint, error) {
	slots, err := m.binding.GetSlotList(true)
	if err != nil {
		return 0, opError("C_GetSlotList", err)
	}
	for _, slot := range slots {
		token, err := m.binding.GetTokenInfo(slot)
		if err == nil && token.Flags&pkcs11.CKF_TOKEN_INITIALIZED == 0 {
			return slot, nil
		}
	}
	return 0, fmt.Errorf("looking for a free slot among %d: %w", len(slots), ErrTokenNotFound)
}
