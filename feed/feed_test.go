package feed

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"cpsca/card"
)

var start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// writer is an authority in small: it chains records and signs heads.
type writer struct {
	t    testing.TB
	key  crypto.Signer
	last Head
}

func newWriter(t testing.TB) *writer { return &writer{t: t, key: newKey(t)} }

func (w *writer) batch(after time.Duration, records ...Record) ([]Record, Head) {
	w.t.Helper()
	hash, sequence := w.last.Hash, w.last.Sequence
	for i := range records {
		sequence++
		records[i].Sequence = sequence
		hash = records[i].Hash(hash)
	}
	head, err := Sign(w.key, sequence, hash, start.Add(after))
	if err != nil {
		w.t.Fatal(err)
	}
	w.last = head
	return records, head
}

func change(serial byte, status card.Status) Record {
	r := Record{Issuer: card.KeyID{1}, Serial: card.Serial{0x10, serial}, NotAfter: start.AddDate(3, 0, 0), Status: status, At: start}
	if status == card.StatusHeld {
		r.Reason = card.CertificateHold
	}
	return r
}

func mustApply(t *testing.T, m *Image, records []Record, head Head) {
	t.Helper()
	err := m.Apply(records, head)
	if err != nil {
		t.Fatal(err)
	}
}

func TestRecordsEncodeAndDecodeToThemselves(t *testing.T) {
	for _, status := range statusOctets {
		r := change(7, status)
		r.Sequence = 1 << 40
		b := r.Append(nil)
		if len(b) != RecordSize {
			t.Fatalf("got %d octets, want %d", len(b), RecordSize)
		}
		got, err := DecodeRecord(b)
		if err != nil || got != r {
			t.Fatalf("got %+v, %v, want %+v", got, err, r)
		}
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back Record
		err = json.Unmarshal(line, &back)
		if err != nil || back != r {
			t.Fatalf("got %+v, %v, want %+v", back, err, r)
		}
	}
}

func TestHashOfAKnownRecord(t *testing.T) {
	r := change(7, card.StatusRevoked)
	r.Sequence = 1
	const want = "d713037f09d7b9d678ef19586db0b21c1608be0d744d3dac915513b6fdbb510c"
	if got := r.Hash([32]byte{}).String(); got != want {
		t.Fatalf("the hash of a record changed: got %s, want %s", got, want)
	}
	other := r
	other.Reason = card.KeyCompromise
	if r.Hash([32]byte{}) == other.Hash([32]byte{}) || r.Hash([32]byte{}) == r.Hash([32]byte{1}) {
		t.Fatal("the hash does not depend on all it should")
	}
}

func TestRecordsThatNoAuthorityWritesAreRefused(t *testing.T) {
	cases := map[string]func(*Record){
		"sequence zero":      func(r *Record) { r.Sequence = 0 },
		"sequence too large": func(r *Record) { r.Sequence = 1 << 48 },
		"unknown status":     func(r *Record) { r.Status = "lost" },
		"reason 7":           func(r *Record) { r.Reason = 7 },
		"negative reason":    func(r *Record) { r.Reason = -1 },
		"no notAfter":        func(r *Record) { r.NotAfter = time.Time{} },
		"fraction of second": func(r *Record) { r.At = r.At.Add(time.Millisecond) },
		"year 10000":         func(r *Record) { r.NotAfter = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
	}
	for name, spoil := range cases {
		r := change(1, card.StatusGood)
		r.Sequence = 1
		spoil(&r)
		if err := r.Validate(); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: got %v, want ErrRecord", name, err)
		}
	}
}

