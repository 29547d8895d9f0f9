package store

import (
	"context"
	"sync"
)

// rank is who goes first at the turnstile.
type rank int

const (
	ordinary rank = iota
	urgent        // loss reports and revocations go before everything
)

// turnstile lets one writer in at a time: the urgent before the ordinary, each
// in the order of arrival. The zero value is open.
type turnstile struct {
	mu      sync.Mutex
	busy    bool
	waiting [2][]chan struct{}
}

// take waits for the turn and returns what gives it back.
func (s *turnstile) take(ctx context.Context, r rank) (func(), error) {
	s.mu.Lock()
	if !s.busy {
		s.busy = true
		s.mu.Unlock()
		return s.pass, nil
	}
	turn := make(chan struct{})
	s.waiting[r] = append(s.waiting[r], turn)
	s.mu.Unlock()
	select {
	case <-turn:
		return s.pass, nil
	case <-ctx.Done():
		if !s.leave(r, turn) {
			s.pass() // the turn came while we were leaving
		}
		return nil, ctx.Err()
	}
}

// leave takes a waiter out of the queue; false means that it was already let in.
func (s *turnstile) leave(r rank, turn chan struct{}) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, w := range s.waiting[r] {
		if w == turn {
			s.waiting[r] = append(s.waiting[r][:i], s.waiting[r][i+1:]...)
			return true
		}
	}
	return false
}

func (s *turnstile) pass() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range []rank{urgent, ordinary} {
		if len(s.waiting[r]) > 0 {
			next := s.waiting[r][0]
			s.waiting[r] = s.waiting[r][1:]
			close(next)
			return
		}
	}
	s.busy = false
}
