// Package token opens the PKCS#11 token that a command's configuration names:
// the one place where a command touches the environment that SoftHSM reads and
// the terminal that a PIN is asked on.
package token

import (
	"context"
	"errors"
	"fmt"
	"os"

	"cpsca/config"
	"cpsca/hsm"

	"golang.org/x/term"
)

// ErrNoTerminal: the configuration names no PIN file and nobody can be asked.
var ErrNoTerminal = errors.New("no pin_file is configured and there is no terminal to ask for the PIN")

// Settings turns a configuration into hsm's, and points SoftHSM to its own
// configuration where the token is one of its.
func Settings(c config.HSM) (hsm.Config, error) {
	if c.SoftHSM != "" {
		err := os.Setenv("SOFTHSM2_CONF", c.SoftHSM)
		if err != nil {
			return hsm.Config{}, fmt.Errorf("pointing SoftHSM to its configuration: %w", err)
		}
	}
	var places []hsm.Place
	for _, p := range c.All() {
		places = append(places, hsm.Place{Module: p.Module, Token: p.Token, Serial: p.Serial, PIN: pinOf(p)})
	}
	first := places[0]
	return hsm.Config{
		Module: first.Module, Token: first.Token, Serial: first.Serial, PIN: first.PIN, Others: places[1:],
		Sessions: c.Sessions, Deadline: c.Deadline, TokenObjects: c.TokenObjects,
	}, nil
}

func pinOf(p config.Place) hsm.PIN {
	switch {
	case p.PINFile != "":
		return hsm.PINFile(p.PINFile)
	case p.PINDescriptor != 0:
		return hsm.PINDescriptor(p.PINDescriptor)
	}
	return hsm.PINPrompt(func() ([]byte, error) { return ask(p) })
}

// Open opens the configured token, after changes to what the configuration
// says. A wrong PIN is tried once: hsm.ErrPIN.
func Open(ctx context.Context, c config.HSM, changes ...func(*hsm.Config)) (*hsm.Token, error) {
	settings, err := Settings(c)
	if err != nil {
		return nil, err
	}
	for _, change := range changes {
		change(&settings)
	}
	t, err := hsm.Open(ctx, settings)
	if err != nil {
		return nil, fmt.Errorf("opening the HSM: %w", err)
	}
	return t, nil
}

func ask(p config.Place) ([]byte, error) {
	descriptor := int(os.Stdin.Fd())
	if !term.IsTerminal(descriptor) {
		return nil, ErrNoTerminal
	}
	label := p.Token
	if label == "" {
		label = p.Serial
	}
	fmt.Fprintf(os.Stderr, "PIN of token %q: ", label)
	pin, err := term.ReadPassword(descriptor)
	fmt.Fprintln(os.Stderr)
	if err != nil {
		return nil, fmt.Errorf("reading the PIN: %w", err)
	}
	return pin, nil
}
