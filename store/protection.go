//go:build !unprotected

package store

// The protections whose price `cpsca bench` measures. They are constants: only
// binaries that are built for that measurement can do without one of them.
const (
	journalled = true // each change commits to its rows in the journal
	durable    = true // a commit returns when the disk has it
)
