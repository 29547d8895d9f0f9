package crl

import "errors"

// What this room refuses. Every check has its own sentinel; test with
// errors.Is.
var (
	// ErrIssuer: certificate, key and name do not belong together, the
	// certificate may not sign lists, or a list is of another issuer.
	ErrIssuer = errors.New("not a list issuer, or another one")
	// ErrUnknownIssuer: the publisher was not given this issuer.
	ErrUnknownIssuer = errors.New("no such list issuer")
	// ErrConfig: a setting is missing or out of its bounds.
	ErrConfig = errors.New("list setting out of bounds")
	// ErrTime: a date that X.509 cannot express, or dates in the wrong order.
	ErrTime = errors.New("impossible date")
	// ErrNumber: the list number is not positive or not greater than the
	// number of the published list.
	ErrNumber = errors.New("list number does not increase")
	// ErrEntry: a revocation that cannot be listed as it stands.
	ErrEntry = errors.New("unlistable revocation")
	// ErrDuplicate: one serial twice in a list (RFC 5280 §5.1.2.6).
	ErrDuplicate = errors.New("serial listed twice")
	// ErrFormat: the bytes are not a list in the shape of this authority.
	ErrFormat = errors.New("not a revocation list of this authority")
	// ErrCritical: the list carries a critical extension that is not known
	// here, so it must not be used (RFC 5280 §5.2).
	ErrCritical = errors.New("unknown critical extension")
	// ErrSignature: the signature does not verify.
	ErrSignature = errors.New("list signature does not verify")
	// ErrNotYet: thisUpdate lies in the future.
	ErrNotYet = errors.New("list is not valid yet")
	// ErrStale: nextUpdate has passed.
	ErrStale = errors.New("list is out of date")
	// ErrReadBack: the finished list, read back by crypto/x509, is not what
	// was intended.
	ErrReadBack = errors.New("list read back differs from what was intended")
	// ErrMissing: an entry of the published list would disappear although it
	// neither expired nor was a released hold.
	ErrMissing = errors.New("a published entry would disappear")
	// ErrRevived: a published revocation would turn into a hold.
	ErrRevived = errors.New("a published revocation would turn into a hold")
	// ErrBehind: the source or the clock stands before the published list.
	ErrBehind = errors.New("older than the published list")
	// ErrPrevious: the list in the folder cannot be read or is not of this
	// issuer, so a new one cannot be compared with it. A person looks at the
	// file and moves it away.
	ErrPrevious = errors.New("the published list cannot be relied on")
	// ErrWrite: the list could not be put in place durably.
	ErrWrite = errors.New("list not written")
	// ErrRecord: the list is in place, but the ledger did not record it.
	ErrRecord = errors.New("published list not recorded")
)
