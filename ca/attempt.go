package ca

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"cpsca/card"
	"cpsca/profiles"
)

// signing is one attempt on its way through the HSM, signatures and failures
// in the order of its intents.
type signing struct {
	card.Signed
	checked  []*profiles.Checked // in the order of card.Uses
	answer   *Answer
	failures []error
}

// failure is the first that signing met, nil if every signature is there.
func (s *signing) failure() error {
	for _, err := range s.failures {
		if err != nil {
			return err
		}
	}
	return nil
}

// attempt carries examined applications through intent, signature and record.
func (a *Authority) attempt(ctx context.Context, requester string, results []examined, open []int, answers []Answer) error {
	err := a.config.Cards.ready()
	if err != nil {
		return err // before an intent: a stopped issuer must not fill the lists with abandoned serials
	}
	attempts := make([]card.Attempt, len(open))
	for n, i := range open {
		attempts[n] = results[i].attempt
	}
	intended := a.passing(Intend, len(open))
	refusals, err := a.config.Ledger.Intend(ctx, attempts)
	intended()
	if err != nil {
		// The commit may have failed in its answer alone: what it left is
		// nobody's to sign.
		return errors.Join(err, a.abandon(ctx, requester, attempts))
	}
	under := make([]*signing, 0, len(open))
	for n, i := range open {
		if refusals[n] != nil {
			answers[i].Err = refusals[n]
			continue
		}
		checked := results[i].checked
		under = append(under, &signing{
			Signed:  card.Signed{Attempt: attempts[n], Signatures: make([][]byte, len(checked))},
			checked: checked, answer: &answers[i], failures: make([]error, len(checked)),
		})
	}
	signed := a.passing(Sign, len(under))
	a.press.sign(ctx, under)
	signed()
	defer a.passing(Record, len(under))()
	return a.record(ctx, requester, under)
}

// record writes what was signed whole and abandons the rest.
func (a *Authority) record(ctx context.Context, requester string, under []*signing) error {
	var whole, broken []*signing
	for _, s := range under {
		if s.failure() == nil {
			whole = append(whole, s)
		} else {
			broken = append(broken, s)
		}
	}
	a.giveUp(ctx, requester, broken, (*signing).failure)
	if len(whole) == 0 {
		return nil
	}
	err := a.recordAll(ctx, whole)
	if errors.Is(err, card.ErrStale) {
		// One card of the chunk was moved under the signature, reported spoiled
		// say. The others are not to suffer for it.
		return a.recordEach(ctx, requester, whole)
	}
	if err != nil {
		return a.unrecorded(ctx, requester, whole, err)
	}
	return nil
}

// recordAll makes certificates of attempts, all or none, and answers.
func (a *Authority) recordAll(ctx context.Context, whole []*signing) error {
	signed := make([]card.Signed, len(whole))
	for n, s := range whole {
		signed[n] = s.Signed
	}
	err := a.config.Ledger.Record(ctx, signed, a.config.Gate)
	if err != nil {
		return fmt.Errorf("recording certificates: %w", err)
	}
	for _, s := range whole {
		s.answer.Certificates, s.answer.Err = joined(s.Signed)
	}
	return nil
}

func (a *Authority) recordEach(ctx context.Context, requester string, whole []*signing) error {
	for n, s := range whole {
		err := a.recordAll(ctx, whole[n:n+1])
		switch {
		case errors.Is(err, card.ErrStale):
			a.giveUp(ctx, requester, []*signing{s}, func(*signing) error { return err })
		case err != nil:
			return a.unrecorded(ctx, requester, whole[n:], err)
		}
	}
	return nil
}

// unrecorded ends attempts whose record failed. What the ledger did record in
// spite of the error is no open intent any more and stays; sending the chunk
// again returns it.
func (a *Authority) unrecorded(ctx context.Context, requester string, whole []*signing, cause error) error {
	return errors.Join(cause, a.abandon(ctx, requester, attemptsOf(whole)))
}

// giveUp abandons attempts and answers ErrAbandoned with the cause of each.
func (a *Authority) giveUp(ctx context.Context, requester string, broken []*signing, cause func(*signing) error) {
	if len(broken) == 0 {
		return
	}
	unwritten := a.abandon(ctx, requester, attemptsOf(broken))
	for _, s := range broken {
		s.answer.Err = fmt.Errorf("%w: %w", ErrAbandoned, cause(s))
		if unwritten != nil {
			s.answer.Err = errors.Join(s.answer.Err, unwritten)
		}
	}
}

func attemptsOf(under []*signing) []card.Attempt {
	out := make([]card.Attempt, len(under))
	for n, s := range under {
		out[n] = s.Attempt
	}
	return out
}

// owed are the attempts that the ledger could not be told to abandon. Their
// intents are open and nobody works on them any more.
type owed struct {
	mu       sync.Mutex
	attempts []card.Attempt
}

// abandon gives attempts up, or owes it to the ledger.
func (a *Authority) abandon(ctx context.Context, requester string, attempts []card.Attempt) error {
	err := a.config.Ledger.Abandon(ctx, requester, attempts)
	if err == nil {
		return nil
	}
	a.owed.mu.Lock()
	defer a.owed.mu.Unlock()
	a.owed.attempts = slices.Concat(a.owed.attempts, attempts)
	return fmt.Errorf("abandoning attempts: %w", err)
}

// settle abandons what is owed, before anything else is issued.
func (a *Authority) settle(ctx context.Context) error {
	a.owed.mu.Lock()
	attempts := a.owed.attempts
	a.owed.attempts = nil
	a.owed.mu.Unlock()
	if len(attempts) == 0 {
		return nil
	}
	return a.abandon(ctx, attempts[0].Requester, attempts)
}
