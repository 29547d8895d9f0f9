package store

import (
	"errors"
	"slices"
	"testing"
	"time"

	"cpsca/card"
)

func TestEachStepHasItsEffectOnCertificates(t *testing.T) {
	at := dawn.Add(48 * time.Hour)
	type told struct {
		status card.Status
		reason card.Reason
	}
	unchanged := told{}
	cases := map[string]struct {
		gate   card.Gate
		events []card.Event
		state  card.State
		want   told
		cause  card.Cause
	}{
		"a chip-gated card is good when recorded":          {card.GateChip, nil, card.Personalised, unchanged, ""},
		"dispatch changes nothing":                         {card.GateChip, []card.Event{card.Dispatch}, card.Dispatched, unchanged, ""},
		"activation of a chip-gated card changes nothing":  {card.GateChip, []card.Event{card.Dispatch, card.Activate}, card.Active, unchanged, ""},
		"activation without dispatch":                      {card.GateChip, []card.Event{card.Activate}, card.Active, unchanged, ""},
		"a hold-gated card stays held in the post":         {card.GateHold, []card.Event{card.Dispatch}, card.Dispatched, told{card.StatusHeld, card.CertificateHold}, card.CauseGate},
		"activation of a hold-gated card releases":         {card.GateHold, []card.Event{card.Dispatch, card.Activate}, card.Active, told{card.StatusGood, card.CertificateHold}, card.CauseGate},
		"suspension holds":                                 {card.GateChip, []card.Event{card.Activate, card.Suspend}, card.Held, told{card.StatusHeld, card.CertificateHold}, card.CauseCard},
		"suspension after a released gate holds again":     {card.GateHold, []card.Event{card.Activate, card.Suspend}, card.Held, told{card.StatusHeld, card.CertificateHold}, card.CauseCard},
		"a release makes good":                             {card.GateChip, []card.Event{card.Activate, card.Suspend, card.Release}, card.Active, told{card.StatusGood, card.CertificateHold}, card.CauseCard},
		"revocation of an active card":                     {card.GateChip, []card.Event{card.Activate, card.Revoke}, card.Revoked, told{card.StatusRevoked, card.Unspecified}, card.CauseCard},
		"revocation of a card in the post":                 {card.GateHold, []card.Event{card.Dispatch, card.Revoke}, card.Revoked, told{card.StatusRevoked, card.Unspecified}, card.CauseCard},
		"revocation of a held card":                        {card.GateChip, []card.Event{card.Activate, card.Suspend, card.Revoke}, card.Revoked, told{card.StatusRevoked, card.Unspecified}, card.CauseCard},
		"revocation after a released hold":                 {card.GateHold, []card.Event{card.Activate, card.Revoke}, card.Revoked, told{card.StatusRevoked, card.Unspecified}, card.CauseCard},
		"replacement revokes as superseded":                {card.GateChip, []card.Event{card.Activate, card.Replace}, card.Replaced, told{card.StatusRevoked, card.Superseded}, card.CauseCard},
		"replacement of a held card revokes as superseded": {card.GateChip, []card.Event{card.Activate, card.Suspend, card.Replace}, card.Replaced, told{card.StatusRevoked, card.Superseded}, card.CauseCard},
		"a spoiled card is revoked":                        {card.GateChip, []card.Event{card.Spoil}, card.Spoiled, told{card.StatusRevoked, card.CessationOfOperation}, card.CauseCard},
		"a spoiled card of the hold gate is revoked":       {card.GateHold, []card.Event{card.Spoil}, card.Spoiled, told{card.StatusRevoked, card.CessationOfOperation}, card.CauseCard},
		"expiry changes nothing":                           {card.GateChip, []card.Event{card.Activate, card.Expire}, card.Expired, unchanged, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			db := newLedger(t)
			k, s := personalised(t, db, c.gate)
			for i, e := range c.events {
				k = moved(t, db, k.Number, e, at.Add(time.Duration(i)*time.Hour))
			}
			if k.State != c.state {
				t.Fatalf("the card is %s, want %s", k.State, c.state)
			}
			list, _, err := db.Revocations(t.Context(), testIssuer)
			if err != nil {
				t.Fatal(err)
			}
			if c.want == unchanged && len(list) != 0 || c.want != unchanged && len(list) != 2 {
				t.Fatalf("revocations: %v", list)
			}
			for _, r := range list {
				if (told{r.Status, r.Reason}) != c.want || r.Cause != c.cause {
					t.Fatalf("got %s %s %s, want %v %s", r.Status, r.Reason, r.Cause, c.want, c.cause)
				}
			}
			want := card.StatusGood
			if c.want != unchanged {
				want = c.want.status
			}
			if got := statuses(t, db, s); !slices.Equal(got, []card.Status{want, want}) {
				t.Fatalf("the feed says %v, want %s", got, want)
			}
			history, err := db.History(t.Context(), k.ID)
			if err != nil || len(history) != 2+len(c.events) || history[len(history)-1].To != c.state {
				t.Fatalf("history: %v, %v", history, err)
			}
			checkAll(t, db)
		})
	}
}

