package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"time"

	"cpsca/client"
)

const (
	// shortly is the longest time that a problem may name and be waited for: a
	// quota of the day is not.
	shortly = time.Minute
	// again is how long to wait where no time is named.
	again = 5 * time.Second
)

// passing says whether a problem goes away by itself, shortly.
func passing(p *client.Problem) bool {
	if p == nil {
		return false
	}
	after, ok := p.Temporary()
	return ok && after <= shortly
}

// round sends what is not settled, once.
func (b *batch) round(ctx context.Context, authority *client.Client, in io.ReadSeeker, progress func(int64)) error {
	_, err := in.Seek(0, io.SeekStart)
	if err != nil {
		return err
	}
	b.rounds++
	b.sent = nil
	reader, writer := io.Pipe()
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		_ = writer.CloseWithError(b.feed(in, writer, progress)) // nil ends the stream
	}()
	_, err = authority.ApplicationLines(ctx, reader, b.take)
	_ = reader.CloseWithError(err)
	<-fed
	return err
}

// insist makes rounds until every line is settled, or until nothing came
// through for longer than patience. What is deferred then is answered as it
// stands.
func (b *batch) insist(ctx context.Context, patience time.Duration, round func() error) error {
	b.deferred = make(map[int]client.Answer)
	idle := time.Duration(0)
	for {
		before := len(b.settled)
		err := round()
		if err != nil && !b.interrupted(err) || err == nil && len(b.deferred) == 0 {
			return errors.Join(err, b.giveUp())
		}
		pause := b.pause(err)
		if len(b.settled) > before {
			idle = 0
		}
		idle += pause
		if idle > patience {
			return errors.Join(err, b.giveUp())
		}
		fmt.Fprintf(b.err, say("%s; sent again in %v\n", "%s ; renvoi dans %v\n"), b.reason(err), pause)
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), b.giveUp())
		case <-time.After(pause):
		}
	}
}

// giveUp writes the answers to what is still refused.
func (b *batch) giveUp() error {
	for _, line := range slices.Sorted(maps.Keys(b.deferred)) {
		err := b.write(b.deferred[line])
		if err != nil {
			return err
		}
	}
	clear(b.deferred)
	return nil
}

// interrupted says whether a stream broke off in a way that passes: refused for
// now, or cut after something came through, as by a restart of the authority.
func (b *batch) interrupted(err error) bool {
	var p *client.Problem
	if errors.As(err, &p) {
		return passing(p)
	}
	var cut *net.OpError
	lost := errors.As(err, &cut) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
	return lost && !refusedConnection(err) && len(b.settled) > b.result.Before
}

// pause is the longest time that a problem names.
func (b *batch) pause(err error) time.Duration {
	longest := time.Duration(0)
	note := func(p *client.Problem) {
		after, ok := p.Temporary()
		if ok {
			longest = max(longest, after)
		}
	}
	var p *client.Problem
	if errors.As(err, &p) {
		note(p)
	}
	for _, a := range b.deferred {
		note(a.Problem)
	}
	if longest == 0 {
		return again
	}
	return longest
}

// reason tells a person why lines are sent again.
func (b *batch) reason(err error) string {
	if err != nil {
		return explain(err)
	}
	for _, a := range b.deferred {
		return fmt.Sprintf(say("%d lines were put off: %s", "%d lignes différées : %s"), len(b.deferred), explain(a.Problem))
	}
	return ""
}
