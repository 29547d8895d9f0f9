package crl

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"cpsca/card"
)

// selection is what one publication would list.
type selection struct {
	revocations []card.Revocation // all that the source gave
	sequence    uint64
	entries     []Entry
}

// choose takes the revocations that belong on a full list of an instant,
// encodes each once and puts them in order of date, then serial. The IGC-Santé
// lists are in order of date; the serial makes the order of one set of
// revocations always the same.
func (l *line) choose(policy Policy, revocations []card.Revocation, thisUpdate time.Time) ([]Entry, error) {
	onLast := l.expiredOnLast(revocations, thisUpdate)
	places := make([]place, 0, len(revocations))
	for i := range revocations {
		r := &revocations[i]
		if r.Issuer != l.issuer.KeyID {
			return nil, fmt.Errorf("serial %s is of issuer %s: %w", r.Serial, r.Issuer, ErrEntry)
		}
		if l.belongs(policy, r, thisUpdate, onLast) {
			places = append(places, place{r.Since.Unix(), r.Serial, i})
		}
	}
	slices.SortFunc(places, func(a, b place) int {
		if c := cmp.Compare(a.date, b.date); c != 0 {
			return c
		}
		return bytes.Compare(a.serial[:], b.serial[:])
	})
	entries := make([]Entry, len(places))
	var room []byte
	for i := range places {
		if cap(room)-len(room) < entrySize {
			room = make([]byte, 0, entryRoom)
		}
		e, err := policy.appendEntry(room, revocations[places[i].at])
		if err != nil {
			return nil, err
		}
		room = room[:len(room)+len(e.DER)]
		entries[i] = e
	}
	return entries, nil
}

// place is where a revocation comes in a list. Places are sorted instead of
// entries because they are small and hold no pointers.
type place struct {
	date   int64 // seconds since 1970
	serial card.Serial
	at     int // index of the revocation
}

// entryRoom is how many octets are set aside at a time for encoded entries.
const entryRoom = 64 << 10

// expiredOnLast is the set of serials of expired certificates that stand on
// the last list.
func (l *line) expiredOnLast(revocations []card.Revocation, thisUpdate time.Time) map[card.Serial]struct{} {
	expired := map[card.Serial]struct{}{}
	for i := range revocations {
		if thisUpdate.After(revocations[i].NotAfter) {
			expired[revocations[i].Serial] = struct{}{}
		}
	}
	on := make(map[card.Serial]struct{}, len(expired))
	if l.last == nil || len(expired) == 0 {
		return on
	}
	for e := range l.last.Entries() {
		_, ok := expired[e.Serial]
		if ok {
			on[e.Serial] = struct{}{}
		}
	}
	return on
}

// belongs says whether a revocation stands on the list of an instant.
//
// An entry leaves only when its certificate expired and it stood on a regular
// list after that (RFC 5280 §3.3). So an expired one on the last list stays,
// unless that list was such a one. An expired one that is not on the last list
// has left it already, unless the last list is no witness: there is none, it is
// older than the expiry, or older than the revocation.
func (l *line) belongs(policy Policy, r *card.Revocation, thisUpdate time.Time, onLast map[card.Serial]struct{}) bool {
	if r.Status == card.StatusGood || waiting(policy, r) {
		return false
	}
	if !thisUpdate.After(r.NotAfter) {
		return true
	}
	_, listed := onLast[r.Serial]
	if listed {
		return !l.mayDrop(r, thisUpdate)
	}
	return l.last == nil || !l.last.ThisUpdate.After(r.NotAfter) || r.Since.After(l.last.ThisUpdate)
}

// waiting reports a hold that only the gate put there and that the policy
// does not list; a final revocation is listed whatever put it there.
func waiting(policy Policy, r *card.Revocation) bool {
	return r.Status == card.StatusHeld && r.Cause == card.CauseGate && !policy.ListWaiting
}

// mayDrop says whether an entry of the last list may leave because of its
// certificate's expiry. Whether a list was regular is remembered by this
// process only: after a restart entries stay one list longer.
func (l *line) mayDrop(r *card.Revocation, thisUpdate time.Time) bool {
	return thisUpdate.After(r.NotAfter) && l.last != nil && l.lastRegular && l.last.ThisUpdate.After(r.NotAfter)
}

// follows checks a new list against the last one: the number is greater, time
// does not go back, no revocation turns into a hold, and nothing disappears but
// expired entries that may leave and holds that were released or that the
// policy no longer lists.
func (l *line) follows(next *List, policy Policy, revocations []card.Revocation) error {
	if l.last == nil {
		return nil
	}
	if next.Number <= l.last.Number {
		return fmt.Errorf("number %d after %d: %w", next.Number, l.last.Number, ErrNumber)
	}
	if next.ThisUpdate.Before(l.last.ThisUpdate) {
		return fmt.Errorf("thisUpdate %s after %s: %w", next.ThisUpdate.Format(time.RFC3339), l.last.ThisUpdate.Format(time.RFC3339), ErrBehind)
	}
	listed := make(map[card.Serial]card.Reason, next.Count)
	for e := range next.Entries() {
		listed[e.Serial] = e.Reason
	}
	gone := map[card.Serial]bool{} // value: it was a hold
	for e := range l.last.Entries() {
		reason, ok := listed[e.Serial]
		held := e.Reason == card.CertificateHold
		if !ok {
			gone[e.Serial] = held
		} else if reason == card.CertificateHold && !held {
			return fmt.Errorf("serial %s: %w", e.Serial, ErrRevived)
		}
	}
	for i := range revocations {
		r := &revocations[i]
		held, ok := gone[r.Serial]
		if ok && (held && (r.Status == card.StatusGood || waiting(policy, r)) || l.mayDrop(r, next.ThisUpdate)) {
			delete(gone, r.Serial)
		}
	}
	for serial := range gone {
		return fmt.Errorf("serial %s and %d more: %w", serial, len(gone)-1, ErrMissing)
	}
	return nil
}

// sameAsLast reports whether a list of these entries would tell nothing new.
func (l *line) sameAsLast(entries []Entry) bool {
	if l.last == nil || len(entries) != l.last.Count {
		return false
	}
	body := l.last.body
	for i := range entries {
		rest, ok := bytes.CutPrefix(body, entries[i].DER)
		if !ok {
			return false
		}
		body = rest
	}
	return true
}
