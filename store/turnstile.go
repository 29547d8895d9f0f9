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

// waiter is somebody who waits for the turn, or for whoever has it to do his
// work along with his own.
type waiter struct {
	turn chan struct{}            // closed when the turn is his
	work func(*transaction) error // nil if nobody else may do it
	done chan error               // gets what came of work that was taken along
}

// turnstile lets one writer in at a time: the urgent before the ordinary, each
// in the order of arrival. The zero value is open.
type turnstile struct {
	mu      sync.Mutex
	busy    bool
	waiting [2][]*waiter
}

// take waits for the turn and returns what gives it back.
func (s *turnstile) take(ctx context.Context, r rank) (func(), error) {
	release, _, err := s.enter(ctx, r, nil)
	return release, err
}

// enter waits for the turn, or until whoever has it has done the work: then
// release is nil and served true, with the work's own error.
func (s *turnstile) enter(ctx context.Context, r rank, work func(*transaction) error) (release func(), served bool, err error) {
	s.mu.Lock()
	if !s.busy {
		s.busy = true
		s.mu.Unlock()
		return s.pass, false, nil
	}
	w := &waiter{turn: make(chan struct{}), work: work, done: make(chan error, 1)}
	s.waiting[r] = append(s.waiting[r], w)
	s.mu.Unlock()
	select {
	case <-w.turn:
		return s.pass, false, nil
	case err = <-w.done:
		return nil, true, err
	case <-ctx.Done():
		if s.leave(r, w) {
			return nil, false, ctx.Err()
		}
	}
	select { // it came while we were leaving
	case <-w.turn:
		s.pass()
		return nil, false, ctx.Err()
	case err = <-w.done:
		return nil, true, err
	}
}

// share takes the next waiter out of the queue whose work may be done along;
// nil if there is none, or if the next must have the turn.
func (s *turnstile) share() *waiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range []rank{urgent, ordinary} {
		if len(s.waiting[r]) == 0 {
			continue
		}
		next := s.waiting[r][0]
		if next.work == nil {
			return nil
		}
		s.waiting[r] = s.waiting[r][1:]
		return next
	}
	return nil
}

// leave takes a waiter out of the queue; false means that it was already let in,
// or its work taken along.
func (s *turnstile) leave(r rank, gone *waiter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, w := range s.waiting[r] {
		if w == gone {
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
			close(next.turn)
			return
		}
	}
	s.busy = false
}
