package api

import "errors"

// Refusals of the doors themselves; everything else is a sentinel of the room
// that refused. The catalogue gives each its problem.
var (
	errCertificate = errors.New("no verified client certificate")
	errEnrolled    = errors.New("the certificate is not enrolled")
	errRole        = errors.New("the role may not pass this door")
	errOrigin      = errors.New("the request came from another site")
	errPath        = errors.New("no such door")
	errMethod      = errors.New("the door does not know the method")
	errParameter   = errors.New("a parameter is wrong")
	errMedia       = errors.New("the body is not JSON")
	errBody        = errors.New("the body is wrong")
	errBodySize    = errors.New("the body is too large")
	errBodyEnd     = errors.New("the body ended early")
	errLine        = errors.New("the line is wrong")
	errLineSize    = errors.New("the line is too long")
	errRefused     = errors.New("refused by the profile")
	errUnavailable = errors.New("unavailable")
	errInternal    = errors.New("internal error")
)
