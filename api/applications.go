package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/client"
)

// item is one line of the bureau's stream.
type item struct {
	line        int
	application card.Application
	err         error // the line's own fault: it is not put to the authority
}

// applications answers a stream of applications by a stream of answers, in the
// order received. One goroutine reads ahead, at most a chunk; whatever has come
// goes to the authority together, so that an application alone goes through at
// once and a flood shares its commits. Who does not read the answers is not
// read from either.
//
// A chunk that the authority cannot take as a whole is held until it can, for
// some minutes; then it is refused line by line with problems that say when to
// send them again, and the stream goes on. If nothing was answered yet, the
// whole request is refused at once instead (503).
func (s *Server) applications(w *transfer, r *http.Request) error {
	w.both = true
	err := w.control.EnableFullDuplex()
	if err != nil {
		return fmt.Errorf("opening both directions: %w", err)
	}
	items := make(chan item, ca.MaxChunk)
	ctx, cancel := context.WithCancel(r.Context())
	done := make(chan error, 1)
	go func() {
		defer close(items)
		done <- readApplications(ctx, r.Body, items)
	}()
	whole, failure := s.answerAll(ctx, w, callerOf(r), items)
	cancel()
	if whole {
		err = <-done
		switch {
		case err != nil:
			return s.cutShort(ctx, w, callerOf(r), err)
		case w.status == 0:
			return sendAnswers(w, nil) // an empty stream has an empty answer
		}
		return nil
	}
	if w.status < http.StatusBadRequest {
		w.stop() // the caller left
		<-done
		return failure
	}
	_ = w.flush()
	w.linger()
	<-done
	_, _ = io.Copy(io.Discard, r.Body) // until he took notice
	return failure
}

// cutShort tells a caller whose stream broke off what became of it.
func (s *Server) cutShort(ctx context.Context, w *transfer, c *caller, err error) error {
	err = &bodyEnd{cause: err}
	if w.status == 0 {
		return err
	}
	p := s.problem(ctx, err, c.french)
	return sendAnswers(w, []client.Answer{{Status: client.Refused, Problem: p}})
}

