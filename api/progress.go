package api

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// piece is how many octets a caller must take within the idle time.
const piece = 32 << 10

// transfer is one request's connection. Each piece that travels has its own
// deadline, so that a transfer may last for hours and a caller who stands still
// is cut off. Between two pieces there is none: HTTP/2 ends a stream whose
// deadline passes even while nobody waits for it.
type transfer struct {
	http.ResponseWriter
	body    io.ReadCloser
	control *http.ResponseController
	clock   func() time.Time
	idle    time.Duration
	status  int  // 0 until the answer begins
	both    bool // answers are written while the body still comes
	closes  bool // the version of HTTP ends a request with its connection: before 2
	last    bool // the answer says that the connection ends with it

	mu      sync.Mutex // guards all below, and the read deadline with them
	reading bool       // somebody waits for the caller
	paused  bool       // the caller waits for us: he may stand still
	stopped bool       // the last read deadline was set
	unread  bool       // the body has not been read to its end
}

func newTransfer(w http.ResponseWriter, r *http.Request, idle time.Duration, clock func() time.Time) *transfer {
	t := &transfer{
		ResponseWriter: w, body: r.Body, control: http.NewResponseController(w), clock: clock, idle: idle,
		closes: r.ProtoMajor < 2, unread: r.ContentLength != 0,
	}
	t.untimed() // the request before on this connection left its last one
	return t
}

// timed begins a piece that is written, untimed ends it. A connection without
// deadlines is not one of ours.
func (t *transfer) timed()   { _ = t.control.SetWriteDeadline(t.clock().Add(t.idle)) }
func (t *transfer) untimed() { _ = t.control.SetWriteDeadline(time.Time{}) }

// Unwrap lets http.ResponseController through.
func (t *transfer) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// WriteHeader notes the status.
func (t *transfer) WriteHeader(status int) {
	if t.status == 0 {
		t.status = status
		if (!t.both || status >= http.StatusBadRequest) && t.leave() && t.closes {
			t.Header().Set("Connection", "close")
			t.last = true
		}
	}
	t.timed()
	defer t.untimed()
	t.ResponseWriter.WriteHeader(status)
}

// Write writes piece by piece.
func (t *transfer) Write(b []byte) (int, error) {
	if t.status == 0 {
		t.WriteHeader(http.StatusOK)
	}
	defer t.untimed()
	written := 0
	for written < len(b) {
		t.timed()
		n, err := t.ResponseWriter.Write(b[written:min(len(b), written+piece)])
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// flush sends off what was written.
func (t *transfer) flush() error {
	t.timed()
	defer t.untimed()
	return t.control.Flush()
}

// Read reads from the body.
func (t *transfer) Read(b []byte) (int, error) {
	t.await(&t.reading, true)
	defer t.await(&t.reading, false)
	n, err := t.body.Read(b)
	if errors.Is(err, io.EOF) {
		t.mu.Lock()
		t.unread = false
		t.mu.Unlock()
	}
	return n, err
}

// pause lets the caller stand still until resume: an answer is owed to him.
func (t *transfer) pause()  { t.await(&t.paused, true) }
func (t *transfer) resume() { t.await(&t.paused, false) }

// await notes what is waited for, and sets the deadline for reading by it.
func (t *transfer) await(what *bool, now bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*what = now
	switch {
	case t.stopped:
	case t.reading && !t.paused:
		_ = t.control.SetReadDeadline(t.clock().Add(t.idle))
	default:
		_ = t.control.SetReadDeadline(time.Time{})
	}
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

// leave says whether a body was left unread, and gives the rest of it a last
// while: net/http reads up to 256 KiB of it after the answer, and sets no
// deadline of its own, so that a caller who sends nothing would keep his
// connection for ever.
func (t *transfer) leave() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.unread && !t.stopped {
		t.endLocked(t.clock().Add(lingering))
	}
	return t.unread
}

func (t *transfer) end(at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.endLocked(at)
}

func (t *transfer) endLocked(at time.Time) {
	t.stopped = true
	_ = t.control.SetReadDeadline(at)
}
