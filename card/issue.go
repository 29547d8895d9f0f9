package card

import (
	"time"

	"cpsca/registry"
)

// Application is one line from the bureau: this order, this card, these keys.
type Application struct {
	Order  OrderID
	Number Number
	Proofs [len(Uses)]Proof // in the order of Uses
}

// Proof returns the proof of one of Uses, to be read or filled in; nil for any
// other use.
func (a *Application) Proof(use Use) *Proof {
	for n, one := range Uses {
		if one == use {
			return &a.Proofs[n]
		}
	}
	return nil
}

// Dossier is all that is known about an order when an application for it is
// examined: read once, in one piece.
type Dossier struct {
	Order   Order
	Card    Card // the card row of the order that is not spoiled
	Person  registry.Person
	Events  []registry.Event
	Contact registry.Contact
	Keys    map[Use]Fingerprint // bound by an earlier attempt, else empty
	Intent  bool                // an attempt is between intent and record
	Issued  []Certificate       // recorded certificates, in the order of Uses
}

// ProfileRef freezes which profile made a certificate.
type ProfileRef struct {
	Name    string
	Version int
	Hash    [32]byte // SHA-256 of the compiled profile
}

// Intent is the durable record, made before the HSM is asked, of exactly what
// will be signed. Order is empty for certificates of the infrastructure.
type Intent struct {
	Issuer    KeyID
	Serial    Serial
	Order     OrderID
	Attempt   int
	Use       Use
	Subject   string // for infrastructure: whom it names, for people to read
	Profile   ProfileRef
	Key       Fingerprint
	NotBefore time.Time
	NotAfter  time.Time
	TBS       []byte // DER of the TBSCertificate (RFC 5280 §4.1)
}

// Attempt is one try at an application: its intents, of which all become
// certificates or none does.
type Attempt struct {
	Order     OrderID
	Card      int64
	Number    Number
	Requester string
	// Grounds is what the register said of the holder when the application
	// was examined, as JSON: the journal keeps it beside the intents, so that
	// it can be said for ever why this person was given a card.
	Grounds []byte
	Attempt int // set by the ledger
	Intents []Intent
}

// Certificate is what was signed, verified and recorded.
type Certificate struct {
	Issuer    KeyID     `json:"issuer"`
	Serial    Serial    `json:"serial"`
	Order     OrderID   `json:"order,omitempty"`
	Card      Number    `json:"card,omitempty"`
	Use       Use       `json:"use"`
	Subject   string    `json:"subject,omitempty"`
	Profile   string    `json:"profile"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Status    Status    `json:"status"`
	Since     time.Time `json:"since,omitzero"` // of a hold or revocation
	Reason    Reason    `json:"reason,omitempty"`
	TBS       []byte    `json:"-"`
	Signature []byte    `json:"-"` // of the issuer over TBS, without the BIT STRING wrapping
}

// Signed is an attempt whose intents were signed and verified. Signatures are
// in the order of Intents.
type Signed struct {
	Attempt
	Signatures [][]byte
}
