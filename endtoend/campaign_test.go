package endtoend_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cpsca/card"
	"cpsca/client"
	"cpsca/store"
	"cpsca/testpki"
)

const (
	newLines   = 40 // of a batch; as many that were sent before come again
	oldLines   = 6
	unharmed   = 4  // batches by which the time of one is measured
	everyWhole = 25 // mishaps between two judgements of everything
)

// campaign is a house whose authority is struck again and again, at random
// instants from its start to the end of a batch.
type campaign struct {
	*house
	*account
	numbers *testpki.Numbers
	random  *rand.Rand
	start   time.Duration // how long a start takes when nobody strikes
	batch   time.Duration // and a batch
	pending []client.ReadyOrder
	ready   map[card.OrderID]client.ReadyOrder
	lines   map[card.OrderID]string
	cards   map[card.OrderID]card.Number // of orders that were answered
	bureau  *client.Client
	desk    *client.Client
	officer *client.Client
	tokens  map[string]string // files of the software tokens, as they were founded
	mishaps int
	left    map[string]int // after how many mishaps what was left
	// strike ends the authority at once; it is called at the instant itself.
	strike func(victim *process)
	// rest brings what outlived it to rest, and says where it can be read.
	rest func(t *testing.T) (ledger, folder string)
	// view says where the ledger of the authority that serves can be read.
	view func(t *testing.T) (ledger, folder string)
}

// newCampaign founds a house with so many open orders.
func newCampaign(t *testing.T, seed uint64, orders int) *campaign {
	t.Helper()
	h := newHouse(t)
	h.startAuthority(t)
	people := testpki.NewPopulation(seed, orders*7/5+40)
	h.importRegister(t, people)
	_, signed := h.witnessed(t)
	c := &campaign{
		house: h, account: newAccount(t, h.issuer(t), signed), numbers: testpki.NewNumbers(seed), random: rand.New(rand.NewPCG(seed, 0)),
		pending: h.order(t, entitled(t, people, orders)), ready: make(map[card.OrderID]client.ReadyOrder),
		lines: make(map[card.OrderID]string), cards: make(map[card.OrderID]card.Number), left: make(map[string]int),
		bureau: h.as(t, "bureau"), desk: h.as(t, "desk"), officer: h.as(t, "officer-alice-martin"),
		strike: func(victim *process) { _ = victim.command.Process.Kill() },
	}
	c.tokens = files(t, h.path("hsm"))
	c.view = func(*testing.T) (string, string) { return h.path("ledger.db"), h.path("lists") }
	c.rest = func(t *testing.T) (string, string) {
		t.Helper()
		if c.authority.command.ProcessState.Exited() {
			t.Fatalf("the authority ended by itself:\n%s", lastLines(read(t, c.authority.log)))
		}
		return c.view(t)
	}
	return c
}

// startAuthority starts it with whole tokens.
func (c *campaign) startAuthority(t *testing.T) {
	t.Helper()
	c.mendTokens(t)
	c.house.startAuthority(t)
}

// measure sends some batches to their end, and takes the medians of their times,
// and of starts; the first batch, which warms everything up, does not count.
func (c *campaign) measure(t *testing.T) {
	t.Helper()
	var batches, starts []time.Duration
	for n := range unharmed {
		lines, orders := c.compose(t)
		began := time.Now()
		answers, err := send(t, c.bureau, lines)
		if n > 0 {
			batches = append(batches, time.Since(began))
		}
		if err != nil || len(answers) != len(orders) {
			t.Fatalf("%d answers to %d lines: %v", len(answers), len(orders), err)
		}
		c.hear(t, answers)
	}
	for range 2 {
		c.authority.kill()
		began := time.Now()
		c.startAuthority(t)
		starts = append(starts, time.Since(began))
	}
	c.authority.kill()
	c.batch, c.start = slices.Sorted(slices.Values(batches))[len(batches)/2], slices.Min(starts)
}

// compose makes a batch: some lines that were answered before, the ones that were
// not, and new ones behind them.
func (c *campaign) compose(t *testing.T) (*strings.Reader, []card.OrderID) {
	t.Helper()
	var orders []card.OrderID
	told := slices.Sorted(maps.Keys(c.told))
	for range min(oldLines, len(told)) {
		one := told[c.random.IntN(len(told))]
		if !slices.Contains(orders, one) {
			orders = append(orders, one)
		}
	}
	for _, o := range c.pending[:min(newLines, len(c.pending))] {
		if c.lines[o.Order] == "" {
			application := apply(t, newCard(t, c.numbers), o)
			c.asks(t, application, o.Holder.ID)
			c.lines[o.Order], c.ready[o.Order] = line(t, application), o
		}
		orders = append(orders, o.Order)
	}
	c.random.Shuffle(len(orders), func(i, j int) { orders[i], orders[j] = orders[j], orders[i] })
	var text strings.Builder
	for _, order := range orders {
		text.WriteString(c.lines[order] + "\n")
	}
	return strings.NewReader(text.String()), orders
}

