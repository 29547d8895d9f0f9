package status

import (
	"sync"
	"time"

	"cpsca/ocsp"
)

const (
	// keptFor is how long a signed answer is given again.
	keptFor = time.Minute
	// keptAnswers bounds how many are kept.
	keptAnswers = 20000
)

// answers keeps signed answers for a moment, so that a certificate that many
// ask for is signed once, and the ETag of an answer means something. Whatever
// changes in the image makes it forget everything.
type answers struct {
	mu       sync.Mutex // guards all below
	sequence uint64     // of the image for which the answers were given
	byDER    map[string]ocsp.Response
}

// find returns the answer kept for a request, if the image still is at the
// sequence and the answer is not too old.
func (a *answers) find(request []byte, sequence uint64, now time.Time) (ocsp.Response, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sequence != sequence {
		return ocsp.Response{}, false
	}
	r, ok := a.byDER[string(request)]
	return r, ok && now.Before(r.ProducedAt.Add(keptFor)) && now.Before(r.NextUpdate)
}

// keep remembers an answer that was given from an image at the sequence.
func (a *answers) keep(request []byte, sequence uint64, r ocsp.Response) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if sequence < a.sequence {
		return
	}
	if sequence > a.sequence || len(a.byDER) >= keptAnswers || a.byDER == nil {
		a.sequence, a.byDER = sequence, map[string]ocsp.Response{}
	}
	a.byDER[string(request)] = r
}
