package lifecycle_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"cpsca/card"
	"cpsca/lifecycle"
	"cpsca/registry"
)

func TestAnOrderIsOpenedWithItsOwnChallenges(t *testing.T) {
	h := newHouse(t, card.GateChip)
	id := h.person()
	o := h.order(id, "")
	kept := must(h.db.Order(t.Context(), o.ID))(t)
	if kept.Holder != id || kept.Why != card.First || kept.Bureau != bureau || kept.Profession != nurse || kept.State != card.OrderOpen || kept.Type != card.CPS || kept.Replaces != "" {
		t.Errorf("the order is %+v", kept)
	}
	if len(o.ID) != 24 || !kept.Created.Equal(h.now()) {
		t.Errorf("the order is called %q, of %s", o.ID, kept.Created)
	}
	other := h.order(h.person(), card.First)
	h.clock.Add(1000)
	if later := h.order(h.person(), card.First); later.ID <= o.ID || later.ID <= other.ID {
		t.Errorf("%q was ordered after %q and %q and is not filed after them", later.ID, o.ID, other.ID)
	}
	seen := map[string]bool{}
	for _, o := range []card.Order{o, other} {
		for _, use := range card.Uses {
			challenge := o.Challenges[use]
			if len(challenge) != 32 || seen[challenge] {
				t.Errorf("the challenge %q is short or was given before", challenge)
			}
			seen[challenge] = true
		}
	}
	directed := must(h.desk.Order(t.Context(), "desk", lifecycle.OrderRequest{Holder: h.person(), Bureau: "bureau-b"}))(t)
	if directed.Bureau != "bureau-b" {
		t.Errorf("the order went to %s", directed.Bureau)
	}
}

func TestWhoMayHaveWhichOrder(t *testing.T) {
	for _, c := range []struct {
		name string
		have func(h *house, id registry.NationalID) // what the holder has already
		why  card.Why
		want error
	}{
		{"a first card", func(*house, registry.NationalID) {}, card.First, nil},
		{"a first card after a live one", func(h *house, id registry.NationalID) { h.active(id, card.First) }, card.First, card.ErrLiveCard},
		{"a first card after one that is ordered", func(h *house, id registry.NationalID) { h.order(id, card.First) }, card.First, card.ErrWaitingCard},
		{"a first card after one that is made", func(h *house, id registry.NationalID) { h.personalise(h.order(id, card.First)) }, card.First, card.ErrWaitingCard},
		{"a renewal without a card", func(*house, registry.NationalID) {}, card.Renewal, card.ErrNoLiveCard},
		{"a renewal of a card that waits", func(h *house, id registry.NationalID) { h.order(id, card.First) }, card.Renewal, card.ErrWaitingCard},
		{"a renewal of a live card", func(h *house, id registry.NationalID) { h.active(id, card.First) }, card.Renewal, nil},
		{"a second renewal", func(h *house, id registry.NationalID) { h.active(id, card.First); h.order(id, card.Renewal) }, card.Renewal, card.ErrWaitingCard},
		{"a renewal of a card that was lost", func(h *house, id registry.NationalID) { h.lose(h.active(id, card.First), id) }, card.Renewal, card.ErrNoLiveCard},
		{"a replacement of nothing", func(*house, registry.NationalID) {}, card.Replacement, lifecycle.ErrWhy},
		{"a replacement of a live card", func(h *house, id registry.NationalID) { h.active(id, card.First) }, card.Replacement, card.ErrLiveCard},
		{"a replacement of a lost card", func(h *house, id registry.NationalID) { h.lose(h.active(id, card.First), id) }, card.Replacement, nil},
		{"a first card after a lost one", func(h *house, id registry.NationalID) { h.lose(h.active(id, card.First), id) }, card.First, nil},
		{"a replacement that loss ordered already", func(h *house, id registry.NationalID) {
			must(h.desk.ReportLoss(context.Background(), "desk", lifecycle.Loss{Card: h.active(id, card.First).Number, Circumstance: card.Lost}))(h.t)
		}, card.Replacement, card.ErrWaitingCard},
		{"a replacement of a spoiled card alone", func(h *house, id registry.NationalID) {
			o := h.order(id, card.First)
			must(h.desk.Spoil(context.Background(), bureau, bureau, h.personalise(o).Number))(h.t)
			wants(h.t, h.cancel(o), nil)
		}, card.Replacement, lifecycle.ErrWhy},
		{"an unknown reason", func(*house, registry.NationalID) {}, "present", lifecycle.ErrWhy},
		{"a deceased holder", func(h *house, id registry.NationalID) { h.befall(id, registry.Deceased) }, card.First, registry.ErrDeceased},
		{"a holder who is struck off", func(h *house, id registry.NationalID) { h.befall(id, registry.StruckOff) }, card.First, registry.ErrStruckOff},
		{"a suspended holder", func(h *house, id registry.NationalID) { h.befall(id, registry.Suspended) }, card.First, registry.ErrSuspended},
		{"a retired holder", func(h *house, id registry.NationalID) { h.befall(id, registry.Retired) }, card.First, registry.ErrRetired},
		{"a renewal of a holder who lost the right", func(h *house, id registry.NationalID) {
			h.active(id, card.First)
			h.befall(id, registry.StruckOff)
		}, card.Renewal, registry.ErrStruckOff},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t, card.GateChip)
			id := h.person()
			c.have(h, id)
			orders := h.rows("SELECT COUNT(*) FROM orders")
			o, err := h.desk.Order(t.Context(), "desk", lifecycle.OrderRequest{Holder: id, Why: c.why})
			wants(t, err, c.want)
			opened := h.rows("SELECT COUNT(*) FROM orders") - orders
			if c.want != nil && (opened != 0 || o.ID != "") || c.want == nil && opened != 1 {
				t.Errorf("%d orders were opened, the answer is %+v", opened, o)
			}
		})
	}
}

