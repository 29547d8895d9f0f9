package lifecycle_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cpsca/card"
	"cpsca/lifecycle"
	"cpsca/registry"
)

func TestActivationPutsACardIntoUse(t *testing.T) {
	for _, gate := range []card.Gate{card.GateChip, card.GateHold} {
		t.Run(string(gate), func(t *testing.T) {
			h := newHouse(t, gate)
			made := h.personalise(h.order(h.person(), card.First))
			if gate == card.GateHold {
				h.status(made.Number, card.StatusHeld, card.CertificateHold)
			} else {
				h.status(made.Number, card.StatusGood, card.Unspecified)
			}
			h.clock.Add(1234)
			after := must(h.desk.Activate(t.Context(), "desk", made.Number))(t)
			if kept := h.card(made.Number); after != kept || kept.State != card.Active || !kept.Activated.Equal(h.now()) {
				t.Errorf("the answer is %+v, the ledger has %+v", after, kept)
			}
			h.status(made.Number, card.StatusGood, card.Unspecified)
			_, err := h.desk.Activate(t.Context(), "desk", made.Number)
			wantsTransition(t, err, card.Active, card.Activate)
		})
	}
}

func TestActivationRetiresTheLiveCardInTheSameDecision(t *testing.T) {
	h := newHouse(t, card.GateChip)
	id := h.person(nurse, midwife)
	other := must(h.desk.Order(t.Context(), "desk", lifecycle.OrderRequest{Holder: id, Profession: midwife}))(t)
	unconcerned := must(h.desk.Activate(t.Context(), "desk", h.personalise(other).Number))(t)
	order := func(why card.Why) card.Order {
		return must(h.desk.Order(t.Context(), "desk", lifecycle.OrderRequest{Holder: id, Profession: nurse, Why: why}))(t)
	}
	first := must(h.desk.Activate(t.Context(), "desk", h.personalise(order(card.First)).Number))(t)
	next := h.personalise(order(card.Renewal))
	h.status(first.Number, card.StatusGood, card.Unspecified) // it serves until then
	events := h.rows("SELECT COUNT(*) FROM journal")
	feed := h.rows("SELECT COUNT(*) FROM feed WHERE status = 'revoked'")
	must(h.desk.Activate(t.Context(), "desk", next.Number))(t)
	if n := h.rows("SELECT COUNT(*) FROM journal") - events; n != 1 {
		t.Errorf("%d decisions, want 1", n)
	}
	if n := h.rows("SELECT COUNT(*) FROM feed WHERE status = 'revoked'") - feed; n != 2 {
		t.Errorf("%d revocations in the feed, want 2", n)
	}
	h.state(first.Number, card.Replaced)
	h.status(first.Number, card.StatusRevoked, card.Superseded)
	h.state(next.Number, card.Active)
	h.state(unconcerned.Number, card.Active)
	for _, c := range must(h.db.CertificatesOf(t.Context(), first.ID))(t) {
		list, _, err := h.db.Revocations(t.Context(), c.Issuer)
		found := 0
		for _, r := range list {
			if r.Serial == c.Serial && r.Status == card.StatusRevoked && r.Cause == card.CauseCard {
				found++
			}
		}
		if err != nil || found != 1 {
			t.Errorf("the list of revocations has serial %s %d times, %v", c.Serial, found, err)
		}
	}
}

func TestWhatCannotBeActivated(t *testing.T) {
	h := newHouse(t, card.GateChip)
	activate := func(number card.Number) error {
		_, err := h.desk.Activate(t.Context(), "desk", number)
		return err
	}
	wants(t, activate("9999999999"), card.ErrNotFound)
	wants(t, activate(""), card.ErrNotFound)
	for kind, want := range map[registry.EventKind]error{
		registry.Deceased: registry.ErrDeceased, registry.StruckOff: registry.ErrStruckOff, registry.Suspended: registry.ErrSuspended, registry.Retired: registry.ErrRetired,
	} {
		id := h.person()
		made := h.personalise(h.order(id, card.First))
		h.befall(id, kind)
		wants(t, activate(made.Number), want)
		h.state(made.Number, card.Personalised)
	}
	lost := h.personalise(h.order(h.person(), card.First))
	must(h.desk.ReportLoss(t.Context(), "desk", lifecycle.Loss{Card: lost.Number, Circumstance: card.NotReceived}))(t)
	wantsTransition(t, activate(lost.Number), card.Revoked, card.Activate)
	id := h.person()
	live := h.active(id, card.First)
	late := h.personalise(h.order(id, card.Renewal))
	h.clock.Store(late.Expires.Sub(start).Milliseconds())
	must(h.desk.Activate(t.Context(), "desk", h.personalise(h.order(h.person(), card.First)).Number))(t)
	h.clock.Add(1)
	wantsTransition(t, activate(late.Number), card.Expired, card.Activate)
	h.state(live.Number, card.Active)
}

