package api

import (
	"crypto/x509"
	_ "embed"
	"fmt"
	"net/http"
	"slices"

	"cpsca/card"
	"cpsca/client"
)

// description is what these doors do of these doors (OpenAPI 3.1).
//
//go:embed openapi.yaml
var description []byte

func (s *Server) version(w *transfer, _ *http.Request) error {
	return reply(w, http.StatusOK, client.Version{Version: s.config.Version, API: "v1"})
}

func (s *Server) openAPI(w *transfer, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(description) // a caller who left hears nothing
	return nil
}

func (s *Server) issuers(w *transfer, r *http.Request) error {
	list, err := s.config.Issuers.Issuers(r.Context())
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, client.IssuerList{Issuers: orEmpty(list)})
}

// orEmpty makes an absent list an empty one: JSON arrays are never null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (s *Server) enrolments(w *transfer, r *http.Request) error {
	list, err := s.config.Enrolments.Enrolments(r.Context())
	if err != nil {
		return err
	}
	out := make([]client.Enrolment, len(list))
	for i, e := range list {
		out[i] = client.Enrolment{
			Fingerprint: e.Fingerprint.String(), Person: e.Person, Role: e.Role, Bureau: e.Bureau,
			Issuer: e.Issuer, Serial: e.Serial, Since: e.Since, Ended: e.Ended,
		}
	}
	return reply(w, http.StatusOK, client.EnrolmentList{Enrolments: out})
}

func (s *Server) responder(w *transfer, r *http.Request) error {
	var request client.ResponderRequest
	err := decode(w, r, &request)
	if err != nil {
		return err
	}
	der, err := requestDER(request.CSR)
	if err != nil {
		return err
	}
	c := callerOf(r)
	now := s.config.Now()
	err = s.responders.take(c.Fingerprint, now)
	if err != nil {
		return err
	}
	certificate, err := s.config.Responders.IssueResponder(r.Context(), c.Person, request.Issuer, der)
	if err != nil {
		s.responders.giveBack(c.Fingerprint, now)
		return err
	}
	issuers, err := s.config.Issuers.Issuers(r.Context())
	if err != nil {
		return err
	}
	chain, err := chainOf(issuers, request.Issuer)
	if err != nil {
		return err
	}
	return reply(w, http.StatusCreated, client.ResponderCertificate{Certificate: certificate, Chain: chain})
}

// chainOf lists the certificates from an issuer to its root.
func chainOf(issuers []client.Issuer, id card.KeyID) ([][]byte, error) {
	chain := [][]byte{}
	for range issuers { // no chain is longer, and no loop endless
		at := slices.IndexFunc(issuers, func(i client.Issuer) bool { return i.KeyID == id })
		if at < 0 {
			return chain, nil
		}
		chain = append(chain, issuers[at].Certificate)
		certificate, err := x509.ParseCertificate(issuers[at].Certificate)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate of issuer %s: %w", id, err)
		}
		if len(certificate.AuthorityKeyId) != len(id) || card.KeyID(certificate.AuthorityKeyId) == id {
			return chain, nil
		}
		id = card.KeyID(certificate.AuthorityKeyId)
	}
	return chain, nil
}
