package endtoend_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"cpsca/card"
	"cpsca/client"
	"cpsca/registry"
	"cpsca/testpki"
)

// sample is a line of the batch with what should become of it.
type sample struct {
	name string
	text string
	// want lists the codes of the problem that may be told; empty: issued.
	want []string
	// order and people index what the line spends, -1 if it spends no order.
	order int
}

// scribe writes the batch of bad lines among good ones.
type scribe struct {
	t       *testing.T
	numbers *testpki.Numbers
	people  []testpki.Professional
	orders  []client.ReadyOrder
	used    int
	samples []sample
}

// spare is an order that no line has spent.
func (s *scribe) spare() (int, client.ReadyOrder) {
	s.used++
	return s.used - 1, s.orders[s.used-1]
}

func (s *scribe) good() {
	n, o := s.spare()
	s.samples = append(s.samples, sample{name: "an honest application", text: line(s.t, apply(s.t, newCard(s.t, s.numbers), o)), order: n})
}

// raw is a line that is not an application.
func (s *scribe) raw(name, text string, want ...string) {
	s.samples = append(s.samples, sample{name, text, want, -1})
}

// changed is an application that change makes a bad one.
func (s *scribe) changed(name string, change func(a *client.Application, c *testpki.Card, o client.ReadyOrder), want ...string) int {
	n, o := s.spare()
	c := newCard(s.t, s.numbers)
	a := apply(s.t, c, o)
	change(&a, c, o)
	s.samples = append(s.samples, sample{name, line(s.t, a), want, n})
	return n
}

func (s *scribe) flawed(flaw testpki.Flaw, use card.Use, want ...string) {
	s.changed(string(flaw)+", "+string(use), func(a *client.Application, c *testpki.Card, o client.ReadyOrder) {
		der, err := c.FlawedRequest(flaw, use, o.Challenges[use])
		if err != nil {
			s.t.Fatal(err)
		}
		*map[card.Use]*client.Request{card.Authentication: &a.Authentication, card.Signature: &a.Signature}[use] = request(der)
	}, want...)
}

func (s *scribe) requestOf(c *testpki.Card, use card.Use, challenge string) client.Request {
	der, err := c.Request(use, challenge)
	if err != nil {
		s.t.Fatal(err)
	}
	return request(der)
}

// badRequests are applications whose requests nobody should certify, or not as
// they ask.
func (s *scribe) badRequests() {
	for _, one := range []struct {
		flaw testpki.Flaw
		want []string
	}{
		{testpki.WrongChallenge, []string{"challenge"}},
		{testpki.NoChallenge, []string{"challenge"}},
		{testpki.TwoChallenges, []string{"challenge", "request"}},
		{testpki.BadSignature, []string{"proof"}},
		{testpki.WeakDigest, []string{"proof", "request"}},
		{testpki.ForeignKey, []string{"proof"}},
		{testpki.Trailing, []string{"request"}},
		{testpki.RSA1024, []string{"key"}},
		{testpki.SmallExponent, []string{"key"}},
		{testpki.P224, []string{"key"}},
		{testpki.NoParameters, []string{"key", "request"}},
		{testpki.LongLength, []string{"key", "request"}},
		{testpki.Compressed, []string{"key", "request"}},
		{testpki.OffCurve, []string{"key", "request"}},
		{testpki.AskAuthority, nil},
		{testpki.AskName, nil},
	} {
		s.flawed(one.flaw, card.Uses[len(s.samples)%len(card.Uses)], one.want...)
	}
	s.changed("a request with the challenge of another order", func(a *client.Application, c *testpki.Card, _ client.ReadyOrder) {
		a.Authentication = s.requestOf(c, card.Authentication, s.orders[0].Challenges[card.Authentication])
	}, "challenge")
	s.changed("a request with the challenge of the other use", func(a *client.Application, c *testpki.Card, o client.ReadyOrder) {
		a.Signature = s.requestOf(c, card.Signature, o.Challenges[card.Authentication])
	}, "challenge")
	s.changed("both requests for one key", func(a *client.Application, c *testpki.Card, o client.ReadyOrder) {
		a.Signature = s.requestOf(c, card.Authentication, o.Challenges[card.Signature])
	}, "key-known", "key")
	s.changed("no request for signature", func(a *client.Application, _ *testpki.Card, _ client.ReadyOrder) {
		a.Signature = client.Request{}
	}, "incomplete")
	s.changed("a request that is no DER", func(a *client.Application, _ *testpki.Card, _ client.ReadyOrder) {
		a.Signature = request([]byte("not a request"))
	}, "request")
}

