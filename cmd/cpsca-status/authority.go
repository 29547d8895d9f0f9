package main

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"cpsca/card"
	"cpsca/client"
	"cpsca/feed"
	"cpsca/ocsp"
	"cpsca/status"
)

const (
	// wait is how long the authority may keep a question open until something
	// changes: short, so that the image stays fresh.
	wait = 5 * time.Second
	// patience bounds one question, a transfer of the whole feed included.
	patience = 5 * time.Minute
)

// source is the authority, as the follower sees it.
type source struct {
	authority *client.Client
	issuers   []status.Issuer
}

func (s *source) Records(ctx context.Context, after uint64) ([]feed.Record, feed.Head, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.authority.Feed(ctx, after, wait)
}

func (s *source) Lists(ctx context.Context) (map[string][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out := make(map[string][]byte, len(s.issuers))
	for _, i := range s.issuers {
		id, err := ocsp.KeyID(i.Certificate)
		if err != nil {
			return nil, err
		}
		der, err := s.authority.List(ctx, id)
		var problem *client.Problem
		if errors.As(err, &problem) && problem.Status == http.StatusNotFound {
			continue // not published yet
		}
		if err != nil {
			return nil, err
		}
		out[i.Name] = der
	}
	return out, nil
}

// certifier is the authority, as the enrolment of responders sees it.
type certifier struct{ authority *client.Client }

func (c certifier) Certify(ctx context.Context, issuer card.KeyID, request []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	answer, err := c.authority.Responder(ctx, client.ResponderRequest{Issuer: issuer, CSR: base64.StdEncoding.EncodeToString(request)})
	return answer.Certificate, err
}
