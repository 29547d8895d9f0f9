package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"cpsca/client"
	"cpsca/officer"

	"github.com/spf13/cobra"
)

func (s *session) crlCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "crl",
		Short: say("List and publish revocation lists", "Liste et publie les listes de révocation"),
	}
	c.AddCommand(s.crlListCommand(), s.crlPublishCommand())
	return c
}

func (s *session) crlListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   say("Show the last lists of every issuer", "Montre les dernières listes de chaque émetteur"),
		Long:    say("Shows the last ten lists of every issuer, newest first.", "Montre les dix dernières listes de chaque émetteur, les plus récentes d'abord."),
		Example: "  cpsca crl list",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			authority, err := s.connect(officer.SecurityOfficer, officer.Auditor)
			if err != nil {
				return err
			}
			defer authority.Close()
			lists, err := authority.Lists(c.Context())
			if err != nil {
				return err
			}
			issuers, err := authority.Issuers(c.Context())
			if err != nil {
				return err
			}
			return s.print(lists, func(w io.Writer) error { return writeLists(w, lists, issuers) })
		},
	}
}

func (s *session) crlPublishCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "publish ISSUER",
		Short: say("Publish the list of an issuer now", "Publie maintenant la liste d'un émetteur"),
		Long: say("Makes and publishes a list at once; revocations publish by themselves within seconds.\nISSUER is the issuer's name, for example cards. The roots' lists are signed in ceremonies.",
			"Établit et publie une liste aussitôt ; les révocations se publient d'elles-mêmes en quelques\nsecondes. ISSUER est le nom de l'émetteur, par exemple cards. Les listes des racines sont\nsignées lors de cérémonies."),
		Example: "  cpsca crl publish cards",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			authority, err := s.connect(officer.SecurityOfficer)
			if err != nil {
				return err
			}
			defer authority.Close()
			issuers, err := authority.Issuers(c.Context())
			if err != nil {
				return err
			}
			names := make([]string, 0, len(issuers))
			for _, i := range issuers {
				names = append(names, i.Name)
				if i.Name != args[0] {
					continue
				}
				if i.Role != "cards" {
					return usageError{fmt.Errorf(say("the list of %s is signed in a ceremony, not here", "la liste de %s se signe lors d'une cérémonie, pas ici"), i.Name)}
				}
				one, err := authority.Publish(c.Context(), i.KeyID)
				if err != nil {
					return err
				}
				return s.print(one, func(w io.Writer) error { return writeLists(w, []client.List{one}, issuers) })
			}
			return usageError{fmt.Errorf(say("no issuer is called %s; there are %s", "aucun émetteur ne s'appelle %s ; il y a %s"), args[0], strings.Join(names, ", "))}
		},
	}
}

func writeLists(w io.Writer, lists []client.List, issuers []client.Issuer) error {
	names := make(map[string]string, len(issuers))
	for _, i := range issuers {
		names[i.KeyID.String()] = i.Name
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, say("ISSUER\tNUMBER\tTHIS UPDATE\tNEXT UPDATE\tPUBLISHED", "ÉMETTEUR\tNUMÉRO\tÉTABLIE\tSUIVANTE\tPUBLIÉE"))
	for _, l := range lists {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\n", names[l.Issuer.String()], l.Number, moment(l.ThisUpdate), moment(l.NextUpdate), moment(l.Published))
	}
	return t.Flush()
}
