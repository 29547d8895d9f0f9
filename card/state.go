package card

import "fmt"

// State is where a card stands in its life.
type State string

// The states of a card. Revoked, Expired, Replaced, Spoiled and Cancelled are
// final: no event leaves them.
const (
	Ordered      State = "ordered"      // authorised, not made
	Personalised State = "personalised" // made, certificates recorded
	Dispatched   State = "dispatched"   // posted to the holder
	Active       State = "active"       // in the holder's use
	Held         State = "held"         // suspended, may come back
	Revoked      State = "revoked"
	Expired      State = "expired"
	Replaced     State = "replaced"  // its successor was activated
	Spoiled      State = "spoiled"   // failed at the bureau
	Cancelled    State = "cancelled" // the order was withdrawn before a card was made
)

// States lists every state, for tables and tests.
var States = [...]State{Ordered, Personalised, Dispatched, Active, Held, Revoked, Expired, Replaced, Spoiled, Cancelled}

// Live reports whether a card in this state may be used: the law allows one
// per holder, profession and form.
func (s State) Live() bool { return s == Active || s == Held }

// Waiting reports whether a card in this state is on its way to its holder:
// the law allows one per holder, profession and form.
func (s State) Waiting() bool { return s == Ordered || s == Personalised || s == Dispatched }

// Event is something that happens to a card.
type Event string

// The events of a card's life.
const (
	Personalise Event = "personalise" // its certificates were recorded
	Spoil       Event = "spoil"       // the bureau reports a failed card
	Cancel      Event = "cancel"      // the order is withdrawn
	Dispatch    Event = "dispatch"    // the bureau posts it
	Activate    Event = "activate"    // the holder has it and its codes
	Suspend     Event = "suspend"     // use stops for a while
	Release     Event = "release"     // use resumes
	Revoke      Event = "revoke"      // use ends for ever
	Replace     Event = "replace"     // its successor is activated
	Expire      Event = "expire"      // the certificates reached their end
)

// Events lists every event, for tables and tests.
var Events = [...]Event{Personalise, Spoil, Cancel, Dispatch, Activate, Suspend, Release, Revoke, Replace, Expire}

// Effect is what an event does to the certificates of the card.
type Effect string

// The effects. EffectGate is decided by the gate policy of the card's type:
// good for the chip gate, held for the hold gate.
const (
	EffectNone    Effect = ""
	EffectGate    Effect = "gate"
	EffectHold    Effect = "hold"
	EffectRelease Effect = "release"
	EffectRevoke  Effect = "revoke"
)

// Transition is one row of the law: where an event leads, what it does to the
// certificates and the RFC 5280 §5.3.1 reason it gives unless the event itself
// brings one (Revoke does).
type Transition struct {
	To     State
	Effect Effect
	Reason Reason
}

type pair struct {
	State State
	Event Event
}

var transitions = map[pair]Transition{
	{Ordered, Personalise}: {Personalised, EffectGate, Unspecified},
	{Ordered, Spoil}:       {Spoiled, EffectRevoke, CessationOfOperation},
	{Ordered, Cancel}:      {Cancelled, EffectNone, Unspecified},

	{Personalised, Spoil}:    {Spoiled, EffectRevoke, CessationOfOperation},
	{Personalised, Dispatch}: {Dispatched, EffectNone, Unspecified},
	{Personalised, Activate}: {Active, EffectRelease, Unspecified},
	{Personalised, Revoke}:   {Revoked, EffectRevoke, Unspecified},
	{Personalised, Expire}:   {Expired, EffectNone, Unspecified},

	{Dispatched, Activate}: {Active, EffectRelease, Unspecified},
	{Dispatched, Revoke}:   {Revoked, EffectRevoke, Unspecified},
	{Dispatched, Expire}:   {Expired, EffectNone, Unspecified},

	{Active, Suspend}: {Held, EffectHold, CertificateHold},
	{Active, Revoke}:  {Revoked, EffectRevoke, Unspecified},
	{Active, Replace}: {Replaced, EffectRevoke, Superseded},
	{Active, Expire}:  {Expired, EffectNone, Unspecified},

	{Held, Release}: {Active, EffectRelease, Unspecified},
	{Held, Revoke}:  {Revoked, EffectRevoke, Unspecified},
	{Held, Replace}: {Replaced, EffectRevoke, Superseded},
	{Held, Expire}:  {Expired, EffectNone, Unspecified},
}

// TransitionError says that an event cannot happen to a card in a state.
type TransitionError struct {
	State State
	Event Event
}

func (e *TransitionError) Error() string {
	return fmt.Sprintf("a card that is %s cannot %s", e.State, e.Event)
}

// Next looks the pair up in the table of transitions. A pair that is not in
// the table gives a *TransitionError.
func Next(s State, e Event) (Transition, error) {
	t, ok := transitions[pair{s, e}]
	if !ok {
		return Transition{}, &TransitionError{s, e}
	}
	return t, nil
}
