package endtoend_test

import (
	"bytes"
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
	"cpsca/testpki"
)

const (
	kills      = 20 // instants at which the authority is killed
	applicants = 12 // in each batch
	unharmed   = 4  // batches by which the time of one is measured
	crashSeed  = 20260127
)

// campaign is a house whose authority is killed again and again.
type campaign struct {
	*house
	numbers *testpki.Numbers
	random  *rand.Rand
	whole   time.Duration                  // how long a batch takes when nobody is killed
	told    map[card.OrderID]client.Answer // what bureaux were answered, first
	orders  map[card.OrderID]client.ReadyOrder
	lines   map[card.OrderID]string
	left    map[string]int // in how many rounds the kill left what
}

func TestKilledAtAnyInstantTheAuthorityRecordsExactlyOnePairPerOrder(t *testing.T) {
	h := newHouse(t)
	h.startAuthority(t)
	h.startStatus(t)
	people := testpki.NewPopulation(31, 420)
	h.importRegister(t, people)
	orders := h.order(t, entitled(t, people, (kills+unharmed)*applicants))
	c := &campaign{
		house: h, numbers: testpki.NewNumbers(31), random: rand.New(rand.NewPCG(crashSeed, 0)), left: make(map[string]int),
		told: make(map[card.OrderID]client.Answer), orders: make(map[card.OrderID]client.ReadyOrder), lines: make(map[card.OrderID]string),
	}
	c.measure(t, orders[:unharmed*applicants])
	for round := range kills {
		first := (round + unharmed) * applicants
		c.round(t, round, orders[first:first+applicants])
	}
	t.Logf("a batch takes %v; after the kills: %v", c.whole, c.left)
	if c.left["open intents"] == 0 {
		t.Error("no kill fell between intent and record: the instants prove nothing")
	}
	c.bound(t)
	c.account(t)
	h.verifyJournal(t)
}

// measure sends some batches to their end and takes the median of their times;
// the first, which warms everything up, does not count.
func (c *campaign) measure(t *testing.T, orders []client.ReadyOrder) {
	t.Helper()
	var took []time.Duration
	for part := range slices.Chunk(orders, applicants) {
		text := read(t, c.prepare(t, "unharmed", part))
		bureau := c.connected(t)
		began := time.Now()
		answers, err := send(t, bureau, strings.NewReader(text))
		took = append(took, time.Since(began))
		if err != nil {
			t.Fatal(err)
		}
		c.hear(t, answers)
	}
	took = slices.Sorted(slices.Values(took[1:]))
	c.whole = took[len(took)/2]
}

// connected is the bureau with a connection that stands, so that clocks start
// with the batch.
func (c *campaign) connected(t *testing.T) *client.Client {
	t.Helper()
	bureau := c.as(t, "bureau")
	_, err := bureau.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return bureau
}

// prepare writes the batch file for some orders.
func (c *campaign) prepare(t *testing.T, name string, orders []client.ReadyOrder) string {
	t.Helper()
	lines := batch(t, c.numbers, orders)
	for i, o := range orders {
		c.orders[o.Order], c.lines[o.Order] = o, lines[i]
	}
	path := c.path(name + ".ndjson")
	write(t, path, strings.Join(lines, "\n")+"\n")
	return path
}

// hear remembers answers; whoever was answered before must be answered the same.
func (c *campaign) hear(t *testing.T, answers []client.Answer) {
	t.Helper()
	for _, a := range answers {
		issued(t, a)
		before, ok := c.told[a.Order]
		if !ok {
			c.told[a.Order] = a
			continue
		}
		for n, one := range a.Certificates {
			if !bytes.Equal(one.Certificate, before.Certificates[n].Certificate) {
				t.Errorf("order %s has another certificate than its bureau was told", a.Order)
			}
		}
	}
}

// round kills the authority at one instant of a batch, starts it again at once
// and sends the same file.
func (c *campaign) round(t *testing.T, round int, orders []client.ReadyOrder) {
	path := c.prepare(t, fmt.Sprintf("batch-%02d", round), orders)
	// The instants are spread over the batch and a bit more; within its part
	// each is drawn.
	part := c.whole * 13 / 10 / kills
	after := part*time.Duration(round) + time.Duration(c.random.Int64N(int64(part)))
	victim, bureau, text := c.authority, c.connected(t), read(t, path)
	timer := time.AfterFunc(after, func() { _ = victim.command.Process.Kill() })
	defer timer.Stop()
	answers, _ := send(t, bureau, strings.NewReader(text)) // cut off, or just in time
	<-victim.done
	c.hear(t, slices.DeleteFunc(answers, func(a client.Answer) bool { return a.Status != client.Issued }))
	c.note(t, orders)
	c.startAuthority(t)
	c.abandoned(t, orders)
	c.must(t, "personalise", path)
	again := readAnswers(t, path+".answers")
	if len(again) != len(orders) {
		t.Fatalf("round %d: %d answers to %d lines", round, len(again), len(orders))
	}
	c.hear(t, again)
}

// note counts what the kill left in the ledger, before anybody opened it again.
func (c *campaign) note(t *testing.T, orders []client.ReadyOrder) {
	states := make(map[string]int)
	for _, i := range c.intentsOf(t, orders) {
		states[i.state]++
	}
	switch {
	case states["intent"] > 0:
		c.left["open intents"]++
	case states["recorded"] == len(orders)*len(card.Uses):
		c.left["everything recorded"]++
	case states["recorded"] > 0:
		c.left["a part recorded"]++
	default:
		c.left["nothing"]++
	}
}

