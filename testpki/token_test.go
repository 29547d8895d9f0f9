package testpki_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cpsca/hsm"
	"cpsca/testpki"
)

func TestATokenIsFreshAndOpens(t *testing.T) {
	softHSM := testpki.SoftHSMForTest(t)
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
	_, err = hsm.Open(t.Context(), cfg)
	if err != nil {
		t.Errorf("the first afterwards: %v", err)
	}
	for _, label := range []string{"", "../x", ".", "a/b"} {
		_, err = softHSM.Token(label)
		if err == nil {
			t.Errorf("the label %q was accepted", label)
		}
	}
}

func TestAFolderThatSoftHSMCannotNameIsRefused(t *testing.T) {
	testpki.SoftHSMForTest(t)
	before := os.Getenv("SOFTHSM2_CONF")
	_, err := testpki.NewSoftHSM(filepath.Join(t.TempDir(), "a=b"))
	if err == nil || os.Getenv("SOFTHSM2_CONF") != before {
		t.Errorf("got %v, SOFTHSM2_CONF is %q", err, os.Getenv("SOFTHSM2_CONF"))
	}
}
