package ca_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"cpsca/ca"
	"cpsca/card"
)

func TestOneOrderAskedByManyIsAnsweredOnce(t *testing.T) {
	h := newHouse(t)
	application := h.application()
	var group sync.WaitGroup
	var certified atomic.Int32
	var first atomic.Pointer[[]ca.Issued]
	for range 64 {
		group.Go(func() {
			answers, err := h.authority.Issue(context.Background(), requester, bureau, []card.Application{application})
			switch {
			case err != nil:
				t.Errorf("the chunk is refused: %v", err)
			case answers[0].Err == nil:
				certified.Add(1)
				if !first.CompareAndSwap(nil, &answers[0].Certificates) {
					same(t, answers[0].Certificates, *first.Load())
				}
			case !errors.Is(answers[0].Err, card.ErrInFlight):
				t.Errorf("got the error %v, want ErrInFlight or certificates", answers[0].Err)
			}
		})
	}
	group.Wait()
	if certified.Load() == 0 {
		t.Error("nobody got the certificates")
	}
	if n := h.rows("SELECT COUNT(*) FROM certificates"); n != 2 {
		t.Errorf("%d certificates for one order", n)
	}
	if n := h.signer.signed(); n != 2 {
		t.Errorf("%d signatures for one order", n)
	}
}

func TestManyOrdersAtATimeAreAllAnswered(t *testing.T) {
	h := newHouse(t)
	applications := h.applications(64)
	var group sync.WaitGroup
	for _, application := range applications {
		group.Go(func() {
			answers, err := h.authority.Issue(context.Background(), requester, bureau, []card.Application{application})
			if err != nil || answers[0].Err != nil {
				t.Errorf("%v, %v", err, answers)
			}
		})
	}
	group.Wait()
	if n := h.rows("SELECT COUNT(*) FROM certificates"); n != 128 {
		t.Errorf("%d certificates for 64 orders", n)
	}
}

func TestACardThatTwoOrdersWantIsGivenToOne(t *testing.T) {
	h := newHouse(t)
	chip := h.card()
	var applications []card.Application
	for range 16 {
		o := h.order(h.person())
		applications = append(applications, must(chip.Application(o.ID, o.Challenges))(t))
	}
	var group sync.WaitGroup
	var certified atomic.Int32
	for _, application := range applications {
		group.Go(func() {
			answers, err := h.authority.Issue(context.Background(), requester, bureau, []card.Application{application})
			switch {
			case err != nil:
				t.Errorf("the chunk is refused: %v", err)
			case answers[0].Err == nil:
				certified.Add(1)
			default:
				wants(t, answers[0].Err, card.ErrNumberTaken)
			}
		})
	}
	group.Wait()
	if certified.Load() != 1 {
		t.Errorf("%d orders have the same card", certified.Load())
	}
}

// TestWhoComesSecondGetsWhatTheFirstGot: both read the order while it is open,
// one records before the other intends.
func TestWhoComesSecondGetsWhatTheFirstGot(t *testing.T) {
	h := newHouse(t)
	application := h.application()
	var first []ca.Answer
	h.ledger.intend = func(apply func() error) error {
		h.ledger.intend = nil
		first = h.issue(application)
		return apply()
	}
	second := h.issue(application)
	h.good(first)
	h.good(second)
	same(t, second[0].Certificates, first[0].Certificates)
	if !second[0].Replayed || h.signer.signed() != 2 {
		t.Errorf("replayed %t after %d signatures", second[0].Replayed, h.signer.signed())
	}
}

// book is a ledger in memory that agrees to everything: orders in it are as
// many as are asked for.
type book struct{ dossier card.Dossier }

func (b book) Dossiers(_ context.Context, _ string, ids []card.OrderID) (map[card.OrderID]card.Dossier, error) {
	out := map[card.OrderID]card.Dossier{}
	for _, id := range ids {
		d := b.dossier
		d.Order.ID = id
		out[id] = d
	}
	return out, nil
}

func (book) Intend(_ context.Context, chunk []card.Attempt) ([]error, error) {
	return make([]error, len(chunk)), nil
}
func (book) Record(context.Context, []card.Signed, card.Gate) error { return nil }
func (book) Abandon(context.Context, string, []card.Attempt) error  { return nil }

