package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"cpsca/card"
	"cpsca/feed"
	"cpsca/registry"
)

// Import sends a register file of a kind (Persons, Events or Contacts) and
// returns the report on it. file is the name that the report goes by. progress,
// if not nil, is called with the octets sent so far, by one goroutine. Lines
// that were refused are in the report and are no error.
func (c *Client) Import(ctx context.Context, kind, file string, r io.Reader, progress func(sent int64)) (*registry.Report, error) {
	query := make(url.Values)
	set(query, "file", file)
	answer, err := c.send(ctx, request{
		method: http.MethodPost, path: []string{"registry", url.PathEscape(kind)}, query: query,
		kind: "application/octet-stream", body: &counted{r: r, progress: progress},
	})
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var report registry.Report
	err = json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&report)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return &report, nil
}

// counted tells how much was read.
type counted struct {
	r        io.Reader
	sent     int64
	progress func(int64)
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.sent += int64(n)
	if c.progress != nil && n > 0 {
		c.progress(c.sent)
	}
	return n, err
}

// ReadyOrders streams the bureau's orders that may be answered now, after a
// given one (all if empty), at most limit (0: all). The sequence ends with the
// first error.
func (c *Client) ReadyOrders(ctx context.Context, after card.OrderID, limit int) iter.Seq2[ReadyOrder, error] {
	return func(yield func(ReadyOrder, error) bool) {
		query := make(url.Values)
		set(query, "after", string(after))
		setCount(query, "limit", limit)
		answer, err := c.send(ctx, request{method: http.MethodGet, path: []string{"orders", "ready"}, query: query})
		if err != nil {
			yield(ReadyOrder{}, err)
			return
		}
		defer answer.Body.Close()
		for o, err := range objects[ReadyOrder](answer.Body) {
			if err == nil && o.Problem != nil {
				err = o.Problem
			}
			if !yield(o, err) || err != nil {
				return
			}
		}
	}
}

// objects reads a stream of JSON objects to its end or first error.
func objects[T any](r io.Reader) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		d := json.NewDecoder(bufio.NewReaderSize(r, 64<<10))
		for {
			var v T
			err := d.Decode(&v)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(v, fmt.Errorf("reading a stream: %w", err))
				return
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}

// Applications sends applications as they come and hands out the answers as
// they come back, in the order sent. Both directions flow at once: who takes
// answers slowly is asked for applications slowly. It ends with the last
// answer, the first error of in or out, a refusal of the whole stream, or
// ErrAnswer if applications stayed without an answer. Sending the same
// applications again is safe.
//
// out is called by the goroutine that called Applications, in by another. After
// an error in may be asked once more before it is left alone.
func (c *Client) Applications(ctx context.Context, in iter.Seq2[Application, error], out func(Answer) error) error {
	reader, writer := io.Pipe()
	sent := make(chan encoded, 1)
	go func() {
		done := encode(in, writer)
		sent <- done
		_ = writer.CloseWithError(done.err) // nil ends the stream
	}()
	answered, err := c.ApplicationLines(ctx, reader, out)
	if err != nil {
		_ = reader.CloseWithError(err) // the encoder, if it still writes, ends
		select {
		case done := <-sent:
			if done.err != nil && !errors.Is(done.err, err) {
				return done.err // the cause of the other one
			}
		default:
		}
		return err
	}
	done := <-sent
	if answered != done.count {
		return fmt.Errorf("%w: %d answers to %d applications", ErrAnswer, answered, done.count)
	}
	return done.err
}

// encoded is how many applications were written, and why no more.
type encoded struct {
	count int
	err   error
}

func encode(in iter.Seq2[Application, error], w io.Writer) encoded {
	n := 0
	lines := json.NewEncoder(w)
	for a, err := range in {
		if err == nil {
			err = lines.Encode(a)
		}
		if err != nil {
			return encoded{n, err}
		}
		n++
	}
	return encoded{n, nil}
}

// ApplicationLines is Applications for lines that are written already, one
// application in JSON each. It returns how many were answered.
func (c *Client) ApplicationLines(ctx context.Context, lines io.Reader, out func(Answer) error) (int, error) {
	answer, err := c.send(ctx, request{
		method: http.MethodPost, path: []string{"applications"}, kind: "application/x-ndjson", body: io.NopCloser(lines),
	})
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	answered := 0
	for a, err := range answers(answer.Body) {
		if err != nil {
			return answered, err
		}
		if a.Line == 0 && a.Problem != nil {
			return answered, a.Problem
		}
		err = out(a)
		if err != nil {
			return answered, err
		}
		answered++
	}
	return answered, nil
}

// feedLine is any line of the feed.
type feedLine struct {
	feed.Record
	FeedLine
}

// Feed reads the records after a sequence and the signed head that they lead
// to. If there are none the authority waits for news, at most for wait, whole
// seconds up to 30; then the head is a heartbeat. Neither is verified here:
// feed.Image does that.
func (c *Client) Feed(ctx context.Context, after uint64, wait time.Duration) ([]feed.Record, feed.Head, error) {
	var records []feed.Record
	for {
		more, head, err := c.feedPage(ctx, after, wait)
		if err != nil {
			return nil, feed.Head{}, err
		}
		records = append(records, more...)
		if len(more) == 0 || more[len(more)-1].Sequence >= head.Sequence {
			return records, head, nil
		}
		after, wait = more[len(more)-1].Sequence, 0
	}
}

func (c *Client) feedPage(ctx context.Context, after uint64, wait time.Duration) ([]feed.Record, feed.Head, error) {
	query := url.Values{"after": {strconv.FormatUint(after, 10)}}
	setCount(query, "wait", int(wait/time.Second))
	answer, err := c.send(ctx, request{method: http.MethodGet, path: []string{"feed"}, query: query})
	if err != nil {
		return nil, feed.Head{}, err
	}
	defer answer.Body.Close()
	var records []feed.Record
	for line, err := range objects[feedLine](answer.Body) {
		switch {
		case err != nil:
			return nil, feed.Head{}, err
		case line.Problem != nil:
			return nil, feed.Head{}, line.Problem
		case line.Head != nil:
			return records, *line.Head, nil
		}
		records = append(records, line.Record)
	}
	return nil, feed.Head{}, fmt.Errorf("%w: the feed ended without a head", ErrAnswer)
}
