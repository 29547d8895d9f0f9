package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"cpsca/cmd/internal/founding"
	"cpsca/hsm"
	"cpsca/officer"

	"github.com/spf13/cobra"
)

func (s *session) initCommand() *cobra.Command {
	plan := founding.Plan{}
	var preset string
	c := &cobra.Command{
		Use:   "init",
		Short: say("Found a test authority on SoftHSM in a new folder", "Fonde une autorité de test sur SoftHSM dans un nouveau dossier"),
		Long: say(`Founds a house: tokens, keys, both hierarchies, the ledger, the first officers
(at least two persons), the identities of services, and the configurations of the
three commands. A folder that exists is refused and left as it is.

Presets:
  igc-sante   RSA-4096 root and issuer, RSA-2048 cards, good when recorded (gate chip)
  elliptic    P-384 root, P-256 issuer and cards, on hold until activated (gate hold)`,
			`Fonde une autorité : jetons, clés, les deux hiérarchies, le grand livre, les premiers
officiers (deux personnes au moins), les identités des services et la configuration
des trois commandes. Un dossier existant est refusé et reste intact.

Modèles :
  igc-sante   racine et émetteur RSA-4096, cartes RSA-2048, bons dès l'émission (gate chip)
  elliptic    racine P-384, émetteur et cartes P-256, suspendus jusqu'à l'activation (gate hold)`),
		Example: `  cpsca init --folder var/run --officer "Alice Martin" --officer "Bruno Petit"
  cpsca init --folder var/ec --preset elliptic --officer "Alice Martin" --officer "Bruno Petit" \
      --listen 127.0.0.1:9443 --status 127.0.0.1:9480`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var ok bool
			plan.Preset, ok = founding.PresetNamed(preset)
			if !ok {
				return usageError{fmt.Errorf(say("no such preset: %s; there are %s and %s", "modèle inconnu : %s ; il y a %s et %s"), preset, founding.IGCSante.Name, founding.Elliptic.Name)}
			}
			return s.found(c.Context(), plan)
		},
	}
	flags := c.Flags()
	flags.StringVar(&plan.Folder, "folder", "var/run", say("where the house will be; must not exist", "dossier de l'autorité ; ne doit pas exister"))
	flags.StringVar(&preset, "preset", "igc-sante", say("igc-sante or elliptic", "igc-sante ou elliptic"))
	choices(c, "preset", founding.IGCSante.Name, founding.Elliptic.Name)
	flags.StringVar(&plan.Organisation, "organisation", "CPSCA DEMONSTRATION", say("name in every certificate of the hierarchy", "nom porté par la hiérarchie"))
	flags.StringArrayVar(&plan.Officers, "officer", nil, say("first security officer, twice or more", "premier officier de sécurité, deux fois ou plus"))
	flags.StringVar(&plan.Authority, "listen", "127.0.0.1:8443", say("address of the authority (mTLS)", "adresse de l'autorité (mTLS)"))
	flags.StringVar(&plan.Management, "management", "127.0.0.1:8444", say("address of its health page", "adresse de sa page de santé"))
	flags.StringVar(&plan.Status, "status", "127.0.0.1:8480", say("address of the status service (OCSP, lists)", "adresse du service de statut (OCSP, listes)"))
	flags.StringVar(&plan.StatusManagement, "status-management", "127.0.0.1:8481", say("address of its health page", "adresse de sa page de santé"))
	flags.StringVar(&plan.Ledger, "ledger", "", say("PostgreSQL database of the ledger (URL, no password); a file without it",
		"base PostgreSQL du registre (URL sans mot de passe) ; sinon un fichier"))
	flags.StringVar(&plan.LedgerOwner, "ledger-owner", "", say("URL of the same database as the role that will own its tables", "URL de la même base avec le rôle propriétaire de ses tables"))
	flags.StringVar(&plan.Module, "module", "", say("SoftHSM library, if it is not in a usual place", "bibliothèque SoftHSM, si elle n'est pas à sa place habituelle"))
	return c
}

