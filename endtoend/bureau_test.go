package endtoend_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"cpsca/card"
	"cpsca/client"
	"cpsca/hsm"
	"cpsca/registry"
	"cpsca/testpki"
)

// importRegister writes the files of a population and brings them in.
func (h *house) importRegister(t *testing.T, people *testpki.Population) {
	t.Helper()
	for _, file := range []struct {
		kind  string
		write func(io.Writer) (int, error)
	}{{client.Persons, people.WritePersons}, {client.Events, people.WriteEvents}, {client.Contacts, people.WriteContacts}} {
		path := h.path(file.kind + ".txt")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = file.write(f)
		if err != nil {
			t.Fatal(err)
		}
		err = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		h.must(t, "registry", "import", file.kind, path)
	}
}

// entitled lists people that get a card without more ado.
func entitled(t *testing.T, people *testpki.Population, n int) []testpki.Professional {
	t.Helper()
	var out []testpki.Professional
	for _, one := range people.Eligible() {
		if len(one.Professions()) == 1 && len(out) < n {
			out = append(out, one)
		}
	}
	if len(out) < n {
		t.Fatalf("%d people are entitled, want %d", len(out), n)
	}
	return out
}

// order orders a card for each and returns the orders as the bureau gets them,
// in the order of people.
func (h *house) order(t *testing.T, people []testpki.Professional) []client.ReadyOrder {
	t.Helper()
	numbers := make([]string, len(people))
	for i, one := range people {
		numbers[i] = string(one.Person.ID)
	}
	write(t, h.path("numbers.txt"), strings.Join(numbers, "\n")+"\n")
	h.must(t, "order", "create", "--file", h.path("numbers.txt"))
	ready := make(map[registry.NationalID]client.ReadyOrder)
	for o, err := range h.as(t, "bureau").ReadyOrders(t.Context(), "", 0) {
		if err != nil {
			t.Fatal(err)
		}
		ready[o.Holder.ID] = o
	}
	out := make([]client.ReadyOrder, len(people))
	for i, one := range people {
		var ok bool
		out[i], ok = ready[one.Person.ID]
		if !ok {
			t.Fatal("an order is not ready")
		}
	}
	return out
}

func newCard(t *testing.T, numbers *testpki.Numbers) *testpki.Card {
	t.Helper()
	c, err := testpki.NewCard(numbers.Next(), hsm.P256)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func request(der []byte) client.Request {
	return client.Request{CSR: base64.StdEncoding.EncodeToString(der)}
}

// apply is the honest application of a card for an order.
func apply(t *testing.T, c *testpki.Card, o client.ReadyOrder) client.Application {
	t.Helper()
	a := client.Application{Order: o.Order, Card: c.Number()}
	for use, into := range map[card.Use]*client.Request{card.Authentication: &a.Authentication, card.Signature: &a.Signature} {
		der, err := c.Request(use, o.Challenges[use])
		if err != nil {
			t.Fatal(err)
		}
		*into = request(der)
	}
	return a
}

func line(t *testing.T, a client.Application) string {
	t.Helper()
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// batch makes honest cards for orders and returns the lines of their
// applications.
func batch(t *testing.T, numbers *testpki.Numbers, orders []client.ReadyOrder) []string {
	t.Helper()
	out := make([]string, len(orders))
	for i, o := range orders {
		out[i] = line(t, apply(t, newCard(t, numbers), o))
	}
	return out
}

// send sends lines over one connection and returns the answers that came, and
// how the stream ended.
func send(t *testing.T, bureau *client.Client, lines io.Reader) ([]client.Answer, error) {
	t.Helper()
	var out []client.Answer
	_, err := bureau.ApplicationLines(t.Context(), lines, func(a client.Answer) error {
		out = append(out, a)
		return nil
	})
	return out, err
}

// sendAll sends lines that must all be answered.
func sendAll(t *testing.T, bureau *client.Client, lines ...string) []client.Answer {
	t.Helper()
	out, err := send(t, bureau, strings.NewReader(strings.Join(lines, "\n")+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != len(lines) {
		t.Fatalf("%d answers to %d lines", len(out), len(lines))
	}
	return out
}

// issued fails the test unless a line was answered by a pair of certificates.
func issued(t *testing.T, a client.Answer) {
	t.Helper()
	if a.Status != client.Issued || len(a.Certificates) != len(card.Uses) {
		t.Fatalf("line %d: %s, %v", a.Line, a.Status, a.Problem)
	}
}

// readAnswers reads a file of answers; a torn last line is passed over.
func readAnswers(t *testing.T, path string) []client.Answer {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []client.Answer
	lines := bufio.NewReader(f)
	for {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			return out
		}
		var a client.Answer
		err = json.Unmarshal(text, &a)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, a)
	}
}

func unmarshal(t *testing.T, text string, into any) {
	t.Helper()
	err := json.Unmarshal([]byte(text), into)
	if err != nil {
		t.Fatalf("reading %.60q: %v", text, err)
	}
}

// refusedAs fails the test unless an error is a problem of that status and code.
func refusedAs(t *testing.T, what string, err error, status int, code string) {
	t.Helper()
	var p *client.Problem
	if !errors.As(err, &p) || p.Status != status || p.Code() != code {
		t.Errorf("%s: got %v, want %d %s", what, err, status, code)
	}
}
