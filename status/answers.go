package status

import (
	"container/list"
	"strings"
	"sync"
	"time"

	"cpsca/ocsp"
)

const (
	// keptFor is how long a signed answer is given again.
	keptFor = time.Minute
	// severalShare is the part of the octets, one in so many, for answers
	// about several certificates: a few serials can be combined for ever.
	severalShare = 16
	// answerOverhead is what an answer takes besides its octets, about: the
	// entries of map and list, the times.
	answerOverhead = 512
)

// answers keeps signed answers for a moment, so that a certificate that many
// ask for is signed once, and the ETag of an answer means something. Whatever
// changes in the image makes it forget everything.
//
// The key is what the answer depends on, the CertIDs as they came, and nothing
// else that a client may write into its request: neither its name nor its
// signature nor extensions, of which the only one with a meaning, the nonce,
// keeps an answer from being kept.
type answers struct {
	mu       sync.Mutex // guards all below
	sequence uint64     // of the image for which the answers were given
	one      shelf      // answers about one certificate
	several  shelf
}

// shelf holds answers up to a number of octets; the oldest make room.
type shelf struct {
	octets, most int
	byKey        map[string]*list.Element
	byAge        *list.List // of keptAnswer, the oldest in front
}

type keptAnswer struct {
	key      string
	response ocsp.Response
}

func (a *keptAnswer) octets() int {
	return len(a.key) + len(a.response.DER) + answerOverhead
}

// newAnswers makes a memory of at most so many octets.
func newAnswers(octets int) *answers {
	share := octets / severalShare
	return &answers{one: newShelf(octets - share), several: newShelf(share)}
}

func newShelf(most int) shelf {
	return shelf{most: most, byKey: map[string]*list.Element{}, byAge: list.New()}
}

// keyOf returns what the answer to a request without a nonce depends on. The
// CertIDs are taken as they came because the answer repeats them: one hash
// algorithm can be written with NULL parameters and without. DER tells where
// each of them ends.
func keyOf(request *ocsp.Request) string {
	var key strings.Builder
	for _, id := range request.CertIDs {
		key.Write(id.Raw)
	}
	return key.String()
}

func (a *answers) shelf(request *ocsp.Request) *shelf {
	if len(request.CertIDs) == 1 {
		return &a.one
	}
	return &a.several
}

// find returns the answer kept for a request, whatever its nonce, if the image
// still is at the sequence and the answer is not too old.
func (a *answers) find(request *ocsp.Request, sequence uint64, now time.Time) (ocsp.Response, bool) {
	key := keyOf(request)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sequence != sequence {
		return ocsp.Response{}, false
	}
	element := a.shelf(request).byKey[key]
	if element == nil {
		return ocsp.Response{}, false
	}
	r := element.Value.(*keptAnswer).response
	return r, now.Before(r.ProducedAt.Add(keptFor)) && now.Before(r.NextUpdate)
}

// keep remembers an answer that was given from an image at the sequence.
func (a *answers) keep(request *ocsp.Request, sequence uint64, r ocsp.Response) {
	key := keyOf(request)
	a.mu.Lock()
	defer a.mu.Unlock()
	if sequence < a.sequence {
		return
	}
	if sequence > a.sequence {
		a.sequence, a.one, a.several = sequence, newShelf(a.one.most), newShelf(a.several.most)
	}
	a.shelf(request).put(&keptAnswer{key: key, response: r})
}

// put takes in one answer, in place of the one under its key, and lets as many
// of the oldest go as it needs room for.
func (s *shelf) put(answer *keptAnswer) {
	if before := s.byKey[answer.key]; before != nil {
		s.drop(before)
	}
	s.byKey[answer.key] = s.byAge.PushBack(answer)
	s.octets += answer.octets()
	for s.octets > s.most {
		s.drop(s.byAge.Front())
	}
}

func (s *shelf) drop(element *list.Element) {
	answer := s.byAge.Remove(element).(*keptAnswer)
	delete(s.byKey, answer.key)
	s.octets -= answer.octets()
}
