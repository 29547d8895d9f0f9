package feed

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"cpsca/card"
)

// fill writes three batches (two records, a heartbeat, one record) and returns
// the file and its size after each.
func fill(t testing.TB, w *writer, path string) (sizes []int64) {
	t.Helper()
	c, m, err := OpenCopy(path, w.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, records := range [][]Record{
		{change(1, card.StatusGood), change(2, card.StatusGood)}, nil, {change(1, card.StatusRevoked)},
	} {
		records, head := w.batch(time.Duration(len(sizes))*time.Second, records...)
		err = m.Apply(records, head)
		if err == nil {
			err = c.Append(records, head)
		}
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, info.Size())
	}
	err = c.Close()
	if err != nil {
		t.Fatal(err)
	}
	return sizes
}

func TestACopyReloadsToTheSameImage(t *testing.T) {
	w, path := newWriter(t), filepath.Join(t.TempDir(), "feed")
	fill(t, w, path)
	c, m, err := OpenCopy(path, w.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	r, ok := m.Lookup(card.KeyID{1}, card.Serial{0x10, 1})
	if !ok || r.Status != card.StatusRevoked || !reflect.DeepEqual(m.Head(), w.last) {
		t.Fatalf("got %+v at %+v", r, m.Head())
	}
	records, head := w.batch(time.Minute, change(3, card.StatusGood))
	mustApply(t, m, records, head)
	err = c.Append(records, head)
	if err != nil {
		t.Fatal(err)
	}
	err = c.Append(records, head)
	if !errors.Is(err, ErrGap) {
		t.Fatalf("appending twice: got %v, want ErrGap", err)
	}
	_, _, err = OpenCopy(path, w.key.Public())
	if err == nil {
		t.Fatal("a copy was opened twice")
	}
	err = c.Close()
	if err != nil {
		t.Fatal(err)
	}
	if c.Append(nil, head) == nil {
		t.Fatal("appended to a closed copy")
	}
}

func TestABatchLargerThanAFrameReloads(t *testing.T) {
	w, path := newWriter(t), filepath.Join(t.TempDir(), "feed")
	c, _, err := OpenCopy(path, w.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	many := make([]Record, 2*frameRecords+1)
	for i := range many {
		many[i] = change(0, card.StatusGood)
		many[i].Serial[2], many[i].Serial[3] = byte(i>>8), byte(i)
	}
	records, head := w.batch(0, many...)
	err = c.Append(records, head)
	if err == nil {
		err = c.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	c, m, err := OpenCopy(path, w.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if m.Sequence() != uint64(len(many)) {
		t.Fatalf("got sequence %d, want %d", m.Sequence(), len(many))
	}
}

func TestATornTailIsCutAtEveryOctet(t *testing.T) {
	w, dir := newWriter(t), t.TempDir()
	path := filepath.Join(dir, "feed")
	sizes := fill(t, w, path)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	torn := filepath.Join(dir, "torn")
	for n := range int64(len(whole)) {
		for _, zeros := range []int{0, 4096} {
			err = os.WriteFile(torn, append(bytes.Clone(whole[:n]), make([]byte, zeros)...), 0o600)
			if err != nil {
				t.Fatal(err)
			}
			c, m, err := OpenCopy(torn, w.key.Public())
			if n < int64(len(copyMagic)) && zeros > 0 {
				if !errors.Is(err, ErrCorrupt) {
					t.Fatalf("%d octets and zeros: got %v, want ErrCorrupt", n, err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("cut at %d: %v", n, err)
			}
			want := uint64(0)
			if n >= sizes[0] {
				want = 2
			}
			if m.Sequence() != want {
				t.Fatalf("cut at %d: got sequence %d, want %d", n, m.Sequence(), want)
			}
			err = c.Close()
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestDamageInTheMiddleIsRefusedAtEveryOctet(t *testing.T) {
	w, dir := newWriter(t), t.TempDir()
	path := filepath.Join(dir, "feed")
	sizes := fill(t, w, path)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range sizes[1] {
		bad := bytes.Clone(whole)
		bad[n] ^= 0x40
		err = os.WriteFile(path, bad, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = OpenCopy(path, w.key.Public())
		if !errors.Is(err, ErrCorrupt) {
			t.Fatalf("octet %d changed: got %v, want ErrCorrupt", n, err)
		}
	}
}

func TestACopyOfAnotherAuthorityIsRefused(t *testing.T) {
	w, path := newWriter(t), filepath.Join(t.TempDir(), "feed")
	fill(t, w, path)
	_, _, err := OpenCopy(path, newKey(t).Public())
	if !errors.Is(err, ErrSignature) {
		t.Fatalf("got %v, want ErrSignature", err)
	}
}

func TestAfterAFailedWriteNothingIsAppended(t *testing.T) {
	w, path := newWriter(t), filepath.Join(t.TempDir(), "feed")
	c, _, err := OpenCopy(path, w.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	good := c.file
	c.file, err = os.Open(path) // not writable
	if err != nil {
		t.Fatal(err)
	}
	records, head := w.batch(0, change(1, card.StatusGood))
	first := c.Append(records, head)
	c.file = good
	second := c.Append(records, head)
	if first == nil || second == nil {
		t.Fatalf("got %v then %v, want two errors", first, second)
	}
	err = c.Close()
	if err != nil {
		t.Fatal(err)
	}
}

func FuzzOpenCopy(f *testing.F) {
	w, path := newWriter(f), filepath.Join(f.TempDir(), "feed")
	fill(f, w, path)
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add([]byte(copyMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		image := NewImage(w.key.Public())
		end, err := load(bytes.NewReader(b), image)
		if err != nil {
			return
		}
		again := NewImage(w.key.Public())
		same, err := load(bytes.NewReader(b[:end]), again)
		if err != nil || same != end || !reflect.DeepEqual(image.head, again.head) {
			t.Fatalf("the good part loads differently: %d, %v", same, err)
		}
		if image.head.Sequence > 0 && image.head.Verify(w.key.Public()) != nil {
			t.Fatal("an unsigned head was loaded")
		}
	})
}