func TestAHoldThatBecomesARevocationKeepsItsDate(t *testing.T) {
	db := newLedger(t)
	c, s := personalised(t, db, card.GateChip)
	held, revoked := dawn.Add(time.Hour), dawn.Add(9*time.Hour)
	moved(t, db, c.Number, card.Activate, dawn)
	c = moved(t, db, c.Number, card.Suspend, held)
	change := step(t, c, card.Revoke, revoked)
	change.Reason, change.Invalidity = card.KeyCompromise, dawn.Add(-time.Hour)
	apply(t, db, card.Decision{Actor: "desk", Action: "loss report", At: revoked, Changes: []card.Change{change}})
	list, _, err := db.Revocations(t.Context(), testIssuer)
	if err != nil || len(list) != 2 || !list[0].Since.Equal(held) || list[0].Reason != card.KeyCompromise || !list[0].Invalidity.Equal(dawn.Add(-time.Hour)) {
		t.Fatalf("got %+v, %v", list, err)
	}
	certificate, err := db.Certificate(t.Context(), testIssuer, s.Intents[0].Serial)
	if err != nil || certificate.Status != card.StatusRevoked || !certificate.Since.Equal(held) || certificate.Reason != card.KeyCompromise {
		t.Fatalf("got %+v, %v", certificate, err)
	}
	checkAll(t, db)
}

func TestAReleasedHoldIsForgottenByALaterRevocation(t *testing.T) {
	db := newLedger(t)
	c, s := personalised(t, db, card.GateHold)
	moved(t, db, c.Number, card.Activate, dawn.Add(time.Hour))
	certificate, err := db.Certificate(t.Context(), testIssuer, s.Intents[0].Serial)
	if err != nil || certificate.Status != card.StatusGood || !certificate.Since.IsZero() || certificate.Reason != card.Unspecified {
		t.Fatalf("a released certificate: %+v, %v", certificate, err)
	}
	at := dawn.Add(100 * time.Hour)
	moved(t, db, c.Number, card.Revoke, at)
	list, _, err := db.Revocations(t.Context(), testIssuer)
	if err != nil || !list[0].Since.Equal(at) {
		t.Fatalf("got %+v, %v, want since %s", list, err, at)
	}
}

