package api

import (
	"context"
	"time"
)

// holdFor is how long a stream that has begun is held while the authority
// cannot take its next chunk, an HSM being away say. To refuse instead would
// run through what is left of a batch in no time, and every line of it would
// have to be sent again.
const holdFor = 5 * time.Minute

// pauseAfter is how long to wait before a chunk is tried again; 0 if that is of
// no use.
func pauseAfter(err error) time.Duration {
	e, ok := entryOf(err)
	if !ok || e.retry == 0 {
		e, _ = entryOf(errUnavailable)
	}
	pause := time.Duration(e.retry) * time.Second
	if pause > time.Minute {
		return 0 // a stopped issuer waits for a person
	}
	return pause
}

// hold puts a chunk to the authority again and again until it is taken, for at
// most holdFor. It ends early when the caller leaves or the authority stops.
func hold(ctx context.Context, stopping <-chan struct{}, out outcome, again func() outcome) outcome {
	for waited := time.Duration(0); out.err != nil; {
		pause := pauseAfter(out.err)
		if pause == 0 || waited+pause > holdFor {
			return out
		}
		select {
		case <-ctx.Done():
			return out
		case <-stopping:
			return out
		case <-time.After(pause):
		}
		waited += pause
		out = again()
	}
	return out
}
