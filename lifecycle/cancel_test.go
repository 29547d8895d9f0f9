package lifecycle_test

import (
	"context"
	"errors"
	"testing"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/hsm"
	"cpsca/lifecycle"
	"cpsca/testpki"
)

func (h *house) cancel(o card.Order) error {
	_, err := h.desk.Cancel(context.Background(), "desk", o.ID)
	return err
}

// apply sends one application for each order, together.
func (h *house) apply(orders ...card.Order) []ca.Answer {
	h.t.Helper()
	var applications []card.Application
	for _, o := range orders {
		chip := must(testpki.NewCard(h.numbers.Next(), hsm.P256))(h.t)
		applications = append(applications, must(chip.Application(o.ID, o.Challenges))(h.t))
	}
	return must(h.authority.Issue(context.Background(), "workshop", bureau, applications))(h.t)
}

// ended expects that another card for an order is refused: the order is closed,
// or bound to the card that it had.
func (h *house) ended(o card.Order) {
	h.t.Helper()
	if kept := must(h.db.Order(context.Background(), o.ID))(h.t); kept.State != card.OrderClosed {
		h.t.Errorf("the order is %s", kept.State)
	}
	err := h.apply(o)[0].Err
	if !errors.Is(err, card.ErrOrderClosed) && !errors.Is(err, card.ErrOrderBound) {
		h.t.Errorf("another card for an order that ended: got %v", err)
	}
}

func TestACancelledOrderMakesRoomForAnother(t *testing.T) {
	h := newHouse(t, card.GateChip)
	id := h.person()
	o := h.order(id, card.First)
	h.clock.Add(1234)
	after := must(h.desk.Cancel(t.Context(), "desk", o.ID))(t)
	cards := must(h.db.CardsOfOrder(t.Context(), o.ID))(t)
	if len(cards) != 1 || after != cards[0] || after.State != card.Cancelled || !after.Since.Equal(h.now()) {
		t.Errorf("the answer is %+v, the ledger has %+v", after, cards)
	}
	if kept := must(h.db.Order(t.Context(), o.ID))(t); kept.State != card.OrderClosed {
		t.Errorf("the order is %s", kept.State)
	}
	wants(t, h.apply(o)[0].Err, card.ErrOrderClosed)
	wantsTransition(t, h.cancel(o), card.Cancelled, card.Cancel)
	h.personalise(h.order(id, card.First))
}

func TestWhatCannotBeCancelled(t *testing.T) {
	h := newHouse(t, card.GateChip)
	wants(t, h.cancel(card.Order{ID: "nothing"}), card.ErrNotFound)
	o := h.order(h.person(), card.First)
	made := h.personalise(o)
	wantsTransition(t, h.cancel(o), card.Personalised, card.Cancel)
	h.status(made.Number, card.StatusGood, card.Unspecified)
	must(h.desk.Activate(t.Context(), "desk", made.Number))(t)
	wantsTransition(t, h.cancel(o), card.Active, card.Cancel)
}

func TestAnOrderIsCancelledAfterACardThatFailed(t *testing.T) {
	h := newHouse(t, card.GateChip)
	o := h.order(h.person(), card.First)
	made := h.personalise(o)
	must(h.desk.Spoil(t.Context(), bureau, bureau, made.Number))(t)
	wants(t, h.cancel(o), nil)
	h.state(made.Number, card.Spoiled)
	wants(t, h.apply(o)[0].Err, card.ErrOrderClosed)
}

func TestACancellationThatLosesARaceIsDecidedAgain(t *testing.T) {
	h := newHouse(t, card.GateChip)
	o := h.order(h.person(), card.First)
	h.book.stale.Store(2)
	wants(t, h.cancel(o), nil)
}

// The signatures of a cancelled order are made and thrown away; the other card
// of the chunk is made.
func TestACancellationUnderTheSignatureAbandonsTheAttempt(t *testing.T) {
	h := newHouse(t, card.GateChip)
	gone, stays := h.order(h.person(), card.First), h.order(h.person(), card.First)
	var cancelled error
	h.signer.first = func() { cancelled = h.cancel(gone) }
	answers := h.apply(gone, stays)
	wants(t, cancelled, nil)
	wants(t, answers[0].Err, ca.ErrAbandoned)
	wants(t, answers[0].Err, card.ErrStale)
	if len(answers[0].Certificates) != 0 || answers[1].Err != nil || len(answers[1].Certificates) != 2 {
		t.Errorf("got %+v", answers)
	}
	cards := must(h.db.CardsOfOrder(t.Context(), gone.ID))(t)
	if len(cards) != 1 || cards[0].State != card.Cancelled || len(must(h.db.CertificatesOf(t.Context(), cards[0].ID))(t)) != 0 {
		t.Errorf("the cancelled order has %+v", cards)
	}
	if n := h.rows("SELECT COUNT(*) FROM attempts WHERE order_id = $1 AND state = 'abandoned'", string(gone.ID)); n != 1 {
		t.Errorf("%d attempts are abandoned, want 1", n)
	}
	if n := h.rows(`SELECT COUNT(*) FROM intents i JOIN revocations r ON r.issuer = i.issuer AND r.serial = i.serial
		WHERE i.order_id = $1 AND r.status = 'revoked'`, string(gone.ID)); n != 2 {
		t.Errorf("%d serials are listed, want 2", n)
	}
	h.ended(gone)
}

// The fifth card that fails closes its order, whether or not its certificates
// were recorded.
func TestTheFifthCardThatFailsClosesItsOrder(t *testing.T) {
	for _, made := range []bool{true, false} {
		h := newHouse(t, card.GateChip)
		id := h.person()
		o := h.order(id, card.First)
		for range lifecycle.MaxFailures - 1 {
			after := must(h.desk.Spoil(t.Context(), bureau, bureau, h.personalise(o).Number))(t)
			if after.State != card.Spoiled {
				t.Fatalf("a card that failed is %s", after.State)
			}
		}
		h.signer.fails.Store(!made)
		answer := h.apply(o)[0]
		if (answer.Err == nil) != made || !made && !errors.Is(answer.Err, ca.ErrAbandoned) {
			t.Fatal(answer.Err)
		}
		h.signer.fails.Store(false)
		h.clock.Add(1234)
		events := h.rows("SELECT COUNT(*) FROM journal")
		after := must(h.desk.Spoil(t.Context(), bureau, bureau, answer.Number))(t)
		want := card.Cancelled
		if made {
			want = card.Revoked
			h.status(answer.Number, card.StatusRevoked, card.CessationOfOperation)
		}
		if after != h.card(answer.Number) || after.State != want || h.rows("SELECT COUNT(*) FROM journal") != events+1 {
			t.Errorf("the answer is %+v, want %s in one decision", after, want)
		}
		h.ended(o)
		_, err := h.desk.Spoil(t.Context(), bureau, bureau, answer.Number)
		wantsTransition(t, err, want, card.Spoil)
		if n := h.rows("SELECT COUNT(*) FROM intents WHERE order_id = $1", string(o.ID)); n != 2*lifecycle.MaxFailures {
			t.Errorf("%d signatures for one order, want %d", n, 2*lifecycle.MaxFailures)
		}
		h.personalise(h.order(id, card.First)) // the desk orders anew
	}
}
