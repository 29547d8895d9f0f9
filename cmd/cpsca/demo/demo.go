// Package demo shows the authority at work with fictitious people: `cpsca demo
// run` keeps a whole house running for a reader to play with, `cpsca demo story`
// tells the life of a few cards from order to replacement and has every artefact
// judged by openssl.
//
// It does what a user does, with the same commands: it starts cpsca-authority and
// cpsca-status, and calls cpsca for every step.
package demo

import (
	"fmt"
	"path/filepath"

	"cpsca/cmd/internal/language"

	"github.com/spf13/cobra"
)

var say = language.Say

// Command is the verb demo.
func Command() *cobra.Command {
	c := &cobra.Command{
		Use:   "demo",
		Short: say("Show the authority at work with fictitious people", "Montre l'autorité à l'œuvre avec des personnes fictives"),
	}
	var runFolder, storyFolder, preset string
	var cards int
	run := &cobra.Command{
		Use:   "run",
		Short: say("Run a demonstration house until Ctrl-C", "Fait vivre une autorité de démonstration jusqu'à Ctrl-C"),
		Long: say(`Founds a house in a new folder, or takes up the one that is there; starts authority and
status service; imports a fictitious register; personalises demonstration cards; says what
to try next; and runs until Ctrl-C. Run again, it resumes where it was.`,
			`Fonde une autorité dans un nouveau dossier, ou reprend celle qui s'y trouve ; lance l'autorité
et le service de statut ; importe un registre fictif ; personnalise des cartes ; dit quoi essayer
ensuite ; et tourne jusqu'à Ctrl-C. Relancée, la commande reprend où elle en était.`),
		Example: "  cpsca demo run --folder var/run\n  cpsca demo run --folder var/ec --preset elliptic --cards 500",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return runHouse(c.Context(), runFolder, preset, cards, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	run.Flags().StringVar(&runFolder, "folder", "var/run", say("folder of the house", "dossier de l'autorité"))
	run.Flags().StringVar(&preset, "preset", "igc-sante", say("igc-sante or elliptic", "igc-sante ou elliptic"))
	run.Flags().IntVar(&cards, "cards", 100, say("how many cards to personalise", "nombre de cartes à personnaliser"))
	story := &cobra.Command{
		Use:   "story",
		Short: say("Tell the life of a few cards, judged by openssl", "Raconte la vie de quelques cartes, jugée par openssl"),
		Long: say(`Founds two houses (RSA with the chip gate, elliptic curves with the hold gate) and tells the
same story in both: order, personalise, activate, refuse a second card, lose, renew, replace.
Every certificate, list and answer is judged by openssl against its expected verdict. The report
is FOLDER/report.md; exit code 1 if a verdict is not the expected one. An existing folder is moved
aside, never destroyed.`,
			`Fonde deux autorités (RSA à verrou de puce, courbes elliptiques à suspension) et raconte dans
les deux la même histoire : commande, personnalisation, activation, seconde carte refusée, perte,
renouvellement, remplacement. Chaque certificat, liste et réponse est jugé par openssl d'après le
verdict attendu. Le rapport est FOLDER/report.md ; code de sortie 1 si un verdict diffère. Un dossier
existant est mis de côté, jamais détruit.`),
		Example: "  cpsca demo story --folder var/demo",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			folder, err := filepath.Abs(storyFolder)
			if err != nil {
				return fmt.Errorf("finding the folder: %w", err)
			}
			return tellStories(c.Context(), folder, c.OutOrStdout())
		},
	}
	story.Flags().StringVar(&storyFolder, "folder", "var/demo", say("folder of report and artefacts", "dossier du rapport et des artefacts"))
	c.AddCommand(run, story)
	return c
}
