package hsm

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"time"
)

// Bounds of Config.
const (
	maxSessions     = 64
	maxQueue        = 1 << 16
	defaultQueue    = 1024
	maxPlaces       = 8
	minDeadline     = 10 * time.Millisecond
	maxDeadline     = 5 * time.Minute
	defaultDeadline = 10 * time.Second
	maxLabel        = 64 // bytes of a key label; the standard sets no bound
	tokenLabel      = 32 // bytes of CK_TOKEN_INFO.label, padded with blanks, v2.40 §3.2
	tokenSerial     = 16 // bytes of CK_TOKEN_INFO.serialNumber, padded with blanks
)

// Place says where a token is and how to log in to it.
type Place struct {
	// Module is the absolute path of the PKCS#11 library.
	Module string
	// Token is the label of the token, 1 to 32 bytes. At least one of Token and Serial is set; if both are, both match.
	Token string
	// Serial is the serial number of the token, 1 to 16 bytes.
	Serial string
	// PIN says where the user PIN is: PINFile, PINDescriptor or PINPrompt.
	PIN PIN
}

// Config says which token to open and how.
type Config struct {
	// Module, Token, Serial and PIN are the fields of the first Place.
	Module string
	Token  string
	Serial string
	PIN    PIN
	// Others are further places of the same keys, at most 7. Signatures are shared among all that are up. A module
	// (the file of its library) through which one token signs is not initialised anew to bring another back: tokens
	// that shall recover on their own are reached through copies of the library.
	Others []Place
	// Sessions is the number of sessions that sign at once in each place, 1 to 64; 0 means the number of CPUs, at most
	// 64. The right number is that of the HSM's cores. If the token allows fewer, it is these. One more session holds
	// the login, and one is opened while keys are looked up or made.
	Sessions int
	// Queue is how many callers may wait for a session of each place before ErrBusy, 1 to 65536; 0 means 1024.
	Queue int
	// TokenObjects says to sign with the objects that the token keeps. Otherwise each session signs with a copy of its
	// own, an object of the session with the same attributes, where the token allows it; such a copy goes on signing
	// if the key is deleted meanwhile, until its session ends.
	TokenObjects bool
	// HardwareOnly refuses software tokens (Info.Software), in every place.
	HardwareOnly bool
	// Deadline is how long a signature may take from when a session takes the request, 10 ms to 5 min; 0 means 10 s.
	// The session of a call that takes longer is given up, and opened anew at most Sessions times until calls return.
	Deadline time.Duration
	// Transition, if set, is called whenever a place goes down or comes up again, once each and in order, by a goroutine
	// of the place, which waits for it; it must not close the Token. It is called too for a place that is down when the Token is opened.
	Transition func(Transition)
	// Meter is told of signatures; nil tells nobody.
	Meter Meter
	// Now is the clock, for what Health says and for latencies; nil means time.Now.
	Now func() time.Time

	pauses pauses // of the keepers; zero means the usual ones
}

// places lists all places, the first first.
func (c Config) places() []Place {
	return append([]Place{{c.Module, c.Token, c.Serial, c.PIN}}, c.Others...)
}

func (p Place) validate() error {
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	refuse(!filepath.IsAbs(p.Module), "module %q is not an absolute path", p.Module)
	refuse(p.Token == "" && p.Serial == "", "neither the label nor the serial number of the token is given")
	refuse(len(p.Token) > tokenLabel, "the token label is longer than %d bytes", tokenLabel)
	refuse(len(p.Serial) > tokenSerial, "the token serial number is longer than %d bytes", tokenSerial)
	refuse(p.PIN.source == nil, "no source of the PIN is given")
	return errors.Join(errs...)
}

// Validate returns every mistake in c, joined.
func (c Config) Validate() error {
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	places := c.places()
	for i, p := range places {
		errs = append(errs, p.validate())
		for _, earlier := range places[:i] {
			same := p.Module == earlier.Module && p.Token == earlier.Token && p.Serial == earlier.Serial
			refuse(same, "token %s is listed twice", nameOf(p.Token, p.Serial))
		}
	}
	refuse(len(places) > maxPlaces, "there are %d places, more than %d", len(places), maxPlaces)
	refuse(c.Sessions < 0 || c.Sessions > maxSessions, "sessions is %d, not between 1 and %d (or 0 for the number of CPUs)", c.Sessions, maxSessions)
	refuse(c.Queue < 0 || c.Queue > maxQueue, "queue is %d, not between 1 and %d (or 0 for %d)", c.Queue, maxQueue, defaultQueue)
	refuse(c.Deadline != 0 && (c.Deadline < minDeadline || c.Deadline > maxDeadline),
		"the deadline is %s, not between %s and %s (or 0 for %s)", c.Deadline, minDeadline, maxDeadline, defaultDeadline)
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
	if c.Deadline == 0 {
		c.Deadline = defaultDeadline
	}
	if c.Transition == nil {
		c.Transition = func(Transition) {}
	}
	if c.Meter == nil {
		c.Meter = noMeter{}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.pauses == (pauses{}) {
		c.pauses = usualPauses
	}
	return c
}
