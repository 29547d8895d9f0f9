// Package bench measures the signing path through the real door and beside what
// the machine can do: `cpsca bench issue` founds houses in a temporary folder,
// starts cpsca-authority on them as a process of its own, plays the bureau over
// mTLS, and prints figures.
//
// Everything that is not the authority's work is made before a clock starts:
// keys, requests, orders, the register. Beside each rate stands a floor, measured
// before and after with the same token and the same sessions: what a certificate
// costs in signatures and verifications alone.
package bench

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cpsca/cmd/internal/language"

	"github.com/spf13/cobra"
)

var say = language.Say

// Tools is what a verb of cpsca has and this room needs.
type Tools struct {
	// Progress draws a bar on a terminal, and nothing elsewhere.
	Progress func(what string, total int64) (set func(done int64), finish func())
	// Misused is the error of a command line that cannot be understood.
	Misused func(c *cobra.Command, what string) error
}

// Command is the verb bench.
func Command(t Tools) *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: say("Measure the authority beside what the machine can do", "Mesure l'autorité, rapportée à ce que peut la machine"),
	}
	c.AddCommand(issueCommand(t), floorCommand(), houseCommand(t))
	return c
}

// plan is everything that is decided before the bench begins.
type plan struct {
	folder      string // in which a temporary one is made
	programs    string // folder of cpsca-authority
	unprotected string // folder of a cpsca-authority that can do without a protection
	report      string // folder of PERFORMANCE.md; empty: none is written
	only        []string
	quick       bool
	keep        bool
	rounds      int
	seconds     float64 // that a batch takes at the floor
	singles     float64 // seconds of single applications
	lines       int     // of the long batch
	stored      int     // certificates stored before growth is measured
	storedHouse string  // folder in which they are kept for the next run; empty: nowhere
}

// quickly are sizes with which nothing is measured, but everything is done.
var quickly = map[string]string{"rounds": "1", "seconds": "0.1", "singles": "0.5", "lines": "300", "stored": "400"}

func issueCommand(t Tools) *cobra.Command {
	var p plan
	c := &cobra.Command{
		Use:   "issue",
		Short: say("Measure how fast certificates are issued", "Mesure la vitesse d'émission des certificats"),
		Long: say(`Founds authorities in a temporary folder on disk, plays the bureau through the real
door (mTLS, one request for a batch, two certificates for each application, everything
on), and prints lines "figure NAME NUMBER UNIT". Beside each rate stands the floor: one
signature, one proof of possession and one verification for each certificate on all
processors, nothing else, with the same token, before and after.

Sections, all unless --only says otherwise:
  rsa4096   RSA-4096 issuer, RSA-2048 cards       single    20 applications a second
  p384      P-384 issuer, P-256 cards             memory    a long batch in one request
  p256      P-256 issuer and cards                prices    one protection off at a time
  postgres  on PostgreSQL, beside SQLite          growth    with many certificates stored

Sections that this build does not offer are left out and said to be. Numbers are worth
something on a quiet machine only.`,
			`Fonde des autorités dans un dossier temporaire sur disque, joue le bureau par la vraie
porte (mTLS, une requête par lot, deux certificats par demande, toutes les protections)
et affiche des lignes « figure NOM NOMBRE UNITÉ ». À côté de chaque débit, le plancher :
une signature, une preuve de possession et une vérification par certificat sur tous les
processeurs, rien d'autre, avec le même jeton, avant et après.

Sections, toutes sauf si --only en choisit :
  rsa4096   émetteur RSA-4096, cartes RSA-2048    single    20 demandes par seconde
  p384      émetteur P-384, cartes P-256          memory    un long lot en une requête
  p256      émetteur et cartes P-256              prices    une protection ôtée à la fois
  postgres  sur PostgreSQL, face à SQLite         growth    beaucoup de certificats déjà là

Les sections que cette version n'offre pas sont omises, et c'est dit. Les nombres ne
valent que sur une machine au repos.`),
		Example: "  cpsca bench issue\n  cpsca bench issue --only p256,single --json\n  cpsca bench issue --report docs\n  cpsca bench issue --quick",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			err := p.complete(c)
			if err != nil {
				return t.Misused(c, err.Error())
			}
			return run(c.Context(), p, t, streams{out: c.OutOrStdout(), err: c.ErrOrStderr(), json: asJSON(c)})
		},
	}
	p.flags(c)
	return c
}