func TestTheRegisterMustBeReadableForAnActivation(t *testing.T) {
	h := newHouse(t, card.GateChip)
	made := h.personalise(h.order(h.person(), card.First))
	broken := errors.New("unreadable")
	h.register.failure = broken
	_, err := h.desk.Activate(t.Context(), "desk", made.Number)
	wants(t, err, broken)
	h.state(made.Number, card.Personalised)
}

func TestALossRevokesAtOnceAndOrdersTheReplacement(t *testing.T) {
	for _, circumstance := range card.Circumstances {
		t.Run(string(circumstance), func(t *testing.T) {
			h := newHouse(t, card.GateChip)
			lost := h.active(h.person(), card.First)
			h.clock.Add(90_000_123)
			happened := h.now().Add(-time.Hour)
			events := h.rows("SELECT COUNT(*) FROM journal")
			reported := must(h.desk.ReportLoss(t.Context(), "hotline", lifecycle.Loss{Card: lost.Number, Circumstance: circumstance, Happened: happened}))(t)
			if n := h.rows("SELECT COUNT(*) FROM journal") - events; n != 1 {
				t.Errorf("%d decisions, want 1", n)
			}
			reason, _ := circumstance.Reason()
			h.status(lost.Number, card.StatusRevoked, reason)
			if kept := h.card(lost.Number); reported.Card != kept || kept.State != card.Revoked {
				t.Errorf("the answer is %+v, the ledger has %+v", reported.Card, kept)
			}
			if n := h.rows("SELECT COUNT(*) FROM revocations WHERE invalidity = $1", happened.Truncate(time.Second).UnixMilli()); n != 2 {
				t.Errorf("%d certificates have the declared moment, want 2", n)
			}
			reports := must(h.db.LossReports(t.Context(), lost))(t)
			if len(reports) != 1 || reports[0] != reported.Report || reports[0].Reporter != "hotline" || !reports[0].Received.Equal(h.now()) || reports[0].Committed.IsZero() {
				t.Errorf("the reports are %+v, the answer is %+v", reports, reported.Report)
			}
			if reported.Replacement == nil || reported.Why != nil {
				t.Fatalf("no replacement: %v", reported.Why)
			}
			o := must(h.db.Order(t.Context(), reported.Replacement.ID))(t)
			if o.Why != card.Replacement || o.Replaces != lost.Number || o.Holder != lost.Holder || o.Bureau != lost.Bureau || o.State != card.OrderOpen {
				t.Errorf("the replacement is %+v", o)
			}
			must(h.desk.Activate(t.Context(), "desk", h.personalise(o).Number))(t)
		})
	}
}

func TestALossWithoutAReplacementRevokesAllTheSame(t *testing.T) {
	unreadable := errors.New("unreadable")
	for _, c := range []struct {
		name   string
		before func(h *house, lost card.Card)
		why    error
	}{
		{"the holder died", func(h *house, lost card.Card) { h.befall(lost.Holder, registry.Deceased) }, registry.ErrDeceased},
		{"the holder was struck off", func(h *house, lost card.Card) { h.befall(lost.Holder, registry.StruckOff) }, registry.ErrStruckOff},
		{"a renewal is ordered", func(h *house, lost card.Card) { h.order(lost.Holder, card.Renewal) }, card.ErrWaitingCard},
		{"a renewal is made", func(h *house, lost card.Card) { h.personalise(h.order(lost.Holder, card.Renewal)) }, card.ErrWaitingCard},
		{"the register cannot be read", func(h *house, _ card.Card) { h.register.failure = unreadable }, unreadable},
		{"the order cannot be opened", func(h *house, _ card.Card) { h.book.opening = unreadable }, unreadable},
		{"another order was faster", func(h *house, _ card.Card) { h.book.opening = card.ErrWaitingCard }, card.ErrWaitingCard},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t, card.GateChip)
			lost := h.active(h.person(), card.First)
			c.before(h, lost)
			orders := h.rows("SELECT COUNT(*) FROM orders")
			reported := must(h.desk.ReportLoss(t.Context(), "hotline", lifecycle.Loss{Card: lost.Number, Circumstance: card.Stolen}))(t)
			wants(t, reported.Why, c.why)
			if reported.Replacement != nil || h.rows("SELECT COUNT(*) FROM orders") != orders {
				t.Error("a replacement was ordered")
			}
			h.state(lost.Number, card.Revoked)
			h.status(lost.Number, card.StatusRevoked, card.KeyCompromise)
			if n := h.rows("SELECT COUNT(*) FROM loss_reports"); n != 1 || reported.Report.ID == 0 {
				t.Errorf("%d reports, the answer is %+v", n, reported.Report)
			}
		})
	}
}

