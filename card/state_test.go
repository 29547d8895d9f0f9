package card

import (
	"errors"
	"testing"
	"time"
)

// law is the expected table, written out a second time: a line for each state,
// a column for each event. A change of the law is a change of this text.
var law = map[State]map[Event]Transition{
	Ordered: {
		Personalise: {Personalised, EffectGate, Unspecified},
		Spoil:       {Spoiled, EffectRevoke, CessationOfOperation},
		Cancel:      {Cancelled, EffectNone, Unspecified},
	},
	Personalised: {
		Spoil:    {Spoiled, EffectRevoke, CessationOfOperation},
		Dispatch: {Dispatched, EffectNone, Unspecified},
		Activate: {Active, EffectRelease, Unspecified},
		Revoke:   {Revoked, EffectRevoke, Unspecified},
		Expire:   {Expired, EffectNone, Unspecified},
	},
	Dispatched: {
		Activate: {Active, EffectRelease, Unspecified},
		Revoke:   {Revoked, EffectRevoke, Unspecified},
		Expire:   {Expired, EffectNone, Unspecified},
	},
	Active: {
		Suspend: {Held, EffectHold, CertificateHold},
		Revoke:  {Revoked, EffectRevoke, Unspecified},
		Replace: {Replaced, EffectRevoke, Superseded},
		Expire:  {Expired, EffectNone, Unspecified},
	},
	Held: {
		Release: {Active, EffectRelease, Unspecified},
		Revoke:  {Revoked, EffectRevoke, Unspecified},
		Replace: {Replaced, EffectRevoke, Superseded},
		Expire:  {Expired, EffectNone, Unspecified},
	},
	Revoked:   {},
	Expired:   {},
	Replaced:  {},
	Spoiled:   {},
	Cancelled: {},
}

func TestEveryPairOfStateAndEventFollowsTheLaw(t *testing.T) {
	if len(law) != len(States) {
		t.Fatalf("the law has %d states, States %d", len(law), len(States))
	}
	for _, s := range States {
		expected, ok := law[s]
		if !ok {
			t.Fatalf("the law does not know the state %s", s)
		}
		for _, e := range Events {
			want, allowed := expected[e]
			got, err := Next(s, e)
			if allowed && (err != nil || got != want) {
				t.Errorf("%s, %s: got %v, %v, want %v", s, e, got, err, want)
			}
			var refusal *TransitionError
			if !allowed && (!errors.As(err, &refusal) || refusal.State != s || refusal.Event != e || got != Transition{}) {
				t.Errorf("%s, %s: got %v, %v, want a TransitionError", s, e, got, err)
			}
		}
	}
}

func TestTheTableNamesOnlyListedStatesAndEvents(t *testing.T) {
	states, events := map[State]bool{}, map[Event]bool{}
	for _, s := range States {
		states[s] = true
	}
	for _, e := range Events {
		events[e] = true
	}
	for from, row := range transitions {
		if !states[from.State] || !events[from.Event] || !states[row.To] {
			t.Errorf("%v to %s: not all of it is listed", from, row.To)
		}
	}
	_, err := Next("lost", Revoke)
	if err == nil {
		t.Error("a state that does not exist has a transition")
	}
}

func TestStatesAreLiveWaitingOrNeither(t *testing.T) {
	live := map[State]bool{Active: true, Held: true}
	waiting := map[State]bool{Ordered: true, Personalised: true, Dispatched: true}
	for _, s := range States {
		if s.Live() != live[s] || s.Waiting() != waiting[s] {
			t.Errorf("%s: live %t, waiting %t", s, s.Live(), s.Waiting())
		}
		final := len(law[s]) == 0
		if final == (s.Live() || s.Waiting()) {
			t.Errorf("%s: a final state is neither live nor waiting, any other is one of them", s)
		}
	}
}

func TestTransitionsOnlyEndWhatHasCertificatesByRevoking(t *testing.T) {
	for from, row := range transitions {
		ends := len(law[row.To]) == 0 && from.Event != Expire && from.Event != Cancel
		if ends && row.Effect != EffectRevoke {
			t.Errorf("%v leads to %s without revoking", from, row.To)
		}
		if row.To == Active && row.Effect != EffectRelease {
			t.Errorf("%v leads to %s without releasing a hold", from, row.To)
		}
		if row.To == Held && (row.Effect != EffectHold || row.Reason != CertificateHold) {
			t.Errorf("%v leads to %s without a hold", from, row.To)
		}
	}
}

func TestStepCarriesTheRowOfTheTable(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	got, err := Card{ID: 7, State: Active}.Step(Replace, at)
	want := Change{Card: 7, From: Active, Event: Replace, To: Replaced, Effect: EffectRevoke, Reason: Superseded, At: at}
	if err != nil || got != want {
		t.Fatalf("got %v, %v, want %v", got, err, want)
	}
	_, err = Card{State: Revoked}.Step(Release, at)
	var refusal *TransitionError
	if !errors.As(err, &refusal) || err.Error() != "a card that is revoked cannot release" {
		t.Fatalf("got %v", err)
	}
}