// hear takes answers. An honest application is never refused: it may be asked for
// again at most.
func (c *campaign) hear(t *testing.T, answers []client.Answer) {
	t.Helper()
	for _, a := range answers {
		if a.Status != client.Issued {
			if a.Problem == nil || a.Problem.Status < http.StatusInternalServerError {
				t.Errorf("order %s was refused: %v", a.Order, a.Problem)
			}
			continue
		}
		issued(t, a)
		told := make(pair)
		for _, one := range a.Certificates {
			told[one.Use] = one.Certificate
		}
		_, before := c.told[a.Order]
		if before && !a.Replayed {
			t.Errorf("order %s was answered before, and again as if for the first time", a.Order)
		}
		c.blame(t, c.hears(a.Order, told))
		c.cards[a.Order] = a.Card
	}
	c.pending = slices.DeleteFunc(c.pending, func(o client.ReadyOrder) bool { return c.told[o.Order] != nil })
}

func (c *campaign) blame(t *testing.T, faults []string) {
	t.Helper()
	for n, fault := range faults {
		if n == 10 {
			t.Errorf("and %d more", len(faults)-n)
			break
		}
		t.Error(fault)
	}
	if t.Failed() {
		t.Fatalf("after mishap %d", c.mishaps)
	}
}

// round starts the authority, strikes it at one instant of its start or of a
// batch, and judges what is left.
func (c *campaign) round(t *testing.T) {
	t.Helper()
	c.mishaps++
	c.mendTokens(t)
	c.authority = c.launch(t, "cpsca-authority", "authority.yaml")
	var orders []card.OrderID
	if c.random.IntN(10) < 3 {
		c.strikeAfter(t, c.start)
		<-c.authority.done
		c.left["killed while it started"]++
	} else {
		c.authority.ready(t, c.addresses.management)
		c.serves(t)
		orders = c.cutOff(t)
	}
	ledger, folder := c.rest(t)
	c.note(t, ledger, orders)
	c.judge(t, moment{ledger: ledger, folder: folder, orders: orders, whole: c.mishaps%everyWhole == 0})
}

func (c *campaign) strikeAfter(t *testing.T, most time.Duration) {
	victim := c.authority
	timer := time.AfterFunc(time.Duration(c.random.Int64N(int64(most))), func() { c.strike(victim) })
	t.Cleanup(func() { timer.Stop() })
}

// serves judges an authority that has started again and was asked nothing.
func (c *campaign) serves(t *testing.T) {
	t.Helper()
	ledger, folder := c.view(t)
	c.judge(t, moment{ledger: ledger, folder: folder, serving: true, orders: []card.OrderID{""}})
	if c.mishaps%5 == 0 {
		c.bindingHolds(t)
	}
}

func (c *campaign) judge(t *testing.T, m moment) {
	t.Helper()
	_, m.signed = c.witnessed(t)
	c.blame(t, c.checkAll(t, m))
}

// cutOff sends a batch, and beside it a loss report and the wish for a list,
// until the authority is struck. What was acknowledged is remembered.
func (c *campaign) cutOff(t *testing.T) []card.OrderID {
	t.Helper()
	lines, orders := c.compose(t)
	_, err := c.bureau.Version(t.Context()) // the connection stands
	if err != nil {
		t.Fatal(err)
	}
	lost, published := c.beside(t)
	c.strikeAfter(t, c.batch*12/10)
	answers, err := send(t, c.bureau, lines) // cut off, or just in time
	if err == nil {
		c.left["everything answered"]++
	}
	<-c.authority.done
	c.hear(t, answers)
	if number := <-lost; number != "" {
		c.lost[number] = true
	}
	c.number = max(c.number, <-published)
	return orders
}

