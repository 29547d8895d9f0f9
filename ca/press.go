package ca

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"cpsca/card"
)

// press asks the issuer for signatures, for all chunks together and never for
// more than limit at a time. Workers live while there is work.
//
// They take in turn from the chunk that came first and from the one that has
// least left to do: so the chunks of one stream end one after the other, not all
// late, each making room for the next; an application alone does not wait behind
// the hundreds of others; and nobody is overtaken for ever.
type press struct {
	issuer *Issuer
	limit  int
	load   func(waiting int) // hears how many signatures wait

	clock func() time.Time
	took  atomic.Int64 // nanoseconds of one signature, smoothed; 0: none was made

	mu      sync.Mutex // guards all below, and the jobs of every chunk
	chunks  []*pressing
	waiting int
	workers int
	turn    bool
}

// pressing is the part of a chunk that is to be signed.
type pressing struct {
	ctx  context.Context
	jobs []job // not begun, the next one last
	open int   // not done
	done chan struct{}
}

// job is one signature.
type job struct {
	of  *signing
	use int
}

// tell tells the load again: chunks came or went.
func (p *press) tell() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.load(p.waiting)
}

// sign signs everything of some attempts. Failures are with their attempts.
func (p *press) sign(ctx context.Context, under []*signing) {
	chunk := &pressing{ctx: ctx, done: make(chan struct{})}
	for n := len(under) - 1; n >= 0; n-- {
		for use := len(under[n].checked) - 1; use >= 0; use-- {
			chunk.jobs = append(chunk.jobs, job{under[n], use})
		}
	}
	chunk.open = len(chunk.jobs)
	if chunk.open == 0 {
		return
	}
	p.mu.Lock()
	p.chunks = append(p.chunks, chunk)
	p.waiting += chunk.open
	p.load(p.waiting)
	for begun := 0; p.workers < p.limit && begun < chunk.open; begun++ {
		p.workers++
		go p.work()
	}
	p.mu.Unlock()
	<-chunk.done
}

// work signs until nothing is left.
func (p *press) work() {
	var of *pressing
	for {
		var j job
		of, j = p.next(of)
		if of == nil {
			return
		}
		began := p.clock()
		signature, err := p.issuer.sign(of.ctx, j.of.checked[j.use])
		if err == nil {
			p.learn(p.clock().Sub(began))
		}
		j.of.Signatures[j.use], j.of.failures[j.use] = signature, err
	}
}

// learn smooths how long a signature takes. An update that meets another may be
// lost.
func (p *press) learn(took time.Duration) {
	known := p.took.Load()
	if known == 0 {
		known = int64(took)
	}
	p.took.Store(max(1, known+(int64(took)-known)/16))
}

// Bounds of Authority.Chunk.
const (
	leastChunk = 16
	firstChunk = 64 // while nothing is known
	chunkTime  = 250 * time.Millisecond
)

// chunk is how many applications are signed in about chunkTime.
func (p *press) chunk() int {
	took := p.took.Load()
	if took == 0 {
		return firstChunk
	}
	signatures := int64(chunkTime) * int64(p.limit) / took
	return int(min(MaxChunk, max(leastChunk, signatures/int64(len(card.Uses)))))
}

// next ends a signature for a chunk, if there was one, and begins another; nil
// sends the worker home.
func (p *press) next(ended *pressing) (*pressing, job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ended != nil {
		ended.open--
		if ended.open == 0 {
			close(ended.done)
		}
	}
	if len(p.chunks) == 0 {
		p.workers--
		return nil, job{}
	}
	chosen := 0
	p.turn = !p.turn
	if p.turn {
		for n, chunk := range p.chunks {
			if len(chunk.jobs) < len(p.chunks[chosen].jobs) {
				chosen = n
			}
		}
	}
	chunk := p.chunks[chosen]
	last := len(chunk.jobs) - 1
	j := chunk.jobs[last]
	chunk.jobs = chunk.jobs[:last]
	if last == 0 {
		p.chunks = append(p.chunks[:chosen], p.chunks[chosen+1:]...)
	}
	p.waiting--
	p.load(p.waiting)
	return chunk, j
}
