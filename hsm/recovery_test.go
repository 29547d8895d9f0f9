package hsm_test

import (
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/pkcs11"

	"cpsca/hsm"
)

// signingWay lists the functions that a request calls when every session and the login were lost before it.
var signingWay = []string{"C_GetSlotList", "C_GetTokenInfo", "C_OpenSession", "C_GetSessionInfo", "C_Login", "C_FindObjectsInit", "C_FindObjects",
	"C_FindObjectsFinal", "C_GetAttributeValue", "C_CopyObject", "C_SignInit", "C_Sign"}

// returnValues are those of v2.40 but CKR_OK, one that the standard does not know and one of a vendor.
func returnValues() []uint {
	var codes []uint
	for code := uint(1); code < 0x210; code++ {
		if !strings.HasSuffix(pkcs11.Error(code).Error(), ": ") {
			codes = append(codes, code)
		}
	}
	return append(codes, 0x7777, pkcs11.CKR_VENDOR_DEFINED+7)
}

// loseAll closes every session, which ends the login too.
func loseAll(t *testing.T, token *hsm.Token) {
	t.Helper()
	token.Raw(func(binding *pkcs11.Ctx, slot uint) { rawLoseSessions(t, binding, slot) })
}

func TestEveryReturnValueOfEveryFunctionOnTheSigningWay(t *testing.T) {
	f := newFaulty(t)
	token := open(t, f.cfg)
	key := generate(t, token, "key", hsm.P256)
	codes := returnValues()
	if len(codes) < 80 {
		t.Fatalf("there are only %d return values", len(codes))
	}
	for _, function := range signingWay {
		t.Run(function, func(t *testing.T) {
			f.t = t
			var all []*request
			for i, code := range codes {
				when := "before"
				if i%4 == 3 || function == "C_Sign" && i%2 == 1 {
					when = "after"
				}
				loseAll(t, token)
				f.order(fmt.Sprintf("%s 1 %s %d", function, when, code))
				r := ask(t, key)
				checkFault(t, function, code, r.err)
				f.order()
				token.Forgive()
				all = append(all, append(f.heals(key), r)...)
			}
			f.once(all)
		})
	}
}

