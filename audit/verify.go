package audit

import (
	"errors"
	"fmt"
)

// Faults that Verifier finds, tested with errors.Is.
var (
	// ErrGap: a sequence number is missing, repeated or out of order.
	ErrGap = errors.New("the journal has a gap")
	// ErrChain: an event does not follow from the one before it.
	ErrChain = errors.New("the journal's chain is broken")
	// ErrLeaves: the commitments beside an event are not the ones it made.
	ErrLeaves = errors.New("the leaves do not belong to their event")
	// ErrLeaf: the clear text of a leaf is not what was committed to.
	ErrLeaf = errors.New("the clear text of a leaf was changed")
	// ErrHead: the journal ends elsewhere than the head it is held against.
	ErrHead = errors.New("the journal does not reach its head")
)

// Head is the end of a journal: what a witness keeps to detect truncation.
type Head struct {
	Sequence int64  `json:"sequence"`
	Hash     Digest `json:"hash"`
}

// Verifier walks a journal from its first event. The zero value is ready; it
// is not safe for concurrent use.
type Verifier struct {
	head Head
}

// Opened is a leaf with its commitment as stored; Clear is nil when the clear
// text was erased.
type Opened struct {
	Commitment Digest
	Leaf       Leaf
	Erased     bool
}

// Next checks the next event and its leaves. The error wraps ErrGap, ErrChain,
// ErrLeaves or ErrLeaf and names the event.
func (v *Verifier) Next(e Event, leaves []Opened) error {
	if e.Sequence != v.head.Sequence+1 {
		return fmt.Errorf("%w: event %d follows %d", ErrGap, e.Sequence, v.head.Sequence)
	}
	if e.Previous != v.head.Hash {
		return fmt.Errorf("%w at event %d", ErrChain, e.Sequence)
	}
	commitments := make([]Digest, len(leaves))
	for i, l := range leaves {
		commitments[i] = l.Commitment
		if !l.Erased && l.Leaf.Commitment() != l.Commitment {
			return fmt.Errorf("%w: leaf %d of event %d", ErrLeaf, i, e.Sequence)
		}
	}
	if LeavesDigest(commitments) != e.Leaves {
		return fmt.Errorf("%w: event %d", ErrLeaves, e.Sequence)
	}
	hash, err := e.Hash()
	if err != nil {
		return fmt.Errorf("hashing event %d: %w", e.Sequence, err)
	}
	v.head = Head{Sequence: e.Sequence, Hash: hash}
	return nil
}

// Head returns the end of what was verified so far.
func (v *Verifier) Head() Head { return v.head }

// Reaches checks the end of the walk against a head kept elsewhere. The error
// is ErrHead.
func (v *Verifier) Reaches(h Head) error {
	if v.head != h {
		return fmt.Errorf("%w: it ends at event %d, expected %d (%s)", ErrHead, v.head.Sequence, h.Sequence, h.Hash)
	}
	return nil
}
