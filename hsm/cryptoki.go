package hsm

/*
#cgo linux LDFLAGS: -ldl
#cgo noescape cpsca_sign
#cgo nocallback cpsca_sign

#include <dlfcn.h>
#include <stdlib.h>

typedef unsigned long ck_ulong;
typedef struct { ck_ulong mechanism; void *parameter; ck_ulong length; } ck_mechanism;
typedef struct { ck_ulong hash, mgf, salt; } ck_pss; // CK_RSA_PKCS_PSS_PARAMS, v2.40 mechanisms 2.1.12

// CK_FUNCTION_LIST, v2.40 section 3.6: CK_VERSION, then the 68 functions in the order of section 5.
typedef struct { unsigned char major, minor; void *function[68]; } ck_functions;
enum { C_InitToken = 9, C_InitPIN = 10, C_Login = 18, C_SignInit = 42, C_Sign = 43 };

static ck_functions *cpsca_functions(const char *path) {
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library) return 0;
	ck_ulong (*list)(ck_functions **) = (ck_ulong (*)(ck_functions **))dlsym(library, "C_GetFunctionList");
	ck_functions *functions = 0;
	if (!list || list(&functions)) return 0;
	return functions;
}

typedef struct { ck_ulong value, length; int entered; } cpsca_signature;

// The phases of a request, as in worker.go. Whoever waits for it may leave between C_SignInit and C_Sign: the exchange
// decides which of the two was first.
enum { phase_begun = 1, phase_entered = 2 };

static ck_ulong cpsca_sign_init(ck_functions *f, ck_ulong session, ck_ulong key, ck_ulong mechanism, ck_ulong hash, ck_ulong mgf, ck_ulong salt) {
	ck_pss pss = { hash, mgf, salt };
	ck_mechanism m = { mechanism, hash ? &pss : 0, hash ? sizeof pss : 0 };
	return ((ck_ulong (*)(ck_ulong, ck_mechanism *, ck_ulong))f->function[C_SignInit])(session, &m, key);
}

static cpsca_signature cpsca_sign(ck_functions *f, ck_ulong session, ck_ulong key, ck_ulong mechanism,
		ck_ulong hash, ck_ulong mgf, ck_ulong salt, unsigned char *data, ck_ulong data_length, unsigned char *out, ck_ulong room, unsigned *phase) {
	cpsca_signature s = { 0, 0, 0 };
	unsigned begun = phase_begun;
	s.value = cpsca_sign_init(f, session, key, mechanism, hash, mgf, salt);
	if (s.value || !__atomic_compare_exchange_n(phase, &begun, phase_entered, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return s;
	s.entered = 1;
	s.length = room;
	s.value = ((ck_ulong (*)(ck_ulong, unsigned char *, ck_ulong, unsigned char *, ck_ulong *))f->function[C_Sign])(session, data, data_length, out, &s.length);
	return s;
}

static ck_ulong cpsca_login(ck_functions *f, ck_ulong session, ck_ulong user, unsigned char *pin, ck_ulong length) {
	return ((ck_ulong (*)(ck_ulong, ck_ulong, unsigned char *, ck_ulong))f->function[C_Login])(session, user, pin, length);
}

static ck_ulong cpsca_init_token(ck_functions *f, ck_ulong slot, unsigned char *pin, ck_ulong length, unsigned char *label) {
	return ((ck_ulong (*)(ck_ulong, unsigned char *, ck_ulong, unsigned char *))f->function[C_InitToken])(slot, pin, length, label);
}

static ck_ulong cpsca_init_pin(ck_functions *f, ck_ulong session, unsigned char *pin, ck_ulong length) {
	return ((ck_ulong (*)(ck_ulong, unsigned char *, ck_ulong))f->function[C_InitPIN])(session, pin, length);
}
*/
import "C"

import (
	"errors"
	"sync/atomic"
	"unsafe"

	"github.com/miekg/pkcs11"
)

// functions is the module's own function list, for the few calls that the binding does not make as they are needed:
// a signature in one crossing without a size query, and a PIN that leaves no copies behind.
type functions struct {
	list *C.ck_functions
}

// loadFunctions shares the library that the binding has loaded: the loader gives out one handle per file.
func loadFunctions(path string) (functions, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	list := C.cpsca_functions(name)
	if list == nil {
		return functions{}, errors.New("the library has no usable C_GetFunctionList")
	}
	return functions{list}, nil
}

// mechanism is a CK_MECHANISM; hash, mgf and salt are the parameters of CKM_RSA_PKCS_PSS and zero for all others.
type mechanism struct {
	code            uint
	hash, mgf, salt uint
}

// sign makes C_SignInit and C_Sign in one crossing into out, which must have room for the signature, and returns its
// length. The error tells whether C_Sign was entered. The session is in use by the calling goroutine only. phase is
// phaseBegun and becomes phaseEntered just before C_Sign; if it is anything else by then, C_Sign is not entered.
func (f functions) sign(session pkcs11.SessionHandle, key pkcs11.ObjectHandle, m mechanism, data, out []byte, phase *atomic.Uint32) (int, error) {
	s := C.cpsca_sign(f.list, C.ck_ulong(session), C.ck_ulong(key), C.ck_ulong(m.code),
		C.ck_ulong(m.hash), C.ck_ulong(m.mgf), C.ck_ulong(m.salt),
		address(data), C.ck_ulong(len(data)), address(out), C.ck_ulong(len(out)), (*C.uint)(unsafe.Pointer(phase)))
	switch {
	case s.entered == 0 && s.value == pkcs11.CKR_OK:
		return 0, errLate
	case s.entered == 0:
		return 0, &Error{Op: "C_SignInit", Code: uint(s.value)}
	case s.value != pkcs11.CKR_OK:
		return 0, &Error{Op: "C_Sign", Code: uint(s.value), Entered: true}
	case int(s.length) > len(out):
		return 0, &Error{Op: "C_Sign", Code: pkcs11.CKR_SIGNATURE_LEN_RANGE, Entered: true}
	}
	return int(s.length), nil
}

// signInit begins a signature that is never made; closing the session ends it.
func (f functions) signInit(session pkcs11.SessionHandle, key pkcs11.ObjectHandle, m mechanism) error {
	return returned("C_SignInit", C.cpsca_sign_init(f.list, C.ck_ulong(session), C.ck_ulong(key), C.ck_ulong(m.code),
		C.ck_ulong(m.hash), C.ck_ulong(m.mgf), C.ck_ulong(m.salt)))
}

func (f functions) login(session pkcs11.SessionHandle, user uint, pin []byte) error {
	return returned("C_Login", C.cpsca_login(f.list, C.ck_ulong(session), C.ck_ulong(user), address(pin), C.ck_ulong(len(pin))))
}

func (f functions) initToken(slot uint, soPIN []byte, label [tokenLabel]byte) error {
	return returned("C_InitToken", C.cpsca_init_token(f.list, C.ck_ulong(slot), address(soPIN), C.ck_ulong(len(soPIN)), address(label[:])))
}

func (f functions) initPIN(session pkcs11.SessionHandle, pin []byte) error {
	return returned("C_InitPIN", C.cpsca_init_pin(f.list, C.ck_ulong(session), address(pin), C.ck_ulong(len(pin))))
}

func address(b []byte) *C.uchar { return (*C.uchar)(unsafe.Pointer(unsafe.SliceData(b))) }

func returned(op string, value C.ck_ulong) error {
	if value == pkcs11.CKR_OK {
		return nil
	}
	return &Error{Op: op, Code: uint(value)}
}
