package card

import (
	"errors"
	"fmt"
	"time"
)

// Quota is how many applications of one bureau may lead to intents, within one
// hour and one day of UTC. Zero sets no bound. An application that is answered
// from the ledger counts nothing, a new attempt at one counts again.
type Quota struct {
	Hour int
	Day  int
}

// ErrQuota: the bureau, or the certificate, was given all that it may be given
// for now.
var ErrQuota = errors.New("the quota is used up")

// QuotaError is ErrQuota with the time until something is free again.
type QuotaError struct{ After time.Duration }

// Error names the time to wait, in whole seconds.
func (e *QuotaError) Error() string {
	return fmt.Sprintf("%v for %v", ErrQuota, e.After.Round(time.Second))
}

// Unwrap is ErrQuota.
func (e *QuotaError) Unwrap() error { return ErrQuota }
