package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"cpsca/client"
	"cpsca/officer"
	"cpsca/registry"

	"github.com/spf13/cobra"
)

func (s *session) registryCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "registry",
		Short: say("Bring the register in and look people up", "Importe le registre et consulte les personnes"),
	}
	c.AddCommand(s.registryImportCommand(), s.registryShowCommand())
	return c
}

func (s *session) registryImportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "import KIND FILE",
		Short: say("Import a register file: persons, events or contacts", "Importe un fichier du registre : persons, events ou contacts"),
		Long: say(`Streams a register file to the authority, which commits it slice by slice.

  persons    PS_LibreAcces_Personne_activite, 56 columns, as published
  events     Identification nationale PP|Événement|Date|Source|
             (RADIATION, SUSPENSION, REINTEGRATION, DECES, RETRAITE, MODIFICATION)
  contacts   Identification nationale PP|Destinataire|Complément|Voie|Lieu-dit|Code postal|
             Commune|Pays|Téléphone|Adresse e-mail|Date de mise à jour|

A wrong line is reported with file, line and column, and never stops the rest; the
exit code is then 4. FILE may be - for standard input.`,
			`Transmet un fichier du registre à l'autorité, qui l'enregistre tranche par tranche.

  persons    PS_LibreAcces_Personne_activite, 56 colonnes, tel que publié
  events     Identification nationale PP|Événement|Date|Source|
             (RADIATION, SUSPENSION, REINTEGRATION, DECES, RETRAITE, MODIFICATION)
  contacts   Identification nationale PP|Destinataire|Complément|Voie|Lieu-dit|Code postal|
             Commune|Pays|Téléphone|Adresse e-mail|Date de mise à jour|

Une ligne fautive est signalée avec fichier, ligne et colonne et n'arrête jamais le
reste ; le code de sortie est alors 4. FILE peut être - pour l'entrée standard.`),
		Example:           "  cpsca registry import persons PS_LibreAcces_Personne_activite_202611230700.txt\n  cpsca registry import events events.txt --json",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeImport,
		RunE:              func(c *cobra.Command, args []string) error { return s.importRegister(c, args[0], args[1]) },
	}
}

// completeImport lets shells complete the kind, and then a file.
func completeImport(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return []string{client.Persons, client.Events, client.Contacts}, cobra.ShellCompDirectiveNoFileComp
}

func (s *session) importRegister(c *cobra.Command, kind, path string) error {
	if kind != client.Persons && kind != client.Events && kind != client.Contacts {
		return usageError{fmt.Errorf(say("KIND is persons, events or contacts, not %s", "KIND est persons, events ou contacts, pas %s"), kind)}
	}
	authority, err := s.connect(officer.SecurityOfficer)
	if err != nil {
		return err
	}
	defer authority.Close()
	file, size := io.Reader(s.in), int64(-1)
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		file, size = f, info.Size()
	}
	set, finish := s.progress(kind, size, true)
	report, err := authority.Import(c.Context(), kind, filepath.Base(path), file, set)
	finish()
	if err != nil {
		return err
	}
	err = s.print(report, func(w io.Writer) error { return writeReport(w, report) })
	if err == nil && report.Rejected > 0 {
		return errPartial
	}
	return err
}

// shownErrors is how many line errors are listed for people; --json has more.
const shownErrors = 20

func writeReport(w io.Writer, r *registry.Report) error {
	_, err := fmt.Fprintf(w, say("%s: %d lines, %d accepted, %d rejected (%s, SHA-256 %s)\n", "%s : %d lignes, %d acceptées, %d rejetées (%s, SHA-256 %s)\n"),
		r.File, r.Lines, r.Accepted, r.Rejected, strings.Join(r.Encodings, ", "), r.SHA256)
	if err != nil {
		return err
	}
	for i, e := range r.Errors {
		if i == shownErrors {
			break
		}
		_, err = fmt.Fprintln(w, "  "+e.Error())
		if err != nil {
			return err
		}
	}
	if more := r.Rejected - min(len(r.Errors), shownErrors); more > 0 {
		_, err = fmt.Fprintf(w, say("  and %d more (--json lists the first thousand)\n", "  et %d autres (--json liste les mille premières)\n"), more)
	}
	return err
}

func (s *session) registryShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show NUMBER",
		Short:   say("Show what the register knows of a person", "Montre ce que le registre sait d'une personne"),
		Long:    say("Shows name, practices, events, address and entitlement of a person, by RPPS number (11 digits)\nor national identifier (8 and the number).", "Montre nom, exercices, événements, adresse et droits d'une personne, par numéro RPPS\n(11 chiffres) ou identifiant national (8 suivi du numéro)."),
		Example: "  cpsca registry show 99700735741",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			holder, err := nationalID(args[0])
			if err != nil {
				return err
			}
			authority, err := s.connect(officer.Desk, officer.SecurityOfficer, officer.Auditor)
			if err != nil {
				return err
			}
			defer authority.Close()
			p, err := authority.Person(c.Context(), string(holder))
			if err != nil {
				return err
			}
			return s.print(p, func(w io.Writer) error { return writePerson(w, p) })
		},
	}
}

func writePerson(w io.Writer, p client.Person) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "%s\t%s %s\n", p.Person.ID, p.Person.GivenName, p.Person.FamilyName)
	for _, e := range p.Entitlements {
		verdict := say("entitled", "a droit à une carte")
		if !e.Entitled {
			verdict = e.Reason
		}
		fmt.Fprintf(t, "  %s (%d)\t%s\n", e.Label, e.Profession, verdict)
	}
	for _, e := range p.Events {
		fmt.Fprintf(t, "  %s\t%s %s\n", e.Kind, e.Date.Format("2006-01-02"), e.Source)
	}
	if p.Contact != nil {
		fmt.Fprintf(t, "  %s\t%s, %s %s\n", say("address", "adresse"), p.Contact.Street, p.Contact.PostalCode, p.Contact.City)
	} else {
		fmt.Fprintf(t, "  %s\t%s\n", say("address", "adresse"), say("unknown", "inconnue"))
	}
	return t.Flush()
}

// nationalID reads an RPPS number or a national identifier from a command line.
func nationalID(text string) (registry.NationalID, error) {
	number, err := registry.ParseRPPS(text)
	if err == nil {
		return number.NationalID(), nil
	}
	if len(text) == 11 {
		return "", usageError{fmt.Errorf(say("%s is no RPPS number: %w", "%s n'est pas un numéro RPPS : %w"), text, err)}
	}
	id, err := registry.ParseNationalID(text)
	if err != nil {
		return "", usageError{fmt.Errorf(say("%s is neither an RPPS number (11 digits) nor a national identifier: %w",
			"%s n'est ni un numéro RPPS (11 chiffres) ni un identifiant national : %w"), text, err)}
	}
	return id, nil
}
