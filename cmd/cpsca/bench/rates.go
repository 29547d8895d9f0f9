package bench

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/client"
	"cpsca/profiles"
	"cpsca/store"
)

// prepared is a house with work to do, from which each measurement gets a copy.
type prepared struct {
	house
	work  *work
	floor Floor // of a first look, for the sizes
}

// Round is one measurement of a rate beside its floors, all in certificates a
// second but Raw, which is in signatures.
type Round struct {
	Raw    float64 `json:"raw_per_s"`
	Before float64 `json:"floor_before_per_s"`
	Rate   float64 `json:"rate_per_s"`
	After  float64 `json:"floor_after_per_s"`
	// Busy is the share of the processors that the floors took.
	Busy float64 `json:"floor_busy"`
	// Authority and Bureau are the times of processors in microseconds that
	// one certificate took on either side.
	Authority float64 `json:"authority_us"`
	Bureau    float64 `json:"bureau_us"`
}

func (r Round) floor() float64 { return (r.Before + r.After) / 2 }

// fewest is how many applications a batch has at least.
const fewest = 60

// house is a founded house without people or orders, one for each suite.
func (b *bench) house(ctx context.Context, s suite) (house, error) {
	h, ok := b.founded[s]
	if ok {
		return h, nil
	}
	b.say("founding a house with suite "+s.name, "fondation d'une autorité de suite "+s.name)
	h, err := foundElsewhere(ctx, filepath.Join(b.folder, s.name), s)
	if err == nil {
		b.founded[s] = h
	}
	return h, err
}

// prepare makes a house with a batch that takes some seconds at the floor's
// rate, one for each suite.
func (b *bench) prepare(ctx context.Context, s suite) (*prepared, error) {
	p, ok := b.prepared[s]
	if ok {
		return p, nil
	}
	bare, err := b.house(ctx, s)
	if err != nil {
		return nil, err
	}
	p = &prepared{}
	p.floor, err = bare.floor(ctx, floorWish{seconds: b.seconds / 4})
	if err != nil {
		return nil, err
	}
	applications := max(fewest, int(p.floor.Certificates*b.seconds)/len(card.Uses))
	p.house, p.work, err = b.fill(ctx, bare, s, applications)
	if err == nil {
		b.prepared[s] = p
	}
	return p, err
}

// fill makes work, and a copy of a house with its orders.
func (b *bench) fill(ctx context.Context, bare house, s suite, applications int) (house, *work, error) {
	set, finish := b.tools.Progress(say("keys and requests", "clés et demandes"), int64(applications))
	b.copies++
	w, err := newWork(ctx, filepath.Join(b.folder, fmt.Sprintf("lines-%d.ndjson", b.copies)), s.card, applications, set)
	finish()
	if err != nil {
		return house{}, nil, err
	}
	h, err := b.copy(bare)
	if err != nil {
		return house{}, nil, err
	}
	set, finish = b.tools.Progress(say("register and orders", "registre et commandes"), int64(applications))
	defer finish()
	return h, w, h.write(ctx, func(db *store.DB) error { return w.orderIn(ctx, db, set) })
}

// write opens the ledger of a house whose authority does not run.
func (h house) write(ctx context.Context, f func(*store.DB) error) error {
	db, err := h.ledger(ctx)
	if err != nil {
		return err
	}
	err = f(db)
	return errors.Join(err, db.Close())
}

// rates measures one suite beside its floor.
func (b *bench) rates(ctx context.Context, s suite) error {
	p, err := b.prepare(ctx, s)
	if err != nil {
		return err
	}
	wish := floorWish{seconds: b.seconds * 3 / 8, raw: p.floor.RawWorkers, workers: p.floor.Workers}
	before, err := p.house.floor(ctx, wish)
	if err != nil {
		return err
	}
	var rounds []Round
	for range b.rounds {
		o, err := b.once(ctx, p.house, p.work.all(), variant{program: b.program()})
		if err != nil {
			return err
		}
		after, err := p.house.floor(ctx, wish)
		if err != nil {
			return err
		}
		rounds = append(rounds, Round{
			Raw: (before.Raw + after.Raw) / 2, Before: before.Certificates, Rate: o.rate, After: after.Certificates,
			Busy: (before.Busy + after.Busy) / 2, Authority: o.authority, Bureau: o.bureau,
		})
		before = after
	}
	b.result.Rounds[s.name] = rounds
	b.figure("raw_sign_"+s.name, medianOf(rounds, func(r Round) float64 { return r.Raw }), perSec)
	b.figure("floor_"+s.name, medianOf(rounds, Round.floor), perSec)
	b.figure("floor_busy_"+s.name, medianOf(rounds, func(r Round) float64 { return r.Busy }), ratio)
	b.figure("certs_"+s.name, medianOf(rounds, func(r Round) float64 { return r.Rate }), perSec)
	b.figure("ratio_"+s.name, medianOf(rounds, func(r Round) float64 { return r.Rate / r.floor() }), ratio)
	return nil
}