func (s *session) found(ctx context.Context, plan founding.Plan) error {
	plan.CreateToken = createTokenElsewhere
	if s.interactive() {
		plan.Progress = func(step string) { fmt.Fprintln(s.err, "…", say(step, frenchSteps[step])) }
	}
	err := checkOfficers(plan.Officers)
	if err != nil {
		return err
	}
	err = os.MkdirAll(filepath.Dir(plan.Folder), 0o755)
	if err != nil {
		return err
	}
	err = founding.Found(ctx, plan)
	switch {
	case errors.Is(err, founding.ErrOfficers):
		return usageError{errors.New(say("at least two different persons must be the first officers: --officer NAME, once for each",
			"deux personnes différentes au moins doivent être les premiers officiers : --officer NOM, une fois pour chacune"))}
	case errors.Is(err, founding.ErrExists):
		return fmt.Errorf(say("%s exists already and is left as it is; choose another --folder", "%s existe déjà et reste intact ; choisissez un autre --folder"), plan.Folder)
	case err != nil:
		return err
	}
	configuration := filepath.Join(plan.Folder, "cpsca.yaml")
	return s.print(map[string]string{"folder": plan.Folder, "config": configuration}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, say("The house is in %s. Start it with\n  cpsca-authority --config %s/authority.yaml\n  cpsca-status --config %s/status.yaml\nand work with\n  cpsca --config %s …\n",
			"L'autorité est dans %s. Lancez-la avec\n  cpsca-authority --config %s/authority.yaml\n  cpsca-status --config %s/status.yaml\net travaillez avec\n  cpsca --config %s …\n"),
			plan.Folder, plan.Folder, plan.Folder, configuration)
		return err
	})
}

// frenchSteps are the steps of founding.
var frenchSteps = map[string]string{
	"tokens": "jetons", "keys": "clés", "ledger": "registre", "hierarchies": "hiérarchies",
	"first people and services": "premières personnes et premiers services", "lists of the roots": "listes des racines",
	"configurations": "configurations",
}

// checkOfficers refuses names that no officer can be enrolled under.
func checkOfficers(names []string) error {
	for _, name := range names {
		err := officer.Enrolment{Person: name, Role: officer.SecurityOfficer}.Validate()
		if err != nil {
			return usageError{fmt.Errorf(say("--officer %q: names are printable ASCII, without accents (%w)", "--officer %q : les noms s'écrivent en ASCII, sans accents (%w)"), name, err)}
		}
	}
	return nil
}

// createTokenElsewhere makes a token in another process: SoftHSM knows one
// configuration per process, and this one uses the authority's.
func createTokenElsewhere(ctx context.Context, softhsm, label, pinFile string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	command := exec.CommandContext(ctx, self, "token", "create", "--folder", softhsm, "--label", label, "--pin-file", pinFile)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // it must not write into a house that was given up
	output, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("creating token %s: %w: %s", label, err, strings.TrimSpace(string(output)))
	}
	return nil
}

func (s *session) tokenCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "token",
		Short: say("Make software tokens", "Crée des jetons logiciels"),
	}
	var folder, label, pinFile, module string
	create := &cobra.Command{
		Use:   "create",
		Short: say("Make a SoftHSM token with a random PIN in a file", "Crée un jeton SoftHSM avec un PIN aléatoire dans un fichier"),
		Long: say("Makes a SoftHSM token in a folder (its configuration is written there if it has none)\nand writes a random PIN to a new file of mode 0600. Existing tokens and files are refused.",
			"Crée un jeton SoftHSM dans un dossier (sa configuration y est écrite s'il n'en a pas)\net écrit un PIN aléatoire dans un nouveau fichier en mode 0600. Rien d'existant n'est touché."),
		Example: "  cpsca token create --folder var/status-hsm --label status --pin-file var/status.pin",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			var err error
			if module == "" {
				module, err = hsm.FindSoftHSM()
				if err != nil {
					return err
				}
			}
			softhsm, err := hsm.WriteSoftHSM(folder)
			if err != nil {
				return err
			}
			err = founding.CreateToken(module, softhsm, label, pinFile)
			if err != nil {
				return err
			}
			return s.print(map[string]string{"folder": folder, "label": label, "pin_file": pinFile}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, say("token %s is in %s, its PIN in %s\n", "le jeton %s est dans %s, son PIN dans %s\n"), label, folder, pinFile)
				return err
			})
		},
	}
	flags := create.Flags()
	flags.StringVar(&folder, "folder", "", say("folder of the tokens", "dossier des jetons"))
	flags.StringVar(&label, "label", "", say("label of the token", "étiquette du jeton"))
	flags.StringVar(&pinFile, "pin-file", "", say("new file for the PIN", "nouveau fichier pour le PIN"))
	flags.StringVar(&module, "module", "", say("SoftHSM library", "bibliothèque SoftHSM"))
	for _, name := range []string{"folder", "label", "pin-file"} {
		_ = create.MarkFlagRequired(name) // the flags exist: they were defined above
	}
	c.AddCommand(create)
	return c
}
