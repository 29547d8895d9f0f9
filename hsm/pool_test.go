package hsm_test

import (
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/miekg/pkcs11"

	"cpsca/hsm"
)

// signMany signs from many goroutines at once and returns how many signatures were refused; a wrong one is an error.
func signMany(t *testing.T, keys []*hsm.Key, goroutines, each int) (refused int) {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			key := keys[g%len(keys)]
			for i := range each {
				digest := digestOf(crypto.SHA256, fmt.Sprint(g, i))
				signature, err := key.Sign(rand.Reader, digest, crypto.SHA256)
				if err != nil {
					mu.Lock()
					refused++
					mu.Unlock()
					var returned *hsm.Error
					if errors.As(err, &returned) && returned.Entered {
						t.Errorf("C_Sign was entered: %v", err)
					}
				} else if !verified(key.Public(), digest, signature, crypto.SHA256) {
					t.Error("a signature does not verify")
				}
			}
		})
	}
	all.Wait()
	return refused
}

func TestManyGoroutinesShareFewSessions(t *testing.T) {
	cfg := freshConfig(t)
	cfg.Sessions = 4
	token := open(t, cfg)
	keys := []*hsm.Key{generate(t, token, "ec", hsm.P256), generate(t, token, "rsa", hsm.RSA2048), generate(t, token, "other", hsm.P256)}
	refused := signMany(t, keys, 64, 10)
	if refused != 0 {
		t.Errorf("%d signatures were refused", refused)
	}
}

func TestLostSessionsHeal(t *testing.T) {
	const closed = "all sessions closed"
	losses := map[string]func(*testing.T, *pkcs11.Ctx, uint){
		closed: func(t *testing.T, binding *pkcs11.Ctx, slot uint) { rawLoseSessions(t, binding, slot) },
		"login lost": func(t *testing.T, binding *pkcs11.Ctx, slot uint) {
			s := rawSession(t, binding, slot, 0)
			err := binding.Logout(s)
			if err != nil {
				t.Fatal(err)
			}
			err = binding.CloseSession(s)
			if err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, lose := range losses {
		t.Run(name, func(t *testing.T) {
			cfg := freshConfig(t)
			cfg.Sessions = 4
			token := open(t, cfg)
			keys := []*hsm.Key{generate(t, token, "ec", hsm.P256), generate(t, token, "other", hsm.P256)}
			for range 3 {
				before := token.Generation()
				token.Raw(func(binding *pkcs11.Ctx, slot uint) { lose(t, binding, slot) })
				_, err := token.Key(t.Context(), "ec")
				if err != nil {
					t.Errorf("finding a key after a loss: %v", err)
				}
				// Handles of lost sessions may be given out again, so the workers must learn that theirs are stale.
				if name == closed && token.Generation() == before {
					t.Error("the workers were not told that their sessions are gone")
				}
				token.Raw(func(binding *pkcs11.Ctx, slot uint) { lose(t, binding, slot) })
				if refused := signMany(t, keys, 16, 2); refused != 0 {
					t.Errorf("after a loss %d signatures were refused", refused)
				}
			}
			var signing sync.WaitGroup
			signing.Go(func() { signMany(t, keys, 16, 40) }) // one that meets two losses may be refused
			for range 5 {
				token.Raw(func(binding *pkcs11.Ctx, slot uint) { lose(t, binding, slot) })
			}
			signing.Wait()
			if refused := signMany(t, keys, 16, 2); refused != 0 {
				t.Errorf("after losses under load %d signatures were refused", refused)
			}
		})
	}
}

func TestAnErrorAfterCSignWasEnteredSaysSoAndTheNextRequestIsServed(t *testing.T) {
	cfg := freshConfig(t)
	cfg.Sessions = 1
	token := open(t, cfg)
	for _, alg := range []hsm.Algorithm{hsm.P256, hsm.RSA2048} {
		key := generate(t, token, alg.String(), alg)
		digest := digestOf(crypto.SHA256, "x")
		err := key.SignInto(t.Context(), digest, 8) // leaves the operation active in the session
		var returned *hsm.Error
		if !errors.As(err, &returned) || !returned.Entered || returned.Op != "C_Sign" || returned.Code != pkcs11.CKR_BUFFER_TOO_SMALL {
			t.Errorf("%s: got %v, want CKR_BUFFER_TOO_SMALL from C_Sign", alg, err)
		}
		signature, err := key.Sign(rand.Reader, digest, crypto.SHA256)
		if err != nil || !verified(key.Public(), digest, signature, crypto.SHA256) {
			t.Errorf("%s: the next request: %v", alg, err)
		}
	}
}

func TestADeletedKeyIsNotFoundAndDoesNotStopOthers(t *testing.T) {
	token := open(t, freshConfig(t))
	gone, stays := generate(t, token, "gone", hsm.P256), generate(t, token, "stays", hsm.P256)
	token.Raw(func(binding *pkcs11.Ctx, slot uint) {
		s := rawSession(t, binding, slot, pkcs11.CKF_RW_SESSION)
		defer binding.CloseSession(s)
		err := binding.DestroyObject(s, rawFind(t, binding, s, pkcs11.CKO_PRIVATE_KEY, "gone"))
		if err != nil {
			t.Fatal(err)
		}
	})
	_, err := gone.Sign(rand.Reader, digestOf(crypto.SHA256, "x"), crypto.SHA256)
	if !errors.Is(err, hsm.ErrKeyNotFound) {
		t.Errorf("got %v, want ErrKeyNotFound", err)
	}
	if signMany(t, []*hsm.Key{stays}, 4, 2) != 0 {
		t.Error("the other key does not sign any more")
	}
}

func TestAClosedTokenRefuses(t *testing.T) {
	cfg := freshConfig(t)
	other := open(t, freshConfig(t))
	token := open(t, cfg)
	key := generate(t, token, "key", hsm.P256)
	err := token.Close()
	if err != nil {
		t.Fatal(err)
	}
	_, signed := key.Sign(rand.Reader, digestOf(crypto.SHA256, "x"), crypto.SHA256)
	_, found := token.Key(t.Context(), "key")
	_, generated := token.Generate(t.Context(), "new", hsm.P256)
	_, listed := token.Keys(t.Context())
	for _, err := range []error{signed, found, generated, listed} {
		if !errors.Is(err, hsm.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	}
	generate(t, other, "key", hsm.P256) // another token of the module goes on
	_, err = open(t, cfg).Key(t.Context(), "key")
	if err != nil {
		t.Errorf("opened again: %v", err)
	}
}

func TestTwoTokenValuesOfOneTokenDoNotDisturbEachOther(t *testing.T) {
	cfg := freshConfig(t)
	first, second := open(t, cfg), open(t, cfg)
	generate(t, first, "key", hsm.P256)
	key, err := second.Key(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	err = first.Close()
	if err != nil {
		t.Fatal(err)
	}
	if signMany(t, []*hsm.Key{key}, 4, 4) != 0 {
		t.Error("closing one ended the login of the other")
	}
}

func BenchmarkSign(b *testing.B) {
	for _, alg := range []hsm.Algorithm{hsm.P256, hsm.RSA4096} {
		b.Run(alg.String(), func(b *testing.B) {
			token := open(b, freshConfig(b))
			key := generate(b, token, "key", alg)
			digest := digestOf(crypto.SHA256, "x")
			b.ReportAllocs()
			b.SetParallelism(8)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_, err := key.Sign(rand.Reader, digest, crypto.SHA256)
					if err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