// lose ends a live card without a replacement: its holder had no right to one
// for a moment.
func (h *house) lose(c card.Card, id registry.NationalID) {
	h.t.Helper()
	h.register.failure = registry.ErrSuspended
	defer func() { h.register.failure = nil }()
	reported := must(h.desk.ReportLoss(context.Background(), "desk", lifecycle.Loss{Card: c.Number, Circumstance: card.Lost}))(h.t)
	if reported.Replacement != nil || c.Holder != id {
		h.t.Fatal("a replacement was ordered")
	}
}

func TestAnOrderNamesTheCardItFollows(t *testing.T) {
	h := newHouse(t, card.GateChip)
	id := h.person()
	first := h.active(id, card.First)
	renewal := h.order(id, card.Renewal)
	if renewal.Replaces != first.Number {
		t.Errorf("the renewal follows %q, want %q", renewal.Replaces, first.Number)
	}
	second := must(h.desk.Activate(t.Context(), "desk", h.personalise(renewal).Number))(t)
	h.lose(second, id)
	if o := h.order(id, card.Replacement); o.Replaces != second.Number {
		t.Errorf("the replacement follows %q, want %q", o.Replaces, second.Number)
	}
}

func TestAHolderOfSeveralProfessionsHasACardOfEach(t *testing.T) {
	h := newHouse(t, card.GateChip)
	id := h.person(nurse, midwife)
	_, err := h.desk.Order(t.Context(), "desk", lifecycle.OrderRequest{Holder: id})
	wants(t, err, lifecycle.ErrProfession)
	for _, profession := range []registry.ProfessionCode{nurse, midwife} {
		o := must(h.desk.Order(t.Context(), "desk", lifecycle.OrderRequest{Holder: id, Profession: profession}))(t)
		if o.Profession != profession {
			t.Errorf("the order is for profession %d", o.Profession)
		}
	}
	_, err = h.desk.Order(t.Context(), "desk", lifecycle.OrderRequest{Holder: id, Profession: nurse})
	wants(t, err, card.ErrWaitingCard)
	_, err = h.desk.Order(t.Context(), "desk", lifecycle.OrderRequest{Holder: id, Profession: 10})
	wants(t, err, registry.ErrProfessionNotHeld)
}

