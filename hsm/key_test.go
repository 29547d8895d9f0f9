package hsm_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"

	"cpsca/hsm"
)

func TestEveryAlgorithmSignsWhatOthersVerify(t *testing.T) {
	token := open(t, freshConfig(t))
	pss := func(salt int, hash crypto.Hash) crypto.SignerOpts {
		return &rsa.PSSOptions{SaltLength: salt, Hash: hash}
	}
	rsaOptions := []crypto.SignerOpts{crypto.SHA256, crypto.SHA384, crypto.SHA512,
		pss(rsa.PSSSaltLengthEqualsHash, crypto.SHA256), pss(20, crypto.SHA384), pss(rsa.PSSSaltLengthEqualsHash, crypto.SHA512)}
	for alg, options := range map[hsm.Algorithm][]crypto.SignerOpts{
		hsm.RSA2048: rsaOptions, hsm.RSA3072: rsaOptions[:1], hsm.RSA4096: rsaOptions[:1],
		hsm.P256: {crypto.SHA256}, hsm.P384: {crypto.SHA384, crypto.SHA256},
		hsm.Ed25519: {crypto.Hash(0), &ed25519.Options{}},
	} {
		generated := generate(t, token, alg.String(), alg)
		key, err := token.Key(t.Context(), alg.String())
		if err != nil {
			t.Fatalf("%s: finding the key again: %v", alg, err)
		}
		if key.Algorithm() != alg || !generated.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Public()) {
			t.Errorf("%s: the key found is %s and has another public key", alg, key.Algorithm())
		}
		for _, opts := range options {
			// Several, for r and s of an ECDSA signature are shorter now and then.
			for i := range 20 {
				digest := digestOf(opts.HashFunc(), fmt.Sprint(i))
				signature, err := key.Sign(rand.Reader, digest, opts)
				if err != nil {
					t.Fatalf("%s with %T %s: %v", alg, opts, opts.HashFunc(), err)
				}
				if !verified(key.Public(), digest, signature, opts) {
					t.Fatalf("%s with %T %s: the signature does not verify", alg, opts, opts.HashFunc())
				}
				if alg == hsm.RSA4096 || alg == hsm.RSA3072 {
					break
				}
			}
		}
	}
	keys, err := token.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range keys {
		got = append(got, k.Label+"="+k.Algorithm.String())
	}
	want := []string{"ed25519=ed25519", "p-256=p-256", "p-384=p-384", "rsa-2048=rsa-2048", "rsa-3072=rsa-3072", "rsa-4096=rsa-4096"}
	if !slices.Equal(got, want) {
		t.Errorf("listing keys: got %v, want %v", got, want)
	}
}

func TestGeneratedObjectsCarryTheirAttributes(t *testing.T) {
	token := open(t, freshConfig(t))
	for label, alg := range map[string]hsm.Algorithm{"rsa": hsm.RSA2048, "ec": hsm.P256, "ed": hsm.Ed25519} {
		generate(t, token, label, alg)
		token.Raw(func(binding *pkcs11.Ctx, slot uint) {
			s := rawSession(t, binding, slot, 0)
			defer binding.CloseSession(s)
			private, public := rawFind(t, binding, s, pkcs11.CKO_PRIVATE_KEY, label), rawFind(t, binding, s, pkcs11.CKO_PUBLIC_KEY, label)
			for attribute, want := range map[uint]bool{
				pkcs11.CKA_TOKEN: true, pkcs11.CKA_PRIVATE: true, pkcs11.CKA_SENSITIVE: true, pkcs11.CKA_SIGN: true,
				pkcs11.CKA_ALWAYS_SENSITIVE: true, pkcs11.CKA_NEVER_EXTRACTABLE: true, pkcs11.CKA_LOCAL: true,
				pkcs11.CKA_EXTRACTABLE: false, pkcs11.CKA_DECRYPT: false, pkcs11.CKA_UNWRAP: false, pkcs11.CKA_DERIVE: false,
				pkcs11.CKA_SIGN_RECOVER: false, pkcs11.CKA_MODIFIABLE: false,
			} {
				got := rawAttribute(t, binding, s, private, attribute)
				if len(got) != 1 || (got[0] == 1) != want {
					t.Errorf("%s: attribute %#x is %x, want %t", label, attribute, got, want)
				}
			}
			id := rawAttribute(t, binding, s, private, pkcs11.CKA_ID)
			if len(id) != 16 || !slices.Equal(id, rawAttribute(t, binding, s, public, pkcs11.CKA_ID)) {
				t.Errorf("%s: CKA_ID of the two objects is %x and %x", label, id, rawAttribute(t, binding, s, public, pkcs11.CKA_ID))
			}
		})
	}
}

