package main

import (
	"fmt"
	"io"

	"cpsca/card"
	"cpsca/officer"

	"github.com/spf13/cobra"
)

func (s *session) orderCancelCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel ORDER",
		Short: say("Withdraw an order before its card is made", "Annule une commande avant que sa carte soit faite"),
		Long: say("Withdraws an order whose card was not made yet; another card may then be ordered. A card that\nwas made is not cancelled: its bureau reports it spoiled, or its loss is reported.",
			"Annule une commande dont la carte n'est pas encore faite ; une autre carte peut alors être commandée.\nUne carte déjà faite ne s'annule pas : son bureau la signale ratée, ou sa perte est déclarée."),
		Example: "  cpsca order cancel 4ny7xeg65fym4vgy",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			authority, err := s.connect(officer.Desk, officer.SecurityOfficer)
			if err != nil {
				return err
			}
			defer authority.Close()
			after, err := authority.CancelOrder(c.Context(), card.OrderID(args[0]))
			if err != nil {
				return err
			}
			return s.print(after, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, say("order %s is cancelled\n", "la commande %s est annulée\n"), args[0])
				return err
			})
		},
	}
}
