package api

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/client"
	"cpsca/officer"
)

// apply sends lines as they stand and collects the answers.
func apply(t *testing.T, s *site, body io.Reader) []client.Answer {
	t.Helper()
	var got []client.Answer
	_, err := s.as(officer.Bureau).ApplicationLines(t.Context(), body, func(a client.Answer) error {
		got = append(got, a)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestEachBadLineIsNamedAndTheOthersGoOn(t *testing.T) {
	pem := "-----BEGIN CERTIFICATE REQUEST-----\\nMAA=\\n-----END CERTIFICATE REQUEST-----\\n"
	lines := []struct {
		name, text, code string
	}{
		{"a good line", line(1), ""},
		{"malformed JSON", `{"order":"o2","card":`, "line"},
		{"an unknown field", strings.Replace(line(3), `"order"`, `"name":"X","order"`, 1), "line"},
		{"garbage behind", line(4) + "x", "line"},
		{"two objects", line(5) + line(5), "line"},
		{"no object", "null", "line"},
		{"an array", "[]", "line"},
		{"a number of nine digits", strings.Replace(line(8), "0000000008", "000000008", 1), "card-number"},
		{"an order that is no name", strings.Replace(line(9), `"o9"`, `"o 9"`, 1), "line"},
		{"an order of 33 characters", strings.Replace(line(10), `"o10"`, `"`+strings.Repeat("a", 33)+`"`, 1), "line"},
		{"a request that is no base64", strings.Replace(line(11), "MAs=", "!", 1), "request"},
		{"a line of 64 KiB and one", strings.Repeat(" ", maxLine) + "{", "line-size"},
		{"a good line of 64 KiB", line(13) + strings.Repeat(" ", maxLine-len(line(13))), ""},
		{"a line that ends with CR LF", line(14) + "\r", ""},
		{"requests in PEM", `{"order":"o15","card":"0000000015","authentication":{"csr":"` + pem + `"},"signature":{"csr":"` + pem + `"}}`, ""},
		{"PEM of something else", strings.ReplaceAll(`{"order":"o16","card":"0000000016","authentication":{"csr":"`+pem+`"},"signature":{"csr":""}}`, "CERTIFICATE REQUEST", "CERTIFICATE"), "request"},
		{"a request of 5 KB", `{"order":"o17","card":"0000000017","authentication":{"csr":"` + strings.Repeat("AAAA", 1700) + `"},"signature":{"csr":""}}`, "request"},
		{"no request for the signature", `{"order":"o18","card":"0000000018","authentication":{"csr":"MAA="}}`, "incomplete"},
		{"detached proofs", `{"order":"o19","card":"0000000019","authentication":{"public_key":"MAA=","proof":"MAA="},"signature":{"public_key":"MAA=","proof":"MAA=","algorithm":"RSASSA-PSS"}}`, ""},
		{"a public key that is no base64", `{"order":"o20","card":"0000000020","authentication":{"public_key":"MAA","proof":"MAA="}}`, "key"},
		{"a public key in lines", `{"order":"o21","card":"0000000021","authentication":{"public_key":"MA\nA=","proof":"MAA="}}`, "key"},
		{"a proof that is no base64", `{"order":"o22","card":"0000000022","authentication":{"public_key":"MAA=","proof":"!"}}`, "proof"},
		{"a proof of 5 KB", `{"order":"o23","card":"0000000023","authentication":{"public_key":"MAA=","proof":"` + strings.Repeat("AAAA", 1700) + `"}}`, "proof"},
		{"bytes that are no text", "\xff\xfe{}", "line"},
		{"a last line without its end", line(20), ""},
	}
	s := newSite(t)
	s.issue = func(applications []card.Application) ([]ca.Answer, error) {
		out := issued(applications)
		for i := range applications {
			if len(out[i].Certificates) != 2 {
				out[i].Err, out[i].Certificates = fmt.Errorf("%w for signature", ca.ErrIncomplete), nil
			}
		}
		return out, nil
	}
	var body strings.Builder
	for i, l := range lines {
		body.WriteString(l.text)
		if i < len(lines)-1 {
			body.WriteByte('\n')
		}
	}
	got := apply(t, s, strings.NewReader(body.String()))
	if len(got) != len(lines) {
		t.Fatalf("got %d answers to %d lines", len(got), len(lines))
	}
	for i, a := range got {
		code := ""
		if a.Problem != nil {
			code = a.Problem.Code()
			if a.Problem.Line != i+1 || a.Status != client.Refused {
				t.Errorf("%s: problem names line %d, status %s", lines[i].name, a.Problem.Line, a.Status)
			}
		}
		if a.Line != i+1 || code != lines[i].code {
			t.Errorf("%s: got line %d, problem %q (%v), want line %d, %q", lines[i].name, a.Line, code, a.Problem, i+1, lines[i].code)
		}
		if code == "" && (a.Status != client.Issued || len(a.Certificates) != 2) {
			t.Errorf("%s: got %+v", lines[i].name, a)
		}
	}
}

func TestEmptyLinesCountAndGetNoAnswer(t *testing.T) {
	got := apply(t, newSite(t), strings.NewReader("\n"+line(1)+"\n \n\r\n"+line(2)+"\n"))
	if len(got) != 2 || got[0].Line != 2 || got[1].Line != 5 {
		t.Fatalf("got %+v", got)
	}
	if got := apply(t, newSite(t), strings.NewReader("")); len(got) != 0 {
		t.Fatalf("an empty stream got %+v", got)
	}
}

func TestRefusalsByTheProfileAreToldOnlyAsTheHouseSays(t *testing.T) {
	s := newSite(t)
	internal := errors.New("given name: too long")
	s.issue = func(applications []card.Application) ([]ca.Answer, error) {
		return []ca.Answer{{Order: "o1", Err: internal}}, nil
	}
	got := apply(t, s, strings.NewReader(line(1)))
	if p := got[0].Problem; p.Code() != "refused" || p.Status != 422 || p.Reason != "" || p.Incident == "" {
		t.Fatalf("got %+v, want a refusal with an incident alone", p)
	}
	s.handler.config.Refusal = func(err error) (string, bool) { return err.Error(), errors.Is(err, internal) }
	got = apply(t, s, strings.NewReader(line(1)))
	if p := got[0].Problem; p.Code() != "refused" || p.Reason != internal.Error() {
		t.Fatalf("got %+v, want the reason", p)
	}
}

func applications(n int) iter.Seq2[client.Application, error] {
	return func(yield func(client.Application, error) bool) {
		for i := range n {
			var a client.Application
			_ = json.Unmarshal([]byte(line(i+1)), &a)
			if !yield(a, nil) {
				return
			}
		}
	}
}

func TestAnswersComeInTheOrderReceivedAndInChunks(t *testing.T) {
	s := newSite(t)
	var mu sync.Mutex // chunks overlap
	largest := 0
	s.issue = func(given []card.Application) ([]ca.Answer, error) {
		mu.Lock()
		defer mu.Unlock()
		largest = max(largest, len(given))
		return issued(given), nil
	}
	const many = 3000
	next := 1
	err := s.as(officer.Bureau).Applications(t.Context(), applications(many), func(a client.Answer) error {
		if a.Line != next || a.Order != card.OrderID(fmt.Sprintf("o%d", next)) {
			return fmt.Errorf("line %d for %s, want %d", a.Line, a.Order, next)
		}
		next++
		return nil
	})
	if err != nil || next != many+1 {
		t.Fatalf("got %d answers, %v", next-1, err)
	}
	if largest > ca.MaxChunk {
		t.Fatalf("a chunk of %d", largest)
	}
}

// Alone, an application goes through at once: its answer is here before the
// next one is sent.
func TestAnApplicationAloneIsAnsweredBeforeTheNextIsSent(t *testing.T) {
	s := newSite(t)
	answered := make(chan struct{}, 1)
	in := func(yield func(client.Application, error) bool) {
		for a := range applications(3) {
			if !yield(a, nil) {
				return
			}
			<-answered
		}
	}
	n := 0
	err := s.as(officer.Bureau).Applications(t.Context(), in, func(client.Answer) error {
		n++
		answered <- struct{}{}
		return nil
	})
	if err != nil || n != 3 {
		t.Fatalf("got %d answers, %v", n, err)
	}
}

func TestABusyAuthorityRefusesTheStreamBeforeItsFirstAnswer(t *testing.T) {
	s := newSite(t)
	s.issue = func([]card.Application) ([]ca.Answer, error) { return nil, ca.ErrBusy }
	err := s.as(officer.Bureau).Applications(t.Context(), applications(5000), func(client.Answer) error { return nil })
	p := wantProblem(t, err, "busy", 503)
	if p.RetryAfter == 0 {
		t.Fatal("it does not say when to come back")
	}
}

// A chunk that fails later is held if waiting helps, and put off if it does not;
// the stream goes on either way.
func TestAChunkThatFailsLaterIsHeldOrPutOffAndTheStreamGoesOn(t *testing.T) {
	s := newSite(t)
	chunks := 0
	s.issue = func(given []card.Application) ([]ca.Answer, error) {
		chunks++
		switch chunks {
		case 2:
			return nil, fmt.Errorf("%w: the disk is full", ca.ErrStopped)
		case 3:
			return nil, ca.ErrBusy
		}
		return issued(given), nil
	}
	answered := make(chan struct{}, 1)
	in := func(yield func(client.Application, error) bool) {
		for a := range applications(4) {
			if !yield(a, nil) {
				return
			}
			<-answered
		}
	}
	var codes []string
	err := s.as(officer.Bureau).Applications(t.Context(), in, func(a client.Answer) error {
		answered <- struct{}{}
		if a.Problem == nil {
			codes = append(codes, "")
			return nil
		}
		if a.Problem.RetryAfter == 0 || a.Problem.Line != a.Line || strings.Contains(a.Problem.Error(), "disk") {
			t.Errorf("got %+v", a.Problem)
		}
		codes = append(codes, a.Problem.Code())
		return nil
	})
	if err != nil || !slices.Equal(codes, []string{"", "issuer-stopped", "", ""}) {
		t.Fatalf("got %q, %v", codes, err)
	}
}

func TestAStreamThatBreaksOffLosesNoWholeLine(t *testing.T) {
	s := newSite(t)
	seen := make(chan int, 10)
	s.issue = func(given []card.Application) ([]ca.Answer, error) {
		seen <- len(given)
		return issued(given), nil
	}
	broken := errors.New("the reader of the bureau broke")
	in := func(yield func(client.Application, error) bool) {
		for a := range applications(1) {
			if !yield(a, nil) {
				return
			}
		}
		<-seen
		yield(client.Application{}, broken)
	}
	err := s.as(officer.Bureau).Applications(t.Context(), in, func(client.Answer) error { return nil })
	if !errors.Is(err, broken) {
		t.Fatalf("got %v, want the cause", err)
	}
}

func TestWhoStopsTakingAnswersStopsTheStream(t *testing.T) {
	s := newSite(t)
	enough := errors.New("enough")
	err := s.as(officer.Bureau).Applications(t.Context(), applications(100_000), func(client.Answer) error { return enough })
	if !errors.Is(err, enough) {
		t.Fatalf("got %v", err)
	}
}

// stalled is a connection whose other end reads nothing.
type stalled struct {
	header  http.Header
	gone    chan struct{} // closed when the other end leaves
	stopped chan struct{} // closed when our end stops reading
	once    sync.Once
	read    int
}

func (c *stalled) Header() http.Header { return c.header }
func (c *stalled) WriteHeader(int)     {}
func (c *stalled) Write([]byte) (int, error) {
	<-c.gone
	return 0, errors.New("connection reset")
}
func (c *stalled) FlushError() error                { return nil }
func (c *stalled) EnableFullDuplex() error          { return nil }
func (c *stalled) SetWriteDeadline(time.Time) error { return nil }
func (c *stalled) SetReadDeadline(at time.Time) error {
	if at.Year() == 1970 {
		c.once.Do(func() { close(c.stopped) })
	}
	return nil
}

func (c *stalled) Read(b []byte) (int, error) {
	select {
	case <-c.stopped:
		return 0, errors.New("deadline exceeded")
	default:
	}
	c.read++
	return copy(b, line(c.read)+"\n"), nil
}
func (c *stalled) Close() error { return nil }

// Who does not read answers is not read from either: the chunks at the door, a
// chunk behind them.
func TestASlowReaderIsNotReadAheadOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &house{}
		var mu sync.Mutex // chunks overlap
		taken := 0
		h.issue = func(given []card.Application) ([]ca.Answer, error) {
			mu.Lock()
			defer mu.Unlock()
			taken += len(given)
			return issued(given), nil
		}
		s, err := New(config(h))
		if err != nil {
			t.Fatal(err)
		}
		connection := &stalled{header: make(http.Header), gone: make(chan struct{}), stopped: make(chan struct{})}
		r, err := http.NewRequest(http.MethodPost, "/v1/applications", connection)
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = -1
		w := newTransfer(connection, r, time.Minute, s.clock)
		c := &caller{Enrolment: officer.Enrolment{Role: officer.Bureau, Bureau: "b1"}, transfer: w}
		r = r.WithContext(context.WithValue(t.Context(), callerKey{}, c))
		r.Body = w
		done := make(chan error)
		go func() { done <- s.applications(w, r) }()
		synctest.Wait() // nothing moves any more
		if taken == 0 || taken > ahead*ca.MaxChunk || connection.read > (ahead+1)*ca.MaxChunk+1 {
			t.Errorf("%d applications taken, %d lines read while nobody read the answers", taken, connection.read)
		}
		close(connection.gone)
		err = <-done
		if err != nil {
			t.Errorf("got %v", err)
		}
	})
}