func TestASecondRevocationChangesNothing(t *testing.T) {
	db := newLedger(t)
	i := newIntent("", "tls-client")
	err := errors.Join(db.IntendInfrastructure(t.Context(), "init", i, false), db.RecordInfrastructure(t.Context(), "init", i, []byte{1}),
		db.RevokeInfrastructure(t.Context(), "officer", i.Issuer, i.Serial, card.KeyCompromise))
	if err != nil {
		t.Fatal(err)
	}
	first, sequence, err := db.Revocations(t.Context(), i.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	err = db.RevokeInfrastructure(t.Context(), "officer", i.Issuer, i.Serial, card.Superseded)
	if err != nil {
		t.Fatal(err)
	}
	second, after, err := db.Revocations(t.Context(), i.Issuer)
	if err != nil || sequence != after || !slices.Equal(first, second) {
		t.Fatalf("%v became %v, feed %d became %d, %v", first, second, sequence, after, err)
	}
	checkAll(t, db)
}

func TestASpoiledCardReopensItsOrderForAnother(t *testing.T) {
	for name, made := range map[string]bool{"after its certificates were recorded": true, "after an abandoned attempt": false} {
		t.Run(name, func(t *testing.T) {
			db := newLedger(t)
			var number card.Number
			if made {
				c, _ := personalised(t, db, card.GateChip)
				number = c.Number
			} else {
				number = abandoned(t, db).Number
			}
			old := moved(t, db, number, card.Spoil, dawn)
			o, err := db.Order(t.Context(), old.Order)
			fresh := cardOf(t, db, old.Order)
			if err != nil || o.State != card.OrderOpen || fresh.ID == old.ID || fresh.State != card.Ordered || fresh.Number != "" {
				t.Fatalf("order %v, new card %+v, %v", o.State, fresh, err)
			}
			record(t, db, intend(t, db, attemptAt(t, db, o)), card.GateChip)
			checkAll(t, db)
			d, err := db.Dossiers(t.Context(), "bureau", []card.OrderID{o.ID})
			if err != nil || len(d[o.ID].Issued) != 2 || d[o.ID].Card.ID != fresh.ID {
				t.Fatalf("the dossier speaks of another card: %+v, %v", d[o.ID], err)
			}
		})
	}
}

func TestTheEndOfACardClosesItsOrder(t *testing.T) {
	for _, e := range []card.Event{card.Revoke, card.Replace, card.Expire} {
		db := newLedger(t)
		c, _ := personalised(t, db, card.GateChip)
		moved(t, db, c.Number, card.Activate, dawn)
		moved(t, db, c.Number, e, dawn)
		o, err := db.Order(t.Context(), c.Order)
		if err != nil || o.State != card.OrderClosed {
			t.Errorf("%s: the order is %s, %v", e, o.State, err)
		}
	}
}

// lossOf is the decision that lifecycle takes about a lost card.
func lossOf(t *testing.T, c card.Card, replacement ...card.Order) card.Decision {
	change := step(t, c, card.Revoke, dawn.Add(time.Hour))
	change.Reason, change.Invalidity = card.KeyCompromise, dawn
	return card.Decision{
		Actor: "desk", Action: "loss report", At: dawn.Add(time.Hour), Changes: []card.Change{change}, Opens: replacement,
		Report: &card.LossReport{Card: c.Number, Circumstance: card.Stolen, Happened: dawn, Received: dawn.Add(time.Hour), Reporter: "desk"},
	}
}

func TestALossReportAndItsReplacementAreOneTransaction(t *testing.T) {
	db := newLedger(t)
	c, s := personalised(t, db, card.GateChip)
	c = moved(t, db, c.Number, card.Activate, dawn)
	replacement := orderFor(c.Holder, card.Replacement, c.Number)
	d := lossOf(t, c, replacement)
	before, err := db.VerifyJournal(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, db, d)
	if d.Report.ID == 0 || d.Report.Committed.IsZero() {
		t.Fatalf("the report was not filled in: %+v", d.Report)
	}
	reports, err := db.LossReports(t.Context(), c)
	if err != nil || len(reports) != 1 || reports[0] != *d.Report {
		t.Fatalf("got %+v, want %+v, %v", reports, d.Report, err)
	}
	o, err := db.Order(t.Context(), replacement.ID)
	if err != nil || o.Replaces != c.Number || o.State != card.OrderOpen {
		t.Fatalf("the replacement: %+v, %v", o, err)
	}
	if got := statuses(t, db, s); got[0] != card.StatusRevoked || got[1] != card.StatusRevoked {
		t.Fatalf("got %v", got)
	}
	after, err := db.VerifyJournal(t.Context(), nil)
	if err != nil || after.Head.Sequence != before.Head.Sequence+1 {
		t.Fatalf("the journal went from %d to %d, %v", before.Head.Sequence, after.Head.Sequence, err)
	}
	checkAll(t, db)
	// A report about a card that is gone changes nothing but is kept.
	apply(t, db, card.Decision{Actor: "desk", Action: "loss report", At: dawn, Report: &card.LossReport{Card: c.Number, Circumstance: card.Lost, Received: dawn, Reporter: "desk"}})
	checkAll(t, db)
}

func TestARefusedDecisionChangesNothing(t *testing.T) {
	db := newLedger(t)
	c, _ := personalised(t, db, card.GateChip)
	c = moved(t, db, c.Number, card.Activate, dawn)
	renewal := orderFor(c.Holder, card.Renewal, c.Number)
	apply(t, db, card.Decision{Actor: "desk", Action: "order", At: dawn, Opens: []card.Order{renewal}})
	record(t, db, intend(t, db, attemptAt(t, db, renewal)), card.GateChip)
	waiting := cardOf(t, db, renewal.ID)
	stale := c
	stale.State = card.Held
	personalise := card.Change{Card: waiting.ID, From: card.Ordered, Event: card.Personalise, To: card.Personalised, Effect: card.EffectGate, At: dawn}
	lawless := step(t, c, card.Suspend, dawn)
	lawless.Effect = card.EffectNone
	unchallenged := orderFor(newHolder(), card.First, "")
	unchallenged.Challenges = nil
	cases := map[string]struct {
		d    card.Decision
		want error // nil: any
	}{
		"the card moved meanwhile":    {card.Decision{Changes: []card.Change{step(t, stale, card.Release, dawn)}}, card.ErrStale},
		"the second of two is stale":  {card.Decision{Changes: []card.Change{step(t, c, card.Replace, dawn), step(t, stale, card.Release, dawn)}}, card.ErrStale},
		"no such card":                {card.Decision{Changes: []card.Change{step(t, card.Card{ID: 999, State: card.Active}, card.Revoke, dawn)}}, card.ErrStale},
		"a second live card":          {card.Decision{Changes: []card.Change{step(t, waiting, card.Activate, dawn)}}, card.ErrLiveCard},
		"a second waiting card":       {card.Decision{Opens: []card.Order{orderFor(c.Holder, card.First, "")}}, card.ErrWaitingCard},
		"a loss with a second order":  {lossOf(t, c, orderFor(c.Holder, card.Replacement, c.Number)), card.ErrWaitingCard},
		"a report about no card":      {card.Decision{Report: &card.LossReport{Card: "9999999999", Circumstance: card.Lost, Received: dawn, Reporter: "desk"}}, card.ErrNotFound},
		"personalised by decision":    {card.Decision{Changes: []card.Change{personalise}}, nil},
		"an effect without its event": {card.Decision{Changes: []card.Change{lawless}}, nil},
		"an order without challenges": {card.Decision{Opens: []card.Order{unchallenged}}, nil},
		"an order that exists":        {card.Decision{Opens: []card.Order{renewal}}, nil},
	}
	for name, r := range cases {
		t.Run(name, func(t *testing.T) {
			r.d.Actor, r.d.Action, r.d.At = "desk", "try", dawn
			before := content(t, db)
			err := db.Apply(t.Context(), r.d)
			if err == nil || r.want != nil && !errors.Is(err, r.want) || content(t, db) != before {
				t.Fatalf("got %v, want %v", err, r.want)
			}
			count(t, db, 0, "SELECT COUNT(*) FROM loss_reports")
			checkAll(t, db)
		})
	}
	t.Run("an actor that the journal cannot carry", func(t *testing.T) {
		before := content(t, db)
		err := db.Apply(t.Context(), card.Decision{Actor: "Zoé", Action: "order", At: dawn, Opens: []card.Order{orderFor(newHolder(), card.First, "")}})
		if err == nil || content(t, db) != before {
			t.Fatalf("got %v", err)
		}
	})
	// What lifecycle does is accepted: the live card first, then the new one.
	apply(t, db, card.Decision{Actor: "desk", Action: "activate", At: dawn, Changes: []card.Change{step(t, c, card.Replace, dawn), step(t, waiting, card.Activate, dawn)}})
	checkAll(t, db)
}

func TestOrdersAreListedInPages(t *testing.T) {
	db := newLedger(t)
	var opened []card.OrderID
	for range 7 {
		opened = append(opened, ordered(t, db).ID)
	}
	foreign := orderFor(newHolder(), card.First, "")
	foreign.Bureau = "another"
	apply(t, db, card.Decision{Actor: "desk", Action: "order", At: dawn, Opens: []card.Order{foreign}})
	var got []card.OrderID
	var after card.OrderID
	for {
		page, err := db.Orders(t.Context(), "bureau", card.OrderOpen, after, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page {
			got = append(got, o.ID)
		}
		if len(page) < 3 {
			break
		}
		after = page[len(page)-1].ID
	}
	if !slices.Equal(got, opened) {
		t.Fatalf("got %v, want %v", got, opened)
	}
	all, err := db.Orders(t.Context(), "", "", "", 100)
	if err != nil || len(all) != 8 {
		t.Fatalf("got %d of all bureaux, %v", len(all), err)
	}
}
