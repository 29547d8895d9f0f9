package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
)

// Refusals of the doors themselves; everything else is a sentinel of the room
// that refused. The catalogue gives each its problem.
var (
	errCertificate = errors.New("no verified client certificate")
	errValidity    = errors.New("the client certificate is not valid now")
	errEnrolled    = errors.New("the certificate is not enrolled")
	errRole        = errors.New("the role may not pass this door")
	errOrigin      = errors.New("the request came from another site")
	errPath        = errors.New("no such door")
	errMethod      = errors.New("the door does not know the method")
	errParameter   = errors.New("a parameter is wrong")
	errMedia       = errors.New("the body is not JSON")
	errBody        = errors.New("the body is wrong")
	errBodySize    = errors.New("the body is too large")
	errBodyEnd     = errors.New("the body ended early")
	errLine        = errors.New("the line is wrong")
	errLineSize    = errors.New("the line is too long")
	errNoBureau    = errors.New("no such bureau")
	errRefused     = errors.New("refused by the profile")
	errUnavailable = errors.New("unavailable")
	errInternal    = errors.New("internal error")
)

// bodyEnd is errBodyEnd for the caller. Its cause names sockets, and is for the
// log alone.
type bodyEnd struct {
	lines int // that came before, where they are counted
	cause error
}

// Error says in plain words what happened.
func (e *bodyEnd) Error() string {
	text := errBodyEnd.Error()
	if errors.Is(e.cause, os.ErrDeadlineExceeded) {
		text = "nothing came for too long"
	}
	if e.lines > 0 {
		text = fmt.Sprintf("%s after %d lines", text, e.lines)
	}
	return text
}

// Unwrap gives the sentinel, never the cause.
func (e *bodyEnd) Unwrap() error { return errBodyEnd }

// logCause writes down what the caller is not told.
func (s *Server) logCause(ctx context.Context, err error) {
	var end *bodyEnd
	if errors.As(err, &end) {
		s.config.Log.Log(ctx, slog.LevelDebug, "body ended", "error", redact(end.cause))
	}
}