func medianOf(rounds []Round, of func(Round) float64) float64 {
	var numbers []float64
	for _, r := range rounds {
		numbers = append(numbers, of(r))
	}
	return median(numbers)
}

// variant is how an authority is started.
type variant struct {
	program     string
	environment []string
}

// outcome is what a batch told.
type outcome struct {
	rate              float64         // certificates a second
	sample            []client.Answer // a few of the answers
	memory            int64           // that the authority took at most, in octets
	authority, bureau float64         // time of processors for one certificate, in microseconds
}

// once sends one batch to an authority on a copy of a house.
func (b *bench) once(ctx context.Context, h house, s span, v variant) (outcome, error) {
	c, err := b.copy(h)
	if err != nil {
		return outcome{}, err
	}
	o, err := b.batch(ctx, c, s, v)
	return o, errors.Join(err, c.discard())
}

// batch starts an authority on a house, sends a batch in one request, stops the
// authority, and looks whether what came back is what the ledger holds.
func (b *bench) batch(ctx context.Context, h house, s span, v variant) (outcome, error) {
	a, err := h.start(ctx, v.program, v.environment...)
	if err != nil {
		return outcome{}, err
	}
	o, err := b.timed(ctx, a, h, s)
	err = errors.Join(err, a.stop())
	if err == nil {
		err = h.holds(ctx, o.sample)
	}
	return o, err
}

// timed sends a batch and tells what it took.
func (b *bench) timed(ctx context.Context, a *authority, h house, s span) (o outcome, err error) {
	authorityBefore, err := a.used()
	if err != nil {
		return o, err
	}
	hereBefore, err := usedHere()
	if err != nil {
		return o, err
	}
	took, sample, err := b.send(ctx, h, s)
	if err != nil {
		return o, err
	}
	hereAfter, err := usedHere()
	if err != nil {
		return o, err
	}
	authorityAfter, err := a.used()
	if err != nil {
		return o, err
	}
	certificates := float64(s.applications() * len(card.Uses))
	o.rate, o.sample = certificates/took.Seconds(), sample
	o.authority = float64((authorityAfter - authorityBefore).Microseconds()) / certificates
	o.bureau = float64((hereAfter - hereBefore).Microseconds()) / certificates
	o.memory, err = a.peak()
	return o, err
}

var errAnswers = errors.New("not what was asked for")

// send sends lines in one request and takes the answers. The clock runs from the
// request to the last answer.
func (b *bench) send(ctx context.Context, h house, s span) (time.Duration, []client.Answer, error) {
	bureau, err := h.bureau()
	if err != nil {
		return 0, nil, err
	}
	defer bureau.Close()
	lines, file, err := s.open()
	if err != nil {
		return 0, nil, err
	}
	defer file.Close()
	set, finish := b.tools.Progress(say("applications", "demandes"), int64(s.applications()))
	defer finish()
	var sample []client.Answer
	every := max(1, s.applications()/50)
	begin := time.Now()
	answered, err := bureau.ApplicationLines(ctx, lines, func(a client.Answer) error {
		if a.Status != client.Issued || a.Replayed || len(a.Certificates) != len(card.Uses) {
			return unexpected(a)
		}
		if a.Line%every == 0 {
			sample = append(sample, a)
			set(int64(a.Line))
		}
		return nil
	})
	took := time.Since(begin)
	if err == nil && answered != s.applications() {
		err = fmt.Errorf("%w: %d answers to %d applications", errAnswers, answered, s.applications())
	}
	return took, sample, err
}

func unexpected(a client.Answer) error {
	if a.Problem != nil {
		return fmt.Errorf("%w: line %d: %w", errAnswers, a.Line, a.Problem)
	}
	return fmt.Errorf("%w: line %d is %s, replayed %t, with %d certificates", errAnswers, a.Line, a.Status, a.Replayed, len(a.Certificates))
}

// holds looks for some answers in the ledger, where each certificate must stand
// as it was given out, signed by the issuer.
func (h house) holds(ctx context.Context, answers []client.Answer) error {
	issuer, err := h.issuer()
	if err != nil {
		return err
	}
	id, err := profiles.SubjectKeyID(issuer.RawSubjectPublicKeyInfo)
	if err != nil {
		return fmt.Errorf("computing the issuer's key id: %w", err)
	}
	db, err := h.reader()
	if err != nil {
		return err
	}
	defer db.Close()
	for _, a := range answers {
		for _, given := range a.Certificates {
			err = held(ctx, db, issuer, id, given)
			if err != nil {
				return fmt.Errorf("%w: line %d: %w", errAnswers, a.Line, err)
			}
		}
	}
	return nil
}

func held(ctx context.Context, db *store.DB, issuer *x509.Certificate, id card.KeyID, given client.IssuedCertificate) error {
	recorded, err := db.Certificate(ctx, id, given.Serial)
	if err != nil {
		return err
	}
	der, err := ca.Certificate(recorded)
	if err != nil {
		return err
	}
	if !bytes.Equal(der, given.Certificate) {
		return errors.New("the ledger holds another certificate")
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	return parsed.CheckSignatureFrom(issuer)
}
