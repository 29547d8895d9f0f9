package endtoend_test

import (
	"io"
	"strings"
	"testing"

	"cpsca/card"
	"cpsca/client"
	"cpsca/testpki"
)

func TestASecondAuthorityTakesOverAndTheFirstIsFenced(t *testing.T) {
	h := newHouse(t)
	h.startAuthority(t)
	people := testpki.NewPopulation(71, 40)
	h.importRegister(t, people)
	chosen := entitled(t, people, 9)
	orders := h.order(t, chosen[:8])
	lines := batch(t, testpki.NewNumbers(71), orders)
	first := h.as(t, "bureau")

	// Half of the batch goes through the first authority; before the other half
	// a second one opens the ledger.
	reader, writer := io.Pipe()
	var second *process
	other := freeAddresses(t)
	answers := make(chan client.Answer)
	go func() {
		defer close(answers)
		_, err := first.ApplicationLines(t.Context(), reader, func(a client.Answer) error { answers <- a; return nil })
		reader.CloseWithError(err)
	}()
	put(t, writer, lines[:4])
	for range 4 {
		issued(t, <-answers)
	}
	second = h.second(t, other)
	put(t, writer, lines[4:])
	err := writer.Close()
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for a := range answers {
		refused++
		if a.Status != client.Refused || a.Problem == nil || a.Problem.Code() != "taken-over" || a.Problem.RetryAfter == 0 {
			t.Errorf("line %d, through the authority that was fenced: %s, %v", a.Line, a.Status, a.Problem)
		}
	}
	if refused != 4 {
		t.Errorf("%d answers after the second authority started, want 4", refused)
	}
	if n := len(h.intents(t)); n != 4*len(card.Uses) {
		t.Errorf("%d intents, want those of the first half", n)
	}
	code := h.authority.ended(t)
	if text := read(t, h.authority.log); code != 1 || !strings.Contains(text, "another process writes this ledger") {
		t.Errorf("the fenced authority ended with %d, want 1 and a sentence\n%s", code, text)
	}

	again := sendAll(t, h.speak(t, other.authority, "bureau"), lines...)
	for n, a := range again {
		issued(t, a)
		if a.Replayed != (n < 4) {
			t.Errorf("line %d through the second authority: replayed is %t", a.Line, a.Replayed)
		}
	}
	_, err = h.speak(t, other.authority, "desk").Activate(t.Context(), cardOf(t, lines[0]))
	if err != nil {
		t.Errorf("activating through the second: %v", err)
	}
	h.verifyJournal(t)
	if code := second.stop(t); code != 0 {
		t.Errorf("the second authority ended with %d\n%s", code, read(t, second.log))
	}
	h.verifyJournal(t)
	for _, i := range h.intents(t) {
		if i.state != "recorded" || i.attempt != 1 {
			t.Errorf("order %s: attempt %d is %s", i.order, i.attempt, i.state)
		}
	}
}

// second starts another authority on the same ledger.
func (h *house) second(t *testing.T, at addresses) *process {
	t.Helper()
	text := strings.NewReplacer(h.addresses.authority, at.authority, h.addresses.management, at.management).Replace(read(t, h.path("authority.yaml")))
	write(t, h.path("second.yaml"), text)
	p := h.launch(t, "cpsca-authority", "second.yaml")
	p.ready(t, at.management)
	return p
}

func put(t *testing.T, w io.Writer, lines []string) {
	t.Helper()
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	if err != nil {
		t.Fatal(err)
	}
}

func cardOf(t *testing.T, text string) card.Number {
	t.Helper()
	var a client.Application
	unmarshal(t, text, &a)
	return a.Card
}
