package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"cpsca/card"
	"cpsca/client"
	"cpsca/feed"
	"cpsca/lifecycle"
	"cpsca/officer"
	"cpsca/registry"
)

func TestAnOrderIsOpenedWithoutItsChallenges(t *testing.T) {
	s := newSite(t)
	_, err := s.as(officer.Desk).Order(t.Context(), client.OrderRequest{Holder: "99700000001"})
	wantProblem(t, err, "rpps-key", 400) // the fixture's number with another key
	s.enrol(officer.Bureau)
	o, err := s.as(officer.Desk).Order(t.Context(), client.OrderRequest{Holder: ada, Profession: 10, Bureau: "b1"})
	if err != nil {
		t.Fatal(err)
	}
	if o.Holder != ada || o.Profession != 10 || o.Bureau != "b1" || o.Challenges != nil || s.actor != "P. desk" {
		t.Fatalf("got %+v by %q", o, s.actor)
	}
}

func TestAnOrderForABureauThatNobodyIsIsRefused(t *testing.T) {
	s := newSite(t)
	desk := s.as(officer.Desk)
	ended := officer.Enrolment{Fingerprint: officer.Fingerprint{1}, Role: officer.Bureau, Bureau: "ended", Since: noon, Ended: noon}
	s.enrolled[ended.Fingerprint] = ended
	s.enrolled[officer.Fingerprint{2}] = officer.Enrolment{Fingerprint: officer.Fingerprint{2}, Role: officer.Desk, Bureau: "a desk"}
	s.listed = []officer.Enrolment{
		{Fingerprint: officer.Fingerprint{3}, Role: officer.Bureau, Bureau: "revoked"},
		{Fingerprint: officer.Fingerprint{4}, Role: officer.Bureau, Bureau: "b1"}, // revoked, and followed by another
	}
	s.enrol(officer.Bureau)
	for _, bureau := range []string{"nobody", "ended", "a desk", "revoked", "B1", "b1\x1b[2J", strings.Repeat("b", 60_000)} {
		s.actor = ""
		_, err := desk.Order(t.Context(), client.OrderRequest{Holder: ada, Profession: 10, Bureau: bureau})
		p := wantProblem(t, err, "no-such-bureau", 422)
		if p.Reason != "" || s.actor != "" {
			t.Errorf("%.20q: the problem says %q, the order is by %q", bureau, p.Reason, s.actor)
		}
	}
	for _, bureau := range []string{"", "b1"} {
		_, err := desk.Order(t.Context(), client.OrderRequest{Holder: ada, Profession: 10, Bureau: bureau})
		if err != nil {
			t.Errorf("%q: %v", bureau, err)
		}
	}
	s.fail = errors.New("unreadable")
	_, err := desk.Order(t.Context(), client.OrderRequest{Holder: ada, Profession: 10, Bureau: "b1"})
	wantProblem(t, err, "internal", 500)
}

func TestADeskCancelsAnOrder(t *testing.T) {
	s := newSite(t)
	after, err := s.as(officer.Desk).CancelOrder(t.Context(), "o1")
	if err != nil || after.Order != "o1" || after.State != card.Cancelled || s.actor != "P. desk" {
		t.Fatalf("got %+v by %q, %v", after, s.actor, err)
	}
	_, err = s.as(officer.SecurityOfficer).CancelOrder(t.Context(), "o 1\n")
	wantProblem(t, err, "not-found", 404)
	_, err = s.as(officer.Bureau).CancelOrder(t.Context(), "o1")
	wantProblem(t, err, "role", 403)
	s.deskErr = &card.TransitionError{State: card.Personalised, Event: card.Cancel}
	_, err = s.as(officer.Desk).CancelOrder(t.Context(), "o1")
	wantProblem(t, err, "transition", 409)
}

