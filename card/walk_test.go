package card

import (
	"math/rand/v2"
	"testing"
	"time"
)

// holderModel is one holder's cards of one profession and form, moved as
// lifecycle and the bureau move them, with what the world is told of each
// card's certificates.
type holderModel struct {
	t      *testing.T
	cards  []Card
	status map[int64]Status // of the certificates of a card that has any
	gate   Gate
	at     time.Time
}

func (m *holderModel) one(holds func(State) bool) *Card {
	for i := range m.cards {
		if holds(m.cards[i].State) {
			return &m.cards[i]
		}
	}
	return nil
}

// order opens a card where the law leaves room for a waiting one.
func (m *holderModel) order() {
	if m.one(State.Waiting) == nil {
		m.cards = append(m.cards, Card{ID: int64(len(m.cards) + 1), State: Ordered})
	}
}

// move sends an event to a card; what the table refuses changes nothing.
func (m *holderModel) move(c *Card, e Event) {
	before := c.State
	change, err := c.Step(e, m.at)
	if err != nil {
		return
	}
	if change.To == Active && before.Waiting() {
		live := m.one(State.Live)
		if live != nil {
			m.move(live, Replace) // the same decision retires the live card
		}
	}
	c.State, c.Since = change.To, change.At
	m.effect(c.ID, change.Effect)
	if e == Spoil {
		m.order() // the order is open again
	}
}

func (m *holderModel) effect(id int64, e Effect) {
	old, has := m.status[id]
	next := old
	switch {
	case e == EffectGate && m.gate == GateHold:
		next, has = StatusHeld, true
	case e == EffectGate:
		next, has = StatusGood, true
	case e == EffectHold:
		next = StatusHeld
	case e == EffectRelease:
		next = StatusGood
	case e == EffectRevoke:
		next = StatusRevoked
	}
	if !has {
		return
	}
	if old == StatusRevoked && next != StatusRevoked {
		m.t.Fatalf("card %d: its certificates return from revoked to %s", id, next)
	}
	m.status[id] = next
}

func (m *holderModel) check() {
	m.t.Helper()
	live, waiting := 0, 0
	for _, c := range m.cards {
		if c.State.Live() {
			live++
		}
		if c.State.Waiting() {
			waiting++
		}
		status, has := m.status[c.ID]
		switch {
		case (c.State == Revoked || c.State == Replaced) && status != StatusRevoked,
			c.State == Active && status != StatusGood,
			c.State == Held && status != StatusHeld,
			c.State == Spoiled && has && status != StatusRevoked,
			c.State == Ordered && has:
			m.t.Fatalf("a card is %s and its certificates are %q", c.State, status)
		}
	}
	if live > 1 || waiting > 1 {
		m.t.Fatalf("%d live and %d waiting cards: %v", live, waiting, m.cards)
	}
}

func TestRandomWalksKeepTheLaw(t *testing.T) {
	reached := map[State]bool{}
	for seed := range uint64(400) {
		source := rand.New(rand.NewPCG(seed, 1))
		m := &holderModel{t: t, status: map[int64]Status{}, gate: GateChip, at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
		if seed%2 == 1 {
			m.gate = GateHold
		}
		for range 200 {
			m.at = m.at.Add(time.Hour)
			if len(m.cards) == 0 || source.IntN(6) == 0 {
				m.order()
			} else {
				i := source.IntN(len(m.cards))
				if source.IntN(2) == 0 {
					i = len(m.cards) - 1 // most things happen to the newest card
				}
				before := m.cards[i]
				m.move(&m.cards[i], Events[source.IntN(len(Events))])
				after := m.cards[before.ID-1]
				if len(law[before.State]) == 0 && after != before {
					t.Fatalf("a card left the final state %s for %s", before.State, after.State)
				}
			}
			m.check()
		}
		for _, c := range m.cards {
			reached[c.State] = true
		}
	}
	for _, s := range States {
		if !reached[s] {
			t.Errorf("no walk ended with a card that is %s: the walks prove nothing of it", s)
		}
	}
}
