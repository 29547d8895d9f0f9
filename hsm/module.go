package hsm

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/miekg/pkcs11"
)

// modules are the libraries in use. This is the one process-wide value of the package, because the standard makes it
// so: a library is initialised once per process (C_Initialize, v2.40 §5.4), and login state belongs to the process and
// the token, not to whoever logged in (§2.6). Two values with an opinion of their own would end each other's sessions.
var modules = registry{loaded: make(map[string]*module)}

type registry struct {
	mu     sync.Mutex // never held while a library does something: one that hangs is no matter of the others
	loaded map[string]*module
}

// module is one library, initialised while anybody holds it.
type module struct {
	path      string
	binding   *pkcs11.Ctx
	functions functions

	initialising sync.Mutex // held while the library is initialised or finalised; it is taken first
	holders      int        // guarded by initialising
	initialised  bool       // by whomever; guarded by initialising
	ours         bool       // we called C_Initialize, so we call C_Finalize; guarded by initialising

	// gate is read-held by whoever uses a session and write-held by whoever does what ends sessions or moves slots.
	gate sync.RWMutex
	// stuck are the calls that were given up and have not returned. They no longer hold the gate; while there is one
	// the module must not be finalised.
	stuck atomic.Int64
	// rebuilds counts how often all sessions went with C_Finalize; written under slotsAndLogin and gate, read under
	// either.
	rebuilds uint64

	// copying is write-held while a key is copied and read-held while keys are searched: SoftHSM shows all sessions a
	// copy that is being made with the attributes of the original, as a second key of the token. It is taken last.
	copying sync.RWMutex

	// slotsAndLogin is held while slots are listed, tokens looked up, sessions opened and PINs presented: SoftHSM
	// changes its slot map while listing it. It is taken before gate, and never held while signing.
	slotsAndLogin sync.Mutex
	// refused are the logins that are not tried again in this process, by token; guarded by slotsAndLogin.
	refused map[tokenIdentity]error
	// places are those that use the module; guarded by slotsAndLogin.
	places map[*place]bool
}

// tokenIdentity names a token across slots.
type tokenIdentity struct{ label, serial string }

// acquire loads and initialises the library at path, or joins those who did.
func (r *registry) acquire(path string) (*module, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("finding the PKCS#11 module: %w", err)
	}
	m, err := r.find(resolved)
	if err != nil {
		return nil, err
	}
	m.initialising.Lock()
	defer m.initialising.Unlock()
	if !m.initialised {
		err := m.binding.Initialize()
		m.ours = err == nil
		if err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED)) {
			return nil, opError("C_Initialize", err)
		}
		m.initialised = true
	}
	m.holders++
	return m, nil
}

func (r *registry) find(path string) (*module, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.loaded[path]
	if m != nil {
		return m, nil
	}
	m, err := load(path)
	if err != nil {
		return nil, err
	}
	r.loaded[path] = m
	return m, nil
}

// load maps the library into the process, where it stays: unloading a library whose threads or exit handlers are
// still there ends the process.
func load(path string) (*module, error) {
	binding := pkcs11.New(path)
	if binding == nil {
		return nil, fmt.Errorf("loading the PKCS#11 module %s: it is not a library that offers C_GetFunctionList", path)
	}
	list, err := loadFunctions(path)
	if err != nil {
		return nil, fmt.Errorf("loading the PKCS#11 module %s: %w", path, err)
	}
	return &module{path: path, binding: binding, functions: list, refused: make(map[tokenIdentity]error), places: make(map[*place]bool)}, nil
}

// release gives the module back; the last holder finalises it, when no session of ours is left.
func (m *module) release() error {
	m.initialising.Lock()
	defer m.initialising.Unlock()
	m.holders--
	if m.holders > 0 || !m.ours || !m.initialised {
		return nil
	}
	stuck := m.stuck.Load()
	if stuck > 0 {
		return fmt.Errorf("leaving module %s as it is: %d calls have not returned", m.path, stuck)
	}
	m.initialised = false
	return m.finalize()
}

// finalize takes a module that finalised itself for what was wanted.
func (m *module) finalize() error {
	err := opError("C_Finalize", m.binding.Finalize())
	if isCode(err, pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED) {
		return nil
	}
	return err
}

// errShared and errNotOurs say why a module is not initialised anew.
var (
	errShared  = errors.New("another token signs through the module")
	errNotOurs = errors.New("the module was initialised by somebody else in the process")
)

// rebuild initialises the module anew, which ends the sessions of all its places; each opens its own again. It is
// refused while another place than the asking one works, or a call has not returned: C_Finalize under a call ends
// the process.
func (m *module) rebuild(asking *place) error {
	m.initialising.Lock()
	defer m.initialising.Unlock()
	m.slotsAndLogin.Lock()
	defer m.slotsAndLogin.Unlock()
	for other := range m.places {
		if other != asking && other.works() {
			return errShared
		}
	}
	m.gate.Lock()
	defer m.gate.Unlock()
	if !m.ours {
		return errNotOurs
	}
	if m.stuck.Load() > 0 {
		return errNoWorker
	}
	if m.initialised {
		err := m.finalize()
		if err != nil {
			return err
		}
		m.initialised = false
		m.rebuilds++
	}
	err := opError("C_Initialize", m.binding.Initialize())
	if err != nil {
		return err
	}
	m.initialised = true
	return nil
}

// find returns the slot and the description of the one token that matches; slotsAndLogin is held.
func (m *module) find(label, serial string) (uint, pkcs11.TokenInfo, error) {
	slots, err := m.binding.GetSlotList(true)
	if err != nil {
		return 0, pkcs11.TokenInfo{}, opError("C_GetSlotList", err)
	}
	var slot uint
	var token pkcs11.TokenInfo
	found := 0
	for _, candidate := range slots {
		info, err := m.binding.GetTokenInfo(candidate)
		// A reader that fails must not hide the token in the next slot.
		if err != nil || info.Flags&pkcs11.CKF_TOKEN_INITIALIZED == 0 {
			continue
		}
		if (label == "" || info.Label == label) && (serial == "" || info.SerialNumber == serial) {
			slot, token, found = candidate, info, found+1
		}
	}
	switch found {
	case 0:
		return 0, pkcs11.TokenInfo{}, fmt.Errorf("looking for token %s in %d slots: %w", nameOf(label, serial), len(slots), ErrTokenNotFound)
	case 1:
		return slot, token, nil
	}
	return 0, pkcs11.TokenInfo{}, fmt.Errorf("looking for token %s: %w", nameOf(label, serial), ErrTokenAmbiguous)
}

func nameOf(label, serial string) string {
	switch {
	case serial == "":
		return fmt.Sprintf("%q", label)
	case label == "":
		return fmt.Sprintf("with serial number %q", serial)
	}
	return fmt.Sprintf("%q with serial number %q", label, serial)
}