// shelf fills the house with orders: ready, without address, fulfilled, and
// one of another bureau.
func shelf(s *site) {
	s.dossiers = make(map[card.OrderID]card.Dossier)
	add := func(id card.OrderID, bureau string, change func(*card.Dossier)) {
		o := card.Order{ID: id, Holder: ada, Profession: 10, Bureau: bureau, State: card.OrderOpen, Created: noon, Challenges: map[card.Use]string{card.Authentication: "ca-" + string(id), card.Signature: "cs-" + string(id)}}
		d := card.Dossier{Order: o, Card: card.Card{Order: id, State: card.Ordered}, Person: person(), Contact: contact()}
		change(&d)
		s.orderings = append(s.orderings, d.Order)
		s.dossiers[id] = d
	}
	add("r1", "b1", func(*card.Dossier) {})
	add("n2", "b1", func(d *card.Dossier) { d.Contact = registry.Contact{} })
	add("f3", "b1", func(d *card.Dossier) {
		d.Order.State, d.Card.State, d.Card.Number = card.OrderFulfilled, card.Personalised, number
	})
	add("x4", "b2", func(*card.Dossier) {})
	add("r5", "b1", func(*card.Dossier) {})
	add("e6", "b1", func(d *card.Dossier) {
		d.Events = []registry.Event{{ID: ada, Kind: registry.StruckOff, Date: noon.AddDate(0, -1, 0)}}
	})
}

func TestABureauGetsItsReadyOrdersWithChallengesAndAddress(t *testing.T) {
	s := newSite(t)
	shelf(s)
	c := s.as(officer.Bureau)
	var got []card.OrderID
	for o, err := range c.ReadyOrders(t.Context(), "", 0) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, o.Order)
		if o.Challenges[card.Signature] != "cs-"+string(o.Order) || o.Holder.FamilyName != "LOVELACE" || o.Address.City != "PARIS" || o.ProfessionLabel != "Médecin" {
			t.Fatalf("got %+v", o)
		}
	}
	if !slices.Equal(got, []card.OrderID{"r1", "r5"}) {
		t.Fatalf("got %v, want r1 and r5", got)
	}
	got = nil
	for o, err := range c.ReadyOrders(t.Context(), "r1", 1) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, o.Order)
	}
	if !slices.Equal(got, []card.OrderID{"r5"}) {
		t.Fatalf("after r1: got %v, want r5", got)
	}
}

func TestABureauSeesItsOwnOrdersAlone(t *testing.T) {
	s := newSite(t)
	shelf(s)
	list, err := s.as(officer.Bureau).Orders(t.Context(), client.OrderQuery{})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Orders) != 5 {
		t.Fatalf("got %d orders, want its 5", len(list.Orders))
	}
	_, err = s.as(officer.Bureau).Orders(t.Context(), client.OrderQuery{Bureau: "b2"})
	wantProblem(t, err, "role", 403)
}

func TestOrdersSayWhatTheyWaitFor(t *testing.T) {
	s := newSite(t)
	shelf(s)
	c := s.as(officer.Desk)
	var all []client.Order
	q := client.OrderQuery{Limit: 4}
	for {
		list, err := c.Orders(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, list.Orders...)
		if list.Next == "" {
			break
		}
		q.After = list.Next
	}
	var got strings.Builder
	for _, o := range all {
		fmt.Fprintf(&got, "%s %v %v %q\n", o.ID, o.Ready, o.Card, o.Missing)
	}
	want := `r1 true  ""
n2 false  "delivery address is incomplete`
	if !strings.HasPrefix(got.String(), want) || !strings.Contains(got.String(), "f3 false 9900000001 \"\"\n") || !strings.Contains(got.String(), "struck off") || len(all) != 6 {
		t.Fatalf("got\n%s", got.String())
	}
	for _, o := range all {
		if o.Challenges != nil {
			t.Fatal("a desk saw a challenge")
		}
	}
}

