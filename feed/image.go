package feed

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"cpsca/card"
)

// What an Image refuses.
var (
	// ErrGap: the records do not follow the last one known, or one of them
	// does not follow the one before.
	ErrGap = errors.New("the feed has a gap")
	// ErrFork: another hash is signed for the sequence that is already known.
	ErrFork = errors.New("the feed has forked")
	// ErrChain: the records do not lead to the hash of the signed head.
	ErrChain = errors.New("the records do not lead to the signed head")
	// ErrOlder: the head is older than the last one taken.
	ErrOlder = errors.New("the head is older than the last one")
)

// applySlice is how many records are taken in under one hold of the lock, so
// that readers wait for microseconds while a mass revocation arrives.
const applySlice = 1024

// keptAlarms bounds the alarms that an Image remembers.
const keptAlarms = 1000

// Alarm is a record that would have brought a serial back from a state that
// nothing leads back from. The image kept the earlier entry.
type Alarm struct {
	Kept    Record // what the image goes on saying
	Refused Record // what the feed said
}

// Image is the state of every serial of the feed, as of its last head. All
// methods may be called from several goroutines.
type Image struct {
	pub crypto.PublicKey

	applying sync.Mutex // held through Apply, so that one batch is checked at a time

	mu      sync.RWMutex // guards all below
	head    Head
	issuers map[card.KeyID]map[card.Serial]entry
	alarms  []Alarm
	count   int
}

// entry is a record without its key, packed small because there are ten
// million of them: no pointers, 24 octets.
type entry struct {
	at, notAfter int64
	packed       uint64 // sequence in 48 bits, status octet, reason octet
}

func pack(r Record) entry {
	return entry{
		at:       r.At.Unix(),
		notAfter: r.NotAfter.Unix(),
		packed:   r.Sequence<<16 | uint64(statusOctet(r.Status))<<8 | uint64(r.Reason),
	}
}

func (e entry) status() card.Status { return statusOctets[byte(e.packed>>8)-1] }

func (e entry) record(issuer card.KeyID, serial card.Serial) Record {
	return Record{
		Sequence: e.packed >> 16,
		Issuer:   issuer,
		Serial:   serial,
		NotAfter: time.Unix(e.notAfter, 0).UTC(),
		Status:   e.status(),
		At:       time.Unix(e.at, 0).UTC(),
		Reason:   card.Reason(byte(e.packed)),
	}
}

// NewImage makes an empty image that believes heads signed by pub.
func NewImage(pub crypto.PublicKey) *Image {
	return &Image{pub: pub, issuers: map[card.KeyID]map[card.Serial]entry{}}
}

// Apply takes records that follow those known, up to a signed head; none, for
// a heartbeat. Unless everything is in order it changes nothing and returns
// ErrSignature, ErrKey, ErrOlder, ErrGap, ErrFork, ErrChain or ErrRecord.
//
// A record that brings a serial back from where nothing leads back (revoked to
// anything else; anything recorded to intended) is no error, since the chain
// would stop for all others: the entry stays as it was and an Alarm is kept.
func (m *Image) Apply(records []Record, head Head) error {
	m.applying.Lock()
	defer m.applying.Unlock()

	last := m.Head()
	err := head.Verify(m.pub)
	if err != nil {
		return fmt.Errorf("applying feed head %d: %w", head.Sequence, err)
	}
	err = follow(last, records, head)
	if err != nil {
		return fmt.Errorf("applying the feed from %d to %d: %w", last.Sequence, head.Sequence, err)
	}
	m.take(records, head)
	return nil
}

// follow checks that the records lead from one head to a later one.
func follow(last Head, records []Record, head Head) error {
	if head.AsOf.Before(last.AsOf) || head.Sequence < last.Sequence {
		return ErrOlder
	}
	if !wholeSecond(head.AsOf) {
		return fmt.Errorf("%w: as_of", ErrRecord)
	}
	if head.Sequence == last.Sequence && head.Hash != last.Hash {
		return ErrFork
	}
	hash, next := last.Hash, last.Sequence+1
	for _, r := range records {
		if r.Sequence != next {
			return fmt.Errorf("%w: record %d where %d was due", ErrGap, r.Sequence, next)
		}
		err := r.Validate()
		if err != nil {
			return err
		}
		hash = r.Hash(hash)
		next++
	}
	if next-1 != head.Sequence {
		return fmt.Errorf("%w: the records end at %d", ErrGap, next-1)
	}
	if hash != head.Hash {
		return ErrChain
	}
	return nil
}

// take stores checked records and their head, in slices so that readers are
// not kept waiting. A reader between two slices sees entries newer than the
// as-of time, never the contrary.
func (m *Image) take(records []Record, head Head) {
	for slice := range slices.Chunk(records, applySlice) {
		m.mu.Lock()
		for _, r := range slice {
			m.set(r)
		}
		m.mu.Unlock()
	}
	m.mu.Lock()
	head.Signature = bytes.Clone(head.Signature)
	m.head = head
	m.mu.Unlock()
}

// set enters one record; m.mu is held.
func (m *Image) set(r Record) {
	serials := m.issuers[r.Issuer]
	if serials == nil {
		serials = map[card.Serial]entry{}
		m.issuers[r.Issuer] = serials
	}
	old, known := serials[r.Serial]
	if known && !leads(old.status(), r.Status) {
		m.count++
		if len(m.alarms) < keptAlarms {
			m.alarms = append(m.alarms, Alarm{Kept: old.record(r.Issuer, r.Serial), Refused: r})
		}
		return
	}
	serials[r.Serial] = pack(r)
}

// leads says which status may follow which: a revocation is for ever, and what
// was recorded is never an intent again.
func leads(from, to card.Status) bool {
	if from == card.StatusRevoked {
		return to == card.StatusRevoked
	}
	return from == card.StatusIntended || to != card.StatusIntended
}

// Lookup returns what is known of a serial; ok is false if the feed never
// spoke of it.
func (m *Image) Lookup(issuer card.KeyID, serial card.Serial) (r Record, ok bool) {
	m.mu.RLock()
	e, ok := m.issuers[issuer][serial]
	m.mu.RUnlock()
	if !ok {
		return Record{}, false
	}
	return e.record(issuer, serial), true
}

// Head returns the last head taken; its zero value if none was.
func (m *Image) Head() Head {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.head
}

// AsOf returns until when the image is complete; the zero time if no head was
// taken.
func (m *Image) AsOf() time.Time { return m.Head().AsOf }

// Sequence returns the sequence of the last record applied.
func (m *Image) Sequence() uint64 { return m.Head().Sequence }

// Issuers returns the key ids of the issuers of which the image knows a
// serial, in ascending order.
func (m *Image) Issuers() []card.KeyID {
	m.mu.RLock()
	ids := make([]card.KeyID, 0, len(m.issuers))
	for id := range m.issuers {
		ids = append(ids, id)
	}
	m.mu.RUnlock()
	slices.SortFunc(ids, func(a, b card.KeyID) int { return bytes.Compare(a[:], b[:]) })
	return ids
}

// Alarms returns how many records were refused entry since the start and the
// first thousand of them.
func (m *Image) Alarms() (count int, first []Alarm) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.count, slices.Clone(m.alarms)
}
