package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"cpsca/client"
	"cpsca/cmd/cpsca/bench"
	"cpsca/cmd/cpsca/demo"
	"cpsca/cmd/internal/language"
	"cpsca/config"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// say chooses between the two languages of every message.
var say = language.Say

// The exit codes, as in the command's documentation.
const (
	exitFailed  = 1
	exitUsage   = 2
	exitRefused = 3
	exitPartial = 4
	exitAgain   = 5
)

// terminal is where a command reads and writes.
type terminal struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// session is what the verbs share: flags, configuration, streams.
type session struct {
	terminal
	config string
	as     string
	json   bool
}

// errPartial: the batch went through and some of its lines were refused.
var errPartial = errors.New("some lines were refused")

func run(ctx context.Context, args []string, t terminal) int {
	s := &session{terminal: t}
	root := s.root()
	root.SetArgs(args)
	root.SetIn(t.in)
	root.SetOut(t.out)
	root.SetErr(t.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if !errors.Is(err, errPartial) {
		fmt.Fprintln(t.err, "cpsca:", explain(err))
	}
	return exitCode(err)
}

func exitCode(err error) int {
	var usage usageError
	var problem *client.Problem
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, errPartial):
		return exitPartial
	case errors.As(err, &problem) && problem.Status < 500 || refusedConnection(err):
		return exitRefused
	case errors.As(err, &problem):
		return exitAgain
	case unreachable(err):
		return exitAgain
	}
	return exitFailed
}

func (s *session) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "cpsca",
		Short: say("Run the certificate authority of health professional cards", "Exploite l'autorité de certification des cartes de professionnels de santé"),
		Long: say(`cpsca runs a certificate authority for the cards of health professionals.

Most verbs speak to cpsca-authority over mutually authenticated TLS, with one of
the identities of the configuration: the first that has the role the verb needs,
or the one named by --as.

Exit codes: 0 done, 1 failed, 2 wrong command line, 3 refused by the authority,
4 part of a batch was refused, 5 authority unreachable or busy (try again).`,
			`cpsca exploite une autorité de certification pour les cartes de professionnels
de santé.

La plupart des verbes s'adressent à cpsca-authority par TLS mutuel, avec une des
identités de la configuration : la première qui a le rôle nécessaire, ou celle que
nomme --as.

Codes de sortie : 0 fait, 1 échec, 2 ligne de commande incorrecte, 3 refus de
l'autorité, 4 refus d'une partie d'un lot, 5 autorité injoignable ou occupée.`),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(wrongFlag)
	speakUsage(root)
	flags := root.PersistentFlags()
	flags.StringVarP(&s.config, "config", "c", defaultConfig(), say("configuration file (or CPSCA_CONFIG)", "fichier de configuration (ou CPSCA_CONFIG)"))
	flags.StringVar(&s.as, "as", "", say("name of the identity to speak with", "nom de l'identité à utiliser"))
	flags.BoolVar(&s.json, "json", false, say("print JSON", "répondre en JSON"))
	flags.BoolP("help", "h", false, say("explain the verb", "expliquer le verbe"))
	_ = root.RegisterFlagCompletionFunc("as", s.completeIdentities) // the flag exists: it was defined above
	root.CompletionOptions.DisableDefaultCmd = true                 // ours speaks both languages
	root.SetHelpCommand(helpCommand())
	root.AddCommand(s.initCommand(), s.tokenCommand(), s.doctorCommand(), s.registryCommand(), s.orderCommand(), s.personaliseCommand(),
		s.cardCommand(), s.lossCommand(), s.certCommand(), s.crlCommand(), s.journalCommand(), demo.Command(),
		bench.Command(bench.Tools{Progress: func(what string, total int64) (func(int64), func()) { return s.progress(what, total, false) }, Misused: misused}), completionCommand(), s.versionCommand())
	wrapUsage(root)
	return root
}

func defaultConfig() string {
	path := os.Getenv("CPSCA_CONFIG")
	if path != "" {
		return path
	}
	return "var/run/cpsca.yaml"
}

func (s *session) settings() (*config.Client, error) {
	c, err := config.ReadClient(s.config)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf(say("there is no configuration %s\n(make a house with `cpsca init`, or name its cpsca.yaml with --config or CPSCA_CONFIG)",
			"il n'y a pas de configuration %s\n(créez une autorité avec `cpsca init`, ou nommez son cpsca.yaml avec --config ou CPSCA_CONFIG)"), s.config)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.config, err)
	}
	return c, nil
}

// print writes a value as JSON with --json, or as the text that write makes.
func (s *session) print(value any, write func(io.Writer) error) error {
	if s.json {
		encoder := json.NewEncoder(s.out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(value)
	}
	return write(s.out)
}

// interactive says whether messages go to a person: then progress is drawn.
func (s *session) interactive() bool {
	f, ok := s.err.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
