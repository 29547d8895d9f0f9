package api

import (
	"fmt"
	"sync"
	"testing"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/client"
	"cpsca/officer"
)

// While one chunk is signed the next is examined: the first does not end before
// the second has begun, and the answers keep their order all the same.
func TestChunksOfAStreamOverlapAndTheirAnswersKeepTheirOrder(t *testing.T) {
	s := newSite(t)
	var mu sync.Mutex
	begun := 0
	second := make(chan struct{})
	s.issue = func(given []card.Application) ([]ca.Answer, error) {
		mu.Lock()
		begun++
		mine := begun
		mu.Unlock()
		switch mine {
		case 1:
			<-second
		case 2:
			close(second)
		}
		return issued(given), nil
	}
	next := 1
	err := s.as(officer.Bureau).Applications(t.Context(), applications(2000), func(a client.Answer) error {
		if a.Line != next {
			return fmt.Errorf("line %d, want %d", a.Line, next)
		}
		next++
		return nil
	})
	if err != nil || next != 2001 || begun < 2 {
		t.Fatalf("got %d answers in %d chunks, %v", next-1, begun, err)
	}
}

// A second line for an order is not put to the authority beside the first: it
// would be told that an attempt is under way, and not what was issued.
func TestASecondLineForAnOrderWaitsForTheFirst(t *testing.T) {
	s := newSite(t)
	var mu sync.Mutex
	underWay := make(map[card.OrderID]bool)
	s.issue = func(given []card.Application) ([]ca.Answer, error) {
		mu.Lock()
		for _, a := range given {
			if underWay[a.Order] {
				t.Errorf("order %s is under way twice", a.Order)
			}
			underWay[a.Order] = true
		}
		mu.Unlock()
		out := issued(given)
		mu.Lock()
		for _, a := range given {
			delete(underWay, a.Order)
		}
		mu.Unlock()
		return out, nil
	}
	in := func(yield func(client.Application, error) bool) {
		for range 4 {
			for a := range applications(ca.MaxChunk) { // each order again in the next chunk
				if !yield(a, nil) {
					return
				}
			}
		}
	}
	n := 0
	err := s.as(officer.Bureau).Applications(t.Context(), in, func(client.Answer) error { n++; return nil })
	if err != nil || n != 4*ca.MaxChunk {
		t.Fatalf("got %d answers, %v", n, err)
	}
}

// The authority says how many applications go together.
func TestChunksAreNoLargerThanTheAuthorityAsks(t *testing.T) {
	s := newSite(t)
	s.chunk = 10
	var mu sync.Mutex
	largest := 0
	s.issue = func(given []card.Application) ([]ca.Answer, error) {
		mu.Lock()
		largest = max(largest, len(given))
		mu.Unlock()
		return issued(given), nil
	}
	n := 0
	err := s.as(officer.Bureau).Applications(t.Context(), applications(1000), func(client.Answer) error { n++; return nil })
	if err != nil || n != 1000 || largest > 10 {
		t.Fatalf("got %d answers in chunks of up to %d, %v", n, largest, err)
	}
}
