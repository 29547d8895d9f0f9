package hsm

import (
	"errors"
	"fmt"

	"github.com/miekg/pkcs11"
)

// Conditions that a caller decides on; test with errors.Is. None of them is returned once C_Sign was entered.
var (
	// ErrPIN says that the token did not accept the login. The PIN was tried exactly once and this process tries no
	// PIN on that token again: most tokens lock after a few wrong ones.
	ErrPIN = errors.New("the token refused the login; the PIN is not tried again: correct it, then start anew")
	// ErrPINSource says that the PIN could not be taken from where the configuration says; no login was tried.
	ErrPINSource = errors.New("the PIN cannot be used")
	// ErrTokenNotFound says that no slot holds the configured token.
	ErrTokenNotFound = errors.New("no such token")
	// ErrTokenAmbiguous says that several slots hold a token of that label; configure the serial number too.
	ErrTokenAmbiguous = errors.New("several tokens match")
	// ErrTokenExists says that a token with that label is there already and is left as it is.
	ErrTokenExists = errors.New("the token exists already")
	// ErrKeyExists says that an object with that label is there already; it is left as it is.
	ErrKeyExists = errors.New("the key exists already")
	// ErrKeyNotFound says that the token holds no private or no public object of that label.
	ErrKeyNotFound = errors.New("no such key")
	// ErrKeyAmbiguous says that several objects carry the label of the key.
	ErrKeyAmbiguous = errors.New("several keys match")
	// ErrOptions says that digest, hash or options do not fit the key; the token was not asked.
	ErrOptions = errors.New("the digest or the signing options do not fit the key")
	// ErrBusy says that Config.Queue callers are waiting already.
	ErrBusy = errors.New("too many callers wait for the HSM")
	// ErrClosed says that the Token was closed.
	ErrClosed = errors.New("the token is closed")
	// ErrUnavailable says that no token with the key can sign now: it is down, or failed before C_Sign was entered. The
	// same request may be made again later. The reason is wrapped beside it. For rooms that may not import this one it
	// has a method: errors.As with a target of type interface{ Unavailable() bool }.
	ErrUnavailable error = unavailable{}
	// ErrKeyDiffers says that two places hold different keys under one label.
	ErrKeyDiffers = errors.New("the places hold different keys under one label")
	// ErrSeveralPlaces says that a key cannot be made in several places at once: it is made in one and cloned by the
	// means of the HSM.
	ErrSeveralPlaces = errors.New("a key is made in one place and cloned by the means of the HSM")
	// ErrSoftware says that Config.HardwareOnly refuses a software token.
	ErrSoftware = errors.New("a software token is refused")
)

// errNoWorker is the cause of an outage in which every session hangs in a call.
var errNoWorker = errors.New("every session hangs in a call")

// errLate is the cause of a request that a session did not begin to sign in time.
var errLate = errors.New("no session began to sign in time")

type unavailable struct{}

func (unavailable) Error() string     { return "the token is not available" }
func (unavailable) Unavailable() bool { return true }

// Error is a return value of a PKCS#11 function (v2.40 §5, CKR_…). Test with errors.As.
type Error struct {
	Op   string // the function that returned the value, as "C_Sign"
	Code uint   // CKR_…; 0 if the function did not return within Config.Deadline
	// Entered says that C_Sign was entered for this request: a signature may exist though nobody has it, so the
	// request must not be signed again. It is false where C_Sign was provably not entered.
	Entered bool
}

// Error names the function and the return value.
func (e *Error) Error() string {
	if e.Code == pkcs11.CKR_OK {
		return e.Op + " did not return in time"
	}
	return e.Op + ": " + pkcs11.Error(e.Code).Error()
}

// SignEntered is the field Entered, for rooms that may not import this one:
// errors.As with a target of type interface{ SignEntered() bool }.
func (e *Error) SignEntered() bool { return e.Entered }

// AttributeError says that a key's attributes, as the token states them, are not those of a key that was born in the
// token, never leaves it and does nothing but sign (PKCS#11 v2.40 §4.7, §4.9). Such a key is not used.
type AttributeError struct {
	Label      string   // CKA_LABEL of the key
	Attributes []string // what is wrong, as "CKA_EXTRACTABLE is true" or "CKA_LOCAL is unreadable"
}

// Error names the key and every attribute that is not as it must be.
func (e *AttributeError) Error() string {
	return fmt.Sprintf("key %q is refused for its attributes: %q", e.Label, e.Attributes)
}

// opError turns a return value of the binding into an *Error.
func opError(op string, err error) error {
	if err == nil {
		return nil
	}
	var code pkcs11.Error
	if errors.As(err, &code) {
		return &Error{Op: op, Code: uint(code)}
	}
	return fmt.Errorf("%s: %w", op, err)
}

// remedy is what may help after a return value.
type remedy int

