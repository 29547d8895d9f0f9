package api

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"cpsca/card"
	"cpsca/officer"
)

// Server is the handler of every door. It may be used by several goroutines.
type Server struct {
	config Config
	mux    *http.ServeMux
	origin *http.CrossOriginProtection
	clock  func() time.Time // of deadlines, not of business

	responders quota
}

// handler answers a request, or says why not before anything was written.
type handler func(w *transfer, r *http.Request) error

// New makes the doors. ErrConfig says what is missing, or which door and row
// of the role matrix do not meet.
//
// The caller puts the Server behind TLS that requires client certificates of
// the technical hierarchy and verifies them.
func New(config Config) (*Server, error) {
	err := config.complete()
	if err != nil {
		return nil, err
	}
	s := &Server{config: config, mux: http.NewServeMux(), origin: http.NewCrossOriginProtection(), clock: time.Now}
	err = s.open(s.doors(), matrix)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// doors lists every door with its handler.
func (s *Server) doors() map[string]handler {
	return map[string]handler{
		"GET /v1/version":                                s.version,
		"GET /v1/openapi.yaml":                           s.openAPI,
		"GET /v1/issuers":                                s.issuers,
		"POST /v1/registry/persons":                      s.importPersons,
		"POST /v1/registry/events":                       s.importEvents,
		"POST /v1/registry/contacts":                     s.importContacts,
		"GET /v1/registry/persons/{id}":                  s.person,
		"POST /v1/orders":                                s.order,
		"GET /v1/orders":                                 s.orders,
		"GET /v1/orders/ready":                           s.readyOrders,
		"POST /v1/orders/{id}/cancel":                    s.cancelOrder,
		"POST /v1/applications":                          s.applications,
		"POST /v1/cards/{number}/spoiled":                s.spoiled,
		"POST /v1/cards/{number}/activate":               s.activate,
		"POST /v1/cards/{number}/loss":                   s.loss,
		"GET /v1/cards/{number}":                         s.card,
		"GET /v1/cards":                                  s.cards,
		"GET /v1/cards/{number}/history":                 s.history,
		"GET /v1/certificates/{issuer}/{serial}":         s.certificate,
		"POST /v1/certificates/{issuer}/{serial}/revoke": s.revoke,
		"GET /v1/lists":                                  s.lists,
		"GET /v1/lists/{issuer}":                         s.list,
		"POST /v1/lists/{issuer}/publish":                s.publish,
		"GET /v1/feed":                                   s.feed,
		"POST /v1/responders":                            s.responder,
		"GET /v1/enrolments":                             s.enrolments,
	}
}

// open registers doors, each with its row of the matrix.
func (s *Server) open(doors map[string]handler, matrix map[string][]officer.Role) error {
	for pattern := range matrix {
		_, ok := doors[pattern]
		if !ok {
			return fmt.Errorf("%w: the role matrix has a row for %q, which is no door", ErrConfig, pattern)
		}
	}
	for pattern, h := range doors {
		roles := matrix[pattern]
		if len(roles) == 0 {
			return fmt.Errorf("%w: the role matrix has no row for %q", ErrConfig, pattern)
		}
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			c := callerOf(r)
			c.route = pattern
			if !slices.Contains(roles, c.Role) {
				c.err = errRole
				return
			}
			c.err = h(c.transfer, r)
		})
	}
	return nil
}

// caller is who sent a request, and what becomes of it.
type caller struct {
	officer.Enrolment
	french   bool
	transfer *transfer
	route    string // the pattern, "-" if there is none
	err      error
}

type callerKey struct{}

func callerOf(r *http.Request) *caller {
	c, ok := r.Context().Value(callerKey{}).(*caller)
	if !ok {
		return &caller{} // no role, no door
	}
	return c
}

// ServeHTTP lets a request through to its door if the caller is enrolled for
// it, and writes one line in the log.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := s.clock()
	t := newTransfer(w, r, s.config.Idle, s.clock)
	c := &caller{french: french(r), transfer: t, route: "-"}
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	c.Enrolment, c.err = s.identify(r)
	if c.err == nil {
		r = r.WithContext(context.WithValue(r.Context(), callerKey{}, c))
		r.Body = t
		s.route(t, r, c)
	}
	code := ""
	if c.err != nil {
		p := s.problem(r.Context(), c.err, c.french)
		code = p.Type
		if t.status == 0 {
			s.refuse(t, p)
		}
	}
	if t.status == 0 {
		t.WriteHeader(http.StatusOK) // an empty answer
	}
	unread := t.leave()
	t.timed() // the last piece is sent off by the server
	took := s.clock().Sub(began)
	s.config.Meter.Answered(c.route, t.status, took)
	s.config.Log.Log(r.Context(), level(t.status), "request", "route", c.route, "status", t.status, "role", string(c.Role),
		"certificate", c.Fingerprint.String(), "took", took, "problem", code)
	if unread && t.closes && !t.last {
		// The answer had begun when the body broke off. What else comes on the
		// connection would be taken for a request.
		panic(http.ErrAbortHandler)
	}
}

func level(status int) slog.Level {
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		return slog.LevelWarn
	}
	return slog.LevelInfo // what failed inside is logged as an incident
}

// identify finds whom the certificate of the connection was given to. It asks
// at every request: a revocation holds from the next one on. The fingerprint
// is returned beside an error too.
func (s *Server) identify(r *http.Request) (officer.Enrolment, error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.PeerCertificates) == 0 {
		return officer.Enrolment{}, errCertificate
	}
	f := officer.FingerprintOf(r.TLS.PeerCertificates[0].Raw)
	stranger := officer.Enrolment{Fingerprint: f}
	now := s.config.Now()
	if !slices.ContainsFunc(r.TLS.VerifiedChains, func(chain []*x509.Certificate) bool { return valid(chain, now) }) {
		return stranger, errValidity
	}
	e, err := s.config.Enrolments.Enrolled(r.Context(), f)
	switch {
	case errors.Is(err, card.ErrNotFound):
		return stranger, errEnrolled
	case err != nil:
		return stranger, err
	case e.Fingerprint != f || !e.Ended.IsZero():
		return stranger, errEnrolled
	}
	return e, nil
}

// valid says whether every certificate of a chain is within its dates
// (RFC 5280 §6.1.3 (a)(2)): the handshake, which saw to it, may be days ago.
func valid(chain []*x509.Certificate, now time.Time) bool {
	return !slices.ContainsFunc(chain, func(c *x509.Certificate) bool { return now.Before(c.NotBefore) || now.After(c.NotAfter) })
}

// route hands a request to its door.
func (s *Server) route(t *transfer, r *http.Request, c *caller) {
	if s.origin.Check(r) != nil {
		c.err = errOrigin
		return
	}
	h, pattern := s.mux.Handler(r)
	if pattern != "" {
		s.mux.ServeHTTP(t, r)
		return
	}
	c.err = errPath
	probe := &headers{header: make(http.Header)}
	h.ServeHTTP(probe, r)
	if probe.status == http.StatusMethodNotAllowed {
		t.Header().Set("Allow", probe.header.Get("Allow"))
		c.err = errMethod
	}
}

// headers takes what the mux would answer to a request that has no door.
type headers struct {
	header http.Header
	status int
}

func (h *headers) Header() http.Header         { return h.header }
func (h *headers) WriteHeader(status int)      { h.status = status }
func (h *headers) Write(b []byte) (int, error) { return len(b), nil }
