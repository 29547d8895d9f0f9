package card

import (
	"time"

	"cpsca/registry"
)

// OrderID names an order: an opaque text without meaning, at most 32 ASCII
// characters.
type OrderID string

// Why is the reason of an order.
type Why string

// The reasons of an order.
const (
	First       Why = "first"
	Renewal     Why = "renewal"
	Replacement Why = "replacement"
)

// OrderState says whether an order still authorises a card.
type OrderState string

// The states of an order.
const (
	OrderOpen      OrderState = "open"      // a card may be made
	OrderFulfilled OrderState = "fulfilled" // a card was made
	OrderClosed    OrderState = "closed"    // cancelled, or its card is gone
)

// Order is the authorisation to make one card.
type Order struct {
	ID         OrderID                 `json:"id"`
	Holder     registry.NationalID     `json:"holder"`
	Profession registry.ProfessionCode `json:"profession"`
	Type       Type                    `json:"type"`
	Form       Form                    `json:"form"`
	Why        Why                     `json:"why"`
	Replaces   Number                  `json:"replaces,omitempty"` // the card a replacement or renewal follows
	Bureau     string                  `json:"bureau"`             // the personalisation bureau that alone may answer it
	State      OrderState              `json:"state"`
	Created    time.Time               `json:"created"`
	// Challenges bind the proofs of possession of the two keys to this order
	// and use; given to the bureau alone.
	Challenges map[Use]string `json:"-"`
}

// Card is one support held by one holder. ID is its place in the ledger; the
// number is empty until a bureau's application named it.
type Card struct {
	ID         int64                   `json:"-"`
	Order      OrderID                 `json:"order"`
	Number     Number                  `json:"number,omitempty"`
	Holder     registry.NationalID     `json:"holder"`
	Profession registry.ProfessionCode `json:"profession"`
	Type       Type                    `json:"type"`
	Form       Form                    `json:"form"`
	State      State                   `json:"state"`
	Bureau     string                  `json:"bureau"`
	Since      time.Time               `json:"since"`            // when it came into its state
	Expires    time.Time               `json:"expires,omitzero"` // notAfter of its certificates
	Created    time.Time               `json:"created"`          // when it was ordered
	Activated  time.Time               `json:"activated,omitzero"`
}

// LossReport is a declaration that a card may no longer be trusted.
type LossReport struct {
	ID           int64        `json:"id"`
	Card         Number       `json:"card"`
	Circumstance Circumstance `json:"circumstance"`
	Happened     time.Time    `json:"happened,omitzero"` // as declared; zero if unknown
	Received     time.Time    `json:"received"`          // when the report reached the authority
	Committed    time.Time    `json:"committed,omitzero"`
	Reporter     string       `json:"reporter"` // the enrolled person who took the report
}

// Change is one step of one card, computed from the table of transitions. The
// store applies it only if the card is still in From.
type Change struct {
	Card       int64
	From       State
	Event      Event
	To         State
	Effect     Effect
	Reason     Reason
	At         time.Time
	Invalidity time.Time
}

// Step computes the change that an event makes to a card at an instant. A
// transition that the table does not have gives a *TransitionError.
func (c Card) Step(e Event, at time.Time) (Change, error) {
	t, err := Next(c.State, e)
	if err != nil {
		return Change{}, err
	}
	return Change{Card: c.ID, From: c.State, Event: e, To: t.To, Effect: t.Effect, Reason: t.Reason, At: at}, nil
}

// Decision is what one person or process decided, applied as a whole or not at
// all: the steps of cards, the orders that open, the report that asked for it.
type Decision struct {
	Actor   string // enrolled person or process, printable ASCII
	Action  string // what was decided, printable ASCII
	At      time.Time
	Changes []Change
	Opens   []Order
	Report  *LossReport // its ID and Committed are set by the ledger
}

// Step is one line of a card's history.
type Step struct {
	At      time.Time `json:"at"`
	Event   string    `json:"event"`
	From    State     `json:"from,omitempty"`
	To      State     `json:"to"`
	Actor   string    `json:"actor"`
	Journal int64     `json:"journal"` // the event of the journal that committed it
}
