// Package officer says who may do what at the authority's doors: the roles,
// and the enrolment that gives a certificate one of them.
//
// A role comes from the fingerprint of an enrolled certificate of the
// technical hierarchy, never from a subject name. The store keeps enrolments,
// api asks for them at every request; nothing here reads a clock or a file.
package officer

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"cpsca/audit"
	"cpsca/card"
)

// Role is what an enrolled certificate may be used for.
type Role string

// The roles. An auditor is nothing else.
const (
	SecurityOfficer Role = "officer" // registers, issuers, lists
	Desk            Role = "desk"    // orders, activation, loss reports
	Bureau          Role = "bureau"  // personalisation: applications of its own orders
	StatusNode      Role = "status"  // follows the feed, gets responder certificates
	Auditor         Role = "auditor" // reads, and nothing else
)

// Roles lists every role.
var Roles = [...]Role{SecurityOfficer, Desk, Bureau, StatusNode, Auditor}

// ParseRole returns ErrRole for a word that is not a role.
func ParseRole(s string) (Role, error) {
	for _, r := range Roles {
		if string(r) == s {
			return r, nil
		}
	}
	return "", fmt.Errorf("%w: %q", ErrRole, s)
}

var (
	// ErrRole: not one of Roles.
	ErrRole = errors.New("no such role")
	// ErrBureau: a bureau's enrolment names its bureau, no other role does.
	ErrBureau = errors.New("the bureau role, and it alone, names a bureau")
	// ErrExclusive: an auditor is nothing else, and nobody else is an auditor.
	ErrExclusive = errors.New("an auditor has no other role")
	// ErrLast: without this certificate nobody could act as security officer.
	ErrLast = errors.New("the last security officer cannot be shut out")
	// ErrEnrolled: the certificate is enrolled already.
	ErrEnrolled = errors.New("the certificate is enrolled already")
)

// Fingerprint is the SHA-256 of a certificate in DER.
type Fingerprint [32]byte

// FingerprintOf computes the fingerprint of a certificate in DER.
func FingerprintOf(der []byte) Fingerprint { return sha256.Sum256(der) }

// String returns the fingerprint in lower-case hexadecimal.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// MarshalText makes fingerprints hexadecimal in JSON.
func (f Fingerprint) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// Enrolment gives one certificate one role. Person is whom the certificate
// was given to, in printable ASCII: the same person twice is one person.
type Enrolment struct {
	Fingerprint Fingerprint `json:"fingerprint"`
	Person      string      `json:"person"`
	Role        Role        `json:"role"`
	Bureau      string      `json:"bureau,omitempty"` // for the bureau role: whose orders
	Issuer      card.KeyID  `json:"issuer"`
	Serial      card.Serial `json:"serial"`
	Since       time.Time   `json:"since"`
	Ended       time.Time   `json:"ended,omitzero"`
}

// Validate checks what one enrolment says by itself: ErrRole, ErrBureau, or
// audit.ErrText for a person's name that the journal cannot carry.
func (e Enrolment) Validate() error {
	_, err := ParseRole(string(e.Role))
	if err != nil {
		return err
	}
	if (e.Role == Bureau) != (e.Bureau != "") {
		return ErrBureau
	}
	_, err = audit.Event{Sequence: 1, Actor: e.Person, Action: "enrol"}.Canonical()
	return err
}

// Admits checks a new enrolment against those that the person has:
// ErrExclusive if it would mix the auditor with another role.
func Admits(existing []Enrolment, e Enrolment) error {
	for _, x := range existing {
		if x.Ended.IsZero() && x.Person == e.Person && (x.Role == Auditor) != (e.Role == Auditor) {
			return fmt.Errorf("%w: %s is %s", ErrExclusive, e.Person, x.Role)
		}
	}
	return nil
}
