package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/hsm"
	"cpsca/lifecycle"
	"cpsca/registry"
	"cpsca/testpki"
)

// model is what a holder should have, written down a second time.
type model struct {
	id       registry.NationalID
	eligible bool
	live     card.Number
	order    *card.Order   // what is on its way, nil if nothing is
	chip     *testpki.Card // bound to the order, nil until an application named it
	made     bool          // its certificates are recorded
	last     card.Number   // the card that ended last
	failed   int           // cards of the order
	nameless int           // orders that were cancelled before a card had a number
	ended    map[card.Number]card.State
}

// walker takes random steps and knows what each must answer.
type walker struct {
	*house
	*rand.Rand
	holders []*model
	step    string
}

// TestTheLawHoldsOnEveryWay walks at random through everything that may happen
// to the cards of a few holders and holds model, ledger and law against each
// other after each step.
func TestTheLawHoldsOnEveryWay(t *testing.T) {
	for seed := range uint64(4) {
		gate := []card.Gate{card.GateChip, card.GateHold}[seed%2]
		t.Run(fmt.Sprintf("seed %d, gate %s", seed, gate), func(t *testing.T) {
			w := &walker{house: newHouse(t, gate), Rand: rand.New(rand.NewPCG(seed, 1))}
			for range 3 {
				w.holders = append(w.holders, &model{id: w.person(), eligible: true, ended: map[card.Number]card.State{}})
			}
			seen := map[string]int{}
			for range 250 {
				w.clock.Add(1 + w.Int64N(3_600_000))
				m := w.holders[w.IntN(len(w.holders))]
				w.take(m)
				w.compare(m)
				w.law()
				seen[w.step]++
				if t.Failed() {
					t.Fatalf("after %s", w.step)
				}
			}
			if len(seen) < 6 {
				t.Errorf("the walk was short of variety: %v", seen)
			}
		})
	}
}

func (w *walker) take(m *model) {
	steps := []struct {
		name  string
		share int
		take  func(*model)
	}{
		{"order", 4, w.orders}, {"apply", 6, w.applies}, {"activate", 4, w.activates}, {"lose", 2, w.loses}, {"spoil", 2, w.spoils}, {"befall", 1, w.befalls},
		{"cancel", 1, w.cancels},
	}
	at := w.IntN(20)
	for _, one := range steps {
		if at < one.share {
			w.step = one.name
			one.take(m)
			return
		}
		at -= one.share
	}
}

func (w *walker) orders(m *model) {
	why := []card.Why{card.First, card.Renewal, card.Replacement}[w.IntN(3)]
	var want error
	switch {
	case !m.eligible:
		want = registry.ErrStruckOff
	case m.order != nil:
		want = card.ErrWaitingCard
	case why != card.Renewal && m.live != "":
		want = card.ErrLiveCard
	case why == card.Renewal && m.live == "":
		want = card.ErrNoLiveCard
	case why == card.Replacement && m.last == "":
		want = lifecycle.ErrWhy
	}
	o, err := w.desk.Order(context.Background(), "desk", lifecycle.OrderRequest{Holder: m.id, Why: why})
	wants(w.t, err, want)
	if want == nil {
		m.order, m.failed = &o, 0
	}
}

// applies sends an application; now and then the device fails, another card
// comes, or the line comes again.
func (w *walker) applies(m *model) {
	if m.order == nil {
		return
	}
	chip := m.chip
	if chip == nil {
		chip = must(testpki.NewCard(w.numbers.Next(), hsm.P256))(w.t)
	}
	other := m.chip != nil && w.IntN(4) == 0
	if other {
		chip = must(testpki.NewCard(w.numbers.Next(), hsm.P256))(w.t)
	}
	fails := w.IntN(4) == 0
	w.signer.fails.Store(fails)
	defer w.signer.fails.Store(false)
	var want error
	switch {
	case other:
		want = card.ErrOrderBound
	case m.made:
	case !m.eligible:
		want = registry.ErrStruckOff
	case fails:
		want = ca.ErrAbandoned
	}
	application := must(chip.Application(m.order.ID, m.order.Challenges))(w.t)
	answers := must(w.authority.Issue(context.Background(), "workshop", bureau, []card.Application{application}))(w.t)
	wants(w.t, answers[0].Err, want)
	if want == nil && answers[0].Replayed != m.made {
		w.t.Errorf("replayed %t, made before %t", answers[0].Replayed, m.made)
	}
	if want == nil || errors.Is(want, ca.ErrAbandoned) {
		m.chip, m.made = chip, want == nil
	}
}

