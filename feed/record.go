package feed

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"cpsca/card"
)

// RecordSize is the length in octets of a record's canonical encoding.
const RecordSize = 8 + len(card.KeyID{}) + len(card.Serial{}) + 8 + 1 + 8 + 1

// maxSequence bounds sequences to 48 bits: an Image packs them beside the
// status.
const maxSequence = 1<<48 - 1

// recordLabel separates record hashes from every other hash of the house.
const recordLabel = "cpsca feed record 1\x00"

// ErrRecord is returned for a record that no authority writes: a sequence of
// zero, an unknown status or reason, a time that is not in whole seconds or
// not after 1970.
var ErrRecord = errors.New("malformed feed record")

// Hash is a SHA-256 hash in the chain; the zero Hash stands before the first
// record.
type Hash [sha256.Size]byte

// String returns the hash in lower-case hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText makes hashes hexadecimal in JSON.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (h *Hash) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(h) || len(text)%2 != 0 {
		return fmt.Errorf("reading a hash: want %d hexadecimal digits, got %d characters", 2*len(h), len(text))
	}
	_, err := hex.Decode(h[:], text)
	if err != nil {
		return fmt.Errorf("reading a hash: %w", err)
	}
	return nil
}

// Record is one change of status of one serial. As JSON it is one line of the
// feed (NDJSON).
type Record struct {
	Sequence uint64      `json:"sequence"` // from 1, without gaps
	Issuer   card.KeyID  `json:"issuer"`
	Serial   card.Serial `json:"serial"`
	NotAfter time.Time   `json:"not_after"` // of the certificate, inclusive, UTC, whole seconds
	Status   card.Status `json:"status"`
	At       time.Time   `json:"at"` // since when the status holds, UTC, whole seconds
	Reason   card.Reason `json:"reason,omitempty"`
}

// statusOctets is the order of the status words in the canonical encoding:
// the octet is the index plus one.
var statusOctets = [...]card.Status{card.StatusIntended, card.StatusGood, card.StatusHeld, card.StatusRevoked}

func statusOctet(s card.Status) byte {
	for i, known := range statusOctets {
		if s == known {
			return byte(i + 1)
		}
	}
	return 0
}

// Validate returns ErrRecord, wrapped with the field at fault, for a record
// that cannot be encoded and decoded again to the same record.
func (r Record) Validate() error {
	switch {
	case r.Sequence == 0 || r.Sequence > maxSequence:
		return fmt.Errorf("%w: sequence %d", ErrRecord, r.Sequence)
	case statusOctet(r.Status) == 0:
		return fmt.Errorf("%w: status", ErrRecord)
	case !knownReason(r.Reason):
		return fmt.Errorf("%w: reason %d", ErrRecord, int(r.Reason))
	case !wholeSecond(r.NotAfter):
		return fmt.Errorf("%w: not_after", ErrRecord)
	case !wholeSecond(r.At):
		return fmt.Errorf("%w: at", ErrRecord)
	}
	return nil
}

// knownReason tells whether RFC 5280 §5.3.1 has the reason; 7 is not used.
func knownReason(r card.Reason) bool { return r >= 0 && r <= 10 && r != 7 }

func wholeSecond(t time.Time) bool {
	seconds := t.Unix()
	return t.Nanosecond() == 0 && seconds > 0 && seconds <= lastSecond
}

// lastSecond is 9999-12-31T23:59:59Z, the last instant of a GeneralizedTime.
const lastSecond = 253402300799

// Append adds the canonical encoding to b, RecordSize octets: sequence,
// issuer, serial, notAfter, status, at, reason; integers big-endian, times in
// seconds since 1970.
func (r Record) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, r.Sequence)
	b = append(b, r.Issuer[:]...)
	b = append(b, r.Serial[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.NotAfter.Unix()))
	b = append(b, statusOctet(r.Status))
	b = binary.BigEndian.AppendUint64(b, uint64(r.At.Unix()))
	return append(b, byte(r.Reason))
}

// DecodeRecord reads one canonical encoding. It returns ErrRecord for
// anything that Append does not write of a valid record.
func DecodeRecord(b []byte) (Record, error) {
	if len(b) != RecordSize {
		return Record{}, fmt.Errorf("%w: %d octets", ErrRecord, len(b))
	}
	var r Record
	r.Sequence = binary.BigEndian.Uint64(b)
	b = b[8:]
	b = b[copy(r.Issuer[:], b):]
	b = b[copy(r.Serial[:], b):]
	r.NotAfter = time.Unix(int64(binary.BigEndian.Uint64(b)), 0).UTC()
	status := b[8]
	r.At = time.Unix(int64(binary.BigEndian.Uint64(b[9:])), 0).UTC()
	r.Reason = card.Reason(b[17])
	if status == 0 || int(status) > len(statusOctets) {
		return Record{}, fmt.Errorf("%w: status", ErrRecord)
	}
	r.Status = statusOctets[status-1]
	err := r.Validate()
	if err != nil {
		return Record{}, err
	}
	return r, nil
}

// Hash returns the hash of the chain after this record, given the hash before
// it: SHA-256 over a label, the previous hash and the canonical encoding.
func (r Record) Hash(previous [sha256.Size]byte) Hash {
	b := make([]byte, 0, len(recordLabel)+sha256.Size+RecordSize)
	b = append(b, recordLabel...)
	b = append(b, previous[:]...)
	return sha256.Sum256(r.Append(b))
}
