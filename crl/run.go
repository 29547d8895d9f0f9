package crl

import (
	"context"
	"sync"
	"time"
)

// maximumPause bounds a wait for business time, so that a clock that was set,
// or a machine that slept, is noticed.
const maximumPause = time.Minute

// Wake says that a revocation or a release was committed. It never waits and
// never fails; wakes within Delay of each other cause one list per issuer, and
// an issuer whose list would tell nothing new makes none.
func (p *Publisher) Wake() {
	for _, l := range p.lines {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// Run publishes until the context ends: regular lists every Period, and at the
// latest when half the life of the published list is over; emergency lists after
// a Wake, and at the start if something was committed that the published list
// does not tell. What fails is tried again after Retry and told to the Meter.
// Run returns the cause of the end, after the publications under way. It is
// called once.
func (p *Publisher) Run(ctx context.Context) error {
	var lines sync.WaitGroup
	for _, l := range p.lines {
		lines.Go(func() { p.follow(ctx, l) })
	}
	<-ctx.Done()
	lines.Wait()
	return context.Cause(ctx)
}

// follow serves one issuer, so that a slow key of one does not delay another.
func (p *Publisher) follow(ctx context.Context, l *line) {
	scheduled := time.After(0)
	window := time.After(p.cfg.Delay)
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
			if window == nil {
				window = time.After(p.cfg.Delay)
			}
		case <-window:
			window = nil
			_, err := p.publish(ctx, l, Emergency, true)
			if err != nil {
				window = time.After(p.cfg.Retry)
			}
		case <-scheduled:
			scheduled = time.After(p.keepSchedule(ctx, l))
		}
	}
}

// keepSchedule publishes the regular list if it is due and returns how long to
// wait before looking again.
func (p *Publisher) keepSchedule(ctx context.Context, l *line) time.Duration {
	left := p.untilDue(ctx, l)
	if left > 0 {
		return min(left, maximumPause)
	}
	_, err := p.publish(ctx, l, Regular, false)
	if err != nil {
		return p.cfg.Retry
	}
	return min(max(p.untilDue(ctx, l), time.Second), maximumPause)
}

// untilDue is how long the next regular list may wait. If the published list
// cannot be read the answer is not at all: publishing then says why.
func (p *Publisher) untilDue(ctx context.Context, l *line) time.Duration {
	err := l.take(ctx)
	if err != nil {
		return maximumPause
	}
	defer l.give()
	err = l.load()
	if err != nil || l.last == nil {
		return 0
	}
	since := l.regularAt
	if since.IsZero() {
		since = l.last.ThisUpdate
	}
	due := since.Add(p.cfg.Period)
	half := l.last.ThisUpdate.Add(l.last.NextUpdate.Sub(l.last.ThisUpdate) / 2)
	if half.Before(due) {
		due = half
	}
	return due.Sub(p.cfg.Now())
}