func (c *campaign) intentsOf(t *testing.T, orders []client.ReadyOrder) []intent {
	t.Helper()
	mine := make(map[card.OrderID]bool, len(orders))
	for _, o := range orders {
		mine[o.Order] = true
	}
	return slices.DeleteFunc(c.intents(t), func(i intent) bool { return !mine[i.order] })
}

// abandoned checks, before anything is sent again, that the start left no open
// intent, and that an abandoned order takes no other card and no other keys.
func (c *campaign) abandoned(t *testing.T, orders []client.ReadyOrder) {
	t.Helper()
	given := make(map[card.OrderID]bool)
	for _, i := range c.intentsOf(t, orders) {
		switch i.state {
		case "intent":
			t.Errorf("the authority serves and the intent %s of the process before is open", i.serial)
		case "abandoned":
			given[i.order] = true
		}
	}
	for order := range given {
		c.bindingHolds(t, order)
		return
	}
}

// bindingHolds sends an order with other keys, and with another card, and wants
// both refused.
func (c *campaign) bindingHolds(t *testing.T, order card.OrderID) {
	t.Helper()
	other := newCard(t, c.numbers)
	for name, application := range map[string]client.Application{
		"another card with other keys": apply(t, other, c.orders[order]),
		"the same card number, other keys": func() client.Application {
			a := apply(t, other, c.orders[order])
			a.Card = c.cardOf(t, order)
			return a
		}(),
		"another card number, the same keys": c.renumbered(t, order),
	} {
		a := sendAll(t, c.as(t, "bureau"), line(t, application))[0]
		if a.Status != client.Refused || a.Problem.Status != http.StatusConflict || a.Problem.Code() != "order-bound" {
			t.Errorf("%s for order %s: %s, %v, want 409 order-bound", name, order, a.Status, a.Problem)
		}
	}
}

func (c *campaign) application(t *testing.T, order card.OrderID) client.Application {
	t.Helper()
	var a client.Application
	unmarshal(t, c.lines[order], &a)
	return a
}

func (c *campaign) cardOf(t *testing.T, order card.OrderID) card.Number {
	return c.application(t, order).Card
}

func (c *campaign) renumbered(t *testing.T, order card.OrderID) client.Application {
	a := c.application(t, order)
	a.Card = c.numbers.Next()
	return a
}

// bound checks that recorded orders stay bound to their card and keys.
func (c *campaign) bound(t *testing.T) {
	t.Helper()
	for n, order := range slices.Sorted(maps.Keys(c.told)) {
		if n%40 == 0 {
			c.bindingHolds(t, order)
		}
	}
}

// account holds ledger, witness, OCSP and list against each other at the end.
func (c *campaign) account(t *testing.T) {
	t.Helper()
	issuer := c.issuer(t)
	recorded := make(map[card.OrderID]int)
	serials := make(map[card.Serial]string)
	_, signed := c.witnessed(t)
	abandonedSigned := 0
	for _, i := range c.intents(t) {
		if serials[i.serial] != "" {
			t.Errorf("the serial %s occurs twice", i.serial)
		}
		serials[i.serial] = i.state
		times := signed[digest(i.tbs)]
		switch i.state {
		case "recorded":
			recorded[i.order]++
			if times != 1 {
				t.Errorf("the recorded certificate %s was signed %d times", i.serial, times)
			}
		case "abandoned":
			abandonedSigned += times
			if times > 1 {
				t.Errorf("the abandoned %s was signed %d times", i.serial, times)
			}
		default:
			t.Errorf("the intent %s is %s", i.serial, i.state)
		}
	}
	for order := range c.orders {
		if recorded[order] != len(card.Uses) {
			t.Errorf("order %s has %d recorded certificates", order, recorded[order])
		}
	}
	c.answersAreRecorded(t, serials)
	feed := c.feedStates(t)
	wanted := map[string]card.Status{"recorded": card.StatusHeld, "abandoned": card.StatusRevoked}
	for serial, state := range serials {
		if feed[serial].Status != wanted[state] {
			t.Errorf("the feed says %s of %s, which is %s", feed[serial].Status, serial, state)
		}
	}
	gave := 0
	for _, state := range serials {
		if state == "abandoned" {
			gave++
		}
	}
	t.Logf("%d orders, %d certificates abandoned, %d of them after their signature was asked for", len(c.orders), gave, abandonedSigned)
	verdicts := map[string]string{"recorded": "held", "abandoned": "revoked"}
	until(t, visibleOCSP, "OCSP agrees with the ledger", func() bool {
		for serial, state := range serials {
			if !c.says(t, issuer, serial, verdicts[state]) {
				return false
			}
		}
		return true
	})
	until(t, visibleList, "the list agrees with the ledger", func() bool {
		_, listed := c.listed(t, issuer)
		for serial := range serials {
			if !listed[serial] {
				return false
			}
		}
		return len(listed) == len(serials)
	})
}

// answersAreRecorded checks that what bureaux were told is what the ledger has.
func (c *campaign) answersAreRecorded(t *testing.T, serials map[card.Serial]string) {
	t.Helper()
	issuer := c.issuer(t)
	if len(c.told) != len(c.orders) {
		t.Errorf("%d orders were answered, want %d", len(c.told), len(c.orders))
	}
	seen := make(map[card.Serial]bool)
	for order, a := range c.told {
		for _, one := range a.Certificates {
			if seen[one.Serial] || serials[one.Serial] != "recorded" {
				t.Errorf("order %s was answered with %s, which is %q", order, one.Serial, serials[one.Serial])
			}
			seen[one.Serial] = true
			certificate(t, one.Certificate, issuer)
		}
	}
}
