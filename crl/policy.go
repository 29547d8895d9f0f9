package crl

import (
	"fmt"
	"time"
)

// Reasons says which reason codes a list publishes.
type Reasons int

// The choices. ReasonsHold is the IGC-Santé shape, whose lists carry no reason
// (nor may they under RGS): only holds, which IGC-Santé does not have, are
// marked, because a hold without its code is not a hold.
const (
	ReasonsHold Reasons = iota
	ReasonsAll
)

// DefaultLifetime is nextUpdate minus thisUpdate in the IGC-Santé lists: twice
// 72 hours, the RGS one-star rule.
const DefaultLifetime = 144 * time.Hour

// maximumLifetime lets a root publish once a year, as EN 319 411-1 §6.3.9
// demands at least.
const maximumLifetime = 366 * 24 * time.Hour

// Policy is what the lists of an issuer tell. The zero value is the IGC-Santé
// shape.
type Policy struct {
	Lifetime       time.Duration // nextUpdate - thisUpdate, whole seconds, 1 minute to 366 days; 0 means DefaultLifetime
	Reasons        Reasons       // default ReasonsHold
	InvalidityDate bool          // publish the declared moment of a loss (RFC 5280 §5.3.2)
	ListWaiting    bool          // list holds of cards that nobody activated yet
}

// Validate checks the bounds; a value out of them gives ErrConfig.
func (p Policy) Validate() error {
	switch {
	case p.Lifetime < 0, p.Lifetime > maximumLifetime, p.Lifetime%time.Second != 0,
		p.Lifetime > 0 && p.Lifetime < time.Minute:
		return fmt.Errorf("list lifetime %s: %w", p.Lifetime, ErrConfig)
	case p.Reasons != ReasonsHold && p.Reasons != ReasonsAll:
		return fmt.Errorf("list reasons %d: %w", int(p.Reasons), ErrConfig)
	}
	return nil
}

func (p Policy) lifetime() time.Duration {
	if p.Lifetime == 0 {
		return DefaultLifetime
	}
	return p.Lifetime
}