// repetitions use a key, or a number, that an application before them used.
func (s *scribe) repetitions() {
	first := newCard(s.t, s.numbers)
	s.changed("the first of two orders with one card's keys", func(a *client.Application, _ *testpki.Card, o client.ReadyOrder) {
		*a = apply(s.t, first, o)
	})
	s.changed("another order with the same keys on another card", func(a *client.Application, _ *testpki.Card, o client.ReadyOrder) {
		number := a.Card
		*a = apply(s.t, first, o)
		a.Card = number
	}, "key-known")
	s.changed("another order with a card number that is taken", func(a *client.Application, _ *testpki.Card, _ client.ReadyOrder) {
		a.Card = first.Number()
	}, "number-taken")
	s.changed("one key as authentication key of one card, as signature key of another", func(a *client.Application, _ *testpki.Card, o client.ReadyOrder) {
		a.Signature = s.requestOf(first, card.Authentication, o.Challenges[card.Signature])
	}, "key-known")
}

// badLines are no applications at all.
func (s *scribe) badLines() {
	_, o := s.spare()
	honest := line(s.t, apply(s.t, newCard(s.t, s.numbers), o))
	s.raw("half an object", honest[:len(honest)/2], "line")
	s.raw("an array", "["+honest+"]", "line")
	s.raw("two objects", honest+honest, "line")
	s.raw("a member that nobody knows", strings.Replace(honest, "{", `{"holder":"somebody",`, 1), "line")
	s.raw("octets", "\x00\xff\xfe{}", "line")
	s.raw("a card number of eleven digits", strings.Replace(honest, `"card":"`, `"card":"1`, 1), "card-number")
	s.raw("an order of nobody: its number is not in the register, so it could not be ordered", strings.Replace(honest, string(o.Order), "0123456789", 1), "order-unknown")
	s.raw("a line of 64 KiB and one octet", honest+strings.Repeat(" ", 64<<10+1-len(honest)), "line-size")
	s.raw("a line of a megabyte", strings.Repeat("x", 1<<20), "line-size")
}

func TestEachBadLineIsNamedAndTheOthersAreIssued(t *testing.T) {
	h := newHouse(t)
	h.edit(t, "authority.yaml", "rsa: []", "rsa: [2048]") // so that an RSA key is refused for its own fault
	h.startAuthority(t)
	people := testpki.NewPopulation(11, 90)
	h.importRegister(t, people)
	s := &scribe{t: t, numbers: testpki.NewNumbers(11), people: entitled(t, people, 50)}
	s.orders = h.order(t, s.people)
	s.good()
	s.badLines()
	s.good()
	s.badRequests()
	s.good()
	s.repetitions()
	struck := s.changed("a holder struck off between order and application", func(*client.Application, *testpki.Card, client.ReadyOrder) {}, "struck-off")
	moved := s.changed("a holder whose address is gone", func(*client.Application, *testpki.Card, client.ReadyOrder) {}, "address", "not-ready")
	s.good()
	h.befall(t, s.people[struck].Person.ID, s.people[moved].Person.ID)
	_, signedBefore := h.witnessed(t)
	path := h.path("batch.ndjson")
	write(t, path, s.text())

	a := h.cpsca(t, "personalise", path, "--certificates", h.path("cards"))
	if a.code != 4 {
		t.Fatalf("exit code %d, want 4: part was refused\n%s", a.code, a.stderr)
	}
	answers := readAnswers(t, path+".answers")
	s.judge(t, answers)
	h.nothingForTheRefused(t, s, answers, signedBefore)
	t.Run("sent again, the same lines are refused under the numbers that they have in the file", func(t *testing.T) {
		h.must4(t, "personalise", path)
		again := readAnswers(t, path+".answers")[len(answers):]
		refused := slices.DeleteFunc(slices.Clone(answers), func(a client.Answer) bool { return a.Status == client.Issued })
		if len(again) != len(refused) {
			t.Fatalf("%d answers to %d lines that were refused", len(again), len(refused))
		}
		for i, a := range again {
			if a.Problem == nil || a.Problem.Code() != refused[i].Problem.Code() {
				t.Errorf("line %d: %v, before %v", refused[i].Line, a.Problem, refused[i].Problem)
				continue
			}
			if a.Line != refused[i].Line || a.Problem.Line != refused[i].Line {
				t.Errorf("line %d of the file: the answer says line %d, its problem line %d", refused[i].Line, a.Line, a.Problem.Line)
			}
		}
	})
	t.Run("corrected, the refused orders are issued: nothing was lost", func(t *testing.T) { s.correct(t, h, struck, moved) })
	h.verifyJournal(t)
}

