package main

import (
	"errors"

	"cpsca/ca"
)

// errUnprotected: a build that is for measurements was pointed to a production
// issuer.
var errUnprotected = errors.New("a build with the tag unprotected serves no production authority")

// unprotected says loudly what a build for measurements can leave out, and
// refuses to sign for real people with it.
func (a *authority) unprotected() error {
	if !ca.Unprotected {
		return nil
	}
	if a.settings.Environment == "production" {
		return errUnprotected
	}
	a.log.Error("THIS BUILD CAN DO WITHOUT ITS PROTECTIONS: it is for measurements, never for cards that anybody holds", "without", ca.Without())
	return nil
}