func (w *walker) activates(m *model) {
	if m.chip == nil {
		return
	}
	_, err := w.desk.Activate(context.Background(), "desk", m.chip.Number())
	switch {
	case !m.made:
		wantsTransition(w.t, err, card.Ordered, card.Activate)
	case !m.eligible:
		wants(w.t, err, registry.ErrStruckOff)
	default:
		wants(w.t, err, nil)
		if m.live != "" {
			m.end(m.live, card.Replaced)
		}
		m.live = m.chip.Number()
		m.order, m.chip, m.made = nil, nil, false
	}
}

func (m *model) end(number card.Number, state card.State) {
	m.ended[number] = state
	if state != card.Spoiled && state != card.Cancelled {
		m.last = number
	}
}

func (w *walker) loses(m *model) {
	var numbers []card.Number
	for number := range m.ended {
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	if m.live != "" {
		numbers = append(numbers, m.live, m.live)
	}
	if m.chip != nil {
		numbers = append(numbers, m.chip.Number())
	}
	if len(numbers) == 0 {
		return
	}
	number := numbers[w.IntN(len(numbers))]
	reported, err := w.desk.ReportLoss(context.Background(), "hotline", lifecycle.Loss{Card: number, Circumstance: card.Circumstances[w.IntN(len(card.Circumstances))]})
	waits := m.chip != nil && number == m.chip.Number()
	switch {
	case m.ended[number] == card.Spoiled, m.ended[number] == card.Cancelled:
		wantsTransition(w.t, err, m.ended[number], card.Revoke)
		return
	case waits && !m.made:
		wantsTransition(w.t, err, card.Ordered, card.Revoke)
		return
	}
	wants(w.t, err, nil)
	switch {
	case waits:
		m.order, m.chip, m.made = nil, nil, false
	case number == m.live:
		m.live = ""
	default: // it ended before
		if reported.Replacement != nil {
			w.t.Error("a late report ordered a replacement")
		}
		return
	}
	m.end(number, card.Revoked)
	if (reported.Replacement != nil) != (m.eligible && m.order == nil) {
		w.t.Errorf("a replacement: %t, its holder may have one: %t, one is on its way: %t", reported.Replacement != nil, m.eligible, m.order != nil)
	}
	if reported.Replacement != nil {
		m.order, m.failed = reported.Replacement, 0
	}
}

func (w *walker) spoils(m *model) {
	if m.chip == nil {
		if m.live != "" {
			_, err := w.desk.Spoil(context.Background(), bureau, bureau, m.live)
			wantsTransition(w.t, err, card.Active, card.Spoil)
		}
		return
	}
	must(w.desk.Spoil(context.Background(), bureau, bureau, m.chip.Number()))(w.t)
	m.failed++
	switch {
	case m.failed < lifecycle.MaxFailures:
		m.end(m.chip.Number(), card.Spoiled)
	case m.made:
		m.end(m.chip.Number(), card.Revoked)
		m.order = nil
	default:
		m.end(m.chip.Number(), card.Cancelled)
		m.order = nil
	}
	m.chip, m.made = nil, false
}

func (w *walker) cancels(m *model) {
	if m.order == nil {
		return
	}
	err := w.cancel(*m.order)
	if m.made {
		wantsTransition(w.t, err, card.Personalised, card.Cancel)
		return
	}
	wants(w.t, err, nil)
	if m.chip != nil {
		m.end(m.chip.Number(), card.Cancelled)
	} else {
		m.nameless++
	}
	m.order, m.chip = nil, nil
}

// befalls strikes a holder off or takes it back, a day after anything else.
func (w *walker) befalls(m *model) {
	w.clock.Add(24 * 3_600_000)
	kind := registry.StruckOff
	if !m.eligible {
		kind = registry.Reinstated
	}
	w.befall(m.id, kind)
	m.eligible = !m.eligible
}

// compare holds what the ledger has of a holder against the model.
func (w *walker) compare(m *model) {
	w.t.Helper()
	want := map[card.Number]card.State{}
	for number, state := range m.ended {
		want[number] = state
	}
	if m.live != "" {
		want[m.live] = card.Active
	}
	switch {
	case m.made:
		want[m.chip.Number()] = card.Personalised
	case m.chip != nil:
		want[m.chip.Number()] = card.Ordered
	case m.order != nil:
		want[""] = card.Ordered
	}
	cards := must(w.db.CardsOf(context.Background(), m.id))(w.t)
	if len(cards) != len(want)+m.nameless {
		w.t.Errorf("the holder has %d cards, want %d", len(cards), len(want)+m.nameless)
	}
	for _, c := range cards {
		if c.Number == "" && c.State == card.Cancelled {
			continue
		}
		if c.State != want[c.Number] {
			w.t.Errorf("card %q is %s, want %s", c.Number, c.State, want[c.Number])
		}
	}
}
