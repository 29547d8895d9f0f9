package api

import (
	"fmt"
	"net/http"
	"slices"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/client"
)

// revocable are the reasons by which an officer may revoke a certificate of
// the infrastructure; a hold is no revocation.
var revocable = []card.Reason{
	card.Unspecified, card.KeyCompromise, card.AffiliationChanged, card.Superseded, card.CessationOfOperation, card.PrivilegeWithdrawn,
}

// certificateOf reads issuer and serial of the path.
func certificateOf(r *http.Request) (card.KeyID, card.Serial, error) {
	issuer, err := issuerOf(r)
	if err != nil {
		return issuer, card.Serial{}, err
	}
	serial, err := card.ParseSerial(r.PathValue("serial"))
	if err != nil {
		return issuer, serial, fmt.Errorf("%w: serial is 32 hexadecimal digits", errParameter)
	}
	return issuer, serial, nil
}

func (s *Server) certificate(w *transfer, r *http.Request) error {
	issuer, serial, err := certificateOf(r)
	if err != nil {
		return err
	}
	return s.showCertificate(w, r, issuer, serial)
}

func (s *Server) showCertificate(w *transfer, r *http.Request, issuer card.KeyID, serial card.Serial) error {
	one, err := s.config.Certificates.Certificate(r.Context(), issuer, serial)
	if err != nil {
		return err
	}
	der, err := ca.Certificate(one)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, client.Certificate{Certificate: one, DER: der})
}

// revoke revokes a certificate of the infrastructure; cards end by their own
// doors.
func (s *Server) revoke(w *transfer, r *http.Request) error {
	issuer, serial, err := certificateOf(r)
	if err != nil {
		return err
	}
	var request client.Revocation
	err = decode(w, r, &request)
	if err != nil {
		return err
	}
	if !slices.Contains(revocable, request.Reason) {
		return fmt.Errorf("%w: reason is 0, 1, 3, 4, 5 or 9 (RFC 5280 §5.3.1)", errBody)
	}
	err = s.config.Certificates.RevokeInfrastructure(r.Context(), callerOf(r).Person, issuer, serial, request.Reason)
	if err != nil {
		return err
	}
	return s.showCertificate(w, r, issuer, serial)
}

func (s *Server) lists(w *transfer, r *http.Request) error {
	all, err := s.config.Lists.Lists(r.Context())
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, client.ListList{Lists: orEmpty(all)})
}

func (s *Server) list(w *transfer, r *http.Request) error {
	issuer, err := issuerOf(r)
	if err != nil {
		return err
	}
	der, err := s.config.Lists.List(r.Context(), issuer)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/pkix-crl") // RFC 5280 §4.2.1.13, RFC 2585 §4.2
	_, _ = w.Write(der)                                    // a caller who left hears nothing
	return nil
}

func (s *Server) publish(w *transfer, r *http.Request) error {
	issuer, err := issuerOf(r)
	if err != nil {
		return err
	}
	made, err := s.config.Lists.Publish(r.Context(), callerOf(r).Person, issuer)
	if err != nil {
		return err
	}
	return reply(w, http.StatusCreated, made)
}