func TestKeysThatMayDoMoreThanSignAreRefused(t *testing.T) {
	token := open(t, freshConfig(t))
	lax := map[string]struct {
		attribute uint
		value     bool
	}{
		"CKA_EXTRACTABLE is true":  {pkcs11.CKA_EXTRACTABLE, true},
		"CKA_SENSITIVE is false":   {pkcs11.CKA_SENSITIVE, false},
		"CKA_DECRYPT is true":      {pkcs11.CKA_DECRYPT, true},
		"CKA_UNWRAP is true":       {pkcs11.CKA_UNWRAP, true},
		"CKA_DERIVE is true":       {pkcs11.CKA_DERIVE, true},
		"CKA_SIGN_RECOVER is true": {pkcs11.CKA_SIGN_RECOVER, true},
		"CKA_MODIFIABLE is true":   {pkcs11.CKA_MODIFIABLE, true},
	}
	for complaint, l := range lax {
		t.Run(complaint, func(t *testing.T) {
			token.Raw(func(binding *pkcs11.Ctx, slot uint) { rawPair(t, binding, slot, complaint, l.attribute, l.value) })
			_, err := token.Key(t.Context(), complaint)
			var refused *hsm.AttributeError
			if !errors.As(err, &refused) || !slices.Contains(refused.Attributes, complaint) {
				t.Errorf("got %v, want an AttributeError that says %q", err, complaint)
			}
		})
	}
	t.Run("a key that was brought in from outside", func(t *testing.T) {
		token.Raw(func(binding *pkcs11.Ctx, slot uint) { rawImport(t, binding, slot, "imported") })
		_, err := token.Key(t.Context(), "imported")
		var refused *hsm.AttributeError
		if !errors.As(err, &refused) || !slices.Contains(refused.Attributes, "CKA_LOCAL is false") ||
			!slices.Contains(refused.Attributes, "CKA_NEVER_EXTRACTABLE is false") {
			t.Errorf("got %v, want an AttributeError about CKA_LOCAL and CKA_NEVER_EXTRACTABLE", err)
		}
	})
	keys, err := token.Keys(t.Context())
	if err != nil || len(keys) != len(lax)+1 || keys[0].Err == nil {
		t.Errorf("listing refused keys: got %v, %v", keys, err)
	}
}

func TestOneLabelIsOneKey(t *testing.T) {
	token := open(t, freshConfig(t))
	first := generate(t, token, "root", hsm.P256)
	_, err := token.Generate(t.Context(), "root", hsm.P384)
	if !errors.Is(err, hsm.ErrKeyExists) {
		t.Errorf("generating over an existing label: got %v, want ErrKeyExists", err)
	}
	again, err := token.Key(t.Context(), "root")
	if err != nil || again.Algorithm() != first.Algorithm() {
		t.Errorf("the existing key was changed: %v", err)
	}
	_, err = token.Key(t.Context(), "none")
	if !errors.Is(err, hsm.ErrKeyNotFound) {
		t.Errorf("a missing key: got %v, want ErrKeyNotFound", err)
	}
	token.Raw(func(binding *pkcs11.Ctx, slot uint) {
		rawPair(t, binding, slot, "twin", pkcs11.CKA_MODIFIABLE, false)
		rawPair(t, binding, slot, "twin", pkcs11.CKA_MODIFIABLE, false)
	})
	_, err = token.Key(t.Context(), "twin")
	if !errors.Is(err, hsm.ErrKeyAmbiguous) {
		t.Errorf("two keys of one label: got %v, want ErrKeyAmbiguous", err)
	}
	_, err = token.Generate(t.Context(), "twin", hsm.P256)
	if !errors.Is(err, hsm.ErrKeyExists) {
		t.Errorf("generating a third of one label: got %v, want ErrKeyExists", err)
	}
	for _, label := range []string{"", strings.Repeat("x", 65), "a\nb", "\xff"} {
		_, err = token.Generate(t.Context(), label, hsm.P256)
		if err == nil {
			t.Errorf("the label %q was accepted", label)
		}
	}
}

