package hsm

import (
	"crypto"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// foundKey is a key as one place has it.
type foundKey struct {
	identity  keyIdentity
	public    crypto.PublicKey
	algorithm Algorithm
}

// same says that it is the key of the record.
func (f *foundKey) same(k *keyRecord) bool {
	public, ok := f.public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(k.public)
}

// keyRecord is a key wherever it was found. CKA_ID may be another in each place.
type keyRecord struct {
	label     string
	public    crypto.PublicKey
	algorithm Algorithm
	at        [maxPlaces]atomic.Pointer[keyIdentity] // by number of the place; nil where it was not found yet
}

// identity is nil if the key was not found in p yet.
func (k *keyRecord) identity(p *place) *keyIdentity { return k.at[p.number].Load() }

// keyring holds what was opened through a Token, so that a place that comes up later can be asked for the same.
type keyring struct {
	mu      sync.Mutex
	records map[string]*keyRecord // by label
}

// add returns the record of a key that is the same everywhere it was found. A key that took the place of another of that
// label is a new record.
func (r *keyring) add(found map[*place]foundKey) *keyRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	var k *keyRecord
	for p, f := range found {
		if k == nil {
			k = r.records[f.identity.label]
		}
		if k == nil || !f.same(k) {
			k = &keyRecord{label: f.identity.label, public: f.public, algorithm: f.algorithm}
			r.records[k.label] = k
		}
		k.at[p.number].Store(&f.identity)
	}
	return k
}

func (r *keyring) all() []*keyRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.records))
}

// missing lists the keys that were not found in p yet.
func (r *keyring) missing(p *place) []*keyRecord {
	return slices.DeleteFunc(r.all(), func(k *keyRecord) bool { return k.identity(p) != nil })
}