// must4 calls a verb of which a part must be refused.
func (h *house) must4(t *testing.T, args ...string) answer {
	t.Helper()
	a := h.cpsca(t, args...)
	if a.code != 4 {
		t.Fatalf("cpsca %s: exit code %d, want 4\n%s", strings.Join(args, " "), a.code, a.stderr)
	}
	return a
}

// befall strikes one person off and takes the address of another.
func (h *house) befall(t *testing.T, struck, moved registry.NationalID) {
	t.Helper()
	write(t, h.path("news.txt"), strings.Join(registry.EventColumns(), "|")+"|\n"+string(struck)+"|RADIATION|2026-01-02|Ordre|\n")
	h.must(t, "registry", "import", client.Events, h.path("news.txt"))
	write(t, h.path("moved.txt"), strings.Join(registry.ContactColumns(), "|")+"|\n"+string(moved)+"||||||||||2026-11-20|\n")
	h.must(t, "registry", "import", client.Contacts, h.path("moved.txt"))
}

func (s *scribe) text() string {
	var b strings.Builder
	for _, one := range s.samples {
		b.WriteString(one.text + "\n")
	}
	return b.String()
}

// judge holds each answer against what its line deserves.
func (s *scribe) judge(t *testing.T, answers []client.Answer) {
	t.Helper()
	if len(answers) != len(s.samples) {
		t.Fatalf("%d answers to %d lines", len(answers), len(s.samples))
	}
	for i, one := range s.samples {
		a := answers[i]
		if a.Line != i+1 {
			t.Errorf("%s: the answer says line %d, want %d", one.name, a.Line, i+1)
		}
		if len(one.want) == 0 {
			if a.Status != client.Issued || len(a.Certificates) != len(card.Uses) {
				t.Errorf("%s (line %d): %s, %v", one.name, a.Line, a.Status, a.Problem)
			}
			continue
		}
		if a.Status != client.Refused || a.Problem == nil || len(a.Certificates) > 0 {
			t.Errorf("%s (line %d): %s", one.name, a.Line, a.Status)
			continue
		}
		if !slices.Contains(one.want, a.Problem.Code()) || a.Problem.Line != i+1 || a.Problem.Title == "" || a.Problem.Detail == "" || a.Problem.Incident != "" {
			t.Errorf("%s (line %d): got %+v, want one of %v", one.name, a.Line, *a.Problem, one.want)
		}
	}
}

