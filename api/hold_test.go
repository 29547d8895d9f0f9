package api

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"cpsca/ca"
	"cpsca/client"
)

// held tries a chunk that fails with err until it is good after some tries,
// and says what came of it and how long it took.
func held(t *testing.T, ctx func(context.Context) context.Context, stopping chan struct{}, err error, tries int) (out outcome, took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		out = hold(ctx(t.Context()), stopping, outcome{err: err}, func() outcome {
			tries--
			if tries <= 0 {
				return outcome{answers: make([]client.Answer, 1)}
			}
			return outcome{err: err}
		})
		took = time.Since(began)
	})
	return out, took
}

func as(ctx context.Context) context.Context { return ctx }

var errAway = errors.New("the device is away")

func TestAStreamIsHeldThroughAnOutage(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		tries int
		want  time.Duration
	}{
		"of the HSM, for a minute":        {errAway, 12, time.Minute},
		"of an authority with much to do": {fmt.Errorf("a chunk: %w", ca.ErrBusy), 3, 3 * time.Second},
		"that is over when it is seen":    {errAway, 1, 5 * time.Second},
	} {
		out, took := held(t, as, nil, c.err, c.tries)
		if out.err != nil || len(out.answers) != 1 || took != c.want {
			t.Errorf("%s: %v after %v, want answers after %v", name, out.err, took, c.want)
		}
	}
}

func TestAStreamIsNotHeldForEver(t *testing.T) {
	out, took := held(t, as, nil, errAway, 1000)
	if !errors.Is(out.err, errAway) || took != holdFor {
		t.Errorf("%v after %v, want the error after %v", out.err, took, holdFor)
	}
	out, took = held(t, as, nil, ca.ErrStopped, 1000)
	if !errors.Is(out.err, ca.ErrStopped) || took != 0 {
		t.Errorf("a stopped issuer: %v after %v", out.err, took)
	}
	gone := func(ctx context.Context) context.Context {
		ctx, leave := context.WithCancel(ctx)
		leave()
		return ctx
	}
	out, took = held(t, gone, nil, errAway, 1000)
	if out.err == nil || took != 0 {
		t.Errorf("a caller who left: %v after %v", out.err, took)
	}
	stopping := make(chan struct{})
	close(stopping)
	out, took = held(t, as, stopping, errAway, 1000)
	if out.err == nil || took != 0 {
		t.Errorf("an authority that stops: %v after %v", out.err, took)
	}
}