func TestALossReportKeepsTheMomentItWasReceived(t *testing.T) {
	s := newSite(t)
	happened := noon.Add(-time.Hour)
	s.reported = lifecycle.Reported{Report: card.LossReport{ID: 4, Card: number, Circumstance: card.Stolen, Received: noon, Committed: noon}, Card: card.Card{Number: number, State: card.Revoked}, Why: registry.ErrRetired}
	got, err := s.with(s.enrol(officer.Desk), "fr").ReportLoss(t.Context(), number, client.Loss{Circumstance: card.Stolen, Happened: happened})
	if err != nil {
		t.Fatal(err)
	}
	if s.loss.Received != noon || !s.loss.Happened.Equal(happened) || s.loss.Circumstance != card.Stolen || s.actor != "P. desk" {
		t.Fatalf("the desk heard %+v", s.loss)
	}
	if got.Report.ID != 4 || got.Card.State != card.Revoked || got.Replacement != nil || got.NoReplacement == nil || got.NoReplacement.Title != "La personne est retraitée" {
		t.Fatalf("got %+v", got)
	}
	s.deskErr = lifecycle.ErrHappened
	_, err = s.as(officer.Desk).ReportLoss(t.Context(), number, client.Loss{Circumstance: card.Lost, Happened: noon.AddDate(1, 0, 0)})
	wantProblem(t, err, "happened", 422)
}

func TestCardsMoveThroughTheirDoors(t *testing.T) {
	s := newSite(t)
	after, err := s.as(officer.Desk).Activate(t.Context(), number)
	if err != nil || after.State != card.Active {
		t.Fatalf("activate: got %+v, %v", after, err)
	}
	after, err = s.as(officer.Bureau).Spoiled(t.Context(), number)
	if err != nil || after.State != card.Spoiled || after.Bureau != "b1" {
		t.Fatalf("spoiled: got %+v, %v", after, err)
	}
	s.deskErr = &card.TransitionError{State: card.Revoked, Event: card.Activate}
	_, err = s.as(officer.Desk).Activate(t.Context(), number)
	p := wantProblem(t, err, "transition", 409)
	if !strings.Contains(p.Reason, "revoked") {
		t.Fatalf("got reason %q", p.Reason)
	}
}

