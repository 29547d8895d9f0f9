package ca

import (
	"context"
	"errors"

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
		key, err := responderRequest(request)
		if err != nil {
			return nil, err
		}
		der, _, err := r.Technical.Issue(ctx, one.Issuer, one.Profile, Request{
			Actor: actor, Subject: "responder of " + actor, Name: one.Name, SPKI: key.SPKI(), Renewal: true,
		})
		return der, err
	}
	return nil, ErrIssuer
}

// responderRequest returns the key of a request that is signed by it. A node
// has its own certificate to answer for: there is no challenge.
func responderRequest(der []byte) (*profiles.Key, error) {
	q, err := readRequest(der)
	if err != nil {
		return nil, err
	}
	key, err := infrastructureRules.admit(q.spki)
	if err != nil {
		return nil, err
	}
	return key, q.verify(key.Public())
}
