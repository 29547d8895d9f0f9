package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"cpsca/client"
	"cpsca/feed"
)

const (
	recordsPerPage = 4096
	maxRecords     = 1 << 30
	// longestWait is how long a node may wait for news, in seconds.
	longestWait = 30
)

// feed streams the records after a sequence and then the signed head of the
// feed's end. With a limit the stream may stop before that end: then the head's
// sequence is beyond the last record, and the node asks for the rest before it
// believes any of it.
func (s *Server) feed(w *transfer, r *http.Request) error {
	after := uint64(0)
	if text := r.URL.Query().Get("after"); text != "" {
		var err error
		after, err = strconv.ParseUint(text, 10, 48)
		if err != nil {
			return fmt.Errorf("%w: after is a sequence", errParameter)
		}
	}
	limit, err := count(r, "limit", 1, maxRecords)
	if err != nil {
		return err
	}
	if limit == 0 {
		limit = maxRecords
	}
	wait, err := count(r, "wait", 0, longestWait)
	if err != nil {
		return err
	}
	changed := s.config.Feed.Changed() // before the reading, or news between the two is missed
	asOf := s.config.Now()
	page, end, hash, err := s.config.Feed.Records(r.Context(), after, min(limit, recordsPerPage))
	if err == nil && len(page) == 0 && wait > 0 {
		err = s.until(r.Context(), changed, time.Duration(wait)*time.Second)
		if err == nil {
			asOf = s.config.Now()
			page, end, hash, err = s.config.Feed.Records(r.Context(), after, min(limit, recordsPerPage))
		}
	}
	if err != nil {
		return err
	}
	return s.sendFeed(w, r, feedEnd{page, end, hash, asOf}, limit)
}

// until waits for news, at most for a while, and not while the process is told
// to stop.
func (s *Server) until(ctx context.Context, changed <-chan struct{}, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-changed:
	case <-s.config.Stopping:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// feedEnd is one reading of the feed: some records, and where the feed ended at
// an instant.
type feedEnd struct {
	page []feed.Record
	end  uint64
	hash feed.Hash
	asOf time.Time
}

func (s *Server) sendFeed(w *transfer, r *http.Request, read feedEnd, limit int) error {
	w.Header().Set("Content-Type", ndjson)
	out := json.NewEncoder(w)
	problem := func(p *client.Problem) any { return client.FeedLine{Problem: p} }
	for {
		for _, record := range read.page {
			err := out.Encode(record)
			if err != nil {
				return nil // the caller left
			}
		}
		limit -= len(read.page)
		if len(read.page) == 0 || limit == 0 || read.page[len(read.page)-1].Sequence >= read.end {
			break
		}
		var err error
		read.asOf = s.config.Now()
		read.page, read.end, read.hash, err = s.config.Feed.Records(r.Context(), read.page[len(read.page)-1].Sequence, min(limit, recordsPerPage))
		if err != nil {
			return s.broken(r.Context(), w, out, err, callerOf(r), problem)
		}
	}
	head, err := s.config.HeadSigner.SignHead(r.Context(), read.end, read.hash, read.asOf)
	if err != nil {
		return s.broken(r.Context(), w, out, err, callerOf(r), problem)
	}
	_ = out.Encode(client.FeedLine{Head: &head}) // a caller who left hears nothing
	return nil
}
