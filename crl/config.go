package crl

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"cpsca/card"
)

// Source gives the revocations of an issuer.
type Source interface {
	// Revocations returns every revocation the issuer ever had, in any order:
	// held, revoked, released holds (card.StatusGood) and those of expired
	// certificates, read in one piece, with the feed sequence as of which they
	// were read.
	Revocations(ctx context.Context, issuer card.KeyID) ([]card.Revocation, uint64, error)
}

// Numbers is the ledger of list numbers.
type Numbers interface {
	// ReserveNumber returns a number greater than any that it ever returned
	// for the issuer, at least 1. It returns only when the reservation is
	// durable: the number is spent even if nothing is signed.
	ReserveNumber(ctx context.Context, issuer card.KeyID, thisUpdate, nextUpdate time.Time) (int64, error)
	// Published records that the list of a reserved number is in place: the
	// SHA-256 of its DER and the feed sequence that it tells.
	Published(ctx context.Context, issuer card.KeyID, number int64, sha256 [32]byte, sequence uint64) error
}

// Meter is told of publications. Calls come from the publishing goroutines,
// several at a time for several issuers.
type Meter interface {
	ListPublished(Published)
	ListFailed(issuer card.KeyID, err error)
}

// The settings that stand where Config has zero.
const (
	DefaultPeriod = 24 * time.Hour
	DefaultDelay  = 5 * time.Second
	DefaultRetry  = 15 * time.Second
)

// Config is what a Publisher needs.
type Config struct {
	Folder  string  // existing folder, written by this publisher alone
	Source  Source  // required
	Numbers Numbers // required
	Policy  Policy
	// Period lies between two regular lists: 1 minute to half the policy's
	// lifetime. Zero means DefaultPeriod, or half the lifetime if that is less.
	// EN 319 411-1 §6.3.9 wants 24 hours at most.
	Period time.Duration
	// Delay lies between a Wake and the list it causes, so that revocations
	// of a moment share one; up to 30 seconds. Zero means DefaultDelay.
	Delay time.Duration
	// Retry lies between a failed publication and the next try: 1 second to
	// 30 seconds. Zero means DefaultRetry.
	Retry time.Duration
	Now   func() time.Time // nil means time.Now
	Meter Meter            // nil means nobody counts
	Log   *slog.Logger     // nil means silence
}

// Validate checks that what is required is there and the rest within bounds;
// it returns ErrConfig if not.
func (c Config) Validate() error {
	err := c.Policy.Validate()
	if err != nil {
		return err
	}
	c = c.withDefaults()
	switch {
	case c.Source == nil || c.Numbers == nil:
		return fmt.Errorf("list source or number ledger is absent: %w", ErrConfig)
	case c.Period < time.Minute && c.Period != c.Policy.lifetime()/2, c.Period > c.Policy.lifetime()/2:
		return fmt.Errorf("list period %s: %w", c.Period, ErrConfig)
	case c.Delay < 0 || c.Delay > 30*time.Second:
		return fmt.Errorf("list delay %s: %w", c.Delay, ErrConfig)
	case c.Retry < time.Second || c.Retry > 30*time.Second:
		return fmt.Errorf("list retry %s: %w", c.Retry, ErrConfig)
	}
	info, err := os.Stat(c.Folder)
	if err != nil {
		return fmt.Errorf("looking at the list folder: %w: %w", ErrConfig, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("list folder %s is not a folder: %w", filepath.Base(c.Folder), ErrConfig)
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Period == 0 {
		c.Period = min(DefaultPeriod, c.Policy.lifetime()/2)
	}
	if c.Delay == 0 {
		c.Delay = DefaultDelay
	}
	if c.Retry == 0 {
		c.Retry = DefaultRetry
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Meter == nil {
		c.Meter = noMeter{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

type noMeter struct{}

func (noMeter) ListPublished(Published)      {}
func (noMeter) ListFailed(card.KeyID, error) {}
