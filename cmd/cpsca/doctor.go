package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"cpsca/client"
	"cpsca/config"
	"cpsca/crl"
	"cpsca/store"

	"github.com/spf13/cobra"
)

func (s *session) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: say("Look the house over and say what needs a person", "Examine l'autorité et dit ce qui appelle une intervention"),
		Long: say(`Checks configurations, file modes, the token library, the ledger, the identities' validity,
the authority, and the lists of the status service. Each finding says what
to do. Exit code 1 if something is wrong.`,
			`Vérifie configurations, droits des fichiers, bibliothèque du jeton, grand livre, validité des
identités, autorité et listes du service de statut. Chaque constat dit quoi faire.
Code de sortie 1 si quelque chose ne va pas.`),
		Example: "  cpsca doctor\n  cpsca doctor --json",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return s.doctor(c.Context()) },
	}
}

// finding is one thing that was looked at.
type finding struct {
	What  string `json:"what"`
	Well  bool   `json:"well"`
	Found string `json:"found"`
}

func (s *session) doctor(ctx context.Context) error {
	settings, err := s.settings()
	if err != nil {
		return err
	}
	var findings []finding
	note := func(what, found string, err error) {
		if err != nil {
			findings = append(findings, finding{what, false, explain(err)})
			return
		}
		findings = append(findings, finding{what, true, found})
	}
	s.examineFiles(ctx, settings, note)
	examineLedger(ctx, settings, note)
	s.examineAuthority(ctx, settings, note)
	examineStatus(ctx, settings, note)
	sick := 0
	for _, f := range findings {
		if !f.Well {
			sick++
		}
	}
	err = s.print(findings, func(w io.Writer) error {
		for _, f := range findings {
			sign := "✓"
			if !f.Well {
				sign = "✗"
			}
			_, err := fmt.Fprintf(w, "%s %-28s %s\n", sign, f.What, f.Found)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && sick > 0 {
		return fmt.Errorf(say("%d findings need a person", "%d constats appellent une intervention"), sick)
	}
	return err
}

// noter takes a finding: what was looked at, what was found, or why it is wrong.
type noter func(what, found string, err error)

func (s *session) examineFiles(ctx context.Context, settings *config.Client, note noter) {
	for _, i := range settings.Identities {
		found, err := identityLife(i)
		if err == nil {
			err = opensDoors(ctx, settings, i)
		}
		note(say("identity ", "identité ")+i.Name, found, err)
	}
	if settings.AuthorityConfig == "" {
		return
	}
	a, err := config.ReadAuthority(settings.AuthorityConfig)
	note(say("authority configuration", "configuration de l'autorité"), settings.AuthorityConfig, err)
	if err != nil {
		return
	}
	_, err = os.Stat(a.HSM.Module)
	note(say("PKCS#11 library", "bibliothèque PKCS#11"), a.HSM.Module, err)
	if a.HSM.PINFile != "" {
		note(say("PIN file", "fichier du PIN"), say("closed to others", "fermé aux autres"), closed(a.HSM.PINFile))
	}
	note(say("server key", "clé du serveur"), say("closed to others", "fermée aux autres"), closed(a.TLS.Key))
}

var errOpenFile = errors.New(say("open to others: chmod 600 it", "ouvert aux autres : chmod 600"))

func closed(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s: %w", path, errOpenFile)
	}
	return err
}

// nearEnd is the remaining life below which a certificate or list is a finding.
const nearEnd = 30 * 24 * time.Hour

func identityLife(i config.Identity) (string, error) {
	_, err := client.LoadCertificate(i.Certificate, i.Key)
	if err != nil {
		return "", err
	}
	certificate, err := readCertificate(i.Certificate)
	if err != nil {
		return "", err
	}
	left := time.Until(certificate.NotAfter)
	if left < nearEnd {
		return "", fmt.Errorf(say("its certificate ends on %s", "son certificat se termine le %s"), moment(certificate.NotAfter))
	}
	return fmt.Sprintf(say("valid until %s", "valide jusqu'au %s"), moment(certificate.NotAfter)), nil
}

// opensDoors asks the authority whether an identity is still enrolled. An
// authority that does not answer is a finding of its own.
func opensDoors(ctx context.Context, settings *config.Client, i config.Identity) error {
	authority, err := dial(settings, i)
	if err != nil {
		return err
	}
	defer authority.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err = authority.Version(ctx)
	var refused *client.Problem
	if errors.As(err, &refused) {
		return refused
	}
	return nil
}

func examineLedger(ctx context.Context, settings *config.Client, note noter) {
	if settings.Ledger == "" {
		return
	}
	what := say("ledger", "grand livre")
	db, err := store.OpenReadOnly(store.At(settings.Ledger))
	if err != nil {
		note(what, "", err)
		return
	}
	defer db.Close()
	issuers, err := db.Issuers(ctx)
	note(what, fmt.Sprintf(say("%s, %d issuers", "%s, %d émetteurs"), settings.Ledger, len(issuers)), err)
}

func (s *session) examineAuthority(ctx context.Context, settings *config.Client, note noter) {
	what := say("authority", "autorité")
	authority, err := dial(settings, settings.Identities[0])
	if err != nil {
		note(what, "", err)
		return
	}
	defer authority.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	version, err := authority.Version(ctx)
	note(what, settings.Authority+", "+version.API+", "+version.Version, err)
}

func examineStatus(ctx context.Context, settings *config.Client, note noter) {
	if settings.Status == "" {
		return
	}
	for _, name := range []string{"cards", "root"} {
		what := say("list of ", "liste de ") + name
		der, err := fetch(ctx, "GET", settings.Status+"/crl/"+name+".crl", nil)
		if err != nil {
			note(what, "", err)
			continue
		}
		found, err := listLife(der)
		note(what, found, err)
	}
}

// listLife is fine while less than half of a list's life is over.
func listLife(der []byte) (string, error) {
	list, err := crl.Parse(der)
	if err != nil {
		return "", err
	}
	half := list.ThisUpdate.Add(list.NextUpdate.Sub(list.ThisUpdate) / 2)
	text := fmt.Sprintf(say("number %d, %d entries, until %s", "numéro %d, %d entrées, jusqu'au %s"), list.Number, list.Count, moment(list.NextUpdate))
	if time.Now().After(half) {
		return "", fmt.Errorf(say("%s: more than half of its life is over and no other was published", "%s : plus de la moitié de sa vie est passée sans nouvelle liste"), text)
	}
	return text, nil
}
