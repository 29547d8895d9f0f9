package ca

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"time"

	"cpsca/card"
	"cpsca/profiles"
)

// Directory tells what is known about orders.
type Directory interface {
	// Dossiers reads orders of one bureau in one snapshot; what it does not
	// return does not exist for that bureau.
	Dossiers(ctx context.Context, bureau string, ids []card.OrderID) (map[card.OrderID]card.Dossier, error)
}

// Ledger is the durable record of attempts. Each method returns only when its
// effect is on disk.
type Ledger interface {
	// Intend records intents before anything is signed: one error per
	// attempt, nil where the intents stand, or one error for the whole chunk
	// and nothing stands. It numbers the attempts.
	Intend(ctx context.Context, chunk []card.Attempt) ([]error, error)
	// Record makes certificates of signed attempts, all of the chunk or none.
	Record(ctx context.Context, signed []card.Signed, gate card.Gate) error
	// Abandon gives attempts up; what is not an open intent is passed over.
	Abandon(ctx context.Context, actor string, attempts []card.Attempt) error
}

// Infrastructure is the durable record of certificates that belong to no card.
// The methods are durable when they return.
type Infrastructure interface {
	IntendInfrastructure(ctx context.Context, actor string, intent card.Intent, renewal bool) error
	RecordInfrastructure(ctx context.Context, actor string, intent card.Intent, signature []byte) error
	AbandonInfrastructure(ctx context.Context, actor string, intent card.Intent) error
}

// Signer is a private key that somebody else guards. SignContext enters the
// device at most once per call; the context bounds the waiting before that. It
// is given a digest and its hash, or for Ed25519 the text itself and
// crypto.Hash(0).
type Signer interface {
	Public() crypto.PublicKey
	SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error)
}

// Config is what an Authority is made of.
type Config struct {
	Directory Directory
	Ledger    Ledger
	// Cards signs the certificates of cards.
	Cards *Issuer
	// Profiles are those of Cards, one for each use of each card type that is
	// issued.
	Profiles []*profiles.Profile
	// Gate says whether the certificates of a new card are good at once.
	Gate card.Gate
	// Instance is the first octet of serials, 0x10 to 0x7f: one value for
	// each process that issues.
	Instance byte
	// Keys says which card keys are accepted.
	Keys KeyRules
	// Queue is how many chunks may be under way; one more is refused with
	// ErrBusy. 1 to 1024; 0 means 64.
	Queue int
	// Signers is how many signatures the authority asks for at a time, all
	// chunks together: as many as the HSM has sessions. 1 to 64; 0 means 4.
	Signers int
	// Now is business time; nil means time.Now.
	Now func() time.Time
	// Meter counts; nil counts nothing.
	Meter Meter
	// Stopwatch measures durations, for Meter and for the size of chunks; nil
	// means time.Now.
	Stopwatch func() time.Time
}

// ErrConfig is returned by New for a configuration that cannot issue.
var ErrConfig = errors.New("the authority's configuration")

func (c *Config) complete() error {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Stopwatch == nil {
		c.Stopwatch = time.Now
	}
	if c.Meter == nil {
		c.Meter = noMeter{}
	}
	if c.Queue == 0 {
		c.Queue = 64
	}
	if c.Signers == 0 {
		c.Signers = 4
	}
	switch {
	case c.Directory == nil || c.Ledger == nil || c.Cards == nil:
		return fmt.Errorf("%w: directory, ledger and issuer are required", ErrConfig)
	case c.Gate != card.GateChip && c.Gate != card.GateHold:
		return fmt.Errorf("%w: gate is chip or hold, not %q", ErrConfig, c.Gate)
	case c.Instance < 0x10 || c.Instance > 0x7f:
		return fmt.Errorf("%w: instance is 0x10 to 0x7f, not %#02x", ErrConfig, c.Instance)
	case c.Queue < 1 || c.Queue > 1024:
		return fmt.Errorf("%w: queue is 1 to 1024, not %d", ErrConfig, c.Queue)
	case c.Signers < 1 || c.Signers > 64:
		return fmt.Errorf("%w: signers is 1 to 64, not %d", ErrConfig, c.Signers)
	}
	err := c.Keys.Validate()
	if err != nil {
		return err
	}
	return unprotectedConfig(c)
}

// kinds files the profiles by card type and use. A type has all its
// certificates or none.
func (c *Config) kinds() (map[kind]*profiles.Profile, error) {
	given := make(map[profiles.Name]*profiles.Profile, len(c.Profiles))
	for _, p := range c.Profiles {
		err := c.Cards.fits(p)
		if err != nil {
			return nil, err
		}
		if given[p.Name()] != nil {
			return nil, fmt.Errorf("%w: profile %s is there twice", ErrConfig, p.Name())
		}
		given[p.Name()] = p
	}
	out := make(map[kind]*profiles.Profile, len(given))
	for _, t := range []card.Type{card.CPS, card.CPF, card.CPE, card.CPA} {
		found := 0
		for _, use := range card.Uses {
			name, ok := profiles.ForCard(t, use)
			if p := given[name]; ok && p != nil {
				out[kind{t, use}] = p
				found++
			}
		}
		if found != 0 && found != len(card.Uses) {
			return nil, fmt.Errorf("%w: a %s has %d certificates, there are profiles for %d", ErrConfig, t, len(card.Uses), found)
		}
	}
	if len(out) == 0 || len(out) != len(given) {
		return nil, fmt.Errorf("%w: %d of %d profiles are of cards", ErrConfig, len(out), len(given))
	}
	return out, nil
}