func TestDigestsAndOptionsThatDoNotFitAreRefused(t *testing.T) {
	token := open(t, freshConfig(t))
	keys := map[string]*hsm.Key{"rsa": generate(t, token, "rsa", hsm.RSA2048), "p256": generate(t, token, "p256", hsm.P256), "p384": generate(t, token, "p384", hsm.P384),
		"ed": generate(t, token, "ed", hsm.Ed25519)}
	for name, c := range map[string]struct {
		key    string
		digest int
		opts   crypto.SignerOpts
	}{
		"no options":                       {"rsa", 32, nil},
		"no hash":                          {"rsa", 32, crypto.Hash(0)},
		"SHA-1":                            {"rsa", 20, crypto.SHA1},
		"RSA, a digest that is too short":  {"rsa", 31, crypto.SHA256},
		"RSA, a digest of another hash":    {"rsa", 48, crypto.SHA256},
		"PSS, the longest salt there is":   {"rsa", 32, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto, Hash: crypto.SHA256}},
		"PSS, a salt longer than the key":  {"rsa", 32, &rsa.PSSOptions{SaltLength: 223, Hash: crypto.SHA256}},
		"PSS without a hash":               {"rsa", 32, &rsa.PSSOptions{SaltLength: 32}},
		"PSS with an EC key":               {"p256", 32, &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256}},
		"P-256 with SHA-384":               {"p256", 48, crypto.SHA384},
		"P-256, an empty digest":           {"p256", 0, crypto.SHA256},
		"P-384 with SHA-512":               {"p384", 64, crypto.SHA512},
		"Ed25519 over a digest":            {"ed", 64, crypto.SHA512},
		"Ed25519 with a context":           {"ed", 64, &ed25519.Options{Context: "x"}},
		"PSS with an Ed25519 key":          {"ed", 32, &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256}},
		"P-384, a digest that is too long": {"p384", 49, crypto.SHA384},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := keys[c.key].Sign(rand.Reader, make([]byte, c.digest), c.opts)
			if !errors.Is(err, hsm.ErrOptions) {
				t.Errorf("got %v, want ErrOptions", err)
			}
		})
	}
}

func TestACancelledCallerIsNotSigned(t *testing.T) {
	cfg := freshConfig(t)
	cfg.Sessions, cfg.Queue = 1, 2
	token := open(t, cfg)
	key := generate(t, token, "key", hsm.P256)
	digest := digestOf(crypto.SHA256, "x")
	release := token.Occupy()
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error, 3)
	for _, c := range []context.Context{t.Context(), ctx, ctx} {
		go func() {
			_, err := key.SignContext(c, digest, crypto.SHA256)
			results <- err
		}()
	}
	for token.Waiting() < 3 {
		runtime.Gosched()
	}
	_, err := key.SignContext(t.Context(), digest, crypto.SHA256)
	if !errors.Is(err, hsm.ErrBusy) {
		t.Errorf("beyond the queue: got %v, want ErrBusy", err)
	}
	cancel()
	// The one worker is held up with at most one of the three, so at least one of the cancelled answers comes now.
	err = <-results
	var returned *hsm.Error
	if !errors.Is(err, context.Canceled) || errors.As(err, &returned) {
		t.Errorf("cancelled while waiting: got %v, want context.Canceled and no *Error", err)
	}
	release()
	signed := 0
	for range 2 {
		err := <-results
		if err == nil {
			signed++
		} else if !errors.Is(err, context.Canceled) {
			t.Errorf("the others: %v", err)
		}
	}
	if signed != 1 {
		t.Errorf("%d requests were signed, want only the one that was not cancelled", signed)
	}
	_, err = key.SignContext(ctx, digest, crypto.SHA256)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: got %v", err)
	}
}