func TestALossOfACardThatWaitsOrIsHeldRevokesItToo(t *testing.T) {
	for _, gate := range []card.Gate{card.GateChip, card.GateHold} {
		h := newHouse(t, gate)
		id := h.person()
		waiting := h.personalise(h.order(id, card.First))
		reported := must(h.desk.ReportLoss(t.Context(), "hotline", lifecycle.Loss{Card: waiting.Number, Circumstance: card.NotReceived}))(t)
		h.status(waiting.Number, card.StatusRevoked, card.KeyCompromise)
		if reported.Replacement == nil {
			t.Fatalf("no replacement: %v", reported.Why)
		}
		live := must(h.desk.Activate(t.Context(), "desk", h.personalise(*reported.Replacement).Number))(t)
		step := must(live.Step(card.Suspend, h.now()))(t)
		err := h.db.Apply(t.Context(), card.Decision{Actor: "desk", Action: "suspend", At: h.now(), Changes: []card.Change{step}})
		if err != nil {
			t.Fatal(err)
		}
		h.status(live.Number, card.StatusHeld, card.CertificateHold)
		must(h.desk.ReportLoss(t.Context(), "hotline", lifecycle.Loss{Card: live.Number, Circumstance: card.Lost}))(t)
		h.status(live.Number, card.StatusRevoked, card.KeyCompromise)
	}
}

func TestALossOfARenewalThatDidNotArriveLeavesTheLiveCardInUse(t *testing.T) {
	h := newHouse(t, card.GateChip)
	id := h.person()
	live := h.active(id, card.First)
	gone := h.personalise(h.order(id, card.Renewal))
	reported := must(h.desk.ReportLoss(t.Context(), "hotline", lifecycle.Loss{Card: gone.Number, Circumstance: card.NotReceived}))(t)
	h.state(live.Number, card.Active)
	h.state(gone.Number, card.Revoked)
	must(h.desk.Activate(t.Context(), "desk", h.personalise(*reported.Replacement).Number))(t)
	h.state(live.Number, card.Replaced)
}

func TestAReportAboutACardThatEndedIsKeptAndChangesNothing(t *testing.T) {
	h := newHouse(t, card.GateChip)
	id := h.person()
	old := h.active(id, card.First)
	current := must(h.desk.Activate(t.Context(), "desk", h.personalise(h.order(id, card.Renewal)).Number))(t)
	must(h.desk.ReportLoss(t.Context(), "hotline", lifecycle.Loss{Card: current.Number, Circumstance: card.Lost}))(t)
	expired := h.active(h.person(), card.First)
	step := must(expired.Step(card.Expire, h.now()))(t)
	err := h.db.Apply(t.Context(), card.Decision{Actor: "clock", Action: "expire", At: h.now(), Changes: []card.Change{step}})
	if err != nil {
		t.Fatal(err)
	}
	for _, number := range []card.Number{old.Number, current.Number, expired.Number} {
		before := h.card(number)
		feed, orders, reports := h.rows("SELECT COUNT(*) FROM feed"), h.rows("SELECT COUNT(*) FROM orders"), h.rows("SELECT COUNT(*) FROM loss_reports")
		h.clock.Add(5000)
		reported := must(h.desk.ReportLoss(t.Context(), "hotline", lifecycle.Loss{Card: number, Circumstance: card.Stolen}))(t)
		if reported.Card != before || h.card(number) != before || reported.Replacement != nil || reported.Report.ID == 0 {
			t.Errorf("a late report gave %+v", reported)
		}
		if h.rows("SELECT COUNT(*) FROM feed") != feed || h.rows("SELECT COUNT(*) FROM orders") != orders || h.rows("SELECT COUNT(*) FROM loss_reports") != reports+1 {
			t.Error("a late report changed more than the list of reports")
		}
	}
}

func TestALossThatIsRefusedRecordsNothing(t *testing.T) {
	h := newHouse(t, card.GateChip)
	live := h.active(h.person(), card.First)
	spoiled := h.personalise(h.order(h.person(), card.First))
	must(h.desk.Spoil(t.Context(), bureau, bureau, spoiled.Number))(t)
	report := func(l lifecycle.Loss) error {
		_, err := h.desk.ReportLoss(t.Context(), "hotline", l)
		return err
	}
	wants(t, report(lifecycle.Loss{Card: live.Number, Circumstance: "eaten"}), lifecycle.ErrCircumstance)
	wants(t, report(lifecycle.Loss{Card: live.Number}), lifecycle.ErrCircumstance)
	wants(t, report(lifecycle.Loss{Card: live.Number, Circumstance: card.Lost, Happened: h.now().Add(time.Second)}), lifecycle.ErrHappened)
	wants(t, report(lifecycle.Loss{Card: live.Number, Circumstance: card.Lost, Happened: h.now(), Received: h.now().Add(-time.Minute)}), lifecycle.ErrHappened)
	wants(t, report(lifecycle.Loss{Card: live.Number, Circumstance: card.Lost, Happened: h.now().Add(time.Hour), Received: h.now().Add(2 * time.Hour)}), lifecycle.ErrHappened)
	wants(t, report(lifecycle.Loss{Card: "9999999999", Circumstance: card.Lost}), card.ErrNotFound)
	wantsTransition(t, report(lifecycle.Loss{Card: spoiled.Number, Circumstance: card.Lost}), card.Spoiled, card.Revoke)
	if n := h.rows("SELECT COUNT(*) FROM loss_reports"); n != 0 {
		t.Errorf("%d reports", n)
	}
	h.state(live.Number, card.Active)
}

