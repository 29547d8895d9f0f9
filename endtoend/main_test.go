package endtoend_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// workshop is the folder of what is built once for all tests; it goes when they
// have ended.
var workshop string

func TestMain(m *testing.M) {
	if os.Getenv(childFolder) != "" {
		os.Exit(sweptChild())
	}
	var err error
	workshop, err = os.MkdirTemp("", "cpsca-endtoend-")
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

// build makes the three programs of this tree, and the witness.
var build = sync.OnceValue(func() error {
	output, err := exec.Command("go", "build", "-o", workshop+string(filepath.Separator), "cpsca/cmd/cpsca", "cpsca/cmd/cpsca-authority", "cpsca/cmd/cpsca-status").CombinedOutput()
	if err != nil {
		return fmt.Errorf("building the programs: %w\n%s", err, output)
	}
	compiler, err := exec.Command("go", "env", "CC").Output()
	if err != nil {
		return fmt.Errorf("asking for the C compiler: %w", err)
	}
	output, err = exec.Command(strings.TrimSpace(string(compiler)), "-O1", "-shared", "-fPIC", "-o", filepath.Join(workshop, "witness.so"),
		filepath.Join("testdata", "witness.c"), "-ldl").CombinedOutput()
	if err != nil {
		return fmt.Errorf("building the witness: %w\n%s", err, output)
	}
	return nil
})

// buildUnprotected makes an authority whose protections can be switched off.
var buildUnprotected = sync.OnceValue(func() error {
	output, err := exec.Command("go", "build", "-tags", "unprotected", "-o", filepath.Join(workshop, "unprotected")+string(filepath.Separator),
		"cpsca/cmd/cpsca-authority").CombinedOutput()
	if err != nil {
		return fmt.Errorf("building the unprotected authority: %w\n%s", err, output)
	}
	return nil
})

// until asks again and again until done says so, and fails the test after the
// time given.
func until(t *testing.T, within time.Duration, what string, done func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline.C:
			t.Fatalf("not within %v: %s", within, what)
		case <-tick.C:
		}
	}
	return time.Since(began)
}
