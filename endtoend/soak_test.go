package endtoend_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// soakFolder, if set, makes the tests of mishaps long, and keeps there how far
// they came: one that was stopped goes on where it was.
var soakFolder = os.Getenv("CPSCA_SOAK")

// progress is how far a test of many mishaps came. It counts for the programs
// that it was made with.
type progress struct {
	Programs string         `json:"programs"` // SHA-256 of the authority
	Done     int            `json:"done"`     // mishaps
	Series   uint64         `json:"series"`   // finished
	Left     map[string]int `json:"left"`

	mu   sync.Mutex // guards the fields above while series run
	path string     // empty: nothing is kept
	want int
	next uint64 // series that begins next
}

// openProgress reads how far a test came. want is how many mishaps are enough,
// and how many in a soak.
func openProgress(t *testing.T, name string, want, soak int) *progress {
	t.Helper()
	err := build()
	if err != nil {
		t.Fatal(err)
	}
	p := &progress{want: want, Left: make(map[string]int)}
	if soakFolder == "" {
		return p
	}
	sum := sha256.Sum256([]byte(read(t, filepath.Join(workshop, "cpsca-authority"))))
	programs := hex.EncodeToString(sum[:])
	err = os.MkdirAll(soakFolder, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(soakFolder, name+".json")
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err == nil {
		unmarshal(t, string(text), p)
	}
	if p.Programs != programs || p.Done >= soak {
		p = &progress{Programs: programs, Left: make(map[string]int)}
	}
	p.path, p.want, p.next = path, soak, p.Series
	t.Logf("%s: %d of %d done before", name, p.Done, soak)
	return p
}

// parallel runs series of so many mishaps, as many at once as the machine has cores, until there are enough.
// Each has a seed of its own and says what its mishaps left.
func (p *progress) parallel(t *testing.T, size int, series func(t *testing.T, seed uint64) map[string]int) {
	t.Helper()
	missing := (p.want - p.Done + size - 1) / size
	t.Run("series", func(t *testing.T) {
		for range missing {
			seed := p.next + 1
			p.next++
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				left := series(t, seed)
				if !t.Failed() {
					p.finished(t, size, left)
				}
			})
		}
	})
	t.Logf("%d mishaps: %v", p.Done, p.Left)
}

func (p *progress) finished(t *testing.T, mishaps int, left map[string]int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Done += mishaps
	p.Series++
	for what, times := range left {
		p.Left[what] += times
	}
	if p.path == "" {
		return
	}
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	err = os.WriteFile(p.path+".new", text, 0o644)
	if err == nil {
		err = os.Rename(p.path+".new", p.path)
	}
	if err != nil {
		t.Fatal(err)
	}
}
