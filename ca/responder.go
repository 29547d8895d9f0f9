package ca

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"cpsca/card"
	"cpsca/profiles"
)

// ErrIssuer: no issuer of that key id certifies responders here.
var ErrIssuer = errors.New("no such issuer")

// Responder is what certifies the OCSP responders of one issuer.
type Responder struct {
	Issuer  *Issuer
	Profile *profiles.Profile // ocsp, compiled for Issuer
	Name    []byte            // DER Name given to its responders
}

// Responders certifies delegated OCSP responders (RFC 6960 §4.2.2.2): each by
// the very issuer whose certificates it answers for.
type Responders struct {
	Technical Technical
	Issuers   []Responder
}

// IssueResponder certifies a responder key, given a request that proves its
// possession. actor is the status node, as it is enrolled: a node keeps its
// key from one certificate to the next. Errors: ErrIssuer, ErrRequest,
// ErrProof, ErrKey, those of Technical.Issue.
func (r Responders) IssueResponder(ctx context.Context, actor string, issuer card.KeyID, request []byte) ([]byte, error) {
	for _, one := range r.Issuers {
		if one.Issuer.KeyID() != issuer {
			continue
		}
		csr, err := responderRequest(request)
		if err != nil {
			return nil, err
		}
		der, _, err := r.Technical.Issue(ctx, one.Issuer, one.Profile, Request{
			Actor: actor, Subject: "responder of " + actor, Name: one.Name, SPKI: csr.RawSubjectPublicKeyInfo, Renewal: true,
		})
		return der, err
	}
	return nil, ErrIssuer
}

func responderRequest(der []byte) (*x509.CertificateRequest, error) {
	if len(der) > maxRequest {
		return nil, fmt.Errorf("%w: %d octets are more than %d", ErrRequest, len(der), maxRequest)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	err = csr.CheckSignature()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	_, err = infrastructureRules.admit(csr.RawSubjectPublicKeyInfo)
	return csr, err
}
