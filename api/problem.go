package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"regexp"
	"strconv"

	"cpsca/card"
	"cpsca/client"

	"golang.org/x/text/language"
)

// languages in the order of preference where a caller has none.
var languages = language.NewMatcher([]language.Tag{language.English, language.French})

// french reports whether a caller reads French rather than English
// (RFC 9110 §12.5.4).
func french(r *http.Request) bool {
	wanted, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil {
		return false
	}
	_, index, _ := languages.Match(wanted...)
	return index == 1
}

func (t text) in(french bool) string {
	if french {
		return t.french
	}
	return t.english
}

// problem turns an error into what the caller is told. An error that the
// catalogue does not know is a failure of ours: it is logged under an incident
// number, which alone goes out.
func (s *Server) problem(ctx context.Context, err error, french bool) *client.Problem {
	s.logCause(ctx, err)
	e, ok := entryOf(err)
	switch {
	case ok:
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e, _ = entryOf(errUnavailable)
	default:
		e, _ = entryOf(errInternal)
	}
	p := &client.Problem{
		Type: client.ProblemPrefix + e.code, Title: e.title.in(french), Status: e.status, Detail: e.detail.in(french), RetryAfter: e.retry,
	}
	var enough *card.QuotaError
	if errors.As(err, &enough) {
		p.RetryAfter = int(math.Ceil(enough.After.Seconds()))
	}
	if e.told {
		p.Reason = err.Error()
	}
	if e.status >= http.StatusInternalServerError && e.code != "busy" {
		p.Incident = s.incident(ctx, slog.LevelError, err)
	}
	return p
}

// refusal is problem for one application: what the catalogue does not know is
// a refusal by the profile.
func (s *Server) refusal(ctx context.Context, err error, french bool) *client.Problem {
	_, ok := entryOf(err)
	if ok {
		return s.problem(ctx, err, french)
	}
	p := s.problem(ctx, errRefused, french)
	reason, ok := s.config.Refusal(err)
	if ok {
		p.Reason = reason
		return p
	}
	p.Incident = s.incident(ctx, slog.LevelWarn, err)
	return p
}

// unanswered is problem for a whole chunk: whatever it was, the same
// applications may be sent again.
func (s *Server) unanswered(ctx context.Context, err error, french bool) *client.Problem {
	e, ok := entryOf(err)
	if ok && e.retry > 0 {
		return s.problem(ctx, err, french)
	}
	p := s.problem(ctx, errUnavailable, french)
	s.config.Log.ErrorContext(ctx, "chunk not answered", "incident", p.Incident, "error", redact(err))
	return p
}

// incident logs an error under a number of its own.
func (s *Server) incident(ctx context.Context, level slog.Level, err error) string {
	var number [8]byte
	_, _ = rand.Read(number[:]) // never fails: crypto/rand ends the process instead
	name := hex.EncodeToString(number[:])
	s.config.Log.Log(ctx, level, "incident", "incident", name, "error", redact(err))
	return name
}

// registerNumber finds what could be a number of the register, a structure or
// a phone: a second fence, since errors of the house carry none.
var registerNumber = regexp.MustCompile(`[0-9]{11,}`)

func redact(err error) string { return registerNumber.ReplaceAllString(err.Error(), "…") }

// refuse answers with a problem (RFC 9457 §3).
func (s *Server) refuse(w http.ResponseWriter, p *client.Problem) {
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	b, err := json.Marshal(p)
	if err != nil {
		b = []byte("{}") // a struct of texts and numbers always encodes
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(p.Status)
	_, _ = w.Write(b) // a caller who left hears nothing
}