func TestABureauSeesNoCardOfAnother(t *testing.T) {
	s := newSite(t)
	s.cardsBy[number] = card.Card{Number: number, Bureau: "b2", Holder: ada}
	_, err := s.as(officer.Bureau).Card(t.Context(), number)
	wantProblem(t, err, "not-found", 404)
	got, err := s.as(officer.Auditor).History(t.Context(), number)
	if err != nil || got.Card.Number != number || len(got.Steps) != 1 || got.Certificates == nil {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestThePersonIsShownWithHerRights(t *testing.T) {
	s := newSite(t)
	got, err := s.as(officer.Auditor).Person(t.Context(), string(ada))
	if err != nil {
		t.Fatal(err)
	}
	want := []client.Entitlement{
		{Profession: 10, Label: "Médecin", Entitled: true},
		{Profession: 40, Label: "Chirurgien-Dentiste", Reason: got.Entitlements[1].Reason},
	}
	if !reflect.DeepEqual(got.Entitlements, want) || got.Entitlements[1].Reason == "" || got.Contact.City != "PARIS" {
		t.Fatalf("got %+v", got)
	}
	byRPPS, err := s.as(officer.Desk).Person(t.Context(), string(ada[1:]))
	if err != nil || byRPPS.Person.ID != ada {
		t.Fatalf("by RPPS number: got %+v, %v", byRPPS, err)
	}
}

func TestRegisterFilesComeInSlices(t *testing.T) {
	s := newSite(t)
	var file bytes.Buffer
	file.WriteString(strings.Join(registry.EventColumns(), "|") + "|\n")
	for i := range 1234 {
		fmt.Fprintf(&file, "%s|SUSPENSION|2026-03-%02d|Ordre|\n", ada, i%28+1)
	}
	file.WriteString("899700000014|SUSPENSION|2026-03-01|Ordre|\n") // wrong Luhn key
	size := int64(file.Len())
	var sent int64
	report, err := s.as(officer.SecurityOfficer).Import(t.Context(), client.Events, "événements.txt", &file, func(n int64) { sent = n })
	if err != nil {
		t.Fatal(err)
	}
	if report.File != "événements.txt" || report.Accepted != 1234 || report.Rejected != 1 || len(report.Errors) != 1 || report.Errors[0].Line != 1236 {
		t.Fatalf("got %+v", report)
	}
	if !slices.Equal(s.imported, []int{500, 500, 234}) || s.finished == nil || s.kind != client.Events || sent != size {
		t.Fatalf("slices %v, finished %v, kind %s, %d of %d octets", s.imported, s.finished, s.kind, sent, size)
	}
	s.fail, s.finished = errors.New("full"), nil
	_, err = s.as(officer.SecurityOfficer).Import(t.Context(), client.Events, "", strings.NewReader(strings.Join(registry.EventColumns(), "|")+"|\n"+string(ada)+"|DECES|2026-03-01||\n"), nil)
	wantProblem(t, err, "internal", 500)
	if s.finished != nil {
		t.Fatal("an import that failed was finished")
	}
}

func TestAForeignFileIsRefusedWhileItIsStillComing(t *testing.T) {
	s := newSite(t)
	file := strings.NewReader(strings.Repeat("a;b;c\n", 10<<20))
	_, err := s.as(officer.SecurityOfficer).Import(t.Context(), client.Persons, "", file, nil)
	wantProblem(t, err, "foreign-file", 422)
	if s.kind != "" {
		t.Fatal("a foreign file left an import")
	}
}

func records(n int) []feed.Record {
	out := make([]feed.Record, n)
	for i := range out {
		out[i] = feed.Record{Sequence: uint64(i + 1), Issuer: card.KeyID{1}, Serial: card.Serial{byte(i), byte(i >> 8)}, NotAfter: noon, Status: card.StatusGood, At: noon}
	}
	return out
}

func TestTheFeedEndsWithTheHeadOfItsEnd(t *testing.T) {
	s := newSite(t)
	s.records = records(2*recordsPerPage + 7)
	c := s.as(officer.StatusNode)
	got, head, err := c.Feed(t.Context(), 3, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, s.records[3:]) || head.Sequence != uint64(len(s.records)) || string(head.Signature) != "signed" {
		t.Fatalf("got %d records to head %d", len(got), head.Sequence)
	}
	got, head, err = c.Feed(t.Context(), uint64(len(s.records)), 0)
	if err != nil || len(got) != 0 || head.Sequence != uint64(len(s.records)) {
		t.Fatalf("heartbeat: got %d records, %+v, %v", len(got), head, err)
	}
}

func TestTheFeedWaitsForNews(t *testing.T) {
	s := newSite(t)
	c := s.as(officer.StatusNode)
	type result struct {
		records []feed.Record
		err     error
	}
	done := make(chan result)
	s.looked = make(chan struct{}, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second) // half of the waiting
	defer cancel()
	go func() {
		got, _, err := c.Feed(ctx, 0, 30*time.Second)
		done <- result{got, err}
	}()
	<-s.looked // the feed was read, and was empty
	s.mu.Lock()
	s.records = records(1)
	close(s.changed)
	s.mu.Unlock()
	got := <-done
	if got.err != nil || len(got.records) != 1 {
		t.Fatalf("got %d records, %v", len(got.records), got.err)
	}
}

func TestTheHouseIsListed(t *testing.T) {
	s := newSite(t)
	s.issuerSet = []client.Issuer{{Name: "root", KeyID: card.KeyID{9}, Certificate: []byte{1}}}
	issuers, err := s.as(officer.StatusNode).Issuers(t.Context())
	if err != nil || !reflect.DeepEqual(issuers, s.issuerSet) {
		t.Fatalf("issuers: got %+v, %v", issuers, err)
	}
	c := s.as(officer.SecurityOfficer)
	lists, err := c.Lists(t.Context())
	if err != nil || len(lists) != 1 || lists[0].Number != 7 {
		t.Fatalf("lists: got %+v, %v", lists, err)
	}
	der, err := c.List(t.Context(), card.KeyID{1})
	if err != nil || string(der) != "a list" {
		t.Fatalf("list: got %q, %v", der, err)
	}
	made, err := c.Publish(t.Context(), card.KeyID{1})
	if err != nil || made.Number != 8 {
		t.Fatalf("publish: got %+v, %v", made, err)
	}
	enrolled, err := c.Enrolments(t.Context())
	if err != nil || len(enrolled) != 2 || len(enrolled[0].Fingerprint) != 64 {
		t.Fatalf("enrolments: got %+v, %v", enrolled, err)
	}
	_, err = c.Revoke(t.Context(), card.KeyID{1}, card.Serial{1}, card.Superseded)
	wantProblem(t, err, "not-found", 404) // the fixture has no certificate to show
	if s.revoked != card.Superseded {
		t.Fatalf("revoked for %v", s.revoked)
	}
	v, err := c.Version(t.Context())
	if err != nil || v != (client.Version{Version: "test", API: "v1"}) {
		t.Fatalf("version: got %+v, %v", v, err)
	}
}

func TestAResponderGetsItsCertificateWithTheChain(t *testing.T) {
	s := newSite(t)
	h := newHierarchy(t, "issuing")
	id := card.KeyID(h.certificate.SubjectKeyId)
	s.issuerSet = []client.Issuer{{Name: "other", KeyID: card.KeyID{1}}, {Name: "issuing", KeyID: id, Certificate: h.certificate.Raw}}
	got, err := s.as(officer.StatusNode).Responder(t.Context(), client.ResponderRequest{Issuer: id, CSR: "MAA="})
	if err != nil || string(got.Certificate) != "certificate of \x30\x00" || !reflect.DeepEqual(got.Chain, [][]byte{h.certificate.Raw}) {
		t.Fatalf("got %+v, %v", got, err)
	}
	_, err = s.as(officer.StatusNode).Responder(t.Context(), client.ResponderRequest{Issuer: id, CSR: "?"})
	wantProblem(t, err, "request", 422)
}

func TestARefusalSpeaksTheCallersLanguage(t *testing.T) {
	s := newSite(t)
	s.deskErr = fmt.Errorf("ordering: %w", card.ErrLiveCard)
	for language, want := range map[string]string{
		"":                        "The holder already has a live card",
		"fr":                      "Le titulaire a déjà une carte en service",
		"fr-FR, fr;q=0.9, en;q=0": "Le titulaire a déjà une carte en service",
		"en-GB, fr;q=0.5":         "The holder already has a live card",
		"de, fr;q=0.2":            "Le titulaire a déjà une carte en service",
		"gibberish;;q=z":          "The holder already has a live card",
	} {
		_, err := s.with(s.enrol(officer.Desk), language).Order(t.Context(), client.OrderRequest{Holder: ada})
		p := wantProblem(t, err, "live-card", 409)
		if p.Title != want {
			t.Fatalf("%q: got %q, want %q", language, p.Title, want)
		}
	}
}

func TestAProblemTravelsWhole(t *testing.T) {
	p := client.Problem{Type: "/problems/busy", Title: "T", Status: 503, Detail: "D", Reason: "R", Line: 3, RetryAfter: 2, Incident: "I"}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var back client.Problem
	err = json.Unmarshal(text, &back)
	if err != nil || back != p {
		t.Fatalf("got %+v, %v", back, err)
	}
	after, ok := back.Temporary()
	if !ok || after != 2*time.Second || back.Code() != "busy" || back.Error() != "T: D (R) [I]" {
		t.Fatalf("got %v %v %s %s", after, ok, back.Code(), &back)
	}
}
