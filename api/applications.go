package api

import (
	"bytes"
	"context"
	"encoding/json"
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
// A chunk that the authority cannot take as a whole is refused line by line
// with problems that say when to send them again, and the stream goes on; if
// nothing was answered yet, the whole request is refused instead (503).
func (s *Server) applications(w *transfer, r *http.Request) error {
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
	err = fmt.Errorf("%w: %w", errBodyEnd, err)
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
func nextChunk(items <-chan item) []item {
	first, ok := <-items
	if !ok {
		return nil
	}
	chunk := []item{first}
	for len(chunk) < ca.MaxChunk {
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

// answerAll answers chunk after chunk. whole means that every line was
// answered; an error that nothing was written.
func (s *Server) answerAll(ctx context.Context, w *transfer, c *caller, items <-chan item) (whole bool, err error) {
	for {
		chunk := nextChunk(items)
		if len(chunk) == 0 {
			break
		}
		w.pause()
		answers, err := s.answer(ctx, c, chunk)
		if err != nil {
			p := s.unanswered(ctx, err, c.french)
			if w.status == 0 {
				s.refuse(w, p)
				return false, nil
			}
			answers = postponed(chunk, answers, p)
		}
		err = sendAnswers(w, answers)
		if err != nil {
			return false, nil // the caller left; what was begun is recorded
		}
		w.resume()
	}
	return true, nil
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

// sendAnswers writes answers, one a line, and sees them off.
func sendAnswers(w *transfer, answers []client.Answer) error {
	w.Header().Set("Content-Type", ndjson)
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	for _, a := range answers {
		err := out.Encode(a)
		if err != nil {
			return fmt.Errorf("encoding an answer: %w", err)
		}
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	_, err := w.Write(b.Bytes())
	if err != nil {
		return err
	}
	return w.flush()
}