func (p *plan) flags(c *cobra.Command) {
	flags := c.Flags()
	flags.StringSliceVar(&p.only, "only", nil, say("sections to run, separated by commas", "sections à jouer, séparées par des virgules"))
	flags.BoolVar(&p.quick, "quick", false, say("tiny sizes: a test of the bench, not of the authority", "tailles minuscules : un essai du banc, pas de l'autorité"))
	flags.StringVar(&p.report, "report", "", say("folder in which PERFORMANCE.md and its plots are brought up to date", "dossier où PERFORMANCE.md et ses courbes sont mis à jour"))
	flags.StringVar(&p.folder, "folder", "", say("where the temporary folder is made; must be on a real disk", "où créer le dossier temporaire ; sur un vrai disque"))
	flags.BoolVar(&p.keep, "keep", false, say("keep the temporary folder", "garder le dossier temporaire"))
	flags.StringVar(&p.programs, "programs", "", say("folder of cpsca-authority; this program's if empty", "dossier de cpsca-authority ; celui de ce programme si vide"))
	flags.StringVar(&p.unprotected, "unprotected", "", say("folder of the cpsca-authority built with the tag unprotected", "dossier du cpsca-authority compilé avec l'étiquette unprotected"))
	flags.IntVar(&p.rounds, "rounds", 3, say("how often each rate is measured; the median counts", "nombre de mesures de chaque débit ; la médiane compte"))
	flags.Float64Var(&p.seconds, "seconds", 8, say("length of a batch at the floor's rate, in seconds", "durée d'un lot au débit du plancher, en secondes"))
	flags.Float64Var(&p.singles, "singles", 60, say("length of the section single, in seconds", "durée de la section single, en secondes"))
	flags.IntVar(&p.lines, "lines", 200_000, say("lines of the long batch", "lignes du long lot"))
	flags.IntVar(&p.stored, "stored", 2_000_000, say("certificates stored before growth is measured", "certificats déjà présents pour la section growth"))
	flags.StringVar(&p.storedHouse, "stored-house", "", say("folder that keeps those certificates for the next run", "dossier qui garde ces certificats pour la fois suivante"))
	_ = c.RegisterFlagCompletionFunc("only", cobra.FixedCompletions(sectionNames(), cobra.ShellCompDirectiveNoFileComp)) // the flag exists
}

// complete checks what was asked for and fills in what was not.
func (p *plan) complete(c *cobra.Command) error {
	if p.quick {
		for name, value := range quickly {
			if !c.Flags().Changed(name) {
				_ = c.Flags().Set(name, value) // the flags exist, the values are ours
			}
		}
	}
	for _, name := range p.only {
		if !slices.Contains(sectionNames(), name) {
			return fmt.Errorf(say("no such section: %s; there are %s", "section inconnue : %s ; il y a %s"), name, strings.Join(sectionNames(), ", "))
		}
	}
	switch {
	case p.rounds < 1 || p.seconds <= 0 || p.singles <= 0 || p.lines < 1 || p.stored < 2:
		return errors.New(say("sizes are above zero", "les tailles sont positives"))
	case p.report != "" && (p.quick || len(p.only) > 0):
		return errors.New(say("--report is of one whole run, without --quick and --only", "--report porte sur un passage entier, sans --quick ni --only"))
	}
	if p.programs == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		p.programs = filepath.Dir(self)
	}
	if p.unprotected == "" {
		p.unprotected = filepath.Join(p.programs, "unprotected")
	}
	return nil
}

// streams are where a run writes.
type streams struct {
	out, err io.Writer
	json     bool
}

// asJSON says whether the flag that all verbs have was given.
func asJSON(c *cobra.Command) bool {
	f := c.Flags().Lookup("json")
	return f != nil && f.Value.String() == "true"
}