// nothingForTheRefused looks into the ledger and at what the token signed.
func (h *house) nothingForTheRefused(t *testing.T, s *scribe, answers []client.Answer, before map[string]int) {
	t.Helper()
	good := make(map[card.OrderID]bool)
	for _, a := range answers {
		if a.Status == client.Issued {
			good[a.Order] = true
			s.asked(t, a, h.issuer(t))
		}
	}
	intents := h.intents(t)
	if len(intents) != len(card.Uses)*len(good) {
		t.Errorf("%d intents for %d issued applications", len(intents), len(good))
	}
	_, signed := h.witnessed(t)
	known := 0
	for _, i := range intents {
		if !good[i.order] || i.state != "recorded" || i.attempt != 1 {
			t.Errorf("order %s has an intent that is %s, attempt %d", i.order, i.state, i.attempt)
		}
		if signed[digest(i.tbs)] != 1 {
			t.Errorf("the certificate %s was signed %d times", i.serial, signed[digest(i.tbs)])
		}
		known++
	}
	states := h.feedStates(t)
	held := 0
	for _, r := range states {
		if r.Status == card.StatusHeld {
			held++
		}
		if r.Status == card.StatusIntended || r.Status == card.StatusRevoked {
			t.Errorf("the feed says %s of %s", r.Status, r.Serial)
		}
	}
	if held != known {
		t.Errorf("the feed holds %d certificates, the ledger recorded %d", held, known)
	}
	if len(signed) <= len(before) {
		t.Error("the witness saw nothing")
	}
}

// asked checks that a certificate grants nothing that a request asked for.
func (s *scribe) asked(t *testing.T, a client.Answer, issuer *x509.Certificate) {
	t.Helper()
	for _, one := range a.Certificates {
		c := certificate(t, one.Certificate, issuer)
		if c.IsCA || bytes.Contains(c.Raw, []byte("test.example.x")) {
			t.Errorf("line %d: the certificate grants what its request asked for", a.Line)
		}
	}
}

// correct sends an honest application for every order whose line was refused.
func (s *scribe) correct(t *testing.T, h *house, never ...int) {
	t.Helper()
	var lines []string
	for _, one := range s.samples {
		if len(one.want) > 0 && one.order >= 0 && !slices.Contains(never, one.order) {
			lines = append(lines, line(t, apply(t, newCard(t, s.numbers), s.orders[one.order])))
		}
	}
	if len(lines) < 15 {
		t.Fatalf("only %d orders were refused", len(lines))
	}
	for _, a := range sendAll(t, h.as(t, "bureau"), lines...) {
		issued(t, a)
	}
}

func TestNoOrderIsOpenedForANumberThatIsNotInTheRegisterOrIsWrong(t *testing.T) {
	h := newHouse(t)
	h.startAuthority(t)
	people := testpki.NewPopulation(12, 40)
	h.importRegister(t, people)
	known := entitled(t, people, 1)[0].Person.ID
	strangers := testpki.NewPopulation(99, 1)
	unknown := strangers.Person(0).Person.ID
	wrong := []byte(known)
	wrong[len(wrong)-1] = '0' + (wrong[len(wrong)-1]-'0'+1)%10
	a := h.must4(t, "--json", "order", "create", string(known), string(unknown), string(wrong))
	var out struct {
		Orders  []card.Order
		Refused []struct {
			Holder  string
			Problem *client.Problem
			Error   string
		}
	}
	err := json.Unmarshal([]byte(a.stdout), &out)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Orders) != 1 || out.Orders[0].Holder != known || len(out.Refused) != 2 {
		t.Fatalf("got %+v", out)
	}
	if r := out.Refused[0]; r.Holder != string(unknown) || r.Problem == nil || r.Problem.Code() != "holder-unknown" {
		t.Errorf("the unknown number: got %+v", r)
	}
	if r := out.Refused[1]; r.Holder != string(wrong) || r.Error == "" {
		t.Errorf("the wrong number: got %+v", r)
	}
	write(t, h.path("wrong.txt"), strings.Join(registry.EventColumns(), "|")+"|\n"+string(known)+"|RADIATION|2026-01-02|Ordre|\n"+string(wrong)+"|RADIATION|2026-01-02|Ordre|\n")
	a = h.must4(t, "registry", "import", client.Events, h.path("wrong.txt"))
	if !strings.Contains(a.stdout, "wrong.txt line 3, column 1") {
		t.Errorf("the report does not name line 3, column 1 of wrong.txt:\n%s", a.stdout)
	}
}
