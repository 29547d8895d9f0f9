//go:build !unprotected

package ca

// Everything that is signed is verified, and every key goes through the gate. A
// build with the tag unprotected can do without, to measure what it costs.
const (
	verifying = true
	gating    = true
)

// Unprotected says whether this build can do without protections; such a build
// serves no production issuer.
const Unprotected = false

// Without lists the protections that are switched off: none.
func Without() []string { return nil }

func unprotectedConfig(*Config) error { return nil }