func TestALossWithinThePresentSecondIsNotInTheFuture(t *testing.T) {
	h := newHouse(t, card.GateChip)
	live := h.active(h.person(), card.First)
	reported := must(h.desk.ReportLoss(t.Context(), "hotline", lifecycle.Loss{
		Card: live.Number, Circumstance: card.Lost, Happened: h.now().Add(900 * time.Millisecond), Received: h.now(),
	}))(t)
	if !reported.Report.Happened.Equal(h.now()) {
		t.Errorf("it happened at %s", reported.Report.Happened)
	}
}

func TestAReportThatWaitedKeepsTheMomentItWasReceived(t *testing.T) {
	h := newHouse(t, card.GateChip)
	live := h.active(h.person(), card.First)
	received := h.now()
	h.clock.Add(60_000)
	reported := must(h.desk.ReportLoss(t.Context(), "hotline", lifecycle.Loss{Card: live.Number, Circumstance: card.Lost, Happened: received, Received: received}))(t)
	if !reported.Report.Received.Equal(received) || !reported.Report.Committed.Equal(h.now()) {
		t.Errorf("received %s, committed %s", reported.Report.Received, reported.Report.Committed)
	}
}

func TestManyReportsOfOneLossAreAllKeptAndRevokeOnce(t *testing.T) {
	h := newHouse(t, card.GateChip)
	live := h.active(h.person(), card.First)
	var replaced atomic.Int32
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			reported, err := h.desk.ReportLoss(context.Background(), "hotline", lifecycle.Loss{Card: live.Number, Circumstance: card.Lost})
			if err != nil {
				t.Error(err)
			}
			if reported.Replacement != nil {
				replaced.Add(1)
			}
		})
	}
	group.Wait()
	if n := h.rows("SELECT COUNT(*) FROM loss_reports"); n != 16 || replaced.Load() != 1 {
		t.Errorf("%d reports are kept, %d replacements were ordered", n, replaced.Load())
	}
}

func TestASpoiledCardMakesRoomForAnother(t *testing.T) {
	h := newHouse(t, card.GateHold)
	o := h.order(h.person(), card.First)
	made := h.personalise(o)
	_, err := h.desk.Spoil(t.Context(), "bureau-b", "bureau-b", made.Number)
	wants(t, err, lifecycle.ErrBureau)
	_, err = h.desk.Spoil(t.Context(), bureau, bureau, "9999999999")
	wants(t, err, card.ErrNotFound)
	h.state(made.Number, card.Personalised)
	after := must(h.desk.Spoil(t.Context(), bureau, bureau, made.Number))(t)
	if after != h.card(made.Number) || after.State != card.Spoiled {
		t.Errorf("the answer is %+v", after)
	}
	h.status(made.Number, card.StatusRevoked, card.CessationOfOperation)
	_, err = h.desk.Spoil(t.Context(), bureau, bureau, made.Number)
	wantsTransition(t, err, card.Spoiled, card.Spoil)
	second := h.personalise(o)
	if second.Number == made.Number || second.Order != o.ID {
		t.Errorf("the second card is %+v", second)
	}
	must(h.desk.Activate(t.Context(), "desk", second.Number))(t)
	_, err = h.desk.Spoil(t.Context(), bureau, bureau, second.Number)
	wantsTransition(t, err, card.Active, card.Spoil)
}

func TestTwoActivationsOfOneCardAreOne(t *testing.T) {
	h := newHouse(t, card.GateChip)
	id := h.person()
	old := h.active(id, card.First)
	next := h.personalise(h.order(id, card.Renewal))
	var activated atomic.Int32
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			_, err := h.desk.Activate(context.Background(), "desk", next.Number)
			if err == nil {
				activated.Add(1)
				return
			}
			wantsTransition(t, err, card.Active, card.Activate)
		})
	}
	group.Wait()
	if activated.Load() != 1 {
		t.Errorf("%d activations", activated.Load())
	}
	h.state(old.Number, card.Replaced)
}
