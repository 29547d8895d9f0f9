package api

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/client"
	"cpsca/officer"
)

// flood is a body of many lines that nobody keeps.
type flood struct {
	lines int
	next  int
	rest  string
}

func (f *flood) Read(b []byte) (int, error) {
	if f.rest == "" {
		if f.next == f.lines {
			return 0, io.EOF
		}
		f.next++
		f.rest = line(f.next) + "\n"
	}
	n := copy(b, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// A register's worth of cards is one request: 100,000 lines come in and 400 MB
// of answers go out through a few megabytes, at both ends together.
func TestAStreamOfManyLinesNeedsNoMemoryOfItsLength(t *testing.T) {
	const many, most = 100_000, 64 << 20
	s := newSite(t)
	der := make([]byte, 1500)
	s.issue = func(given []card.Application) ([]ca.Answer, error) {
		out := make([]ca.Answer, len(given))
		for i, a := range given {
			out[i] = ca.Answer{Order: a.Order, Number: a.Number, Certificates: []ca.Issued{{Use: card.Authentication, DER: der}, {Use: card.Signature, DER: der}}}
		}
		return out, nil
	}
	runtime.GC() // what other tests left
	var highest uint64
	answers, octets := 0, 0
	_, err := s.as(officer.Bureau).ApplicationLines(t.Context(), &flood{lines: many}, func(a client.Answer) error {
		answers++
		for _, one := range a.Certificates {
			octets += len(one.Certificate)
		}
		if a.Line != answers {
			return fmt.Errorf("line %d, want %d", a.Line, answers)
		}
		if answers%1000 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			highest = max(highest, m.HeapAlloc)
		}
		return nil
	})
	if err != nil || answers != many || octets != 2*many*len(der) {
		t.Fatalf("got %d answers of %d octets, %v", answers, octets, err)
	}
	if highest > most {
		t.Errorf("the heap grew to %d MiB", highest>>20)
	}
}

// A queue that is full is told in the language of HTTP too.
func TestAFullQueueIs503WithRetryAfter(t *testing.T) {
	s := newSite(t)
	s.issue = func([]card.Application) ([]ca.Answer, error) { return nil, ca.ErrBusy }
	q, err := http.NewRequest(http.MethodPost, s.server.URL+"/v1/applications", strings.NewReader(line(1)+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.plain(s.enrol(officer.Bureau)).Do(q)
	if err != nil {
		t.Fatal(err)
	}
	retry := r.Header.Get("Retry-After")
	if p := problemIn(t, r); r.StatusCode != http.StatusServiceUnavailable || p.Code() != "busy" || retry == "" || retry == "0" {
		t.Errorf("got %d, %+v, Retry-After %q", r.StatusCode, p, retry)
	}
}