// inMemory is an authority over a book, with applications to send to it.
// It is to be made inside the bubble that tests it.
func inMemory(t *testing.T, change func(*ca.Config)) (ca.Config, *witness, func(id card.OrderID) card.Application) {
	t.Helper()
	h := newHouse(t)
	o := h.order(h.person())
	chip := h.card()
	dossier := must(h.db.Dossiers(t.Context(), bureau, []card.OrderID{o.ID}))(t)[o.ID]
	h.config.Directory, h.config.Ledger = book{dossier}, book{dossier}
	signer := &witness{Signer: h.pki.Issuing.Signer, digests: map[string]int{}}
	h.config.Cards = must(ca.NewIssuer(h.pki.Issuing.Certificate, signer))(t)
	change(&h.config)
	honest := must(chip.Application(o.ID, o.Challenges))(t)
	return h.config, signer, func(id card.OrderID) card.Application {
		application := honest
		application.Order = id
		return application
	}
}

func TestOneChunkTooManyIsRefusedAndAnsweredLater(t *testing.T) {
	config, signer, application := inMemory(t, func(c *ca.Config) { c.Queue = 1 })
	synctest.Test(t, func(t *testing.T) {
		authority := must(ca.New(config))(t)
		gate := make(chan struct{})
		signer.does(func(_ int, sign func() ([]byte, error)) ([]byte, error) {
			<-gate
			return sign()
		})
		issue := func(id card.OrderID) error {
			answers, err := authority.Issue(context.Background(), requester, bureau, []card.Application{application(id)})
			if err != nil {
				return err
			}
			return answers[0].Err
		}
		done := make(chan error, 1)
		go func() { done <- issue("one") }()
		synctest.Wait()
		wants(t, issue("two"), ca.ErrBusy)
		close(gate)
		err := errors.Join(<-done, issue("two"))
		if err != nil {
			t.Error(err)
		}
	})
}

func TestAllChunksTogetherAskForNoMoreSignaturesThanThereAreSigners(t *testing.T) {
	config, signer, application := inMemory(t, func(c *ca.Config) { c.Signers = 3 })
	synctest.Test(t, func(t *testing.T) {
		authority := must(ca.New(config))(t)
		gate := make(chan struct{})
		var inside, most atomic.Int32
		signer.does(func(_ int, sign func() ([]byte, error)) ([]byte, error) {
			most.Store(max(most.Load(), inside.Add(1)))
			defer inside.Add(-1)
			<-gate
			return sign()
		})
		var group sync.WaitGroup
		for _, id := range []card.OrderID{"a", "b", "c", "d", "e", "f"} {
			group.Go(func() {
				_, err := authority.Issue(context.Background(), requester, bureau, []card.Application{application(id)})
				if err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if inside.Load() != 3 {
			t.Errorf("%d signatures are asked for, want 3", inside.Load())
		}
		close(gate)
		group.Wait()
		if most.Load() != 3 {
			t.Errorf("up to %d signatures were asked for, want 3", most.Load())
		}
	})
}

// TestAStoppedIssuerStaysStopped: a good signature that was under way when the
// second bad one came does not start it again.
func TestAStoppedIssuerStaysStopped(t *testing.T) {
	config, signer, application := inMemory(t, func(c *ca.Config) { c.Signers = 4 })
	synctest.Test(t, func(t *testing.T) {
		authority := must(ca.New(config))(t)
		early, late := make(chan struct{}), make(chan struct{})
		signer.does(func(call int, sign func() ([]byte, error)) ([]byte, error) {
			signature, err := sign()
			if call < 2 {
				<-early
				return flip(signature), err
			}
			<-late
			return signature, err
		})
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, err := authority.Issue(context.Background(), requester, bureau, []card.Application{application("a"), application("b")})
			if err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait() // all four are under way
		close(early)
		synctest.Wait()
		close(late)
		<-done
		signer.does(nil)
		_, err := authority.Issue(context.Background(), requester, bureau, []card.Application{application("c")})
		wants(t, err, ca.ErrStopped)
	})
}
