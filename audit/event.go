// Package audit is the journal's grammar: events, their canonical bytes, the
// hash chain that joins them, and the salted leaves by which an event commits
// to the rows it created or changed.
//
// One event stands for one decision (a chunk of applications, a report, an
// activation). It commits to one leaf per subject; the clear text and the salt
// of a leaf live in a side table of the store, the only one from which
// anything may ever be erased: the chain stays whole when they are gone.
//
// The store writes events in the transaction of the change that they record
// and hands them back to Verify. Logs are not the journal, and no key, clock
// or database is known here.
package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Digest is a SHA-256 value, hexadecimal in text.
type Digest [32]byte

// String returns the digest in lower-case hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText makes digests hexadecimal in JSON.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Digest) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(d)) {
		return fmt.Errorf("reading a digest: want %d hexadecimal digits, got %d characters", hex.EncodedLen(len(d)), len(text))
	}
	_, err := hex.Decode(d[:], text)
	return err
}

// Event is one decision. Sequence starts at 1 and has no gaps.
type Event struct {
	Sequence int64
	Time     time.Time // UTC; millisecond precision
	Actor    string    // enrolled person or process, 1–128 printable ASCII characters
	Action   string    // what was decided, 1–64 printable ASCII characters
	Leaves   Digest    // over the commitments of the leaves, in order
	Previous Digest    // hash of the event before; zero for the first
}

// ErrText is returned for an actor or action that is empty, too long or not
// printable ASCII: such a text has more than one canonical form.
var ErrText = errors.New("want printable ASCII text")

// Canonical returns the bytes that are hashed: a JSON object in the form of
// RFC 8785, keys in ascending order.
func (e Event) Canonical() ([]byte, error) {
	err := printable("actor", e.Actor, 128)
	if err != nil {
		return nil, err
	}
	err = printable("action", e.Action, 64)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err = encoder.Encode(struct {
		Action   string `json:"action"`
		Actor    string `json:"actor"`
		Leaves   Digest `json:"leaves"`
		Previous Digest `json:"previous"`
		Sequence int64  `json:"sequence"`
		Time     string `json:"time"`
	}{e.Action, e.Actor, e.Leaves, e.Previous, e.Sequence, e.Time.UTC().Format("2006-01-02T15:04:05.000Z")})
	if err != nil {
		return nil, fmt.Errorf("encoding an event: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Hash is the link to the next event: SHA-256 of the canonical bytes.
func (e Event) Hash() (Digest, error) {
	canonical, err := e.Canonical()
	if err != nil {
		return Digest{}, err
	}
	return sha256.Sum256(canonical), nil
}

func printable(what, s string, limit int) error {
	if s == "" || len(s) > limit {
		return fmt.Errorf("%w of 1 to %d characters as %s, got %d", ErrText, limit, what, len(s))
	}
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] > 0x7e {
			return fmt.Errorf("%w as %s, got byte %#02x", ErrText, what, s[i])
		}
	}
	return nil
}
