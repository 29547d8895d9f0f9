package main

import (
	"context"
	"fmt"
	"io"

	"cpsca/card"
	"cpsca/client"
	"cpsca/officer"

	"github.com/spf13/cobra"
)

// moveCard lets the authority move one card and shows where it stands then.
func (s *session) moveCard(c *cobra.Command, text string, roles []officer.Role, move func(*client.Client, context.Context, card.Number) (card.Card, error)) error {
	number, err := cardNumber(text)
	if err != nil {
		return err
	}
	authority, err := s.connect(roles...)
	if err != nil {
		return err
	}
	defer authority.Close()
	after, err := move(authority, c.Context(), number)
	if err != nil {
		return err
	}
	return s.print(after, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, say("card %s is %s since %s\n", "la carte %s est %s depuis %s\n"), after.Number, stateText(after.State), moment(after.Since))
		return err
	})
}