// checkFault says what a request must come to that meets one fault.
func checkFault(t *testing.T, function string, code uint, err error) {
	t.Helper()
	var returned *hsm.Error
	told := errors.As(err, &returned) && returned.Op == function && returned.Code == code
	name := fmt.Sprintf("%s: %v", function, pkcs11.Error(code))
	switch {
	case function == "C_Sign":
		if !told || !returned.Entered || errors.Is(err, hsm.ErrUnavailable) {
			t.Errorf("%s: got %v, want it with Entered", name, err)
		}
	case enteredIn(err):
		t.Errorf("%s: got %v, though C_Sign was not entered", name, err)
	case function == "C_CopyObject":
		if err != nil {
			t.Errorf("%s: got %v, want a signature with the token's object", name, err)
		}
	case function == "C_Login" && code == pkcs11.CKR_USER_ALREADY_LOGGED_IN:
		// It is not logged in, so the key is not found.
	case function == "C_Login" && !hsm.Remedial(code):
		if !errors.Is(err, hsm.ErrPIN) {
			t.Errorf("%s: got %v, want ErrPIN", name, err)
		}
	case hsm.Remedial(code) && function == "C_SignInit":
		// One failure of that kind is what the second try is for.
		if err != nil {
			t.Errorf("%s: got %v, want a signature at the second try", name, err)
		}
	case hsm.Remedial(code):
		// The loss was the first failure, and this one the second.
		if err != nil && !(told && errors.Is(err, hsm.ErrUnavailable)) && !errors.Is(err, hsm.ErrTokenNotFound) {
			t.Errorf("%s: got %v, want ErrUnavailable with the return value", name, err)
		}
	case err != nil && !told && !errors.Is(err, hsm.ErrTokenNotFound):
		var refused *hsm.AttributeError
		if !errors.As(err, &refused) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestFaultsThatLastAreAnOutageUntilTheyAreGone(t *testing.T) {
	f := newFaulty(t)
	token := open(t, f.cfg)
	key := generate(t, token, "key", hsm.P256)
	for _, function := range slices.Concat(signingWay, []string{"C_Finalize", "C_Initialize"}) {
		t.Run(function, func(t *testing.T) {
			f.t = t
			var all []*request
			for _, code := range []uint{pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_USER_NOT_LOGGED_IN, pkcs11.CKR_GENERAL_ERROR,
				pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED, pkcs11.CKR_VENDOR_DEFINED + 7, pkcs11.CKR_ARGUMENTS_BAD} {
				if function == "C_Login" && !hsm.Remedial(code) {
					continue
				}
				loseAll(t, token)
				orders := []string{fmt.Sprintf("%s * before %d", function, code)}
				if function == "C_Finalize" || function == "C_Initialize" {
					orders = append(orders, fmt.Sprintf("C_SignInit 1+ before %d", pkcs11.CKR_DEVICE_ERROR))
				}
				f.order(orders...)
				for range 5 {
					all = append(all, ask(t, key))
				}
				f.order()
				all = append(all, f.heals(key)...)
			}
			f.once(all)
		})
	}
}

// Whatever else hangs is waited for by the session that is in it, but by no request.
func TestACallOnTheWayToCSignThatHangsIsAnOutageUntilItReturns(t *testing.T) {
	f := newFaulty(t)
	f.cfg.Deadline = 50 * time.Millisecond
	token := open(t, f.cfg)
	key := generate(t, token, "key", hsm.P256)
	for _, function := range signingWay {
		if function == "C_SignInit" || function == "C_Sign" {
			continue
		}
		t.Run(function, func(t *testing.T) {
			f.t = t
			loseAll(t, token)
			f.order(function + " 1 hang")
			var all []*request
			for range 3 {
				r := ask(t, key)
				if !errors.Is(r.err, hsm.ErrUnavailable) || enteredIn(r.err) {
					t.Errorf("got %v, want ErrUnavailable", r.err)
				}
				all = append(all, r)
			}
			if token.Health()[0].Up {
				t.Error("the token is up though it hangs")
			}
			f.order()
			all = append(all, f.heals(key)...)
			f.once(all)
		})
	}
}

func TestATokenThatIsGoneFailsAtOnceAndComesBackByItself(t *testing.T) {
	for name, order := range map[string]string{
		"sessions lost":           "gone 0xb3",
		"device removed":          "gone 0x32",
		"only a new C_Initialize": "gone 0x30 reinitialise",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFaulty(t)
			var heard transitions
			f.cfg.Transition, f.cfg.Sessions = heard.add, 2
			token := open(t, f.cfg)
			other := open(t, f.cfg)
			key, otherKey := generate(t, token, "key", hsm.P256), generate(t, other, "other", hsm.P256)
			all := []*request{ask(t, key), ask(t, otherKey)}
			f.order(order)
			until(t, "the outage", func() bool { all = append(all, ask(t, key)); return !token.Health()[0].Up })
			before := f.witnessed()
			for range 50 {
				r := ask(t, key)
				var shape interface{ Unavailable() bool }
				if !errors.Is(r.err, hsm.ErrUnavailable) || !errors.As(r.err, &shape) || !shape.Unavailable() || enteredIn(r.err) {
					t.Fatalf("while the token is down: got %v, want ErrUnavailable", r.err)
				}
				all = append(all, r)
			}
			_, err := token.Key(t.Context(), "key")
			if !errors.Is(err, hsm.ErrUnavailable) {
				t.Errorf("looking for a key while the token is down: got %v, want ErrUnavailable", err)
			}
			if f.witnessed().logins != before.logins {
				t.Error("requests logged in while the token was down")
			}
			h := token.Health()[0]
			if h.Cause == nil || h.Outages != 1 {
				t.Errorf("while the token is down: %+v", h)
			}
			f.order()
			until(t, "the end of the outage", func() bool { return token.Health()[0].Up })
			all = append(all, f.heals(key)...)
			all = append(all, f.heals(otherKey)...)
			if reinitialised := strings.Contains(order, "reinitialise"); reinitialised && token.Rebuilds() == 0 {
				t.Error("the module was not initialised anew")
			}
			f.once(all)
			checkTransitions(t, heard.all())
			h = token.Health()[0]
			if !h.Up || h.Cause != nil || h.Sessions != 2 || h.Busy != 0 || h.Waiting != 0 || h.Signed == 0 || h.Latency <= 0 {
				t.Errorf("afterwards: %+v", h)
			}
		})
	}
}

