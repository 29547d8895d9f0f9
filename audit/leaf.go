package audit

import (
	"crypto/rand"
	"crypto/sha256"
)

// Salt hides the clear text of a leaf from whoever holds only its commitment.
type Salt [16]byte

// NewSalt draws a salt from the system's generator.
func NewSalt() Salt {
	var s Salt
	_, _ = rand.Read(s[:]) // never fails: crypto/rand ends the process instead
	return s
}

// Leaf is what an event says about one subject: the full canonical content of
// the subject's rows that the decision created or changed.
type Leaf struct {
	Subject string // whom or what the rows are about, as the store names it
	Clear   []byte
	Salt    Salt
}

// Commitment binds the event to the leaf: SHA-256 over a label, the salt and
// the clear text. Without the salt it tells nothing.
func (l Leaf) Commitment() Digest {
	h := sha256.New()
	h.Write([]byte("cpsca journal leaf\x00"))
	h.Write(l.Salt[:])
	h.Write(l.Clear)
	return Digest(h.Sum(nil))
}

// LeavesDigest joins the commitments of an event's leaves in their order.
func LeavesDigest(commitments []Digest) Digest {
	h := sha256.New()
	h.Write([]byte("cpsca journal leaves\x00"))
	for _, c := range commitments {
		h.Write(c[:])
	}
	return Digest(h.Sum(nil))
}