// beside does, in one round of three each, what others do while a bureau sends.
func (c *campaign) beside(t *testing.T) (lost chan card.Number, published chan int64) {
	lost, published = make(chan card.Number, 1), make(chan int64, 1)
	orders := slices.Sorted(maps.Keys(c.cards))
	victim := c.cards[orders[c.random.IntN(len(orders))]]
	ctx, which := t.Context(), c.random.IntN(3)
	go func() {
		defer close(lost)
		if which == 0 && reportLoss(ctx, c.desk, victim) == nil {
			lost <- victim
		}
	}()
	go func() {
		defer close(published)
		if which == 1 {
			list, _ := c.officer.Publish(ctx, c.issuerID) // zero if it was cut off
			published <- list.Number
		}
	}()
	return lost, published
}

func reportLoss(ctx context.Context, desk *client.Client, number card.Number) error {
	_, err := desk.ReportLoss(ctx, number, client.Loss{Circumstance: card.Lost})
	return err
}

// note counts what was left in the ledger, before anybody opened it again.
func (c *campaign) note(t *testing.T, ledger string, orders []card.OrderID) {
	t.Helper()
	states := make(map[string]int)
	for _, i := range intentsIn(t, ledger) {
		if slices.Contains(orders, i.order) {
			states[i.state]++
		}
	}
	switch {
	case len(orders) == 0:
	case states["intent"] > 0:
		c.left["open intents"]++
	case states["recorded"] == len(orders)*len(card.Uses):
		c.left["everything recorded"]++
	default:
		c.left["a part recorded"]++
	}
}

// bindingHolds sends an order that was answered, or was abandoned, with other
// keys and with another card, and wants both refused.
func (c *campaign) bindingHolds(t *testing.T) {
	t.Helper()
	bound := slices.Sorted(maps.Keys(c.told))
	order := bound[c.random.IntN(len(bound))]
	other := newCard(t, c.numbers)
	applications := map[string]client.Application{"another card with other keys": apply(t, other, c.ready[order])}
	var a client.Application
	unmarshal(t, c.lines[order], &a)
	b := apply(t, other, c.ready[order])
	b.Card = a.Card
	applications["the same card number, other keys"] = b
	a.Card = c.numbers.Next()
	applications["another card number, the same keys"] = a
	for name, application := range applications {
		a := sendAll(t, c.bureau, line(t, application))[0]
		if a.Status != client.Refused || a.Problem.Status != http.StatusConflict || a.Problem.Code() != "order-bound" {
			t.Errorf("%s for order %s: %s, %v, want 409 order-bound", name, order, a.Status, a.Problem)
		}
	}
}

// end lets the authority come to rest, and holds ledger, list and OCSP against
// each other.
func (c *campaign) end(t *testing.T) {
	t.Helper()
	c.startAuthority(t)
	lines, orders := c.compose(t)
	answers, err := send(t, c.bureau, lines)
	if err != nil || len(answers) != len(orders) {
		t.Fatalf("%d answers to %d lines: %v", len(answers), len(orders), err)
	}
	c.hear(t, answers)
	list, err := c.officer.Publish(t.Context(), c.issuerID)
	if err != nil {
		t.Fatal(err)
	}
	c.number = list.Number
	ledger, folder := c.view(t)
	c.judge(t, moment{ledger: ledger, folder: folder, serving: true, idle: true, whole: true})
	intents := intentsIn(t, ledger)
	c.left["orders answered"], c.left["certificates"] = len(c.told), len(intents)
	for _, i := range intents {
		if i.state == "abandoned" {
			c.left["abandoned"]++
		}
	}
	c.left["lists"], c.left["reported lost"] = int(c.number), len(c.lost)
	c.ocspAgrees(t, ledger)
	c.verifyJournal(t)
	t.Logf("a start takes %v, a batch %v; %d mishaps: %v; %d signatures at most were of lists that nobody saw",
		c.start, c.batch, c.mishaps, c.left, c.unseen)
}

// ocspAgrees asks the status service about some certificates of every state: what
// the world is told is what the ledger says.
func (c *campaign) ocspAgrees(t *testing.T, ledger string) {
	t.Helper()
	db, err := store.OpenReadOnly(store.Config{Path: ledger})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	revocations, _, err := db.Revocations(t.Context(), c.issuerID)
	if err != nil {
		t.Fatal(err)
	}
	c.startStatus(t)
	verdicts := make(map[card.Serial]string)
	for n, r := range revocations {
		if n%7 == 0 || r.Cause == card.CauseCard || n > len(revocations)-20 {
			verdicts[r.Serial] = string(r.Status)
		}
	}
	until(t, visibleOCSP, fmt.Sprintf("OCSP agrees with the ledger about %d certificates", len(verdicts)), func() bool {
		for serial, verdict := range verdicts {
			if !c.says(t, c.issuing, serial, verdict) {
				return false
			}
		}
		return true
	})
}
