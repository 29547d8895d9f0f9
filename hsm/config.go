package hsm

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
)

// Bounds of Config.
const (
	maxSessions  = 64
	maxQueue     = 1 << 16
	defaultQueue = 1024
	maxLabel     = 64 // bytes of a key label; the standard sets no bound
	tokenLabel   = 32 // bytes of CK_TOKEN_INFO.label, padded with blanks, v2.40 §3.2
	tokenSerial  = 16 // bytes of CK_TOKEN_INFO.serialNumber, padded with blanks
)

// Config says which token to open and how.
type Config struct {
	// Module is the absolute path of the PKCS#11 library.
	Module string
	// Token is the label of the token, 1 to 32 bytes. At least one of Token and Serial is set; if both are, both match.
	Token string
	// Serial is the serial number of the token, 1 to 16 bytes.
	Serial string
	// PIN says where the user PIN is: PINFile, PINDescriptor or PINPrompt.
	PIN PIN
	// Sessions is the number of sessions that sign at once, 1 to 64; 0 means the number of CPUs, at most 64. The right
	// number is that of the HSM's cores. One more session holds the login, and one is opened while keys are looked
	// up or made.
	Sessions int
	// Queue is how many callers may wait for a session before ErrBusy, 1 to 65536; 0 means 1024.
	Queue int
}

// Validate returns every mistake in c, joined.
func (c Config) Validate() error {
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	refuse(!filepath.IsAbs(c.Module), "module %q is not an absolute path", c.Module)
	refuse(c.Token == "" && c.Serial == "", "neither the label nor the serial number of the token is given")
	refuse(len(c.Token) > tokenLabel, "the token label is longer than %d bytes", tokenLabel)
	refuse(len(c.Serial) > tokenSerial, "the token serial number is longer than %d bytes", tokenSerial)
	refuse(c.PIN.source == nil, "no source of the PIN is given")
	refuse(c.Sessions < 0 || c.Sessions > maxSessions, "sessions is %d, not between 1 and %d (or 0 for the number of CPUs)", c.Sessions, maxSessions)
	refuse(c.Queue < 0 || c.Queue > maxQueue, "queue is %d, not between 1 and %d (or 0 for %d)", c.Queue, maxQueue, defaultQueue)
	return errors.Join(errs...)
}

// withDefaults fills what zero means.
func (c Config) withDefaults() Config {
	if c.Sessions == 0 {
		c.Sessions = min(runtime.NumCPU(), maxSessions)
	}
	if c.Queue == 0 {
		c.Queue = defaultQueue
	}
	return c
}
