package ca

import (
	"errors"
	"time"
)

// Stage is a part of the way of a chunk.
type Stage string

// The stages, in their order.
const (
	Examine Stage = "examine" // orders are read, keys and proofs verified, certificates drawn
	Intend  Stage = "intend"  // first durable transaction
	Sign    Stage = "sign"    // signatures, and waiting for them
	Record  Stage = "record"  // second durable transaction
)

// Meter counts what the authority does. Its methods are called by many
// goroutines at a time, some of which hold the signing up: they return at once.
type Meter interface {
	// StagePassed: a chunk of so many applications went through a stage, whatever
	// came of it.
	StagePassed(stage Stage, applications int, took time.Duration)
	// IssuingLoad is what is under way from now on: chunks, and signatures that
	// wait for the HSM.
	IssuingLoad(chunks, signatures int)
	// ApplicationsAnswered: a chunk was answered. An application is certified (by two
	// certificates), answered with what was recorded before, refused or
	// abandoned.
	ApplicationsAnswered(certified, replayed, refused, abandoned int)
}

type noMeter struct{}

func (noMeter) StagePassed(Stage, int, time.Duration)   {}
func (noMeter) IssuingLoad(int, int)                    {}
func (noMeter) ApplicationsAnswered(int, int, int, int) {}

// passing begins a stage; what it returns ends it.
func (a *Authority) passing(stage Stage, applications int) func() {
	began := a.config.Stopwatch()
	return func() { a.config.Meter.StagePassed(stage, applications, a.config.Stopwatch().Sub(began)) }
}

// count tells the meter of answers.
func (a *Authority) count(answers []Answer) {
	var certified, replayed, refused, abandoned int
	for i := range answers {
		switch {
		case answers[i].Err == nil && answers[i].Replayed:
			replayed++
		case answers[i].Err == nil:
			certified++
		case errors.Is(answers[i].Err, ErrAbandoned):
			abandoned++
		default:
			refused++
		}
	}
	a.config.Meter.ApplicationsAnswered(certified, replayed, refused, abandoned)
}
