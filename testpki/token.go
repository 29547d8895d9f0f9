package testpki

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"cpsca/hsm"
)

// findSoftHSM is replaced by the test of what happens where it is not installed.
var findSoftHSM = hsm.FindSoftHSM

// SoftHSM is a folder of software tokens. SoftHSM reads its configuration when the module is initialised, once per
// process, so a process uses one at a time, and makes it before it opens any token.
type SoftHSM struct {
	// Module is the path of the library.
	Module string
	dir    string
}

// NewSoftHSM writes softhsm2.conf into dir, which it makes if need be, and points SOFTHSM2_CONF of this process to it.
// Tokens that are in dir already stay. dir is made absolute; the format of the file allows no "=" and no line break in
// it. hsm.ErrNoSoftHSM if the module is not installed.
func NewSoftHSM(dir string) (*SoftHSM, error) {
	module, err := findSoftHSM()
	if err != nil {
		return nil, err
	}
	path, err := hsm.WriteSoftHSM(dir)
	if err != nil {
		return nil, err
	}
	err = os.Setenv("SOFTHSM2_CONF", path)
	if err != nil {
		return nil, fmt.Errorf("preparing SoftHSM: %w", err)
	}
	return &SoftHSM{Module: module, dir: filepath.Dir(path)}, nil
}

// Token makes a new token of that label, with a random PIN in the file LABEL.pin (mode 0600) of the folder, and
// returns the configuration that opens it. The security officer's PIN is random and forgotten.
// hsm.ErrTokenExists if the label is in use.
func (s *SoftHSM) Token(label string) (hsm.Config, error) {
	if label != filepath.Base(label) || strings.HasPrefix(label, ".") {
		return hsm.Config{}, fmt.Errorf("making token %q: the label is not a file name", label)
	}
	pin, soPIN := randomPIN(), randomPIN()
	err := hsm.InitToken(s.Module, label, soPIN, pin)
	if err != nil {
		return hsm.Config{}, fmt.Errorf("making token %q: %w", label, err)
	}
	path := filepath.Join(s.dir, label+".pin")
	err = os.WriteFile(path, append(pin, '\n'), 0o600)
	if err != nil {
		return hsm.Config{}, fmt.Errorf("making token %q: %w", label, err)
	}
	return hsm.Config{Module: s.Module, Token: label, PIN: hsm.PINFile(path), Sessions: 2}, nil
}

// randomPIN is of 16 hexadecimal digits.
func randomPIN() []byte {
	random := make([]byte, 8)
	_, _ = rand.Read(random) // never fails: it ends the process instead
	return hex.AppendEncode(nil, random)
}

// TB is what SoftHSMForTest needs of testing.TB, so that commands that use this package do not link testing.
type TB interface {
	Helper()
	Skip(args ...any)
	Fatal(args ...any)
	Cleanup(func())
}

// shared is the SoftHSM of the tests that run; see SoftHSMForTest.
var shared struct {
	sync.Mutex
	softHSM *SoftHSM
	users   int
}

// SoftHSMForTest returns the one SoftHSM of the test process, in a temporary folder that goes when the last test that
// uses it ends. Tokens are closed in a later Cleanup than this call's, so that the module is finalised by then. Without
// the module the test is skipped, or fails if CPSCA_TEST_STRICT is 1.
func SoftHSMForTest(t TB) *SoftHSM {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.softHSM == nil {
		dir, err := os.MkdirTemp("", "softhsm-")
		if err != nil {
			t.Fatal(err)
		}
		shared.softHSM, err = NewSoftHSM(dir)
		if err != nil {
			_ = os.RemoveAll(dir)
		}
		if errors.Is(err, hsm.ErrNoSoftHSM) && os.Getenv("CPSCA_TEST_STRICT") != "1" {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	shared.users++
	t.Cleanup(leaveShared)
	return shared.softHSM
}

// leaveShared removes the folder with its last user.
func leaveShared() {
	shared.Lock()
	defer shared.Unlock()
	shared.users--
	if shared.users == 0 {
		_ = os.RemoveAll(shared.softHSM.dir)
		shared.softHSM = nil
	}
}
