package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"cpsca/card"
	"cpsca/client"
	"cpsca/officer"

	"github.com/spf13/cobra"
)

func (s *session) cardCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "card",
		Short: say("Show, activate and follow cards", "Montre, active et suit les cartes"),
	}
	c.AddCommand(s.cardShowCommand(), s.cardActivateCommand(), s.cardHistoryCommand(), s.cardSpoiledCommand())
	return c
}

func cardNumber(text string) (card.Number, error) {
	n, err := card.ParseNumber(text)
	if err != nil {
		return "", usageError{fmt.Errorf(say("%s is not a card number: %w", "%s n'est pas un numéro de carte : %w"), text, err)}
	}
	return n, nil
}

func (s *session) cardShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show NUMBER",
		Short:   say("Show a card, or every card of a holder", "Montre une carte, ou toutes celles d'un porteur"),
		Long:    say("Shows the card of a card number (10 digits), or every card of an RPPS number (11 digits).", "Montre la carte d'un numéro de carte (10 chiffres), ou toutes celles d'un numéro RPPS (11 chiffres)."),
		Example: "  cpsca card show 2800636234\n  cpsca card show 99700735741",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args[0]) == 10 {
				return s.showCard(c.Context(), args[0])
			}
			return s.showCards(c.Context(), args[0])
		},
	}
}

// lookers may see cards.
var lookers = []officer.Role{officer.Desk, officer.SecurityOfficer, officer.Auditor, officer.Bureau}

func (s *session) showCard(ctx context.Context, text string) error {
	number, err := cardNumber(text)
	if err != nil {
		return err
	}
	authority, err := s.connect(lookers...)
	if err != nil {
		return err
	}
	defer authority.Close()
	one, err := authority.Card(ctx, number)
	if err != nil {
		return err
	}
	return s.print(one, func(w io.Writer) error { return writeCards(w, []card.Card{one}) })
}

func (s *session) showCards(ctx context.Context, text string) error {
	holder, err := nationalID(text)
	if err != nil && len(text) < 10 {
		return usageError{fmt.Errorf(say("%s is neither a card number (10 digits) nor an RPPS number (11 digits)",
			"%s n'est ni un numéro de carte (10 chiffres) ni un numéro RPPS (11 chiffres)"), text)}
	}
	if err != nil {
		return err
	}
	authority, err := s.connect(lookers...)
	if err != nil {
		return err
	}
	defer authority.Close()
	cards, err := authority.CardsOf(ctx, holder)
	if err != nil {
		return err
	}
	return s.print(cards, func(w io.Writer) error { return writeCards(w, cards) })
}

func writeCards(w io.Writer, cards []card.Card) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, say("CARD\tTYPE\tHOLDER\tPROFESSION\tSTATE\tSINCE\tEXPIRES", "CARTE\tTYPE\tPORTEUR\tPROFESSION\tÉTAT\tDEPUIS\tEXPIRE"))
	for _, c := range cards {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", orDash(string(c.Number)), c.Type, c.Holder, c.Profession, stateText(c.State), moment(c.Since), moment(c.Expires))
	}
	return t.Flush()
}

// stateNames are the states of a card in French, feminine as the card is.
var stateNames = map[card.State]string{
	card.Ordered: "commandée", card.Personalised: "personnalisée", card.Dispatched: "expédiée", card.Active: "active", card.Held: "suspendue",
	card.Revoked: "révoquée", card.Expired: "expirée", card.Replaced: "remplacée", card.Spoiled: "ratée", card.Cancelled: "annulée",
}

// stateText is a state in the reader's language; --json keeps the words of the
// API.
func stateText(state card.State) string {
	name, ok := stateNames[state]
	if !ok {
		return string(state)
	}
	return say(string(state), name)
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func (s *session) cardActivateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "activate CARD",
		Short: say("Put a card into its holder's hands", "Met une carte en service"),
		Long: say(`Activates a card: the desk has identified its holder. The live card that it follows, if
any, is replaced in the same moment and its certificates are revoked.`,
			`Active une carte : le guichet a identifié son porteur. La carte en service qu'elle suit,
s'il y en a une, est remplacée au même instant et ses certificats sont révoqués.`),
		Example: "  cpsca card activate 2800636234",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return s.moveCard(c, args[0], []officer.Role{officer.Desk, officer.SecurityOfficer}, (*client.Client).Activate)
		},
	}
}

func (s *session) cardSpoiledCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "spoiled CARD",
		Short: say("Report, as its bureau, a card that failed", "Signale, comme bureau, une carte ratée"),
		Long: say("Revokes the certificates of a card that failed before it was posted. Its order is open again,\nfor another card.",
			"Révoque les certificats d'une carte ratée avant son envoi. Sa commande est de nouveau\nouverte, pour une autre carte."),
		Example: "  cpsca card spoiled 2800636234",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return s.moveCard(c, args[0], []officer.Role{officer.Bureau}, (*client.Client).Spoiled)
		},
	}
}

func (s *session) historyOf(c *cobra.Command, text string) (client.History, error) {
	number, err := cardNumber(text)
	if err != nil {
		return client.History{}, err
	}
	authority, err := s.connect(officer.Desk, officer.SecurityOfficer, officer.Auditor)
	if err != nil {
		return client.History{}, err
	}
	defer authority.Close()
	return authority.History(c.Context(), number)
}

func (s *session) cardHistoryCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "history CARD",
		Short:   say("Follow the whole life of a card", "Suit toute la vie d'une carte"),
		Long:    say("Shows every step of a card with who took it and the event of the journal that committed it,\nits certificates with their status, and the loss reports about it.", "Montre chaque étape d'une carte avec son auteur et l'événement du journal qui l'a engagée,\nses certificats avec leur statut, et les déclarations de perte."),
		Example: "  cpsca card history 2800636234",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			h, err := s.historyOf(c, args[0])
			if err != nil {
				return err
			}
			return s.print(h, func(w io.Writer) error { return writeHistory(w, h) })
		},
	}
}

func writeHistory(w io.Writer, h client.History) error {
	err := writeCards(w, []card.Card{h.Card})
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t)
	for _, step := range h.Steps {
		fmt.Fprintf(t, "%s\t%s\t→ %s\t%s\t%s %d\n", moment(step.At), step.Event, stateText(step.To), step.Actor, say("journal", "journal"), step.Journal)
	}
	for _, c := range h.Certificates {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", c.Use, c.Serial, c.Status, moment(c.Since), c.Profile)
	}
	for _, r := range h.LossReports {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s %d ms\n", moment(r.Received), say("loss report", "déclaration"), r.Circumstance, r.Reporter,
			say("committed after", "engagée après"), r.Committed.Sub(r.Received).Milliseconds())
	}
	return t.Flush()
}
