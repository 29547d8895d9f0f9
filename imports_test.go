// The house has floors, and arrows go down only: this test holds the table of
// docs/DESIGN.md and names the file and line of every import that it does not
// allow.
package cpsca_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rooms says what each room may import of ours. Tests of a room (files in
// _test.go) may use, besides, what testsMay names.
var rooms = map[string][]string{
	// floor 1
	"registry": {},
	"hsm":      {},
	"audit":    {},
	"config":   {},
	// floor 2
	"card":    {"registry"},
	"officer": {"audit", "card"},
	"feed":    {"card"},
	// floor 3
	"profiles": {"card", "registry"},
	"crl":      {"card", "feed"},
	"ocsp":     {"card", "feed"},
	"client":   {"card", "registry", "officer", "feed"},
	"store":    {"card", "registry", "audit", "officer", "feed"},
	"testpki":  {"card", "registry", "hsm", "profiles"},
	// Servers of tests and measurements.
	"testpostgres": {},
	// floor 4
	"ca": {"profiles", "card", "registry", "audit", "officer"},
	// floor 5
	"lifecycle": {"ca", "card", "registry", "audit", "officer"},
	// floor 6
	"api":     {"lifecycle", "ca", "client", "card", "registry", "officer", "audit", "feed"},
	"status":  {"ocsp", "crl", "feed", "card"},
	"metrics": {"card", "crl", "hsm", "ca"},
	// floor 7
	"cmd/internal/token":     {"config", "hsm"},
	"cmd/internal/hierarchy": {"ca", "card", "config", "hsm", "profiles", "store"},
	"cmd/internal/founding":  {"cmd/internal/token", "cmd/internal/hierarchy", "ca", "card", "config", "hsm", "profiles", "store", "crl", "officer"},
	"cmd/internal/language":  {},
	"cmd/internal/service":   {"cmd/internal/language"},
	"cmd/cpsca": {"cmd/internal/founding", "cmd/internal/language", "cmd/cpsca/demo", "cmd/cpsca/bench", "client", "config", "store", "card",
		"registry", "officer", "audit", "ca", "crl", "hsm", "profiles"},
	"cmd/cpsca/demo": {"client", "config", "card", "registry", "testpki", "hsm", "cmd/internal/language"},
	"cmd/cpsca/bench": {"cmd/internal/founding", "cmd/internal/hierarchy", "cmd/internal/language", "cmd/internal/token", "client", "config", "store", "card",
		"registry", "ca", "hsm", "profiles", "testpki", "testpostgres"},
	// Only tests: the whole house in processes.
	"endtoend":            {"endtoend/powercut"},
	"endtoend/powercut":   {},
	"cmd/cpsca-authority": {"cmd/internal/language", "cmd/internal/service", "cmd/internal/token", "cmd/internal/hierarchy", "api", "lifecycle", "ca", "client", "card", "registry", "officer", "audit", "feed", "crl", "store", "hsm", "profiles", "config", "metrics"},
	"cmd/cpsca-status":    {"cmd/internal/language", "cmd/internal/service", "cmd/internal/token", "status", "ocsp", "crl", "feed", "card", "client", "hsm", "config"},
}

// testsMay is what tests of a room may use besides; those of the root see all.
var testsMay = []string{"testpki", "testpostgres", "hsm", "profiles", "card", "registry", "feed", "store", "crl", "ocsp", "ca", "audit", "officer", "client", "lifecycle"}

// alone names the modules that one room alone may use; tests may use them too.
var alone = map[string][]string{
	"github.com/miekg/pkcs11":                    {"hsm"},
	"go.step.sm/crypto/kms":                      {"hsm"},
	"go.step.sm/crypto/minica":                   {"testpki"},
	"github.com/spf13/viper":                     {"config"},
	"github.com/mattn/go-sqlite3":                {"store"},
	"github.com/pressly/goose":                   {"store"},
	"database/sql":                               {"store", "testpostgres"},
	"github.com/jackc/pgx":                       {"store", "testpostgres"},
	"golang.org/x/crypto/cryptobyte":             {"hsm", "profiles", "ocsp", "ca", "testpki"},
	"github.com/spf13/cobra":                     {"cmd/cpsca", "cmd/cpsca/demo", "cmd/cpsca/bench", "cmd/internal/service"},
	"github.com/hanwen/go-fuse":                  {"endtoend/powercut"},
	"github.com/smallstep/certificates":          {},
	"github.com/prometheus/client_golang":        {"metrics"},
	"github.com/spf13/pflag":                     {"cmd/cpsca"},
	"github.com/schollz/progressbar":             {"cmd/cpsca"},
	"github.com/rogpeppe/go-internal/testscript": {},
}

// unreachable says what a program must not contain, directly or through others.
var unreachable = map[string][]string{
	"./cmd/cpsca-status": {"cpsca/ca", "cpsca/store", "cpsca/api", "cpsca/lifecycle", "cpsca/profiles", "database/sql"},
	"./ca":               {"cpsca/store", "cpsca/hsm", "database/sql", "github.com/miekg/pkcs11"},
	"./lifecycle":        {"cpsca/store", "cpsca/hsm", "database/sql", "github.com/miekg/pkcs11"},
	"./api":              {"cpsca/store", "cpsca/hsm", "database/sql", "github.com/miekg/pkcs11"},
}

func TestArrowsGoDownOnly(t *testing.T) {
	seen := make(map[string]bool)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "var" || d.Name() == "testdata" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" || filepath.Dir(path) == "." {
			return nil
		}
		room := filepath.ToSlash(filepath.Dir(path))
		seen[room] = true
		for _, fault := range faults(t, room, path) {
			t.Error(fault)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for room := range rooms {
		if !seen[room] {
			t.Errorf("the table has a room %s that does not exist", room)
		}
	}
}

// faults lists the imports of one file that the tables do not allow.
func faults(t *testing.T, room, path string) []string {
	t.Helper()
	allowed, known := rooms[room]
	if !known {
		return []string{fmt.Sprintf("%s: the table has no room %s", path, room)}
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	test := strings.HasSuffix(path, "_test.go")
	var out []string
	for _, i := range file.Imports {
		name, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		at := files.Position(i.Pos())
		ours, isOurs := strings.CutPrefix(name, "cpsca/")
		switch {
		case isOurs && !slices.Contains(allowed, ours) && ours != room && !(test && slices.Contains(testsMay, ours)):
			out = append(out, fmt.Sprintf("%s: %s may not import %s", at, room, ours))
		case !isOurs && !test && !mayUse(room, name):
			out = append(out, fmt.Sprintf("%s: %s may not use %s, which other rooms keep to themselves", at, room, name))
		}
	}
	return out
}

func mayUse(room, name string) bool {
	for module, users := range alone {
		if name == module || strings.HasPrefix(name, module+"/") {
			return slices.Contains(users, room)
		}
	}
	return true
}

func TestProgramsDoNotContainWhatTheyMustNot(t *testing.T) {
	for program, never := range unreachable {
		output, err := exec.Command("go", "list", "-deps", program).Output()
		if err != nil {
			t.Fatalf("listing what %s contains: %v", program, err)
		}
		contained := strings.Fields(string(output))
		for _, name := range never {
			if slices.Contains(contained, name) {
				t.Errorf("%s contains %s", program, name)
			}
		}
	}
}

// Business time comes from Now: a room may name time.Now as its default, and
// calls it nowhere. Commands read the clock where people look at it.
func TestNoRoomReadsTheClock(t *testing.T) {
	for room := range rooms {
		if strings.HasPrefix(room, "cmd/") {
			continue
		}
		entries, err := os.ReadDir(room)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if filepath.Ext(e.Name()) != ".go" || strings.HasSuffix(e.Name(), "_test.go") {
				continue
			}
			path := filepath.Join(room, e.Name())
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for n, line := range strings.Split(string(text), "\n") {
				if strings.Contains(line, "time.Now()") || strings.Contains(line, "time.Since(") || strings.Contains(line, "time.Sleep(") {
					t.Errorf("%s:%d reads the clock: %s", path, n+1, strings.TrimSpace(line))
				}
			}
		}
	}
}
