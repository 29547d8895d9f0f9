//go:build unprotected

package ca

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Unprotected says that this build can do without protections; it serves no
// production issuer.
const Unprotected = true

// switches are the protections that the benchmark does without in turn, by
// their names in the environment; those of other rooms are among them.
var switches = []string{"verification", "keys", "journal", "durability"}

var (
	named     = strings.FieldsFunc(os.Getenv("CPSCA_WITHOUT"), func(r rune) bool { return r == ',' })
	verifying = !slices.Contains(named, "verification")
	gating    = !slices.Contains(named, "keys")
)

// Without lists the protections of this room that are switched off.
func Without() []string {
	var out []string
	if !verifying {
		out = append(out, "verification")
	}
	if !gating {
		out = append(out, "keys")
	}
	return out
}

// unprotectedConfig refuses production, and a switch that does not exist.
func unprotectedConfig(c *Config) error {
	for _, name := range named {
		if !slices.Contains(switches, name) {
			return fmt.Errorf("%w: CPSCA_WITHOUT is a list of %v, not %q", ErrConfig, switches, name)
		}
	}
	for _, p := range c.Profiles {
		if p != nil && !p.Issuer().Test {
			return fmt.Errorf("%w: a build that can do without protections serves no production issuer", ErrConfig)
		}
	}
	return nil
}