// checkTransitions wants each outage told once, with its cause, and each end.
func checkTransitions(t *testing.T, heard []hsm.Transition) {
	t.Helper()
	if len(heard) == 0 {
		t.Error("no transition was told")
	}
	up := 0
	for _, each := range heard {
		if each.Up != (each.Cause == nil) || each.At.IsZero() || each.Token != `"token"` {
			t.Errorf("a transition: %+v", each)
		}
		if each.Up {
			up++
		}
	}
	if 2*up != len(heard) {
		t.Errorf("%d of %d transitions are up", up, len(heard))
	}
}

func TestAnIdleTokenNoticesItsLossAndComesBack(t *testing.T) {
	f := newFaulty(t)
	f.cfg = f.cfg.Attentively()
	token := open(t, f.cfg)
	key := generate(t, token, "key", hsm.P256)
	f.order("gone 0x32")
	until(t, "the outage", func() bool { return !token.Health()[0].Up })
	f.order()
	until(t, "the end of the outage", func() bool { return token.Health()[0].Up })
	r := ask(t, key)
	if r.err != nil {
		t.Errorf("afterwards: %v", r.err)
	}
}

func TestAPINIsNotTriedAgainByTheLadder(t *testing.T) {
	f := newFaulty(t)
	token := open(t, f.cfg)
	key := generate(t, token, "key", hsm.P256)
	var all []*request
	before := f.witnessed().logins
	writeFile(t, f.path("pin"), canary, 0o600)
	loseAll(t, token)
	for range 20 {
		r := ask(t, key)
		if !errors.Is(r.err, hsm.ErrPIN) || !errors.Is(r.err, hsm.ErrUnavailable) && len(all) > 0 {
			t.Fatalf("got %v, want ErrPIN", r.err)
		}
		all = append(all, r)
	}
	tries := token.Tries()
	until(t, "tries of the keeper", func() bool { return token.Tries() > tries+3 })
	if got := f.witnessed().logins - before; got != 1 {
		t.Errorf("the PIN was tried %d times, want once", got)
	}
	f.once(all)
}

func TestACallThatHangsIsGivenUpAndItsSessionReplaced(t *testing.T) {
	for _, function := range []string{"C_Sign", "C_SignInit"} {
		t.Run(function, func(t *testing.T) {
			f := newFaulty(t)
			f.cfg.Deadline = 100 * time.Millisecond
			token := open(t, f.cfg)
			key := generate(t, token, "key", hsm.P256)
			all := []*request{ask(t, key)}
			f.order(function + " 1 hang")
			r := ask(t, key)
			all = append(all, r)
			if enteredIn(r.err) != (function == "C_Sign") || errors.Is(r.err, hsm.ErrUnavailable) != (function == "C_SignInit") {
				t.Errorf("a call that hangs: got %v", r.err)
			}
			for range 5 { // in another session
				all = append(all, ask(t, key))
				if all[len(all)-1].err != nil {
					t.Errorf("while one session hangs: %v", all[len(all)-1].err)
				}
			}
			if h := token.Health()[0]; h.Stuck != 1 || h.Sessions != 1 {
				t.Errorf("while one session hangs: %+v", h)
			}
			f.order()
			until(t, "the stuck session to come back", func() bool { return token.Health()[0].Stuck == 0 })
			all = append(all, f.heals(key)...)
			f.once(all)
		})
	}
}

