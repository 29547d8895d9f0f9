package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"

	"cpsca/client"
	"cpsca/cmd/internal/language"
	"cpsca/config"
	"cpsca/hsm"
	"cpsca/officer"

	"github.com/spf13/cobra"
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
		return config.Identity{}, usageError{fmt.Errorf(say("the configuration has no identity %s; it has %s", "la configuration n'a pas d'identité %s ; elle a %s"),
			s.as, strings.Join(identityNames(settings), ", "))}
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

func identityNames(settings *config.Client) []string {
	var out []string
	for _, one := range settings.Identities {
		out = append(out, one.Name)
	}
	return out
}

// completeIdentities lets shells complete --as.
func (s *session) completeIdentities(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	settings, err := s.settings()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return identityNames(settings), cobra.ShellCompDirectiveNoFileComp
}

// unreachable says whether an error means that nobody answered.
func unreachable(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op != remoteError || errors.Is(err, context.DeadlineExceeded)
}

// remoteError is what crypto/tls calls the operation that ended with an alert
// of the other side: somebody answered, and refused the connection.
const remoteError = "remote error"

func refusedConnection(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == remoteError
}

// explain is an error in the words that help its reader on.
func explain(err error) string {
	var problem *client.Problem
	var certificate *tls.CertificateVerificationError
	path, ofFile := err.(*fs.PathError) // one in another error has its context there
	var batch stopped
	switch {
	case errors.As(err, &batch):
		return batch.Error()
	case errors.As(err, &problem):
		text := problem.Title
		if problem.Detail != "" {
			text += say(": ", " : ") + problem.Detail
		}
		if problem.Reason != "" {
			text += " (" + problem.Reason + ")"
		}
		if problem.Incident != "" {
			text += " [" + problem.Incident + "]"
		}
		return text
	case unreachable(err):
		return nobodyAnswers(err)
	case refusedConnection(err):
		return fmt.Sprintf(say("the authority refuses the certificate of this identity (%v): is it of this house, and valid?",
			"l'autorité refuse le certificat de cette identité (%v) : est-il de cette autorité, et valide ?"), cause(err))
	case errors.As(err, &certificate):
		return fmt.Sprintf(say("what answers is not the authority that the configuration trusts (%v): see trust in it",
			"ce qui répond n'est pas l'autorité à laquelle la configuration se fie (%v) : voyez-y trust"), certificate.Err)
	case errors.Is(err, context.Canceled):
		return say("interrupted", "interrompu") + say(": ", " : ") + err.Error()
	case errors.Is(err, hsm.ErrPIN):
		return say("the PIN is wrong; it was tried once and will not be tried again", "le PIN est incorrect ; il a été essayé une fois et ne le sera plus")
	case ofFile && errors.Is(err, os.ErrNotExist):
		return fmt.Sprintf(say("%s: there is no such file or folder", "%s : fichier ou dossier introuvable"), path.Path)
	case ofFile && errors.Is(err, os.ErrPermission):
		return fmt.Sprintf(say("%s: not allowed for this user", "%s : interdit à cet utilisateur"), path.Path)
	}
	return err.Error()
}

// nobodyAnswers names who does not, and where. The requests to the status
// service alone carry their URL: the client keeps the authority's to itself.
func nobodyAnswers(err error) string {
	program, address := "cpsca-authority", ""
	var asked *url.Error
	if errors.As(err, &asked) {
		program = "cpsca-status"
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Addr != nil {
		address = op.Addr.String()
	}
	if address == "" {
		return fmt.Sprintf(say("%s did not answer (%v); try again", "%s n'a pas répondu (%v) ; réessayez"), program, cause(err))
	}
	return fmt.Sprintf(say("nobody answers at %s (%v): is %s running?", "personne ne répond à %s (%v) : %s est-il lancé ?"), address, cause(err), program)
}

// cause is the innermost error.
func cause(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}
