package hsm_test

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"cpsca/hsm"
)

// twoPlaces makes a token with a key and a clone of it in a module of its own.
func twoPlaces(t *testing.T) *faulty {
	t.Helper()
	f := newFaulty(t)
	token, err := hsm.Open(t.Context(), f.cfg)
	if err != nil {
		t.Fatal(err)
	}
	generate(t, token, "key", hsm.P256)
	err = token.Close()
	if err != nil {
		t.Fatal(err)
	}
	f.cfg.Others = []hsm.Place{{Module: f.load("clone"), Token: "token", PIN: f.cfg.PIN}}
	err = os.Remove(f.path("clone/tokens"))
	if err == nil {
		err = os.CopyFS(f.path("clone/tokens"), os.DirFS(f.path("tokens/tokens")))
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func openKey(t *testing.T, token *hsm.Token) *hsm.Key {
	t.Helper()
	key, err := token.Key(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// askMany asks from several goroutines at once.
func askMany(t *testing.T, key *hsm.Key, goroutines, each int) []*request {
	t.Helper()
	var mu sync.Mutex
	var all []*request
	var asking sync.WaitGroup
	requests++
	many := requests
	for g := range goroutines {
		asking.Go(func() {
			for i := range each {
				r := askFor(t, key, fmt.Sprint("many ", many, g, i))
				mu.Lock()
				all = append(all, r)
				mu.Unlock()
			}
		})
	}
	asking.Wait()
	return all
}

func TestTwoPlacesShareTheLoadAndOneIsEnough(t *testing.T) {
	f := twoPlaces(t)
	var heard transitions
	f.cfg.Transition = heard.add
	token := open(t, f.cfg)
	key := openKey(t, token)
	all := askMany(t, key, 8, 20)
	if h := token.Health(); h[0].Signed == 0 || h[1].Signed == 0 {
		t.Errorf("one place did all: %+v", h)
	}
	for number, module := range []string{f.cfg.Module, f.cfg.Others[0].Module} {
		var asking sync.WaitGroup
		asking.Go(func() { all = append(all, askMany(t, key, 8, 20)...) })
		f.orderAt(module, "gone 0x32 reinitialise")
		asking.Wait()
		until(t, "the outage of one", func() bool { all = append(all, ask(t, key)); return !token.Health()[number].Up })
		all = append(all, askMany(t, key, 8, 5)...)
		f.orderAt(module)
		until(t, "the end of the outage", func() bool { return token.Health()[number].Up })
	}
	for _, r := range all {
		if r.err != nil && !enteredIn(r.err) { // a token that goes between C_SignInit and C_Sign
			t.Fatalf("while one place signs: %v", r.err)
		}
	}
	f.orderAt(f.cfg.Module, "gone 0x32")
	f.orderAt(f.cfg.Others[0].Module, "gone 0x32")
	until(t, "the outage of both", func() bool {
		all = append(all, ask(t, key))
		return !token.Health()[0].Up && !token.Health()[1].Up
	})
	r := ask(t, key)
	if !errors.Is(r.err, hsm.ErrUnavailable) || enteredIn(r.err) {
		t.Errorf("while no place signs: %v", r.err)
	}
	f.orderAt(f.cfg.Module)
	f.orderAt(f.cfg.Others[0].Module)
	all = append(all, f.heals(key)...)
	f.once(append(all, r))
	until(t, "the transitions to be told", func() bool { return len(heard.all()) == 8 })
	checkTransitions(t, heard.all())
}

func TestNoOtherPlaceSignsOnceCSignWasEntered(t *testing.T) {
	f := twoPlaces(t)
	token := open(t, f.cfg)
	key := openKey(t, token)
	var all []*request
	for _, module := range []string{f.cfg.Module, f.cfg.Others[0].Module} {
		f.orderAt(module, "C_Sign * before 0x5")
	}
	for range 4 {
		r := ask(t, key)
		if !enteredIn(r.err) && !errors.Is(r.err, hsm.ErrUnavailable) {
			t.Errorf("C_Sign failed: got %v", r.err)
		}
		all = append(all, r)
	}
	f.orderAt(f.cfg.Module, "C_SignInit * before 0x5")
	f.orderAt(f.cfg.Others[0].Module)
	for range 10 {
		f.heals(key)
		r := ask(t, key)
		if r.err != nil {
			t.Errorf("C_SignInit failed in one place: got %v, want a signature of the other", r.err)
		}
		all = append(all, r)
	}
	f.order()
	f.once(all)
}

func TestAPlaceThatIsDownAtOpeningComesLater(t *testing.T) {
	f := twoPlaces(t)
	var heard transitions
	f.cfg.Transition = heard.add
	for number, module := range []string{f.cfg.Module, f.cfg.Others[0].Module} {
		f.orderAt(module, "gone 0xe0 reinitialise")
		token := open(t, f.cfg)
		key := openKey(t, token)
		all := askMany(t, key, 4, 4)
		h := token.Health()
		if h[number].Up || h[number].Cause == nil || !h[1-number].Up {
			t.Errorf("one place is down: %+v", h)
		}
		f.orderAt(module)
		until(t, "the other place", func() bool { return token.Health()[number].Up })
		until(t, "signatures there", func() bool { all = append(all, askMany(t, key, 4, 4)...); return token.Health()[number].Signed > 0 })
		for _, r := range all {
			if r.err != nil {
				t.Errorf("while one place signs: %v", r.err)
			}
		}
		err := token.Close()
		if err != nil {
			t.Errorf("closing: %v", err)
		}
		f.once(all)
	}
	checkTransitions(t, heard.all())
	for _, module := range []string{f.cfg.Module, f.cfg.Others[0].Module} {
		f.orderAt(module, "gone 0xe0")
	}
	_, err := hsm.Open(t.Context(), f.cfg)
	var returned *hsm.Error
	if !errors.As(err, &returned) {
		t.Errorf("no place is up: got %v, want an *Error", err)
	}
}

func TestPlacesWithDifferentKeysAreRefused(t *testing.T) {
	f := twoPlaces(t)
	// Another key under the label of one that the clone has too.
	for _, module := range []string{f.cfg.Module, f.cfg.Others[0].Module} {
		one := f.cfg
		one.Module, one.Others = module, nil
		token, err := hsm.Open(t.Context(), one)
		if err != nil {
			t.Fatal(err)
		}
		generate(t, token, "different", hsm.P256)
		if module == f.cfg.Module {
			generate(t, token, "here alone", hsm.P256)
		}
		err = token.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	token := open(t, f.cfg)
	for label, want := range map[string]error{"different": hsm.ErrKeyDiffers, "here alone": hsm.ErrKeyNotFound, "key": nil} {
		_, err := token.Key(t.Context(), label)
		if !errors.Is(err, want) {
			t.Errorf("key %q: got %v, want %v", label, err, want)
		}
	}
	_, err := token.Generate(t.Context(), "new", hsm.P256)
	if !errors.Is(err, hsm.ErrSeveralPlaces) {
		t.Errorf("generating: got %v, want ErrSeveralPlaces", err)
	}
	keys, err := token.Keys(t.Context())
	if err != nil || len(keys) != 3 {
		t.Errorf("listing: got %v, %v", keys, err)
	}
	f.orderAt(f.cfg.Others[0].Module, "gone 0x32")
	late := open(t, f.cfg)
	key, err := late.Key(t.Context(), "different")
	if err != nil {
		t.Fatal(err)
	}
	f.orderAt(f.cfg.Others[0].Module)
	until(t, "a look at the other place", func() bool { return errors.Is(late.Health()[1].Cause, hsm.ErrKeyDiffers) })
	for range 5 {
		if r := ask(t, key); r.err != nil {
			t.Errorf("the place that is right: %v", r.err)
		}
	}
	if h := late.Health(); h[1].Up || h[1].Signed != 0 {
		t.Errorf("the place with another key: %+v", h[1])
	}
}

func TestAModuleThatAnotherTokenSignsThroughIsNotInitialisedAnew(t *testing.T) {
	f := newFaulty(t)
	err := hsm.InitToken(f.cfg.Module, "other", []byte("officer's"), []byte(faultyPIN))
	if err != nil {
		t.Fatal(err)
	}
	healthy := open(t, f.cfg)
	key := generate(t, healthy, "key", hsm.P256)
	cfg := f.cfg
	cfg.Token = "other"
	sick := open(t, cfg)
	generate(t, sick, "sick", hsm.P256)
	sick.Fall(&hsm.Error{Op: "C_GetTokenInfo", Code: 0x30})
	f.order("C_SignInit 1+ before 0x30")
	until(t, "many tries", func() bool { return sick.Tries() > 5 })
	f.order()
	if n := healthy.Rebuilds(); n != 0 {
		t.Errorf("the module was initialised anew %d times", n)
	}
	if r := ask(t, key); r.err != nil {
		t.Errorf("the healthy token: %v", r.err)
	}
	until(t, "the end of the outage", func() bool { return sick.Health()[0].Up })
	f.witnessed()
}

func TestSoftwareIsRefusedWhereHardwareIsAsked(t *testing.T) {
	f := twoPlaces(t)
	f.cfg.HardwareOnly = true
	_, err := hsm.Open(t.Context(), f.cfg)
	if !errors.Is(err, hsm.ErrSoftware) {
		t.Errorf("got %v, want ErrSoftware", err)
	}
	if f.witnessed().logins != 2 { // of making the token and its key
		t.Error("a PIN was presented to a token that is refused")
	}
}
