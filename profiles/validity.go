package profiles

import (
	"crypto"
	"crypto/rsa"
	"time"
)

// Period is a length of validity by the calendar.
type Period struct {
	Years  int
	Months int
	Days   int
}

// After returns the anniversary of t: the same time of day in UTC, Years and
// Months later, then Days later. Where the month has no such day, its last
// day is taken: three years after 29 February is 28 February.
func (p Period) After(t time.Time) time.Time {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	first := time.Date(year+p.Years, month+time.Month(p.Months), 1, hour, minute, second, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(day, last)-1+p.Days)
}

// within reports whether p is not negative and not longer than limit.
func (p Period) within(limit Period) bool {
	if p.Years < 0 || p.Months < 0 || p.Days < 0 || p.Years > 100 || p.Months > 1200 || p.Days > 36600 {
		return false
	}
	start := time.Date(2001, time.January, 1, 0, 0, 0, 0, time.UTC)
	return !p.After(start).After(limit.After(start))
}

// defaultRSA2048NotAfter is the bound of RSA keys below 3072 bits.
var defaultRSA2048NotAfter = time.Date(2030, time.December, 31, 23, 59, 59, 0, time.UTC)

// validity computes both dates of a certificate for a key. A notAfter of zero
// is the anniversary by the profile, clipped to the bounds of issuer and key;
// one that somebody named is accepted or refused, never changed.
func (p *Profile) validity(notBefore, notAfter time.Time, key crypto.PublicKey) (from, until time.Time, err error) {
	from = notBefore.UTC().Truncate(time.Second)
	if from.Year() < 1950 || from.Year() > 9000 {
		return from, until, refuseAs(ErrValidity, "notBefore", "RFC 5280 §4.1.2.5", "is not a date of this calendar")
	}
	if !p.shape.selfSigned && from.Before(p.issuer.NotBefore) {
		return from, until, refuseAs(ErrValidity, "notBefore", ruleBounds, "lies before the issuer's own")
	}
	bound := p.bound(from, key)
	until = notAfter.UTC().Truncate(time.Second)
	switch {
	case notAfter.IsZero():
		until = p.period.After(from)
		if until.After(bound) {
			until = bound
		}
	case until.After(bound):
		return from, until, refuseAs(ErrValidity, "notAfter", ruleBounds, "lies beyond the bound of issuer, key or profile")
	}
	if until.Sub(from) < p.shape.minimum {
		return from, until, refuseAs(ErrValidity, "notAfter", ruleMinimum, "leaves less than the shortest validity of the profile")
	}
	return from, until, nil
}

// bound is the last moment that a certificate may reach.
func (p *Profile) bound(from time.Time, key crypto.PublicKey) time.Time {
	bound := p.shape.longest.After(from)
	if !p.shape.selfSigned && p.issuer.NotAfter.Before(bound) {
		bound = p.issuer.NotAfter
	}
	small, ok := key.(*rsa.PublicKey)
	if ok && small.N.BitLen() < 3072 && p.rsa2048NotAfter.Before(bound) {
		bound = p.rsa2048NotAfter
	}
	return bound
}
