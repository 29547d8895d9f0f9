package main

import (
	"fmt"
	"io"
	"time"

	"cpsca/card"
	"cpsca/client"
	"cpsca/officer"

	"github.com/spf13/cobra"
)

func (s *session) lossCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "loss",
		Short: say("Take reports of lost and stolen cards", "Reçoit les déclarations de perte et de vol"),
	}
	var circumstance, happened string
	report := &cobra.Command{
		Use:   "report CARD",
		Short: say("Revoke a card at once and order its replacement", "Révoque une carte aussitôt et commande son remplacement"),
		Long: say(`Revokes a card for ever and orders its replacement in the same moment. The desk has
made sure who reports. If no replacement can be ordered, the report says why and the
card is revoked all the same.

Circumstances: lost, stolen, codes-disclosed, damaged, not-received.`,
			`Révoque une carte définitivement et commande son remplacement au même instant. Le guichet
s'est assuré de l'identité du déclarant. Si aucun remplacement ne peut être commandé, la
déclaration dit pourquoi et la carte est révoquée malgré tout.

Circonstances : lost (perdue), stolen (volée), codes-disclosed (codes divulgués),
damaged (endommagée), not-received (jamais reçue).`),
		Example: "  cpsca loss report 2800636234 --circumstance stolen --happened 2026-11-22T18:30:00+01:00",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			number, err := cardNumber(args[0])
			if err != nil {
				return err
			}
			l := client.Loss{Circumstance: card.Circumstance(circumstance)}
			if happened != "" {
				l.Happened, err = time.Parse(time.RFC3339, happened)
				if err != nil {
					return usageError{fmt.Errorf(say("--happened wants a moment as in 2026-11-22T18:30:00+01:00, got %s", "--happened attend un instant comme 2026-11-22T18:30:00+01:00, pas %s"), happened)}
				}
			}
			authority, err := s.connect(officer.Desk, officer.SecurityOfficer)
			if err != nil {
				return err
			}
			defer authority.Close()
			answer, err := authority.ReportLoss(c.Context(), number, l)
			if err != nil {
				return err
			}
			return s.print(answer, func(w io.Writer) error { return writeLoss(w, answer) })
		},
	}
	report.Flags().StringVar(&circumstance, "circumstance", "lost", say("what happened", "ce qui est arrivé"))
	report.Flags().StringVar(&happened, "happened", "", say("when, as declared (RFC 3339)", "quand, d'après le déclarant (RFC 3339)"))
	choices(report, "circumstance", "lost", "stolen", "codes-disclosed", "damaged", "not-received")
	c.AddCommand(report)
	return c
}

func writeLoss(w io.Writer, a client.LossAnswer) error {
	_, err := fmt.Fprintf(w, say("report %d: card %s is %s since %s (received %s, committed after %d ms)\n", "déclaration %d : la carte %s est %s depuis %s (reçue %s, engagée après %d ms)\n"),
		a.Report.ID, a.Card.Number, stateText(a.Card.State), moment(a.Card.Since), moment(a.Report.Received), a.Report.Committed.Sub(a.Report.Received).Milliseconds())
	if err != nil {
		return err
	}
	switch {
	case a.Replacement != nil:
		_, err = fmt.Fprintf(w, say("replacement ordered: %s\n", "remplacement commandé : %s\n"), a.Replacement.ID)
	case a.NoReplacement != nil:
		_, err = fmt.Fprintf(w, say("no replacement: %s\n", "pas de remplacement : %s\n"), explain(a.NoReplacement))
	}
	return err
}