// readApplications reads lines until the stream ends; empty lines count and
// are passed over.
func readApplications(ctx context.Context, body io.Reader, items chan<- item) error {
	in := newLines(body)
	for {
		line, err := in.next()
		i := item{err: err}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, errLineSize):
			return err
		case err == nil && len(bytes.TrimSpace(line)) == 0:
			continue
		case err == nil:
			i.application, i.err = parseApplication(line)
		}
		i.line = in.number
		select {
		case items <- i:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// nextChunk takes what is there, at least one item, at most a chunk; nothing
// when the stream has ended.
func (s *Server) nextChunk(items <-chan item) []item {
	first, ok := <-items
	if !ok {
		return nil
	}
	return s.fill(first, items)
}

// fill adds to a first item what else is there, up to the size of a chunk.
func (s *Server) fill(first item, items <-chan item) []item {
	most := min(s.config.Issuing.Chunk(), ca.MaxChunk)
	chunk := append(make([]item, 0, 1+min(len(items), most)), first)
	for len(chunk) < most {
		select {
		case i, ok := <-items:
			if !ok {
				return chunk
			}
			chunk = append(chunk, i)
		default:
			return chunk
		}
	}
	return chunk
}

// ahead is how many chunks of one stream are under way at a time: while one is
// signed, the next is examined and the one before recorded.
const ahead = 3

// underway is a chunk that was put to the authority.
type underway struct {
	chunk []item
	done  chan outcome // gets one
}

type outcome struct {
	answers []client.Answer
	err     error // of the whole chunk
}

// answerAll answers chunk after chunk, a few at a time, in the order received.
// whole means that every line was answered; an error that nothing was written.
func (s *Server) answerAll(ctx context.Context, w *transfer, c *caller, items <-chan item) (whole bool, err error) {
	var queue []underway
	for open := true; open || len(queue) > 0; {
		var chunk []item
		switch {
		case len(queue) == 0:
			chunk = s.nextChunk(items)
			open = len(chunk) > 0
		case !open || len(queue) == ahead:
			// wait for the oldest
		default:
			chunk, open = s.nextOrOldest(queue[0], items)
		}
		if len(chunk) == 0 || repeats(queue, chunk) {
			// A second line for an order waits for the answer to the first.
			for len(queue) > 0 {
				going := s.deliver(ctx, w, c, queue[0])
				queue = queue[1:]
				if !going {
					return false, nil
				}
				if len(chunk) == 0 {
					break
				}
			}
		}
		if len(chunk) > 0 {
			w.pause()
			queue = append(queue, s.put(ctx, c, chunk))
		}
		if len(queue) == 0 {
			w.resume()
		}
	}
	return true, nil
}

// nextOrOldest waits for more lines or for the oldest answer, whichever comes
// first; open is false when the stream has ended.
func (s *Server) nextOrOldest(oldest underway, items <-chan item) (chunk []item, open bool) {
	select {
	case out := <-oldest.done:
		oldest.done <- out // for deliver
		return nil, true
	case first, ok := <-items:
		if !ok {
			return nil, false
		}
		return s.fill(first, items), true
	}
}

// put starts a chunk.
func (s *Server) put(ctx context.Context, c *caller, chunk []item) underway {
	u := underway{chunk, make(chan outcome, 1)}
	go func() {
		answers, err := s.answer(ctx, c, chunk)
		u.done <- outcome{answers, err}
	}()
	return u
}

// repeats says whether a chunk has a line for an order that is under way.
func repeats(queue []underway, chunk []item) bool {
	orders := make(map[card.OrderID]bool)
	for _, u := range queue {
		for _, i := range u.chunk {
			orders[i.application.Order] = true
		}
	}
	for _, i := range chunk {
		if i.application.Order != "" && orders[i.application.Order] {
			return true
		}
	}
	return false
}

// deliver waits for the answers to a chunk and sends them; false means that
// the stream is over: refused as a whole, or left by the caller. What was begun
// is recorded all the same.
func (s *Server) deliver(ctx context.Context, w *transfer, c *caller, u underway) bool {
	out := <-u.done
	if w.status != 0 {
		out = hold(ctx, s.config.Stopping, out, func() outcome {
			answers, err := s.answer(ctx, c, u.chunk)
			return outcome{answers, err}
		})
	}
	if out.err != nil {
		p := s.unanswered(ctx, out.err, c.french)
		if w.status == 0 {
			s.refuse(w, p)
			return false
		}
		out.answers = postponed(u.chunk, out.answers, p)
	}
	return sendAnswers(w, out.answers) == nil
}

// answer puts a chunk to the authority. An error is of the whole chunk; the
// answers to lines that never reached the authority are given beside it.
func (s *Server) answer(ctx context.Context, c *caller, chunk []item) ([]client.Answer, error) {
	answers := make([]client.Answer, len(chunk))
	told := make(map[string]client.Problem)
	var put []int
	var applications []card.Application
	for n, i := range chunk {
		answers[n] = client.Answer{Line: i.line, Order: i.application.Order, Card: i.application.Number}
		if i.err != nil {
			s.refuseLine(ctx, c, told, &answers[n], i.err)
			continue
		}
		put = append(put, n)
		applications = append(applications, i.application)
	}
	if len(put) == 0 {
		return answers, nil
	}
	given, err := s.config.Issuing.Issue(ctx, c.Person, c.Bureau, applications)
	if err == nil && len(given) != len(put) {
		err = fmt.Errorf("%w: %d answers to %d applications", errInternal, len(given), len(put))
	}
	if err != nil {
		return answers, err
	}
	for k, n := range put {
		if given[k].Err != nil {
			s.refuseLine(ctx, c, told, &answers[n], given[k].Err)
			continue
		}
		answers[n].Status, answers[n].Replayed = client.Issued, given[k].Replayed
		for _, one := range given[k].Certificates {
			answers[n].Certificates = append(answers[n].Certificates, client.IssuedCertificate{Use: one.Use, Serial: one.Serial, Certificate: one.DER})
		}
	}
	return answers, nil
}

// refuseLine refuses one line. told has the problems of the chunk so far: one
// cause is one incident, however many lines it hits.
func (s *Server) refuseLine(ctx context.Context, c *caller, told map[string]client.Problem, a *client.Answer, err error) {
	p, ok := told[err.Error()]
	if !ok {
		p = *s.refusal(ctx, err, c.french)
		told[err.Error()] = p
	}
	p.Line = a.Line
	a.Status, a.Problem = client.Refused, &p
}

// postponed refuses the lines of a chunk that has no answer of its own.
func postponed(chunk []item, answers []client.Answer, p *client.Problem) []client.Answer {
	for n := range chunk {
		if answers[n].Problem != nil {
			continue
		}
		own := *p
		own.Line = answers[n].Line
		answers[n].Status, answers[n].Problem = client.Refused, &own
	}
	return answers
}

// answerSize is about how long an answer with its certificates is, in octets.
const answerSize = 4 << 10

// sendAnswers writes answers, one a line, and sees them off.
func sendAnswers(w *transfer, answers []client.Answer) error {
	w.Header().Set("Content-Type", ndjson)
	b := make([]byte, 0, answerSize*len(answers))
	for n := range answers {
		var err error
		b, err = answers[n].AppendJSON(b)
		if err != nil {
			return err
		}
		b = append(b, '\n')
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	_, err := w.Write(b)
	if err != nil {
		return err
	}
	return w.flush()
}
