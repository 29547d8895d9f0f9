package client

import (
	"encoding/base64"
	"time"

	"cpsca/card"
	"cpsca/feed"
	"cpsca/officer"
	"cpsca/registry"
)

// Version is what the authority says of itself.
type Version struct {
	Version string `json:"version"` // of the program
	API     string `json:"api"`     // of these types, "v1"
}

// The kinds of register files that can be imported.
const (
	Persons  = "persons"
	Events   = "events"
	Contacts = "contacts"
)

// Person is what the register knows of somebody, and what follows from it
// today.
type Person struct {
	Person       registry.Person   `json:"person"`
	Events       []registry.Event  `json:"events"`
	Contact      *registry.Contact `json:"contact,omitempty"`
	Entitlements []Entitlement     `json:"entitlements"`
}

// Entitlement says whether a person may have a card of a profession.
type Entitlement struct {
	Profession registry.ProfessionCode `json:"profession"`
	Label      string                  `json:"label,omitempty"`
	Entitled   bool                    `json:"entitled"`
	Reason     string                  `json:"reason,omitempty"` // why not, in English
}

// OrderRequest asks for one card. Identity and address come from the register.
type OrderRequest struct {
	Holder     registry.NationalID     `json:"holder"`
	Profession registry.ProfessionCode `json:"profession,omitempty"` // 0 if the holder exercises one
	Why        card.Why                `json:"why,omitempty"`        // empty means first
	Bureau     string                  `json:"bureau,omitempty"`     // one that is enrolled; empty: chosen by the authority
}

// Order is an order with what became of it.
type Order struct {
	card.Order
	Ready     bool        `json:"ready"`             // a bureau may answer it now
	Missing   string      `json:"missing,omitempty"` // what an open order waits for, in English
	Card      card.Number `json:"card,omitempty"`    // the number that the bureau gave
	CardState card.State  `json:"card_state,omitempty"`
}

// OrderQuery selects orders; zero fields select everything.
type OrderQuery struct {
	Bureau string
	State  card.OrderState
	After  card.OrderID
	Limit  int // 1 to 1000; 0 means 100
}

// OrderList is one page of orders, oldest first.
type OrderList struct {
	Orders []Order      `json:"orders"`
	Next   card.OrderID `json:"next,omitempty"` // the After of the next page; empty on the last
}

// ReadyOrder is an order as its bureau gets it: the challenges that the proofs
// of possession must carry, and what is printed and posted. It is one line of
// GET /v1/orders/ready; a line with Problem ends a stream that failed.
type ReadyOrder struct {
	Order           card.OrderID            `json:"order,omitempty"`
	Type            card.Type               `json:"type"`
	TypeName        string                  `json:"type_name,omitempty"`
	Profession      registry.ProfessionCode `json:"profession,omitempty"`
	ProfessionLabel string                  `json:"profession_label,omitempty"`
	Why             card.Why                `json:"why,omitempty"`
	Replaces        card.Number             `json:"replaces,omitempty"`
	Created         time.Time               `json:"created,omitzero"`
	Challenges      map[card.Use]string     `json:"challenges,omitempty"`
	Holder          HolderName              `json:"holder,omitzero"`
	Address         Address                 `json:"address,omitzero"`
	Problem         *Problem                `json:"problem,omitempty"`
}

// HolderName is what is printed on a card.
type HolderName struct {
	ID               registry.NationalID `json:"id"`
	ExerciseCivility string              `json:"exercise_civility,omitempty"`
	FamilyName       string              `json:"family_name"`
	GivenName        string              `json:"given_name,omitempty"`
}

// Address is what is written on the envelope of a card.
type Address struct {
	Recipient  string `json:"recipient,omitempty"`
	Complement string `json:"complement,omitempty"`
	Street     string `json:"street,omitempty"`
	Locality   string `json:"locality,omitempty"`
	PostalCode string `json:"postal_code,omitempty"`
	City       string `json:"city,omitempty"`
	Country    string `json:"country,omitempty"` // ISO 3166-1, empty means France
}

// Application is one line from the bureau: this order, this card, these keys.
type Application struct {
	Order          card.OrderID `json:"order"`
	Card           card.Number  `json:"card"`
	Authentication Request      `json:"authentication"`
	Signature      Request      `json:"signature"`
}

// Request carries a public key with the proof that somebody has its private
// key, in one of two forms: CSR alone, or PublicKey and Proof.
type Request struct {
	// CSR is a PKCS#10 certification request (RFC 2986), in PEM or in base64
	// of its DER, that carries the order's challenge for the use.
	CSR string `json:"csr,omitempty"`
	// PublicKey is a SubjectPublicKeyInfo, in base64 of its DER.
	PublicKey string `json:"public_key,omitempty"`
	// Proof is a signature by that key over ReadyOrder.ProofText, in base64.
	Proof string `json:"proof,omitempty"`
	// Algorithm of Proof; empty is the usual one of the key, see
	// card.Proof.
	Algorithm card.ProofAlgorithm `json:"algorithm,omitempty"`
}

// RequestOf carries a certification request in DER.
func RequestOf(csr []byte) Request {
	return Request{CSR: base64.StdEncoding.EncodeToString(csr)}
}

