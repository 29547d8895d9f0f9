package ca

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"cpsca/card"
	"cpsca/hsm"
	"cpsca/profiles"
	"cpsca/testpki"
)

func textDigest(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }

func TestABlockedKeyIsRefused(t *testing.T) {
	for _, algorithm := range []hsm.Algorithm{hsm.RSA2048, hsm.P256} {
		chip := must(testpki.NewCard("2800636234", algorithm))(t)
		spki := must(chip.SPKI(card.Signature))(t)
		fingerprint := must(profiles.KeyFingerprint(spki))(t)
		for name, c := range map[string]struct {
			list, reason string
		}{
			"by its fingerprint":      {fingerprint.String(), "list of blocked keys"},
			"by its whole public key": {hex.EncodeToString(digest(spki)), "list of blocked keys"},
			"not on the list":         {hex.EncodeToString(digest([]byte("another key"))), ""},
			"with an empty list":      {"# nothing yet", ""},
		} {
			t.Run(algorithm.String()+" "+name, func(t *testing.T) {
				rules := KeyRules{RSA: []int{2048}, Curves: []string{"P-256"}, Blocked: must(ReadBlocklist(strings.NewReader(c.list)))(t)}
				got, err := rules.admit(spki)
				refusedFor(t, err, c.reason)
				if err == nil && (got.Fingerprint() != fingerprint || !bytes.Equal(got.SPKI(), spki)) {
					t.Error("another key was admitted")
				}
			})
		}
		_, err := KeyRules{RSA: []int{2048}, Curves: []string{"P-256"}}.admit(spki)
		refusedFor(t, err, "")
	}
}

func digest(octets []byte) []byte {
	sum := sha256.Sum256(octets)
	return sum[:]
}

func TestABlocklistIsReadAsItIsWritten(t *testing.T) {
	one, two := hex.EncodeToString(digest([]byte("one"))), hex.EncodeToString(digest([]byte("two")))
	for _, c := range []struct {
		name, text string
		keys       int
		refusal    string
	}{
		{"an empty list", "", 0, ""},
		{"only comments", "# a comment\n\n   # another\n", 0, ""},
		{"two keys", one + "\n" + two + "\n", 2, ""},
		{"a key without an end of line", one, 1, ""},
		{"lines of Windows", one + "\r\n" + two + "\r\n", 2, ""},
		{"a key in capitals, with blanks and a comment", "\t " + strings.ToUpper(one) + " # debian\n", 1, ""},
		{"a key twice", one + "\n" + one + "\n" + two, 2, ""},
		{"a digit too few", "# list\n" + one[:63], 0, "line 2 is not 64"},
		{"an octet too few", one + "\n" + two[:62], 0, "line 2 is not 64"},
		{"an octet too many", one + "00", 0, "line 1 is not 64"},
		{"two keys in a line", one + " " + two, 0, "line 1 is not 64"},
		{"what is no digit", one + "\n\nx" + two[1:], 0, "line 3 is not 64"},
		{"a digest in SHA-1", "\n" + one[:40], 0, "line 2 is not 64"},
		{"a line without an end", one + "\n" + strings.Repeat("a", 5000), 0, "reading line 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := ReadBlocklist(strings.NewReader(c.text))
			if c.refusal != "" {
				if b != nil || !errors.Is(err, ErrBlocklist) || !strings.Contains(err.Error(), c.refusal) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || b.Len() != c.keys {
				t.Fatalf("%v with the error %v, want %d keys", b, err, c.keys)
			}
			for i, text := range []string{"one", "two"} {
				if b.has(textDigest(text)) != (i < c.keys) {
					t.Errorf("%s is on the list: %v", text, i >= c.keys)
				}
			}
		})
	}
	broken := errors.New("broken")
	_, err := ReadBlocklist(io.MultiReader(strings.NewReader(one+"\n"), iotest.ErrReader(broken)))
	if !errors.Is(err, ErrBlocklist) || !errors.Is(err, broken) {
		t.Errorf("a file that cannot be read gives %v", err)
	}
}

func TestALongBlocklistFindsEachOfItsKeysAndNoOther(t *testing.T) {
	const keys = 300_000
	b := blocklistOf(t, keys)
	if b.Len() != keys || cap(b.digests) > keys+keys/100 {
		t.Fatalf("%d keys in the room of %d", b.Len(), cap(b.digests))
	}
	for i := range 2 * keys {
		listed := sha256.Sum256([]byte{byte(i), byte(i >> 8), byte(i >> 16)})
		if b.Blocked(listed, [sha256.Size]byte{}) != (i < keys) || b.Blocked(card.Fingerprint{}, listed) != (i < keys) {
			t.Fatalf("key %d is blocked: %v", i, i >= keys)
		}
	}
}

// numbered reads as lines of digests without end.
type numbered struct{ lines int }

func (n *numbered) Read(p []byte) (int, error) {
	n.lines++
	return copy(p, fmt.Sprintf("%064x\n", n.lines)), nil
}

func TestABlocklistHasABound(t *testing.T) {
	_, err := ReadBlocklist(&numbered{})
	if !errors.Is(err, ErrBlocklist) || !strings.Contains(err.Error(), fmt.Sprintf("line %d: more than %d keys", maxBlocked+1, maxBlocked)) {
		t.Errorf("got %v", err)
	}
}

// FuzzBlocklist: no octets make the reader panic, and every line of a list that
// it accepts is a comment or a key that the list has.
func FuzzBlocklist(f *testing.F) {
	f.Add([]byte("# keys\n" + strings.Repeat("0a", 32) + "\r\n\n" + strings.Repeat("F", 64) + "#x"))
	f.Add([]byte(strings.Repeat("0", 63)))
	f.Add([]byte{'#', 0xff, '\n', 0})
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := ReadBlocklist(bytes.NewReader(text))
		if err != nil {
			if b != nil || !errors.Is(err, ErrBlocklist) {
				t.Fatalf("%v with the error %v", b, err)
			}
			return
		}
		seen := map[[sha256.Size]byte]bool{}
		for line := range bytes.SplitSeq(text, []byte("\n")) {
			line, _, _ = bytes.Cut(line, []byte("#"))
			line = bytes.TrimSpace(line)
			if len(line) == 0 {
				continue
			}
			var one card.Fingerprint
			if one.UnmarshalText(bytes.ToLower(line)) != nil || !b.Blocked(one, [sha256.Size]byte{}) {
				t.Fatalf("the line %q is lost", line)
			}
			seen[one] = true
		}
		if b.Len() != len(seen) {
			t.Fatalf("%d keys of %d lines", b.Len(), len(seen))
		}
	})
}
