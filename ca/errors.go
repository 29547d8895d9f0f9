package ca

import "errors"

// Refusals of an application, beside those of card, registry and profiles;
// tested with errors.Is.
var (
	// ErrRequest: the certification request is malformed (RFC 2986).
	ErrRequest = errors.New("malformed certification request")
	// ErrProof: request or detached proof is not signed by its own key, or
	// over something else.
	ErrProof = errors.New("the proof of possession does not verify")
	// ErrChallenge: the request does not carry this order's challenge for
	// this use.
	ErrChallenge = errors.New("the request carries another challenge")
	// ErrKey: the public key is not acceptable on a card.
	ErrKey = errors.New("the public key is refused")
	// ErrIncomplete: the application lacks a proof of possession for one of
	// the uses.
	ErrIncomplete = errors.New("the application lacks a proof of possession")
	// ErrTwoProofs: the application has a request and a detached proof for
	// one use.
	ErrTwoProofs = errors.New("a request and a detached proof for one use")
)

// Conditions of the authority itself.
var (
	// ErrBusy: too much is under way; try again in a while.
	ErrBusy = errors.New("the authority is busy")
	// ErrStopped: the issuer was stopped after two signatures in a row that
	// did not verify. It stays so until the process is started again.
	ErrStopped = errors.New("the issuer is stopped: its signatures do not verify")
	// ErrSignature: the HSM returned a signature that does not verify.
	ErrSignature = errors.New("the signature does not verify")
	// ErrAbandoned: the attempt was given up; the application may be sent
	// again.
	ErrAbandoned = errors.New("the attempt was abandoned")
)
