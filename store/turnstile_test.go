package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
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
