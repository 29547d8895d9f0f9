package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The test binary is cpsca itself when it is called by that name, so that
// scripts run what users run; as cpsca-verbs it tells what its help says.
func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"cpsca": main, "cpsca-verbs": printVerbs})
}

// tests takes the services' binaries away when the last test has ended.
type tests struct{ *testing.M }

func (t tests) Run() int {
	code := t.M.Run()
	if servicesFolder != "" {
		_ = os.RemoveAll(servicesFolder) // a temporary folder
	}
	return code
}

// servicesFolder holds the services' binaries once they are built.
var servicesFolder string

// services builds cpsca-authority and cpsca-status, once per test process.
var services = sync.OnceValues(func() (string, error) {
	err := readModule()
	if err != nil {
		return "", err
	}
	servicesFolder, err = os.MkdirTemp("", "cpsca-services")
	if err != nil {
		return "", err
	}
	output, err := exec.Command("go", "build", "-o", servicesFolder, "cpsca/cmd/cpsca-authority", "cpsca/cmd/cpsca-status").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the services: %w\n%s", err, output)
	}
	return servicesFolder, nil
})

// readModule opens the folders of the module: what a test opens there belongs
// to the key under which go caches its result, and the services are made of
// packages that this one does not import.
func readModule() error {
	return filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		switch d.Name() {
		case ".git", "bin", "var", "testdata":
			return filepath.SkipDir
		}
		_, err = os.ReadDir(path)
		return err
	})
}

// verb is what the help of one command says.
type verb struct {
	Path, Short, Long, Example string
	Leaf                       bool
	Flags                      map[string]string // name → what it is for
}

func printVerbs() {
	s := &session{terminal: terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr}}
	root := s.root()
	root.SetContext(context.Background())
	err := json.NewEncoder(os.Stdout).Encode(verbs(root))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func verbs(c *cobra.Command) []verb {
	v := verb{Path: c.CommandPath(), Short: c.Short, Long: c.Long, Example: c.Example, Leaf: !c.HasSubCommands(), Flags: make(map[string]string)}
	c.LocalFlags().VisitAll(func(f *pflag.Flag) { v.Flags[f.Name] = f.Usage })
	out := []verb{v}
	for _, sub := range c.Commands() {
		out = append(out, verbs(sub)...)
	}
	return out
}
