package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cpsca/client"
)

var errBroken = errors.New("broken")

func later(seconds int) *client.Problem {
	return &client.Problem{Type: client.ProblemPrefix + "unavailable", Title: "later", Status: 503, RetryAfter: seconds}
}

// insisted makes rounds of a batch of three lines until the script is at its
// end: what each round is told.
func insisted(t *testing.T, patience time.Duration, rounds ...func(b *batch) error) (lines []int, took time.Duration, made int, err error) {
	t.Helper()
	var answers bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		b := &batch{err: io.Discard, out: json.NewEncoder(&answers), settled: map[int]bool{}}
		err = b.insist(t.Context(), patience, func() error {
			b.rounds, b.sent = b.rounds+1, []int{1, 2, 3}
			made = b.rounds
			return rounds[min(made, len(rounds))-1](b)
		})
		took = time.Since(began)
	})
	d := json.NewDecoder(strings.NewReader(answers.String()))
	for {
		var a client.Answer
		if d.Decode(&a) != nil {
			return lines, took, made, err
		}
		lines = append(lines, a.Line)
	}
}

// tell answers lines: issued, put off, or refused for good.
func tell(b *batch, issued, deferred, refused []int) error {
	for _, line := range issued {
		_ = b.take(client.Answer{Line: line, Status: client.Issued})
	}
	for _, line := range deferred {
		_ = b.take(client.Answer{Line: line, Status: client.Refused, Problem: later(10)})
	}
	for _, line := range refused {
		_ = b.take(client.Answer{Line: line, Status: client.Refused, Problem: &client.Problem{Title: "no"}})
	}
	return nil
}

func TestABatchGoesOnByItselfAfterAnOutage(t *testing.T) {
	lines, took, made, err := insisted(t, time.Minute,
		func(b *batch) error { return tell(b, []int{1}, []int{2}, []int{3}) },
		func(b *batch) error { return later(7) },
		func(b *batch) error { return io.ErrUnexpectedEOF },
		func(b *batch) error { return tell(b, []int{2}, nil, nil) },
	)
	if err != nil || made != 4 || took != 30*time.Second || len(lines) != 3 || lines[2] != 2 {
		t.Errorf("answers to lines %v after %v and %d rounds, %v", lines, took, made, err)
	}
}

func TestPatienceEnds(t *testing.T) {
	lines, took, made, err := insisted(t, 25*time.Second, func(b *batch) error { return tell(b, nil, []int{1, 2}, nil) })
	if err != nil || made != 3 || took != 20*time.Second || len(lines) != 2 {
		t.Errorf("lines put off for ever: answers to %v after %v and %d rounds, %v", lines, took, made, err)
	}
	_, _, made, err = insisted(t, 25*time.Second, func(b *batch) error { return later(30) })
	if made != 1 || err == nil {
		t.Errorf("a pause beyond it: %d rounds, %v", made, err)
	}
}

func TestWhatDoesNotPassIsNotTriedAgain(t *testing.T) {
	for name, fault := range map[string]error{"of ours": errBroken, "a quota of the day": later(3600), "nobody there from the beginning": io.ErrUnexpectedEOF, "stopped": context.Canceled} {
		_, took, made, err := insisted(t, time.Hour, func(*batch) error { return fault })
		if made != 1 || took != 0 || !errors.Is(err, fault) {
			t.Errorf("%s: %d rounds in %v, %v", name, made, took, err)
		}
	}
}
