package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"cpsca/client"
	"cpsca/cmd/internal/language"
	"cpsca/config"
	"cpsca/hsm"
	"cpsca/officer"
)

// connect makes a client that speaks with the identity that --as names, or
// with the first that has one of the roles.
func (s *session) connect(roles ...officer.Role) (*client.Client, error) {
	settings, err := s.settings()
	if err != nil {
		return nil, err
	}
	identity, err := s.identity(settings, roles)
	if err != nil {
		return nil, err
	}
	return dial(settings, identity)
}

func dial(settings *config.Client, identity config.Identity) (*client.Client, error) {
	certificate, err := client.LoadCertificate(identity.Certificate, identity.Key)
	if err != nil {
		return nil, err
	}
	roots, err := client.LoadRoots(settings.Trust)
	if err != nil {
		return nil, err
	}
	return client.New(client.Config{URL: settings.Authority, Certificate: certificate, Roots: roots, Language: language.Tag()})
}

func (s *session) identity(settings *config.Client, roles []officer.Role) (config.Identity, error) {
	for _, one := range settings.Identities {
		if s.as != "" && one.Name == s.as {
			return one, nil
		}
	}
	if s.as != "" {
		return config.Identity{}, usageError{fmt.Errorf(say("the configuration has no identity %s", "la configuration n'a pas d'identité %s"), s.as)}
	}
	for _, role := range roles {
		for _, one := range settings.Identities {
			if one.Role == string(role) {
				return one, nil
			}
		}
	}
	return config.Identity{}, fmt.Errorf(say("the configuration has no identity with one of the roles %v", "la configuration n'a aucune identité ayant un des rôles %v"), roles)
}

// unreachable says whether an error means that nobody answered.
func unreachable(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) || errors.Is(err, context.DeadlineExceeded)
}

// explain is an error in the words that help its reader on.
func explain(err error) string {
	var problem *client.Problem
	switch {
	case errors.As(err, &problem):
		text := problem.Title
		if problem.Detail != "" {
			text += say(": ", " : ") + problem.Detail
		}
		return text
	case unreachable(err):
		return fmt.Sprintf(say("%v\n(is cpsca-authority running?)", "%v\n(cpsca-authority est-il lancé ?)"), err)
	case errors.Is(err, hsm.ErrPIN):
		return say("the PIN is wrong; it was tried once and will not be tried again", "le PIN est incorrect ; il a été essayé une fois et ne le sera plus")
	case errors.Is(err, os.ErrPermission):
		return fmt.Sprintf(say("%v (not allowed for this user)", "%v (interdit à cet utilisateur)"), err)
	}
	return err.Error()
}
