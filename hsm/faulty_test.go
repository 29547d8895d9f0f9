package hsm_test

import (
	"crypto"
	"crypto/ecdsa"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cpsca/hsm"
	"cpsca/testpki"
)

// workshop is where the fault module is built once for all tests.
var workshop string

func TestMain(m *testing.M) {
	var err error
	workshop, err = os.MkdirTemp("", "hsm-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	err = os.RemoveAll(workshop)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

var buildFault = sync.OnceValues(func() (string, error) {
	compiler, err := exec.Command("go", "env", "CC").Output()
	if err != nil {
		return "", fmt.Errorf("asking for the C compiler: %w", err)
	}
	path := filepath.Join(workshop, "fault.so")
	output, err := exec.Command(strings.TrimSpace(string(compiler)), "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", path,
		filepath.Join("testdata", "fault.c"), "-ldl", "-lpthread").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the fault module: %w\n%s", err, output)
	}
	return path, nil
})

// faulty is a SoftHSM of its own behind the fault module, with one token.
type faulty struct {
	t      testing.TB
	folder string
	cfg    hsm.Config
}

const faultyPIN = "1234567890"

// newFaulty loads copies of both libraries, so that nobody else's SoftHSM is behind them.
func newFaulty(t testing.TB) *faulty {
	t.Helper()
	f := &faulty{t: t, folder: t.TempDir()}
	writeFile(t, f.path("pin"), faultyPIN, 0o600)
	f.cfg = hsm.Config{Module: f.load("tokens"), Token: "token", PIN: hsm.PINFile(f.path("pin")), Sessions: 1, Deadline: 5 * time.Second}.Quickly()
	err := hsm.InitToken(f.cfg.Module, f.cfg.Token, []byte("officer's"), []byte(faultyPIN))
	if err != nil {
		t.Fatalf("making a token: %v", err)
	}
	return f
}

// load makes the fault module over a copy of the library of SoftHSM with its tokens in a folder.
func (f *faulty) load(name string) (module string) {
	f.t.Helper()
	installed := testpki.SoftHSMForTest(f.t).Module // or the test is skipped
	fault, err := buildFault()
	if err != nil {
		f.t.Fatal(err)
	}
	settings, err := hsm.WriteSoftHSM(f.path(name))
	if err != nil {
		f.t.Fatal(err)
	}
	copyFile(f.t, installed, f.path(name+"/softhsm.so"))
	module = f.path(name + "/fault.so")
	copyFile(f.t, fault, module)
	writeFile(f.t, module+".settings", strings.Join([]string{
		"CPSCA_FAULT_MODULE=" + f.path(name+"/softhsm.so"), "CPSCA_FAULT_WITNESS=" + f.path("witness"),
		"CPSCA_FAULT_CONTROL=" + module + ".control", "SOFTHSM2_CONF=" + settings, ""}, "\n"), 0o600)
	return module
}

func (f *faulty) path(name string) string { return filepath.Join(f.folder, name) }

// order gives the fault module its orders, in the place of those before; without any, all works.
func (f *faulty) order(orders ...string) { f.orderAt(f.cfg.Module, orders...) }

func (f *faulty) orderAt(module string, orders ...string) {
	f.t.Helper()
	path := module + ".control"
	writeFile(f.t, path+".new", strings.Join(orders, "\n")+"\n", 0o600)
	err := os.Rename(path+".new", path)
	if err != nil {
		f.t.Fatal(err)
	}
}

// seen is what the witness noted.
type seen struct {
	logins int
	signed map[string]int // by what was signed, in hexadecimal
}

// witnessed reads the notes; one of a call that nobody may make is an error.
func (f *faulty) witnessed() seen {
	f.t.Helper()
	s := seen{signed: make(map[string]int)}
	text, err := os.ReadFile(f.path("witness"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		f.t.Fatal(err)
	}
	for note := range strings.Lines(string(text)) {
		what, octets, _ := strings.Cut(strings.TrimSpace(note), " ")
		switch what {
		case "login":
			s.logins++
		case "sign":
			s.signed[octets]++
		default:
			f.t.Errorf("the witness noted %q", note)
		}
	}
	return s
}

// once fails the test unless C_Sign was entered exactly once for each request that succeeded or says that it was
// entered, never for another, and never twice.
func (f *faulty) once(requests []*request) {
	f.t.Helper()
	signed := f.witnessed().signed
	for _, r := range requests {
		want := 0
		if r.err == nil || enteredIn(r.err) {
			want = 1
		}
		if got := signed[hex.EncodeToString(r.digest)]; got != want {
			f.t.Errorf("C_Sign was entered %d times, want %d: %v", got, want, r.err)
		}
	}
}

func enteredIn(err error) bool {
	var returned *hsm.Error
	return errors.As(err, &returned) && returned.Entered
}

// request is a signature that was asked for.
type request struct {
	digest []byte
	err    error
}

var requests int

// ask asks for a signature over something never signed before, and checks it.
func ask(t testing.TB, key *hsm.Key) *request {
	t.Helper()
	requests++
	return askFor(t, key, fmt.Sprint("request ", requests))
}

func askFor(t testing.TB, key *hsm.Key, text string) *request {
	t.Helper()
	r := &request{digest: digestOf(crypto.SHA256, text)}
	signature, err := key.Sign(nil, r.digest, crypto.SHA256)
	r.err = err
	if err == nil && !ecdsa.VerifyASN1(key.Public().(*ecdsa.PublicKey), r.digest, signature) {
		t.Errorf("a signature does not verify")
	}
	return r
}

// heals asks until a signature is made again.
func (f *faulty) heals(key *hsm.Key) []*request {
	f.t.Helper()
	var all []*request
	until(f.t, "signatures again", func() bool {
		all = append(all, ask(f.t, key))
		return all[len(all)-1].err == nil
	})
	return all
}

// until asks again and again until done says so.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline.C:
			t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}

// transitions collects what Config.Transition is told.
type transitions struct {
	mu   sync.Mutex
	list []hsm.Transition
}

func (s *transitions) add(t hsm.Transition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, t)
}

func (s *transitions) all() []hsm.Transition {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, content, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
}
