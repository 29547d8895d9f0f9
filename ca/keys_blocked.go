package ca

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"cpsca/card"
)

// ErrBlocklist is returned by ReadBlocklist for a list that is no list.
var ErrBlocklist = errors.New("the list of blocked keys")

// The published lists have some hundreds of thousands of entries. The longest
// that is read takes 64 MB.
const (
	maxBlocked     = 2_000_000
	maxBlockedLine = 1024
)

// Blocklist is a set of digests of keys. It is never changed, and may be used
// by several goroutines.
type Blocklist struct {
	digests [][sha256.Size]byte // ascending, each once
}

// ReadBlocklist reads a list of keys, one in each line: 64 hexadecimal digits,
// the SHA-256 of a modulus without leading zeros or of an uncompressed point
// (card.Fingerprint), or of a SubjectPublicKeyInfo in DER. What follows a # and
// empty lines are passed over. It keeps 32 octets for each of at most 2,000,000
// keys. ErrBlocklist names the first line that is not so.
func ReadBlocklist(r io.Reader) (*Blocklist, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, maxBlockedLine), maxBlockedLine)
	b := &Blocklist{}
	number := 0
	for lines.Scan() {
		number++
		text, _, _ := strings.Cut(lines.Text(), "#")
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		var digest [sha256.Size]byte
		octets, err := hex.DecodeString(text)
		if err != nil || len(octets) != len(digest) {
			return nil, fmt.Errorf("%w: line %d is not %d hexadecimal digits", ErrBlocklist, number, 2*len(digest))
		}
		if len(b.digests) == maxBlocked {
			return nil, fmt.Errorf("%w: line %d: more than %d keys", ErrBlocklist, number, maxBlocked)
		}
		copy(digest[:], octets)
		b.digests = append(b.digests, digest)
	}
	err := lines.Err()
	if err != nil {
		return nil, fmt.Errorf("%w: reading line %d: %w", ErrBlocklist, number+1, err)
	}
	slices.SortFunc(b.digests, compareDigests)
	b.digests = slices.Clip(slices.Compact(b.digests))
	return b, nil
}

func compareDigests(x, y [sha256.Size]byte) int { return bytes.Compare(x[:], y[:]) }

// Len is how many digests are on the list.
func (b *Blocklist) Len() int { return len(b.digests) }

// Blocked says whether either digest is on the list.
func (b *Blocklist) Blocked(fingerprint card.Fingerprint, spki [sha256.Size]byte) bool {
	return b.has(fingerprint) || b.has(spki)
}

func (b *Blocklist) has(digest [sha256.Size]byte) bool {
	_, found := slices.BinarySearchFunc(b.digests, digest, compareDigests)
	return found
}