func TestHeadsVerifyWithEveryKindOfKey(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []crypto.Signer{newKey(t), p384, rsaKey} {
		head, err := Sign(key, 3, sha256.Sum256([]byte("x")), start.Add(time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		if head.AsOf != start {
			t.Fatalf("got as-of %s, want whole seconds", head.AsOf)
		}
		for name, spoil := range map[string]func(*Head){
			"sequence":  func(h *Head) { h.Sequence++ },
			"hash":      func(h *Head) { h.Hash[0] ^= 1 },
			"as-of":     func(h *Head) { h.AsOf = h.AsOf.Add(time.Second) },
			"signature": func(h *Head) { h.Signature = nil },
		} {
			bad := head
			spoil(&bad)
			if err := bad.Verify(key.Public()); !errors.Is(err, ErrSignature) {
				t.Errorf("%T, other %s: got %v, want ErrSignature", key, name, err)
			}
		}
	}
}

func TestKeysThatMayNotSignHeads(t *testing.T) {
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Sign(p224, 0, Hash{}, start)
	if !errors.Is(err, ErrKey) {
		t.Fatalf("got %v, want ErrKey", err)
	}
	err = Head{}.Verify("key")
	if !errors.Is(err, ErrKey) {
		t.Fatalf("got %v, want ErrKey", err)
	}
}

// faultySigner signs something else than it was asked.
type faultySigner struct{ crypto.Signer }

func (s faultySigner) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	other := sha256.Sum256(digest)
	return s.Signer.Sign(r, other[:], o)
}

func TestAHeadThatDoesNotVerifyIsNotReleased(t *testing.T) {
	_, err := Sign(faultySigner{newKey(t)}, 0, Hash{}, start)
	if !errors.Is(err, ErrSignature) {
		t.Fatalf("got %v, want ErrSignature", err)
	}
}

func TestImageFollowsTheFeed(t *testing.T) {
	w := newWriter(t)
	m := NewImage(w.key.Public())
	records, head := w.batch(0)
	mustApply(t, m, records, head)
	if m.Sequence() != 0 || m.AsOf() != start || len(m.Issuers()) != 0 {
		t.Fatalf("an empty feed gives sequence %d as of %s", m.Sequence(), m.AsOf())
	}
	records, head = w.batch(time.Second, change(1, card.StatusGood), change(2, card.StatusIntended), change(3, card.StatusGood))
	mustApply(t, m, records, head)
	records, head = w.batch(time.Second, change(2, card.StatusGood), change(3, card.StatusHeld))
	mustApply(t, m, records, head)
	records, head = w.batch(time.Minute, change(1, card.StatusRevoked), change(3, card.StatusGood))
	mustApply(t, m, records, head)
	for serial, want := range map[byte]card.Status{1: card.StatusRevoked, 2: card.StatusGood, 3: card.StatusGood} {
		r, ok := m.Lookup(card.KeyID{1}, card.Serial{0x10, serial})
		if !ok || r.Status != want {
			t.Errorf("serial %d: got %v %v, want %s", serial, r.Status, ok, want)
		}
	}
	if got, _ := m.Lookup(card.KeyID{1}, card.Serial{0x10, 1}); got != records[0] {
		t.Errorf("got %+v, want %+v", got, records[0])
	}
	_, ok := m.Lookup(card.KeyID{1}, card.Serial{0x10, 9})
	_, foreign := m.Lookup(card.KeyID{2}, card.Serial{0x10, 1})
	if ok || foreign {
		t.Error("found a serial that was never in the feed")
	}
	if want := []card.KeyID{{1}}; !reflect.DeepEqual(m.Issuers(), want) {
		t.Errorf("got issuers %v", m.Issuers())
	}
	if n, _ := m.Alarms(); n != 0 || m.Sequence() != 7 || m.AsOf() != start.Add(time.Minute) {
		t.Errorf("got %d alarms, sequence %d, as of %s", n, m.Sequence(), m.AsOf())
	}
}

func TestImageTakesNothingThatDoesNotFollow(t *testing.T) {
	type batch struct {
		records []Record
		head    Head
	}
	cases := []struct {
		name string
		want error
		make func(w *writer) batch
	}{
		{"a head of another key", ErrSignature, func(w *writer) batch {
			w.key = newKey(t)
			r, h := w.batch(time.Minute, change(9, card.StatusGood))
			return batch{r, h}
		}},
		{"a changed head", ErrSignature, func(w *writer) batch {
			r, h := w.batch(time.Minute, change(9, card.StatusGood))
			h.AsOf = h.AsOf.Add(time.Hour)
			return batch{r, h}
		}},
		{"an earlier as-of time", ErrOlder, func(w *writer) batch {
			r, h := w.batch(-time.Minute, change(9, card.StatusGood))
			return batch{r, h}
		}},
		{"an earlier sequence", ErrOlder, func(w *writer) batch {
			w.last = Head{}
			r, h := w.batch(time.Minute, change(1, card.StatusGood))
			return batch{r, h}
		}},
		{"another history of the same length", ErrFork, func(w *writer) batch {
			w.last = Head{}
			_, h := w.batch(time.Minute, change(1, card.StatusGood), change(2, card.StatusGood))
			return batch{nil, h}
		}},
		{"a continuation of another history", ErrChain, func(w *writer) batch {
			w.last = Head{}
			_, _ = w.batch(0, change(1, card.StatusGood), change(2, card.StatusGood))
			r, h := w.batch(time.Minute, change(9, card.StatusGood))
			return batch{r, h}
		}},
		{"a changed record", ErrChain, func(w *writer) batch {
			r, h := w.batch(time.Minute, change(9, card.StatusRevoked))
			r[0].Status = card.StatusGood
			return batch{r, h}
		}},
		{"a missing first record", ErrGap, func(w *writer) batch {
			r, h := w.batch(time.Minute, change(9, card.StatusGood), change(8, card.StatusGood))
			return batch{r[1:], h}
		}},
		{"a missing last record", ErrGap, func(w *writer) batch {
			r, h := w.batch(time.Minute, change(9, card.StatusGood), change(8, card.StatusGood))
			return batch{r[:1], h}
		}},
		{"a repeated record", ErrGap, func(w *writer) batch {
			r, h := w.batch(time.Minute, change(9, card.StatusGood))
			return batch{append(r, r...), h}
		}},
		{"a record of an unknown status", ErrRecord, func(w *writer) batch {
			r, h := w.batch(time.Minute, change(9, "fine"))
			return batch{r, h}
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWriter(t)
			m := NewImage(w.key.Public())
			records, head := w.batch(0, change(1, card.StatusGood), change(2, card.StatusRevoked))
			mustApply(t, m, records, head)
			bad := c.make(w)
			err := m.Apply(bad.records, bad.head)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			_, ok := m.Lookup(card.KeyID{1}, card.Serial{0x10, 9})
			if ok || !reflect.DeepEqual(m.Head(), head) {
				t.Fatal("a refused batch left a trace")
			}
		})
	}
}

func TestWhatIsRevokedStaysRevokedAndRaisesAnAlarm(t *testing.T) {
	for _, c := range []struct {
		from, to card.Status
		keeps    bool
	}{
		{card.StatusRevoked, card.StatusGood, true},
		{card.StatusRevoked, card.StatusHeld, true},
		{card.StatusRevoked, card.StatusIntended, true},
		{card.StatusGood, card.StatusIntended, true},
		{card.StatusHeld, card.StatusIntended, true},
		{card.StatusRevoked, card.StatusRevoked, false},
		{card.StatusHeld, card.StatusGood, false},
		{card.StatusHeld, card.StatusRevoked, false},
		{card.StatusGood, card.StatusHeld, false},
		{card.StatusIntended, card.StatusRevoked, false},
		{card.StatusIntended, card.StatusGood, false},
	} {
		t.Run(string(c.from)+" to "+string(c.to), func(t *testing.T) {
			w := newWriter(t)
			m := NewImage(w.key.Public())
			records, head := w.batch(0, change(1, c.from))
			mustApply(t, m, records, head)
			next, head := w.batch(time.Second, change(1, c.to), change(2, card.StatusGood))
			mustApply(t, m, next, head)
			got, _ := m.Lookup(card.KeyID{1}, card.Serial{0x10, 1})
			n, alarms := m.Alarms()
			want, count := next[0], 0
			if c.keeps {
				want, count = records[0], 1
			}
			if got != want || n != count || len(alarms) != count {
				t.Fatalf("got %+v and %d alarms, want %+v and %d", got, n, want, count)
			}
			if c.keeps && alarms[0] != (Alarm{Kept: records[0], Refused: next[0]}) {
				t.Fatalf("got alarm %+v", alarms[0])
			}
			if _, ok := m.Lookup(card.KeyID{1}, card.Serial{0x10, 2}); !ok {
				t.Fatal("the alarm kept the record behind it away")
			}
		})
	}
}

func TestReadersRunBesideApply(t *testing.T) {
	w := newWriter(t)
	m := NewImage(w.key.Public())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 1000 {
			_, _ = m.Lookup(card.KeyID{1}, card.Serial{0x10, 1})
			_ = m.AsOf()
			_ = m.Issuers()
			_, _ = m.Alarms()
		}
	}()
	for i := range 20 {
		records, head := w.batch(time.Duration(i)*time.Second, change(byte(i), card.StatusGood))
		mustApply(t, m, records, head)
	}
	<-done
}

func TestHashTextIsExact(t *testing.T) {
	var h Hash
	for _, text := range []string{"", strings.Repeat("0", 63), strings.Repeat("0", 65), strings.Repeat("g", 64)} {
		if h.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q was read as a hash", text)
		}
	}
}

func FuzzDecodeRecord(f *testing.F) {
	r := change(1, card.StatusHeld)
	r.Sequence = 1
	f.Add(r.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRecord(b)
		if err != nil {
			return
		}
		if string(r.Append(nil)) != string(b) {
			t.Fatalf("%x decodes to a record that encodes to %x", b, r.Append(nil))
		}
		if pack(r).record(r.Issuer, r.Serial) != r {
			t.Fatalf("the image changes %+v", r)
		}
	})
}
