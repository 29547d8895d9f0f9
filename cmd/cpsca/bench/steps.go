package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"cpsca/config"

	"github.com/spf13/cobra"
)

// The steps that open a token are verbs of their own, which the bench calls:
// SoftHSM knows one folder of tokens per process.

func floorCommand() *cobra.Command {
	var folder string
	var w floorWish
	c := &cobra.Command{
		Use:   "floor",
		Short: say("Measure what token and processors can do for a house", "Mesure ce que peuvent le jeton et les processeurs d'une autorité"),
		Long: say(`Opens the token of a house whose authority does not run and measures how many signatures
a second the key of the card issuer gives, and how many certificates a second there would
be if each cost one signature, one proof of possession and one verification.`,
			`Ouvre le jeton d'une autorité arrêtée et mesure combien de signatures par seconde donne la
clé de l'émetteur de cartes, et combien il y aurait de certificats par seconde si chacun
coûtait une signature, une preuve de possession et une vérification.`),
		Example: "  cpsca bench floor --house var/run --seconds 3",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := measureFloor(c.Context(), house{folder: folder}, w)
			if err != nil {
				return err
			}
			if asJSON(c) {
				return json.NewEncoder(c.OutOrStdout()).Encode(f)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "figure floor.raw_sign %.0f per_s\nfigure floor.certificates %.0f per_s\n", f.Raw, f.Certificates)
			return err
		},
	}
	flags := c.Flags()
	flags.StringVar(&folder, "house", "var/run", say("folder of the house", "dossier de l'autorité"))
	flags.Float64Var(&w.seconds, "seconds", 3, say("length of each measurement", "durée de chaque mesure"))
	flags.IntVar(&w.raw, "raw-workers", 0, say("goroutines that sign; 0: those that give the best rate", "goroutines qui signent ; 0 : celles du meilleur débit"))
	flags.IntVar(&w.workers, "workers", 0, say("goroutines that make certificates; 0: the best rate", "goroutines qui certifient ; 0 : celles du meilleur débit"))
	flags.IntVar(&w.sequences, "sequences", 0, say("single applications to measure, with two commits each", "demandes isolées à mesurer, avec deux écritures sûres"))
	flags.StringVar(&w.file, "file", "", say("file for those commits, on the disk to measure", "fichier de ces écritures, sur le disque à mesurer"))
	return c
}

func houseCommand(t Tools) *cobra.Command {
	var folder, name, ledger, owner string
	c := &cobra.Command{
		Use:   "house",
		Short: say("Found a house to measure", "Fonde une autorité à mesurer"),
		Long: say("Founds a test house in a new folder, at addresses that nobody uses, with the keys of a suite:\nrsa4096, p384 or p256.",
			"Fonde une autorité de test dans un nouveau dossier, à des adresses libres, avec les clés d'une\nsuite : rsa4096, p384 ou p256."),
		Example: "  cpsca bench house --folder var/p384 --suite p384",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, ok := suiteNamed(name)
			if !ok {
				return t.Misused(c, fmt.Sprintf(say("no such suite: %s", "suite inconnue : %s"), name))
			}
			a, err := freeAddresses()
			if err != nil {
				return err
			}
			return found(c.Context(), folder, s, a, ledger, owner)
		},
	}
	c.Flags().StringVar(&folder, "folder", "var/bench", say("where the house will be; must not exist", "dossier de l'autorité ; ne doit pas exister"))
	c.Flags().StringVar(&name, "suite", p256.name, say("keys of issuer and cards", "clés de l'émetteur et des cartes"))
	c.Flags().StringVar(&ledger, "ledger", "", say("URL of an empty PostgreSQL database, as the authority's role; SQLite without it", "URL d'une base PostgreSQL vide, avec le rôle de l'autorité ; SQLite sans elle"))
	c.Flags().StringVar(&owner, "ledger-owner", "", say("URL of the same database, as the role of its owner", "URL de la même base, avec le rôle de son propriétaire"))
	return c
}

// call calls a step and reads its answer into out, if not nil.
func call(ctx context.Context, out any, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	command := exec.CommandContext(ctx, self, append([]string{"bench", "--json"}, args...)...)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err = command.Run()
	if err != nil {
		return fmt.Errorf("cpsca bench %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	if out == nil {
		return nil
	}
	err = json.Unmarshal(stdout.Bytes(), out)
	if err != nil {
		return fmt.Errorf("reading the answer of cpsca bench %s: %w", args[0], err)
	}
	return nil
}

// floor measures a house's floor in another process.
func (h house) floor(ctx context.Context, w floorWish) (Floor, error) {
	var f Floor
	err := call(ctx, &f, "floor", "--house", h.folder, "--seconds", strconv.FormatFloat(w.seconds, 'g', -1, 64),
		"--raw-workers", strconv.Itoa(w.raw), "--workers", strconv.Itoa(w.workers), "--sequences", strconv.Itoa(w.sequences), "--file", w.file)
	return f, err
}

// foundElsewhere founds a house in another process, with more flags if it needs
// them.
func foundElsewhere(ctx context.Context, folder string, s suite, flags ...string) (house, error) {
	err := call(ctx, nil, append([]string{"house", "--folder", folder, "--suite", s.name}, flags...)...)
	if err != nil {
		return house{}, err
	}
	return at(folder)
}

// at is the house that is in a folder.
func at(folder string) (house, error) {
	settings, err := config.ReadAuthority(filepath.Join(folder, "authority.yaml"))
	if err != nil {
		return house{}, err
	}
	return house{folder: folder, addresses: addresses{authority: settings.Listen, management: settings.Management}}, nil
}

// errNotOffered is returned by a section that this build or this machine cannot
// run; its text says why.
var errNotOffered = errors.New("not offered")