func TestSessionsThatHangOneAfterTheOtherAreBounded(t *testing.T) {
	f := newFaulty(t)
	f.cfg.Deadline, f.cfg.Sessions = 50*time.Millisecond, 2
	token := open(t, f.cfg)
	key := generate(t, token, "key", hsm.P256)
	f.order("C_Sign * hang")
	var mu sync.Mutex
	var all []*request
	var asking sync.WaitGroup
	for i := range 16 {
		asking.Go(func() {
			for n := range 4 {
				r := askFor(t, key, fmt.Sprint("hang ", i, n))
				mu.Lock()
				all = append(all, r)
				mu.Unlock()
			}
		})
	}
	asking.Wait()
	until(t, "an outage", func() bool {
		all = append(all, ask(t, key))
		return errors.Is(all[len(all)-1].err, hsm.ErrUnavailable) && token.Health()[0].Stuck == 4
	})
	tries := token.Tries()
	until(t, "more tries", func() bool {
		all = append(all, ask(t, key))
		return token.Tries() > tries+5 || token.Health()[0].Stuck > 4
	})
	if h := token.Health()[0]; h.Stuck != 4 || h.Up {
		t.Errorf("every call hangs: %+v", h)
	}
	f.order()
	all = append(all, f.heals(key)...)
	until(t, "the stuck sessions to come back", func() bool { return token.Health()[0].Stuck == 0 && token.Health()[0].Sessions == 2 })
	f.once(all)
}

func TestATokenOfFewSessionsServesManyCallers(t *testing.T) {
	f := newFaulty(t)
	f.cfg.Sessions = 64
	f.order("sessions 4")
	token := open(t, f.cfg)
	key := generate(t, token, "key", hsm.P256)
	if h := token.Health()[0]; h.Sessions < 2 || h.Sessions > 3 {
		t.Errorf("with 4 sessions of which one holds the login: %+v", h)
	}
	for range 3 {
		if refused := signMany(t, []*hsm.Key{key}, 64, 4); refused != 0 {
			t.Errorf("%d signatures were refused", refused)
		}
		_, err := token.Key(t.Context(), "key")
		if err != nil {
			t.Errorf("looking for a key while every session is in use: %v", err)
		}
		loseAll(t, token)
	}
	f.order()
	f.witnessed()
}

func TestACallThatHangsDoesNotKeepTheTokenFromClosing(t *testing.T) {
	f := newFaulty(t)
	f.cfg.Deadline = 50 * time.Millisecond
	token, err := hsm.Open(t.Context(), f.cfg)
	if err != nil {
		t.Fatal(err)
	}
	key := generate(t, token, "key", hsm.P256)
	f.order("C_Sign 1 hang")
	r := ask(t, key)
	if !enteredIn(r.err) {
		t.Errorf("a call that hangs: got %v", r.err)
	}
	err = token.Close()
	if err == nil {
		t.Error("closing under a call: got no error")
	}
	f.order()
	f.once([]*request{r})
}

func TestAModuleIsNotInitialisedAnewUnderACallThatHangs(t *testing.T) {
	f := newFaulty(t)
	f.cfg.Deadline = 50 * time.Millisecond
	token := open(t, f.cfg)
	key := generate(t, token, "key", hsm.P256)
	f.order("C_Sign 1 hang", "C_SignInit 2+ before 0x30") // CKR_DEVICE_ERROR asks for a new C_Initialize
	all := []*request{ask(t, key), ask(t, key)}
	until(t, "many tries", func() bool { return token.Tries() > 5 })
	if h := token.Health()[0]; token.Rebuilds() != 0 || h.Stuck != 1 {
		t.Errorf("initialised anew %d times under a call that hangs: %+v", token.Rebuilds(), h)
	}
	f.order()
	all = append(all, f.heals(key)...)
	f.once(all)
}

