package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"cpsca/hsm"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts are the manual of cpsca: testdata/alone needs nobody,
// testdata/house a house with its services.

func TestVerbsThatNeedNobody(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: filepath.Join("testdata", "alone"), Cmds: scriptCommands(), Setup: prepare, RequireExplicitExec: true, RequireUniqueNames: true})
}

func TestVerbsOfAHouse(t *testing.T) {
	_, err := hsm.FindSoftHSM()
	if err != nil && os.Getenv("CPSCA_TEST_STRICT") != "1" {
		t.Skip("SoftHSM is not installed; `make test` installs it")
	}
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{Dir: filepath.Join("testdata", "house"), Cmds: scriptCommands(), Setup: prepare, RequireExplicitExec: true, RequireUniqueNames: true})
}

type scriptCommand = func(ts *testscript.TestScript, neg bool, args []string)

func scriptCommands() map[string]scriptCommand {
	return map[string]scriptCommand{
		"exits":        exits,
		"until":        until,
		"json":         isJSON,
		"longline":     longLine,
		"house":        startHouse,
		"halt":         haltService,
		"start":        startService,
		"applications": writeApplications,
	}
}

// exits CODE PROGRAM ARGS… runs a program that must end with that code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := exitOf(ts, args[1:])
	if got != want {
		ts.Fatalf("%s: exit code %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

func exitOf(ts *testscript.TestScript, args []string) int {
	err := ts.Exec(args[0], args[1:]...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%s: %v", args[0], err)
	}
	if err == nil {
		return 0
	}
	return exit.ExitCode()
}

// patience is how long a script waits for what comes by itself.
const patience = 30 * time.Second

// until CODE REGEXP PROGRAM ARGS… runs a program again and again, until it ends
// with that code and its standard output matches.
func until(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for exitOf(ts, args[2:]) != want || !pattern.MatchString(ts.ReadFile("stdout")) {
		select {
		case <-again.C:
		case <-deadline.C:
			ts.Fatalf("%s: not the exit code %d with such an answer in %v", strings.Join(args[2:], " "), want, patience)
		}
	}
}

// json FILE says that a file (or stdout) is a sequence of JSON values.
func isJSON(ts *testscript.TestScript, _ bool, args []string) {
	values := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	for n := 0; ; n++ {
		var v any
		err := values.Decode(&v)
		if errors.Is(err, io.EOF) && n > 0 {
			return
		}
		if err != nil || v == nil {
			ts.Fatalf("%s is not JSON: %v, %v", args[0], v, err)
		}
	}
}

// longline FILE OCTETS appends a line of many octets to a file.
func longLine(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	defer f.Close()
	_, err = f.Write(append(bytes.Repeat([]byte("x"), n), '\n'))
	ts.Check(err)
}

// prepare gives a script its place for services, and time in UTC.
func prepare(e *testscript.Env) error {
	e.Values[servicesOf{}] = make(map[string]*service)
	e.Setenv("TZ", "UTC")
	return nil
}
