package main

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cpsca/ca"
	"cpsca/config"
)

// contains builds the program and looks for the switch in it.
func contains(t *testing.T, arguments ...string) bool {
	t.Helper()
	program := filepath.Join(t.TempDir(), "cpsca-authority")
	output, err := exec.Command("go", append(append([]string{"build", "-o", program}, arguments...), ".")...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(text, []byte("CPSCA_"+"WITHOUT"))
}

// The program that people run has no way to leave a protection out: not even
// the name of the switch is in it.
func TestTheProgramHasNoSwitchForItsProtections(t *testing.T) {
	if contains(t) {
		t.Error("the ordinary build reads the switch")
	}
	if !contains(t, "-tags", "unprotected") {
		t.Error("the build for measurements does not: this test would not see it")
	}
}

// go test -tags unprotected shows the other half.
func TestABuildWithoutProtectionsServesNoProduction(t *testing.T) {
	var log strings.Builder
	a := &authority{settings: &config.Authority{Environment: "production"}, log: slog.New(slog.NewTextHandler(&log, nil))}
	err := a.unprotected()
	if errors.Is(err, errUnprotected) != ca.Unprotected {
		t.Errorf("production: got %v", err)
	}
	a.settings.Environment = "test"
	err = a.unprotected()
	if err != nil || (log.Len() > 0) != ca.Unprotected {
		t.Errorf("test: got %v, log %q", err, log.String())
	}
}
