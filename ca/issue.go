package ca

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"cpsca/card"
	"cpsca/profiles"

	"golang.org/x/sync/errgroup"
)

// MaxChunk is how many applications one call of Issue takes.
const MaxChunk = 256

// Authority issues the certificates of cards. It may be used by several
// goroutines.
type Authority struct {
	config   Config
	profiles map[kind]*profiles.Profile
	queue    chan struct{} // one token per chunk under way
	press    press
	owed     owed
}

type kind struct {
	card.Type
	card.Use
}

// New makes an authority. ErrConfig says what is missing or out of bounds.
func New(config Config) (*Authority, error) {
	err := config.complete()
	if err != nil {
		return nil, err
	}
	kinds, err := config.kinds()
	if err != nil {
		return nil, err
	}
	a := &Authority{config: config, profiles: kinds, queue: make(chan struct{}, config.Queue)}
	a.press = press{issuer: config.Cards, limit: config.Signers, clock: config.Stopwatch, load: func(waiting int) { config.Meter.IssuingLoad(len(a.queue), waiting) }}
	return a, nil
}

// Issued is one certificate of an answer.
type Issued struct {
	Use    card.Use
	Serial card.Serial
	DER    []byte
}

// Answer is what became of one application. It is a pure function of the rows
// of the ledger: the same application gives the same certificates.
type Answer struct {
	Order        card.OrderID
	Number       card.Number
	Certificates []Issued // in the order of card.Uses; empty if Err is not nil
	Replayed     bool     // they were issued by an earlier application
	Err          error
}

// Issue answers up to MaxChunk applications of one bureau, in their order. The
// error is of the whole chunk (ErrBusy, ErrStopped, a ledger that cannot be
// read or written): then no application of the chunk was answered, and sending
// it again is safe.
//
// What has begun is carried through when ctx ends: an intent on disk becomes a
// recorded certificate or is abandoned.
func (a *Authority) Issue(ctx context.Context, requester, bureau string, applications []card.Application) ([]Answer, error) {
	if len(applications) > MaxChunk {
		return nil, fmt.Errorf("a chunk has at most %d applications, got %d", MaxChunk, len(applications))
	}
	select {
	case a.queue <- struct{}{}:
		defer func() {
			<-a.queue
			a.press.tell()
		}()
		a.press.tell()
	default:
		return nil, ErrBusy
	}
	answers := make([]Answer, len(applications))
	rest := make([]int, len(applications))
	for i, application := range applications {
		answers[i] = Answer{Order: application.Order, Number: application.Number}
		rest[i] = i
	}
	// A second line for an order is examined after the first was answered.
	for len(rest) > 0 {
		var chunk, later []int
		seen := make(map[card.OrderID]bool, len(rest))
		for _, i := range rest {
			if seen[applications[i].Order] {
				later = append(later, i)
				continue
			}
			seen[applications[i].Order] = true
			chunk = append(chunk, i)
		}
		err := a.issue(ctx, requester, bureau, applications, chunk, answers)
		if err != nil {
			return nil, err
		}
		rest = later
	}
	a.count(answers)
	return answers, nil
}

// Chunk is how many applications a door should put into one call of Issue while
// more are waiting: as many as are signed in a quarter of a second, 16 to
// MaxChunk. With a slow key small chunks keep answers flowing; with a fast one
// large chunks share their commits.
func (a *Authority) Chunk() int { return a.press.chunk() }

// issue answers the applications with the given indices, of different orders.
func (a *Authority) issue(ctx context.Context, requester, bureau string, applications []card.Application, chunk []int, answers []Answer) error {
	err := a.settle(ctx)
	if err != nil {
		return err
	}
	results := make([]examined, len(applications))
	open, err := a.look(ctx, requester, bureau, applications, chunk, results, answers)
	if err != nil || len(open) == 0 {
		return err
	}
	// From here on the work is not for the caller alone: what is intended must
	// come to an end.
	ctx = context.WithoutCancel(ctx)
	err = a.attempt(ctx, requester, results, open, answers)
	if err != nil {
		return err
	}
	// Who finds an order closed that was open a moment ago may have met the
	// same application on another connection: then its answer is this one's.
	var closed []int
	for _, i := range open {
		if errors.Is(answers[i].Err, card.ErrOrderClosed) {
			closed = append(closed, i)
		}
	}
	if len(closed) == 0 {
		return nil
	}
	open, err = a.look(ctx, requester, bureau, applications, closed, results, answers)
	for _, i := range open {
		answers[i].Err = card.ErrInFlight
	}
	return err
}

// look reads the orders of some applications in one snapshot and examines each
// against its own. It answers what is refused or was issued before, and returns
// the rest.
func (a *Authority) look(ctx context.Context, requester, bureau string, applications []card.Application, chunk []int, results []examined, answers []Answer) ([]int, error) {
	defer a.passing(Examine, len(chunk))()
	ids := make([]card.OrderID, len(chunk))
	for n, i := range chunk {
		ids[n] = applications[i].Order
	}
	dossiers, err := a.config.Directory.Dossiers(ctx, bureau, ids)
	if err != nil {
		return nil, fmt.Errorf("reading orders: %w", err)
	}
	now := a.config.Now().UTC().Truncate(time.Second)
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, i := range chunk {
		g.Go(func() error {
			d, ok := dossiers[applications[i].Order]
			if !ok {
				answers[i].Err = card.ErrOrderUnknown
				return nil
			}
			results[i], answers[i].Err = a.examine(applications[i], d, requester, now)
			return nil
		})
	}
	_ = g.Wait() // refusals are in the answers
	var open []int
	for _, i := range chunk {
		switch {
		case answers[i].Err != nil:
		case results[i].recorded != nil:
			answers[i].Replayed = true
			answers[i].Certificates, answers[i].Err = assembled(results[i].recorded)
		default:
			open = append(open, i)
		}
	}
	return open, nil
}

func joined(s card.Signed) ([]Issued, error) {
	out := make([]Issued, len(s.Intents))
	for n, intent := range s.Intents {
		der, err := profiles.Assemble(intent.TBS, s.Signatures[n])
		if err != nil {
			return nil, fmt.Errorf("assembling a certificate: %w", err)
		}
		out[n] = Issued{Use: intent.Use, Serial: intent.Serial, DER: der}
	}
	return out, nil
}

func assembled(recorded []card.Certificate) ([]Issued, error) {
	out := make([]Issued, len(recorded))
	for n, c := range recorded {
		der, err := profiles.Assemble(c.TBS, c.Signature)
		if err != nil {
			return nil, fmt.Errorf("assembling a certificate: %w", err)
		}
		out[n] = Issued{Use: c.Use, Serial: c.Serial, DER: der}
	}
	return out, nil
}

// Certificate assembles a recorded certificate in DER.
func Certificate(c card.Certificate) ([]byte, error) {
	der, err := profiles.Assemble(c.TBS, c.Signature)
	if err != nil {
		return nil, fmt.Errorf("assembling a certificate: %w", err)
	}
	return der, nil
}