// endless is a line that never ends: n octets of it. It keeps an eye on the
// heap.
type endless struct {
	n       int64
	look    int64 // when n is below, the heap is looked at
	highest uint64
}

func (e *endless) Read(b []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	if e.n <= e.look {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		e.highest = max(e.highest, m.HeapAlloc)
		e.look -= 16 << 20
	}
	n := min(int64(len(b)), e.n)
	for i := range b[:n] {
		b[i] = 'a'
	}
	e.n -= n
	return int(n), nil
}

func TestALineOfAGigabyteIsPassedOverInConstantMemory(t *testing.T) {
	s := newSite(t)
	runtime.GC() // what other tests left
	long := &endless{n: 1 << 30, look: 1 << 30}
	got := apply(t, s, io.MultiReader(strings.NewReader(line(1)+"\n"), long, strings.NewReader("\n"+line(3)+"\n")))
	if long.highest == 0 || long.highest > 64<<20 {
		t.Fatalf("the heap grew to %d MiB", long.highest>>20)
	}
	if len(got) != 3 || got[0].Status != client.Issued || got[1].Problem.Code() != "line-size" || got[1].Line != 2 || got[2].Line != 3 || got[2].Status != client.Issued {
		t.Fatalf("got %+v", got)
	}
}

func TestWhoStandsStillIsCutOff(t *testing.T) {
	s := newSite(t)
	s.handler.config.Idle = 50 * time.Millisecond
	reader, writer := io.Pipe()
	defer writer.Close()
	go func() { _, _ = io.WriteString(writer, line(1)+"\n"+line(2)[:20]) }()
	q, err := http.NewRequest(http.MethodPost, s.server.URL+"/v1/applications", reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.plain(s.enrol(officer.Bureau)).Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var got []client.Answer
	lines := bufio.NewScanner(r.Body)
	for lines.Scan() {
		var a client.Answer
		err = json.Unmarshal(lines.Bytes(), &a)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, a)
	}
	if len(got) != 2 || got[0].Status != client.Issued || got[1].Line != 0 || got[1].Problem.Code() != "body-ended" {
		t.Fatalf("got %+v", got)
	}
}

