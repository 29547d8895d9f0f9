package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"cpsca/card"
)

func TestTheUrgentGoBeforeTheOrdinaryInTheOrderOfArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s turnstile
		release, err := s.take(t.Context(), ordinary)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []string
		enter := func(name string, r rank) {
			go func() {
				release, err := s.take(context.Background(), r)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, name)
				mu.Unlock()
				release()
			}()
			synctest.Wait()
		}
		enter("ordinary 1", ordinary)
		enter("urgent 1", urgent)
		enter("ordinary 2", ordinary)
		enter("urgent 2", urgent)
		release()
		synctest.Wait()
		want := []string{"urgent 1", "urgent 2", "ordinary 1", "ordinary 2"}
		if !slices.Equal(order, want) {
			t.Fatalf("got %v, want %v", order, want)
		}
		release, err = s.take(t.Context(), ordinary)
		if err != nil || s.busy == false {
			t.Fatal("the turnstile is not free again")
		}
		release()
	})
}

func TestAWaiterThatGivesUpDoesNotLoseTheTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s turnstile
		release, err := s.take(t.Context(), ordinary)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		gaveUp := make(chan error, 1)
		go func() { _, err := s.take(ctx, urgent); gaveUp <- err }()
		synctest.Wait()
		entered := make(chan struct{})
		go func() {
			release, err := s.take(context.Background(), ordinary)
			if err == nil {
				close(entered)
				release()
			}
		}()
		synctest.Wait()
		cancel()
		synctest.Wait()
		err = <-gaveUp
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
		release()
		<-entered
	})
}

func TestATurnThatComesWhileItsWaiterLeavesIsPassedOn(t *testing.T) {
	for range 200 {
		var s turnstile
		_, err := s.take(t.Context(), ordinary)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		left := make(chan error, 1)
		go func() {
			release, err := s.take(ctx, ordinary)
			if err == nil {
				release()
			}
			left <- err
		}()
		waitFor(&s, 1)
		s.mu.Lock()
		cancel() // it cannot leave the queue yet, and then it is no longer in it
		next := s.waiting[ordinary][0]
		s.waiting[ordinary] = nil
		close(next.turn)
		s.mu.Unlock()
		err = <-left
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if s.busy {
			t.Fatalf("the turn was lost: the waiter left with %v", err)
		}
	}
}

// waitFor returns when n wait.
func waitFor(s *turnstile, n int) {
	for {
		s.mu.Lock()
		waiting := len(s.waiting[ordinary]) + len(s.waiting[urgent])
		s.mu.Unlock()
		if waiting >= n {
			return
		}
		runtime.Gosched()
	}
}

func TestALossReportGoesBeforeOrders(t *testing.T) {
	db := newLedger(t)
	c, _ := personalised(t, db, card.GateChip)
	release, err := db.turn.take(t.Context(), ordinary)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		apply(t, db, card.Decision{Actor: "desk", Action: "order", At: dawn, Opens: []card.Order{orderFor(newHolder(), card.First, "")}})
	})
	waitFor(&db.turn, 1)
	all.Go(func() {
		apply(t, db, card.Decision{Actor: "desk", Action: "loss report", At: dawn, Report: &card.LossReport{Card: c.Number, Circumstance: card.Lost, Received: dawn, Reporter: "desk"}})
	})
	waitFor(&db.turn, 2)
	release()
	all.Wait()
	last := texts(t, db.readers, "SELECT action FROM journal ORDER BY sequence DESC LIMIT 2")
	if !slices.Equal(last, []string{"order", "loss report"}) {
		t.Fatalf("the journal ends, latest first, with %v", last)
	}
}

func TestOneWriterAtATimeWhateverIsCancelled(t *testing.T) {
	var s turnstile
	var inside, entered, refused atomic.Int32
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			source := rand.New(rand.NewPCG(uint64(i), 2))
			for range 200 {
				ctx, cancel := context.WithCancel(context.Background())
				if source.IntN(3) == 0 {
					go cancel()
				}
				release, err := s.take(ctx, rank(source.IntN(2)))
				if err != nil {
					refused.Add(1)
					cancel()
					continue
				}
				if inside.Add(1) != 1 {
					t.Error("two are inside")
				}
				entered.Add(1)
				inside.Add(-1)
				release()
				cancel()
			}
		})
	}
	all.Wait()
	if s.busy || len(s.waiting[0])+len(s.waiting[1]) != 0 || entered.Load()+refused.Load() != 64*200 {
		t.Fatalf("busy %t, %d wait, %d entered, %d gave up", s.busy, len(s.waiting[0])+len(s.waiting[1]), entered.Load(), refused.Load())
	}
}
