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
	pin := hsm.PINPrompt(func() ([]byte, error) { return ask(c.Token) })
	switch {
	case c.PINFile != "":
		pin = hsm.PINFile(c.PINFile)
	case c.PINDescriptor != 0:
		pin = hsm.PINDescriptor(c.PINDescriptor)
	}
	return hsm.Config{Module: c.Module, Token: c.Token, PIN: pin, Sessions: c.Sessions}, nil
}

// Open opens the configured token. A wrong PIN is tried once: hsm.ErrPIN.
func Open(ctx context.Context, c config.HSM) (*hsm.Token, error) {
	settings, err := Settings(c)
	if err != nil {
		return nil, err
	}
	t, err := hsm.Open(ctx, settings)
	if err != nil {
		return nil, fmt.Errorf("opening token %q: %w", c.Token, err)
	}
	return t, nil
}

func ask(label string) ([]byte, error) {
	descriptor := int(os.Stdin.Fd())
	if !term.IsTerminal(descriptor) {
		return nil, ErrNoTerminal
	}
	fmt.Fprintf(os.Stderr, "PIN of token %q: ", label)
	pin, err := term.ReadPassword(descriptor)
	fmt.Fprintln(os.Stderr)
	if err != nil {
		return nil, fmt.Errorf("reading the PIN: %w", err)
	}
	return pin, nil
}