// DetachedProof carries a SubjectPublicKeyInfo in DER and a signature by its
// key over ReadyOrder.ProofText. An empty algorithm is the usual one of the key.
func DetachedProof(publicKey, signature []byte, algorithm card.ProofAlgorithm) Request {
	return Request{
		PublicKey: base64.StdEncoding.EncodeToString(publicKey), Proof: base64.StdEncoding.EncodeToString(signature), Algorithm: algorithm,
	}
}

// ProofText is what the key of a card signs in a detached proof for one use of
// this order. publicKey is its SubjectPublicKeyInfo in DER.
func (o *ReadyOrder) ProofText(number card.Number, use card.Use, publicKey []byte) []byte {
	return card.ProofText(o.Order, number, use, publicKey, o.Challenges[use])
}

// The two statuses of an answer.
const (
	Issued  = "issued"
	Refused = "refused"
)

// Answer is what became of one application. Line counts the lines of the
// request from 1; an answer of line 0 speaks of the stream as a whole and is
// its last.
type Answer struct {
	Line         int                 `json:"line"`
	Order        card.OrderID        `json:"order,omitempty"`
	Card         card.Number         `json:"card,omitempty"`
	Status       string              `json:"status"` // Issued or Refused
	Replayed     bool                `json:"replayed"`
	Certificates []IssuedCertificate `json:"certificates,omitempty"`
	Problem      *Problem            `json:"problem,omitempty"`
}

// IssuedCertificate is one certificate of an answer.
type IssuedCertificate struct {
	Use         card.Use    `json:"use"`
	Serial      card.Serial `json:"serial"`
	Certificate []byte      `json:"certificate"` // DER
}

// Loss is a report that a card may no longer be trusted.
type Loss struct {
	Circumstance card.Circumstance `json:"circumstance"`
	Happened     time.Time         `json:"happened,omitzero"` // as declared; zero if unknown
}

// LossAnswer is the receipt of a loss report: the card is revoked. Received
// and committed times are those of the report.
type LossAnswer struct {
	Report        card.LossReport `json:"report"`
	Card          card.Card       `json:"card"`
	Replacement   *card.Order     `json:"replacement,omitempty"`
	NoReplacement *Problem        `json:"no_replacement,omitempty"` // why no replacement was ordered
}

// CardList lists cards of one holder, oldest first.
type CardList struct {
	Cards []card.Card `json:"cards"`
}

// History is the whole life of a card.
type History struct {
	Card         card.Card          `json:"card"`
	Steps        []card.Step        `json:"steps"`
	Certificates []card.Certificate `json:"certificates"`
	LossReports  []card.LossReport  `json:"loss_reports"`
}

// Certificate is a recorded certificate with its status.
type Certificate struct {
	card.Certificate
	DER []byte `json:"certificate"`
}

// Revocation asks to revoke a certificate of the infrastructure.
type Revocation struct {
	Reason card.Reason `json:"reason"` // RFC 5280 §5.3.1
}

// Issuer is one CA certificate of the house.
type Issuer struct {
	Name        string     `json:"name"`
	Role        string     `json:"role"`
	KeyID       card.KeyID `json:"key_id"`
	Since       time.Time  `json:"since,omitzero"`
	Certificate []byte     `json:"certificate"` // DER
}

// IssuerList lists issuers, oldest first.
type IssuerList struct {
	Issuers []Issuer `json:"issuers"`
}

// List is one revocation list in the register of lists.
type List struct {
	Issuer     card.KeyID `json:"issuer"`
	Number     int64      `json:"number"` // RFC 5280 §5.2.3
	ThisUpdate time.Time  `json:"this_update"`
	NextUpdate time.Time  `json:"next_update"`
	Published  time.Time  `json:"published,omitzero"`
}

// ListList lists revocation lists.
type ListList struct {
	Lists []List `json:"lists"`
}

// FeedLine is a line of the feed that is not a record: the head that ends it,
// or the problem that cut it short.
type FeedLine struct {
	Head    *feed.Head `json:"head,omitempty"`
	Problem *Problem   `json:"problem,omitempty"`
}

// ResponderRequest asks for an OCSP responder certificate (RFC 6960
// §4.2.2.2) of an issuer.
type ResponderRequest struct {
	Issuer card.KeyID `json:"issuer"`
	CSR    string     `json:"csr"` // PKCS#10, PEM or base64 of DER
}

// ResponderCertificate is a responder's certificate and its chain, the issuer
// first, in DER.
type ResponderCertificate struct {
	Certificate []byte   `json:"certificate"`
	Chain       [][]byte `json:"chain"`
}

// Enrolment is a certificate with the role that it opens.
type Enrolment struct {
	Fingerprint string       `json:"fingerprint"` // SHA-256 of the certificate, hexadecimal
	Person      string       `json:"person"`
	Role        officer.Role `json:"role"`
	Bureau      string       `json:"bureau,omitempty"`
	Issuer      card.KeyID   `json:"issuer"`
	Serial      card.Serial  `json:"serial"`
	Since       time.Time    `json:"since"`
	Ended       time.Time    `json:"ended,omitzero"`
}

// EnrolmentList lists enrolments, ended ones included, oldest first.
type EnrolmentList struct {
	Enrolments []Enrolment `json:"enrolments"`
}
