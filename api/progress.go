package api

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// piece is how many octets a caller must take within the idle time.
const piece = 32 << 10

// transfer is one request's connection. It moves the deadlines on with each
// piece that travels, so that a transfer may last for hours and a caller who
// stands still is cut off.
type transfer struct {
	http.ResponseWriter
	body    io.ReadCloser
	control *http.ResponseController
	clock   func() time.Time
	idle    time.Duration
	status  int // 0 until the answer begins

	mu      sync.Mutex // guards stopped, and the read deadline with it
	stopped bool       // nothing more is read
}

func newTransfer(w http.ResponseWriter, body io.ReadCloser, idle time.Duration, clock func() time.Time) *transfer {
	t := &transfer{ResponseWriter: w, body: body, control: http.NewResponseController(w), clock: clock, idle: idle}
	_ = t.control.SetWriteDeadline(clock().Add(idle)) // a connection without deadlines is not one of ours
	return t
}

// Unwrap lets http.ResponseController through.
func (t *transfer) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// WriteHeader notes the status.
func (t *transfer) WriteHeader(status int) {
	if t.status == 0 {
		t.status = status
	}
	_ = t.control.SetWriteDeadline(t.clock().Add(t.idle))
	t.ResponseWriter.WriteHeader(status)
}

// Write writes piece by piece, each under its own deadline.
func (t *transfer) Write(b []byte) (int, error) {
	if t.status == 0 {
		t.status = http.StatusOK
	}
	written := 0
	for written < len(b) {
		_ = t.control.SetWriteDeadline(t.clock().Add(t.idle))
		n, err := t.ResponseWriter.Write(b[written:min(len(b), written+piece)])
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// Read reads from the body under a new deadline.
func (t *transfer) Read(b []byte) (int, error) {
	t.mu.Lock()
	if !t.stopped {
		_ = t.control.SetReadDeadline(t.clock().Add(t.idle))
	}
	t.mu.Unlock()
	return t.body.Read(b)
}

// Close closes the body.
func (t *transfer) Close() error { return t.body.Close() }

// stop makes a Read under way, and all further ones, fail.
func (t *transfer) stop() { t.end(time.Unix(1, 0)) }

// lingering is how long a caller who was refused in the middle of sending has
// to take notice: closing the connection under him would tear the refusal out of
// his hands (RFC 9112 §9.6).
const lingering = time.Second

// linger lets reading go on for a last while.
func (t *transfer) linger() { t.end(t.clock().Add(lingering)) }

func (t *transfer) end(at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	_ = t.control.SetReadDeadline(at)
}
