package crl

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"time"
)

// clockTolerance is how far the clocks of authority and status node may differ
// before a fresh list is refused as not valid yet.
const clockTolerance = 5 * time.Minute

// Check decides whether a list may be relied on at an instant: it is of this
// issuer by name and key identifier, the issuer may sign lists (ErrIssuer), the
// signature verifies (ErrSignature), thisUpdate is not more than five minutes
// ahead (ErrNotYet) and nextUpdate has not passed (ErrStale). That a list is not
// older than the one before is the caller's to check, by Number.
func Check(list *List, issuer *x509.Certificate, now time.Time) error {
	err := checkOrigin(list, issuer)
	if err != nil {
		return err
	}
	if list.ThisUpdate.After(now.Add(clockTolerance)) {
		return fmt.Errorf("list %d, thisUpdate %s: %w", list.Number, list.ThisUpdate.Format(time.RFC3339), ErrNotYet)
	}
	if now.After(list.NextUpdate) {
		return fmt.Errorf("list %d, nextUpdate %s: %w", list.Number, list.NextUpdate.Format(time.RFC3339), ErrStale)
	}
	return nil
}

// checkOrigin is Check without the dates.
func checkOrigin(list *List, issuer *x509.Certificate) error {
	err := mayIssue(issuer)
	if err != nil {
		return err
	}
	if !bytes.Equal(list.Issuer, issuer.RawSubject) {
		return fmt.Errorf("list %d has another issuer name: %w", list.Number, ErrIssuer)
	}
	if !bytes.Equal(list.KeyID[:], issuer.SubjectKeyId) {
		return fmt.Errorf("list %d has another authority key identifier: %w", list.Number, ErrIssuer)
	}
	err = issuer.CheckSignature(list.Algorithm, list.TBS, list.Signature)
	if err != nil {
		return fmt.Errorf("list %d: %w", list.Number, ErrSignature)
	}
	return nil
}