const (
	remedyUnknown remedy = iota // a value that we do not know: the session is given up, and several in a row are an outage
	remedyOurs                  // a mistake of ours: asking again changes nothing
	remedySession               // a new session: the old one, its operation or its object handles are gone
	remedyLogin                 // a new login, then a new session
	remedyRebuild               // C_Finalize and C_Initialize; until then a new session may do if the token comes back
	remedyNever                 // everything about a PIN: a further try may lock the token
)

// remedies is the one place where return values are classified.
var remedies = func() map[uint]remedy {
	table := make(map[uint]remedy)
	for _, class := range []struct {
		remedy remedy
		codes  []uint
	}{
		{remedySession, []uint{
			pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_SESSION_COUNT,
			pkcs11.CKR_OBJECT_HANDLE_INVALID, pkcs11.CKR_KEY_HANDLE_INVALID,
			pkcs11.CKR_OPERATION_ACTIVE, pkcs11.CKR_OPERATION_NOT_INITIALIZED,
			pkcs11.CKR_BUFFER_TOO_SMALL, // leaves the operation active, v2.40 §5.2
			pkcs11.CKR_FUNCTION_CANCELED, pkcs11.CKR_FUNCTION_FAILED, pkcs11.CKR_GENERAL_ERROR,
			pkcs11.CKR_DEVICE_MEMORY, pkcs11.CKR_HOST_MEMORY,
		}},
		{remedyLogin, []uint{pkcs11.CKR_USER_NOT_LOGGED_IN}},
		{remedyRebuild, []uint{
			pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED, pkcs11.CKR_DEVICE_ERROR, pkcs11.CKR_DEVICE_REMOVED,
			pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_TOKEN_NOT_RECOGNIZED, pkcs11.CKR_SLOT_ID_INVALID,
		}},
		{remedyNever, []uint{
			pkcs11.CKR_PIN_INCORRECT, pkcs11.CKR_PIN_INVALID, pkcs11.CKR_PIN_LEN_RANGE, pkcs11.CKR_PIN_EXPIRED,
			pkcs11.CKR_PIN_LOCKED, pkcs11.CKR_USER_PIN_NOT_INITIALIZED, pkcs11.CKR_USER_ANOTHER_ALREADY_LOGGED_IN,
			pkcs11.CKR_USER_TOO_MANY_TYPES, pkcs11.CKR_USER_TYPE_INVALID,
		}},
		{remedyOurs, []uint{
			pkcs11.CKR_ARGUMENTS_BAD, pkcs11.CKR_ATTRIBUTE_READ_ONLY, pkcs11.CKR_ATTRIBUTE_SENSITIVE,
			pkcs11.CKR_ATTRIBUTE_TYPE_INVALID, pkcs11.CKR_ATTRIBUTE_VALUE_INVALID, pkcs11.CKR_DATA_INVALID,
			pkcs11.CKR_DATA_LEN_RANGE, pkcs11.CKR_DOMAIN_PARAMS_INVALID, pkcs11.CKR_FUNCTION_NOT_SUPPORTED,
			pkcs11.CKR_KEY_SIZE_RANGE, pkcs11.CKR_KEY_TYPE_INCONSISTENT, pkcs11.CKR_KEY_FUNCTION_NOT_PERMITTED,
			pkcs11.CKR_MECHANISM_INVALID, pkcs11.CKR_MECHANISM_PARAM_INVALID, pkcs11.CKR_SESSION_READ_ONLY,
			pkcs11.CKR_SIGNATURE_LEN_RANGE, pkcs11.CKR_TEMPLATE_INCOMPLETE, pkcs11.CKR_TEMPLATE_INCONSISTENT,
			pkcs11.CKR_TOKEN_WRITE_PROTECTED,
		}},
	} {
		for _, code := range class.codes {
			table[code] = class.remedy
		}
	}
	return table
}()

// remedyFor classifies an error of this package.
func remedyFor(err error) remedy {
	if errors.Is(err, ErrPIN) || errors.Is(err, ErrPINSource) {
		return remedyNever
	}
	// Without a login the standard hides private objects (v2.40 §4.4), so a key that was there looks deleted.
	if errors.Is(err, ErrKeyNotFound) {
		return remedyLogin
	}
	if errors.Is(err, ErrTokenNotFound) {
		return remedyRebuild // some modules look at their slots in C_Initialize only
	}
	var returned *Error
	if errors.As(err, &returned) {
		return remedies[returned.Code]
	}
	return remedyOurs
}

// outage says that the session is of no more use, though a later one may be.
func (r remedy) outage() bool {
	return r == remedySession || r == remedyLogin || r == remedyRebuild
}

// entered says whether C_Sign was entered before err.
func entered(err error) bool {
	var returned *Error
	return errors.As(err, &returned) && returned.Entered
}
