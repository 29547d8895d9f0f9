package hsm

import (
	"time"
)

// Transition is a place going down or coming up.
type Transition struct {
	Token string    // label or serial number of the place, as configured
	Place int       // 0 for the first of Config, 1 for the first of Others, and so on
	Up    bool      // whether it signs now
	Cause error     // why it went down; nil if Up
	At    time.Time // Config.Now
}

// Meter is told of signatures. It is called by several goroutines, some of which sign: slow methods cost signatures.
type Meter interface {
	// Signed: place (numbered as in Transition) made a signature, or failed to with err, in the time that its session
	// was occupied.
	Signed(place int, took time.Duration, err error)
}

type noMeter struct{}

func (noMeter) Signed(int, time.Duration, error) {}

// Health is the state of one place.
type Health struct {
	Token    string        // label or serial number, as configured
	Up       bool          // it signs; if not, every request fails at once
	Since    time.Time     // when it came up or went down, Config.Now
	Cause    error         // the last reason why it is down; nil if Up
	Sessions int           // that sign, idle or busy
	Busy     int           // sessions with a request
	Stuck    int           // sessions that were given up in a call that has not returned yet
	Waiting  int           // requests that wait or are being signed
	Signed   uint64        // signatures made since opening
	Failed   uint64        // requests that reached a session and failed
	Entered  uint64        // those of Failed for which C_Sign was entered: signatures that nobody has may exist
	Outages  uint64        // how often the place went down
	Latency  time.Duration // of a signature, without the wait for a session: the mean of about the last 64
}

// Health tells how every place is, in the order of Config.
func (t *Token) Health() []Health {
	var out []Health
	for _, p := range t.places {
		out = append(out, p.health())
	}
	return out
}

func (p *place) health() Health {
	s := p.state.Load()
	p.tally.Lock()
	crew, stuck := p.crew, p.stuck
	p.tally.Unlock()
	return Health{
		Token: p.where.name(), Up: s.up, Since: s.since, Cause: s.cause,
		Sessions: crew, Busy: int(p.busy.Load()), Stuck: stuck, Waiting: int(p.waiting.Load()),
		Signed: p.signed.Load(), Failed: p.failed.Load(), Entered: p.entered.Load(), Outages: p.outages.Load(),
		Latency: time.Duration(p.latency.Load()),
	}
}

// account notes how a request ended that had reached a session.
func (p *place) account(took time.Duration, err error) {
	switch {
	case err == nil:
		p.signed.Add(1)
		// Two sessions at once may lose one of two values, which a mean outlives.
		mean := p.latency.Load()
		if mean == 0 {
			mean = int64(took)
		}
		p.latency.Store(mean + (int64(took)-mean)/64)
	default:
		p.failed.Add(1)
		if entered(err) {
			p.entered.Add(1)
		}
	}
	p.cfg.Meter.Signed(p.number, took, err)
}
