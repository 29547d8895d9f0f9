package status

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"cpsca/ocsp"
)

// Defaults and bounds of a Config.
const (
	defaultConcurrent = 256
	maxConcurrent     = 1 << 16

	defaultKeptOctets = 64 << 20
	minKeptOctets     = 1 << 20
	maxKeptOctets     = 1 << 30

	defaultClientRate = 50
	maxClientRate     = 1 << 20
	// burstSeconds is how many seconds of its rate a client may use at once.
	burstSeconds = 4
)

// Responder answers OCSP requests. *ocsp.Responder is one.
type Responder interface {
	// Respond answers a request by its CertIDs and its nonce; the error says
	// why an answer is internalError.
	Respond(request *ocsp.Request) (ocsp.Response, error)
	// Unissued says whether a request names a serial of our issuers that was
	// never issued.
	Unissued(request *ocsp.Request) bool
}

// Sequencer tells at which record the image stands. *feed.Image is one.
type Sequencer interface {
	Sequence() uint64
}

// Config says what a Handler serves.
type Config struct {
	// Responder answers OCSP; required.
	Responder Responder
	// Image is the one that Responder answers from; required.
	Image Sequencer
	// Lists are served under /crl/; required.
	Lists *Lists
	// Issuers are served under /ca/.
	Issuers []Issuer
	// Concurrent bounds the answers that are made at one time, 1 to 65536;
	// beyond it the answer is tryLater. Default 256.
	Concurrent int
	// KeptOctets bounds the memory for signed answers that are given again,
	// 1 MiB to 1 GiB. Default 64 MiB, some 40000 answers.
	KeptOctets int
	// ClientRate is how many signatures per second one client address, or /64
	// of IPv6, may cause: answers that are not kept yet, and answers to a
	// nonce. ClientBurst is how many at once. Beyond them the client gets kept
	// answers, without its nonce, and for all else unauthorized. 1 to 1048576,
	// ClientBurst at least ClientRate. Default 50, and a burst of 4 s of the
	// rate: a hospital behind one address stays far below. Where a proxy stands
	// before the node all clients are one: then give it the whole rate.
	ClientRate, ClientBurst int
	// Log gets a line when answering begins to fail and when it works again.
	// Default: none.
	Log *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Validate returns the first setting that is missing or out of bounds.
func (c Config) Validate() error {
	if c.Responder == nil || c.Image == nil || c.Lists == nil {
		return errors.New("status: Responder, Image and Lists are required")
	}
	if c.Concurrent < 0 || c.Concurrent > maxConcurrent {
		return fmt.Errorf("status: Concurrent must be 1 to %d", maxConcurrent)
	}
	err := c.validateBounds()
	if err != nil {
		return err
	}
	return validateIssuers(c.Issuers)
}

func (c Config) validateBounds() error {
	c.setDefaults()
	switch {
	case c.KeptOctets < minKeptOctets || c.KeptOctets > maxKeptOctets:
		return errors.New("status: KeptOctets must be 1 MiB to 1 GiB")
	case c.ClientRate < 1 || c.ClientRate > maxClientRate:
		return fmt.Errorf("status: ClientRate must be 1 to %d", maxClientRate)
	case c.ClientBurst < c.ClientRate || c.ClientBurst > burstSeconds*maxClientRate:
		return fmt.Errorf("status: ClientBurst must be ClientRate to %d", burstSeconds*maxClientRate)
	}
	return nil
}

func (c *Config) setDefaults() {
	for _, d := range []struct {
		field *int
		value int
	}{
		{&c.Concurrent, defaultConcurrent},
		{&c.KeptOctets, defaultKeptOctets},
		{&c.ClientRate, defaultClientRate},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.ClientBurst == 0 {
		c.ClientBurst = burstSeconds * c.ClientRate
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}