func TestOneCauseIsOneIncidentHoweverManyLinesItHits(t *testing.T) {
	s := newSite(t)
	s.issue = func(given []card.Application) ([]ca.Answer, error) {
		out := issued(given)
		for i := range out {
			out[i].Err = fmt.Errorf("%w: the HSM is gone", ca.ErrAbandoned)
		}
		return out, nil
	}
	chunk := []item{{line: 1}, {line: 2}, {line: 3}}
	got, err := s.handler.answer(t.Context(), &caller{}, chunk)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range got {
		if a.Problem.Code() != "abandoned" || a.Problem.Line != i+1 || a.Problem.Incident != got[0].Problem.Incident {
			t.Fatalf("got %+v", a.Problem)
		}
	}
	if n := strings.Count(s.logged(), "the HSM is gone"); n != 1 {
		t.Fatalf("%d lines in the log", n)
	}
}

// The doors stand on HTTP/2 as well, where both directions flow by themselves,
// and a chunk may take longer than a caller may stand still.
func TestBothDirectionsFlowOnHTTP2(t *testing.T) {
	s := newSite(t)
	s.handler.config.Idle = 100 * time.Millisecond
	s.issue = func(given []card.Application) ([]ca.Answer, error) {
		<-time.After(3 * s.handler.config.Idle) // the deadline is the network's own
		return issued(given), nil
	}
	server := httptest.NewUnstartedServer(s.handler)
	server.EnableHTTP2 = true
	server.TLS = s.server.TLS.Clone()
	server.TLS.NextProtos = nil
	server.StartTLS()
	defer server.Close()
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{
		RootCAs: s.technical.pool(), Certificates: []tls.Certificate{s.enrol(officer.Bureau)},
	}}
	defer transport.CloseIdleConnections()
	reader, writer := io.Pipe()
	go func() { _, _ = io.WriteString(writer, line(1)+"\n") }()
	q, err := http.NewRequest(http.MethodPost, server.URL+"/v1/applications", reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := transport.RoundTrip(q)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.ProtoMajor != 2 {
		t.Fatalf("got %s", r.Proto)
	}
	answers := json.NewDecoder(r.Body)
	for n := 1; n <= 3; n++ {
		var a client.Answer
		err = answers.Decode(&a)
		if err != nil || a.Line != n || a.Status != client.Issued {
			t.Fatalf("answer %d: got %+v, %v", n, a, err)
		}
		if n < 3 {
			_, err = io.WriteString(writer, line(n+1)+"\n")
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = writer.Close()
	err = answers.Decode(new(client.Answer))
	if !errors.Is(err, io.EOF) {
		t.Fatalf("got %v, want the end", err)
	}
}
