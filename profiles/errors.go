package profiles

import "errors"

// What callers decide on; test with errors.Is.
var (
	// ErrSpent: the TBSCertificate was handed out for signing before.
	ErrSpent = errors.New("the certificate to sign was spent already")
	// ErrNotCanonical: the SubjectPublicKeyInfo is not the one DER encoding
	// of its key.
	ErrNotCanonical = errors.New("the public key is not canonically encoded")
	// ErrUnsupportedKey: the public key is of a kind that no profile knows.
	ErrUnsupportedKey = errors.New("the public key is of an unsupported kind")
	// ErrValidity: no validity within the bounds is left.
	ErrValidity = errors.New("no acceptable validity")
	// ErrEnvironment: a test identity before a production issuer, or the
	// reverse.
	ErrEnvironment = errors.New("test and production do not mix")
	// ErrEncoding: what was built does not read back as what was asked; a
	// fault of this package, never of the request.
	ErrEncoding = errors.New("the certificate built is not the one asked for")
)

// Refusal says which fact a profile does not accept and by which rule. It
// never quotes the fact. Unwrap gives the sentinel, where there is one.
type Refusal struct {
	Field  string // the fact, in the name of its field or attribute
	Rule   string // the section of docs/PROFILES.md or of the standard
	Reason string
	Err    error // sentinel or cause, may be nil
}

// Error names field, reason and rule.
func (r *Refusal) Error() string { return r.Field + ": " + r.Reason + " (" + r.Rule + ")" }

// Unwrap returns the sentinel or cause.
func (r *Refusal) Unwrap() error { return r.Err }

func refuse(field, rule, reason string) error {
	return &Refusal{Field: field, Rule: rule, Reason: reason}
}

func refuseAs(err error, field, rule, reason string) error {
	return &Refusal{Field: field, Rule: rule, Reason: reason, Err: err}
}

// The sections that refusals cite.
const (
	ruleSubject     = "docs/PROFILES.md §3"
	ruleNames       = "docs/PROFILES.md §3.4"
	ruleCharacters  = "docs/PROFILES.md §4.1"
	ruleEmpty       = "docs/PROFILES.md §4.3"
	ruleFamilyName  = "docs/PROFILES.md §4.4"
	ruleGivenName   = "docs/PROFILES.md §4.5"
	ruleStructure   = "docs/PROFILES.md §4.6"
	ruleTitle       = "docs/PROFILES.md §4.7"
	ruleDepartment  = "docs/PROFILES.md §4.8"
	ruleBounds      = "docs/PROFILES.md §5.3"
	ruleMinimum     = "docs/PROFILES.md §5.4"
	ruleEnvironment = "docs/PROFILES.md §6"
	ruleKeys        = "docs/PROFILES.md §7"
	ruleSettings    = "docs/PROFILES.md §8"
	ruleKinds       = "docs/PROFILES.md §2"
	ruleNumber      = "docs/PROFILES.md §2.1"
	ruleSerial      = "RFC 5280 §4.1.2.2"
	ruleIssuer      = "RFC 5280 §4.1.2.4"
	ruleDistinguish = "RFC 5280 §4.1.2.6"
	ruleAltName     = "RFC 5280 §4.2.1.6"
	ruleKeyID       = "RFC 5280 §4.2.1.1"
)
