package ca

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
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
	a := &Authority{config: config, profiles: make(map[kind]*profiles.Profile), queue: make(chan struct{}, config.Queue)}
	for _, p := range config.Profiles {
		for _, t := range []card.Type{card.CPS, card.CPE} {
			for _, use := range card.Uses {
				name, ok := profiles.ForCard(t, use)
				if ok && name == p.Name() {
					a.profiles[kind{t, use}] = p
				}
			}
		}
	}
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
		defer func() { <-a.queue }()
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
	return answers, nil
}

// issue answers the applications with the given indices, of different orders.
func (a *Authority) issue(ctx context.Context, requester, bureau string, applications []card.Application, chunk []int, answers []Answer) error {
	ids := make([]card.OrderID, len(chunk))
	for n, i := range chunk {
		ids[n] = applications[i].Order
	}
	dossiers, err := a.config.Directory.Dossiers(ctx, bureau, ids)
	if err != nil {
		return fmt.Errorf("reading orders: %w", err)
	}
	now := a.config.Now().UTC().Truncate(time.Second)
	results := make([]examined, len(applications))
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
	// From here on the work is not for the caller alone: what is intended must
	// come to an end.
	return a.attempt(context.WithoutCancel(ctx), requester, results, open, answers)
}

// attempt carries examined applications through intent, signature and record.
func (a *Authority) attempt(ctx context.Context, requester string, results []examined, open []int, answers []Answer) error {
	if len(open) == 0 {
		return nil
	}
	attempts := make([]card.Attempt, len(open))
	for n, i := range open {
		attempts[n] = results[i].attempt
	}
	refusals, err := a.config.Ledger.Intend(ctx, attempts)
	if err != nil {
		return err
	}
	signed := make([]card.Signed, len(open))
	var g errgroup.Group
	g.SetLimit(a.config.Signers)
	for n, i := range open {
		if refusals[n] != nil {
			answers[i].Err = refusals[n]
			continue
		}
		signed[n] = card.Signed{Attempt: attempts[n], Signatures: make([][]byte, len(results[i].checked))}
		for s, checked := range results[i].checked {
			g.Go(func() error {
				signature, err := a.config.Cards.sign(ctx, checked)
				signed[n].Signatures[s] = signature // nil if it failed
				return err
			})
		}
	}
	failure := g.Wait()
	return a.record(ctx, requester, open, signed, answers, failure)
}

// record writes what was signed and abandons the rest. failure is the first
// error that signing met, if any.
func (a *Authority) record(ctx context.Context, requester string, open []int, signed []card.Signed, answers []Answer, failure error) error {
	var whole []card.Signed
	var broken []card.Attempt
	for n, i := range open {
		switch {
		case answers[i].Err != nil:
		case slices.ContainsFunc(signed[n].Signatures, func(s []byte) bool { return s == nil }):
			answers[i].Err = fmt.Errorf("%w: %w", ErrAbandoned, failure)
			broken = append(broken, signed[n].Attempt)
		default:
			whole = append(whole, signed[n])
		}
	}
	if len(broken) > 0 {
		err := a.config.Ledger.Abandon(ctx, requester, broken)
		if err != nil {
			return err
		}
	}
	if len(whole) == 0 {
		return nil
	}
	err := a.config.Ledger.Record(ctx, whole, a.config.Gate)
	if err != nil {
		return a.unrecorded(ctx, requester, whole, err)
	}
	for n, i := range open {
		if answers[i].Err == nil {
			answers[i].Certificates, answers[i].Err = joined(signed[n])
		}
	}
	return nil
}

// unrecorded ends attempts whose record failed. What the ledger did record in
// spite of the error is no open intent any more and stays; sending the chunk
// again returns it.
func (a *Authority) unrecorded(ctx context.Context, requester string, whole []card.Signed, cause error) error {
	attempts := make([]card.Attempt, len(whole))
	for n, s := range whole {
		attempts[n] = s.Attempt
	}
	return errors.Join(fmt.Errorf("recording certificates: %w", cause), a.config.Ledger.Abandon(ctx, requester, attempts))
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
