package testpki

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cpsca/hsm"
)

func TestATokenIsFreshAndOpens(t *testing.T) {
	softHSM := SoftHSMForTest(t)
	cfg, err := softHSM.Token("fresh")
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(strings.TrimPrefix(cfg.PIN.String(), "file "))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the PIN file: %v, %v", info, err)
	}
	token, err := hsm.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := token.Keys(t.Context())
	if err != nil || len(keys) != 0 || !token.Info().Software() {
		t.Errorf("got keys %v, %v, token %+v", keys, err, token.Info())
	}
	err = token.Close()
	if err != nil {
		t.Error(err)
	}
	_, err = softHSM.Token("fresh")
	if !errors.Is(err, hsm.ErrTokenExists) {
		t.Errorf("a second of that label: got %v, want ErrTokenExists", err)
	}
	token, err = hsm.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("the first afterwards: %v", err)
	}
	err = token.Close()
	if err != nil {
		t.Error(err)
	}
	for _, label := range []string{"", "../x", ".", "a/b"} {
		_, err = softHSM.Token(label)
		if err == nil {
			t.Errorf("the label %q was accepted", label)
		}
	}
}

func TestAFolderThatSoftHSMCannotNameIsRefused(t *testing.T) {
	SoftHSMForTest(t)
	before := os.Getenv("SOFTHSM2_CONF")
	_, err := NewSoftHSM(filepath.Join(t.TempDir(), "a=b"))
	if err == nil || os.Getenv("SOFTHSM2_CONF") != before {
		t.Errorf("got %v, SOFTHSM2_CONF is %q", err, os.Getenv("SOFTHSM2_CONF"))
	}
}

// verdict is a TB that stops at the first verdict.
type verdict string

func (v *verdict) Helper()        {}
func (v *verdict) Cleanup(func()) {}
func (v *verdict) Skip(...any)    { *v = "skipped"; panic(v) }
func (v *verdict) Fatal(...any)   { *v = "failed"; panic(v) }

func TestAMissingModuleSkipsUnlessStrict(t *testing.T) {
	findSoftHSM = func() (string, error) { return "", hsm.ErrNoSoftHSM }
	defer func() { findSoftHSM = hsm.FindSoftHSM }()
	for strict, want := range map[string]verdict{"": "skipped", "0": "skipped", "1": "failed"} {
		t.Setenv("CPSCA_TEST_STRICT", strict)
		var got verdict
		func() {
			defer func() { _ = recover() }()
			SoftHSMForTest(&got)
		}()
		if got != want {
			t.Errorf("CPSCA_TEST_STRICT=%q: got %q, want %q", strict, got, want)
		}
	}
}