// The room does not verify: a flipped bit reaches the caller, who must.
func TestAFlippedBitReachesTheCaller(t *testing.T) {
	f := newFaulty(t)
	token := open(t, f.cfg)
	key := generate(t, token, "key", hsm.P256)
	f.order("C_Sign 1 flip")
	digest := digestOf(crypto.SHA256, "x")
	signature, err := key.Sign(nil, digest, crypto.SHA256)
	if err != nil || verified(key.Public(), digest, signature, crypto.SHA256) {
		t.Errorf("got %v and a signature that verifies, want one that does not", err)
	}
	f.order("C_Sign 1 delay 20")
	if r := ask(t, key); r.err != nil {
		t.Errorf("a slow signature: %v", r.err)
	}
}

func TestKeysAreCopiedIntoSessionsWhereTheTokenAllowsIt(t *testing.T) {
	f := newFaulty(t)
	token := open(t, f.cfg)
	copies := func() (n int) {
		t.Helper()
		token.Raw(func(binding *pkcs11.Ctx, slot uint) {
			s := rawSession(t, binding, slot, 0)
			defer binding.CloseSession(s)
			for _, handle := range rawPrivate(t, binding, s) {
				if rawAttribute(t, binding, s, handle, pkcs11.CKA_TOKEN)[0] == 1 {
					continue
				}
				n++
				for attribute, want := range map[uint]byte{pkcs11.CKA_SENSITIVE: 1, pkcs11.CKA_EXTRACTABLE: 0, pkcs11.CKA_PRIVATE: 1} {
					if got := rawAttribute(t, binding, s, handle, attribute)[0]; got != want {
						t.Errorf("the attribute %#x of a copy is %d", attribute, got)
					}
				}
			}
		})
		return n
	}
	sign := func(key *hsm.Key, want int, where string) {
		t.Helper()
		for range 3 {
			if r := ask(t, key); r.err != nil {
				t.Errorf("%s: %v", where, r.err)
			}
		}
		if got := copies(); got != want {
			t.Errorf("%s: there are %d copies, want %d", where, got, want)
		}
	}
	sign(generate(t, token, "hard", hsm.P256), 0, "SoftHSM copies no key that is not modifiable")

	// A token that does, as far as can be seen.
	token.Raw(func(binding *pkcs11.Ctx, slot uint) { rawPair(t, binding, slot, "soft", pkcs11.CKA_MODIFIABLE, true) })
	f.order("unmodifiable")
	key, err := token.Key(t.Context(), "soft")
	if err != nil {
		t.Fatal(err)
	}
	sign(key, 1, "one copy for the one session")
	loseAll(t, token)
	sign(key, 1, "another copy in the session after")
	loseAll(t, token)
	f.order("unmodifiable", "C_CopyObject * before 0x1b") // CKR_ACTION_PROHIBITED
	sign(key, 0, "where copies are prohibited")
	loseAll(t, token)
	// Each of the thirteen attributes of the key takes two calls; those of the copy come then.
	f.order("unmodifiable", "C_GetAttributeValue 27 before 0x12")
	sign(key, 0, "where a copy cannot be checked")
	f.order("unmodifiable")
	f.cfg.TokenObjects = true
	loseAll(t, token)
	plain, err := open(t, f.cfg).Key(t.Context(), "soft")
	if err != nil {
		t.Fatal(err)
	}
	sign(plain, 0, "where no copies are wanted")
}

func rawPrivate(t *testing.T, binding *pkcs11.Ctx, s pkcs11.SessionHandle) []pkcs11.ObjectHandle {
	t.Helper()
	err := binding.FindObjectsInit(s, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY)})
	if err != nil {
		t.Fatal(err)
	}
	handles, _, err := binding.FindObjects(s, 100)
	if err != nil {
		t.Fatal(err)
	}
	err = binding.FindObjectsFinal(s)
	if err != nil {
		t.Fatal(err)
	}
	return handles
}