func TestWhoIsNotInTheRegisterHasNoOrder(t *testing.T) {
	h := newHouse(t, card.GateChip)
	_, err := h.desk.Order(t.Context(), "desk", lifecycle.OrderRequest{Holder: h.stranger()})
	wants(t, err, card.ErrUnknownHolder)
	_, err = h.desk.Order(t.Context(), "desk", lifecycle.OrderRequest{Holder: "899700075123"})
	wants(t, err, registry.ErrRPPSKey)
	_, err = h.desk.Order(t.Context(), "desk", lifecycle.OrderRequest{})
	wants(t, err, registry.ErrIDEmpty)
}

func TestOfManyOrdersForOneHolderOneIsOpened(t *testing.T) {
	h := newHouse(t, card.GateChip)
	id := h.person()
	var opened atomic.Int32
	var group sync.WaitGroup
	for range 64 {
		group.Go(func() {
			_, err := h.desk.Order(context.Background(), "desk", lifecycle.OrderRequest{Holder: id})
			switch {
			case err == nil:
				opened.Add(1)
			case !errors.Is(err, card.ErrWaitingCard):
				t.Errorf("got the error %v", err)
			}
		})
	}
	group.Wait()
	if opened.Load() != 1 || h.rows("SELECT COUNT(*) FROM orders") != 1 {
		t.Errorf("%d orders were opened", opened.Load())
	}
}

func TestAMoveThatMetAnotherIsComputedAgainAFewTimes(t *testing.T) {
	h := newHouse(t, card.GateChip)
	moves := map[string]func() error{
		"order": func() error {
			_, err := h.desk.Order(t.Context(), "desk", lifecycle.OrderRequest{Holder: h.person()})
			return err
		},
		"activate": func() error {
			_, err := h.desk.Activate(t.Context(), "desk", h.personalise(h.orderCalmly()).Number)
			return err
		},
		"loss": func() error {
			reported, err := h.desk.ReportLoss(t.Context(), "desk", lifecycle.Loss{Card: h.personalise(h.orderCalmly()).Number, Circumstance: card.NotReceived})
			if err == nil && reported.Replacement == nil {
				t.Errorf("the replacement was given up for a card that moved: %v", reported.Why)
			}
			return err
		},
		"spoil": func() error {
			_, err := h.desk.Spoil(t.Context(), bureau, bureau, h.personalise(h.orderCalmly()).Number)
			return err
		},
	}
	for name, move := range moves {
		for stale, want := range map[int32]error{0: nil, 1: nil, 4: nil, 5: card.ErrStale, 100: card.ErrStale} {
			h.book.stale.Store(stale)
			err := move()
			if !errors.Is(err, want) {
				t.Errorf("%s, stale %d times: got the error %v, want %v", name, stale, err, want)
			}
		}
	}
}

// orderCalmly opens an order while the book is not stubborn.
func (h *house) orderCalmly() card.Order {
	h.t.Helper()
	stale := h.book.stale.Swap(0)
	defer h.book.stale.Store(stale)
	return h.order(h.person(), card.First)
}

// A house that certifies fictitious people alone refuses others when they are
// ordered for, not when their card is half made.
func TestAHouseOrdersForThoseItCertifiesAlone(t *testing.T) {
	h := newHouse(t, card.GateChip)
	id := h.person()
	desk := lifecycle.New(lifecycle.Config{
		Register: h.register, Book: h.book, Bureau: bureau, Now: h.now,
		Certifies: func(id registry.NationalID) bool { return !id.Test() },
	})
	_, err := desk.Order(t.Context(), "desk", lifecycle.OrderRequest{Holder: id})
	wants(t, err, lifecycle.ErrEnvironment)
	_, err = h.desk.Order(t.Context(), "desk", lifecycle.OrderRequest{Holder: id})
	if err != nil {
		t.Fatal(err)
	}
}