// rawSession opens a session of a token that is logged in.
func rawSession(t testing.TB, binding *pkcs11.Ctx, slot, flags uint) pkcs11.SessionHandle {
	t.Helper()
	s, err := binding.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|flags)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func rawFind(t testing.TB, binding *pkcs11.Ctx, s pkcs11.SessionHandle, class uint, label string) pkcs11.ObjectHandle {
	t.Helper()
	err := binding.FindObjectsInit(s, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, class), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label)})
	if err != nil {
		t.Fatal(err)
	}
	handles, _, err := binding.FindObjects(s, 2)
	if err != nil || len(handles) != 1 {
		t.Fatalf("finding %q: %d objects, %v", label, len(handles), err)
	}
	err = binding.FindObjectsFinal(s)
	if err != nil {
		t.Fatal(err)
	}
	return handles[0]
}

func rawAttribute(t testing.TB, binding *pkcs11.Ctx, s pkcs11.SessionHandle, handle pkcs11.ObjectHandle, attribute uint) []byte {
	t.Helper()
	read, err := binding.GetAttributeValue(s, handle, []*pkcs11.Attribute{pkcs11.NewAttribute(attribute, nil)})
	if err != nil {
		t.Fatalf("attribute %#x: %v", attribute, err)
	}
	return read[0].Value
}

// privateTemplate is a template that is as it must be, but for one attribute.
func privateTemplate(label string, attribute uint, value bool) []*pkcs11.Attribute {
	template := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_LABEL, label), pkcs11.NewAttribute(pkcs11.CKA_ID, []byte(label))}
	for each, wanted := range map[uint]bool{
		pkcs11.CKA_TOKEN: true, pkcs11.CKA_PRIVATE: true, pkcs11.CKA_SENSITIVE: true, pkcs11.CKA_SIGN: true,
		pkcs11.CKA_EXTRACTABLE: false, pkcs11.CKA_DECRYPT: false, pkcs11.CKA_UNWRAP: false, pkcs11.CKA_DERIVE: false,
		pkcs11.CKA_SIGN_RECOVER: false, pkcs11.CKA_MODIFIABLE: false,
	} {
		if each == attribute {
			wanted = value
		}
		template = append(template, pkcs11.NewAttribute(each, wanted))
	}
	return template
}

var rawP256 = []byte{0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}

func rawPair(t testing.TB, binding *pkcs11.Ctx, slot uint, label string, attribute uint, value bool) {
	t.Helper()
	s := rawSession(t, binding, slot, pkcs11.CKF_RW_SESSION)
	defer binding.CloseSession(s)
	public := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_LABEL, label), pkcs11.NewAttribute(pkcs11.CKA_ID, []byte(label)),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, rawP256)}
	_, _, err := binding.GenerateKeyPair(s, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_EC_KEY_PAIR_GEN, nil)},
		public, privateTemplate(label, attribute, value))
	if err != nil {
		t.Fatal(err)
	}
}

func rawImport(t testing.TB, binding *pkcs11.Ctx, slot uint, label string) {
	t.Helper()
	s := rawSession(t, binding, slot, pkcs11.CKF_RW_SESSION)
	defer binding.CloseSession(s)
	scalar := make([]byte, 32)
	_, _ = rand.Read(scalar[1:])
	template := append(privateTemplate(label, 0, false), pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_EC), pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, rawP256), pkcs11.NewAttribute(pkcs11.CKA_VALUE, scalar))
	_, err := binding.CreateObject(s, template)
	if err != nil {
		t.Fatal(err)
	}
}
