package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"
)

// revision is the source that this program was built from; set by the linker.
var revision = "unknown"

// about is which program this is.
type about struct {
	Revision string `json:"revision"` // of the source, as the version control names it
	Go       string `json:"go"`
}

func (s *session) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   say("Say which program this is", "Dit de quel programme il s'agit"),
		Long:    say("Prints the source revision and the Go release of cpsca itself; doctor asks the authority\nfor its own.", "Affiche la révision des sources et la version de Go de cpsca lui-même ; doctor\ndemande la sienne à l'autorité."),
		Example: "  cpsca version\n  cpsca version --json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			a := about{Revision: revision, Go: runtime.Version()}
			return s.print(a, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "cpsca %s (%s)\n", a.Revision, a.Go)
				return err
			})
		},
	}
}

func completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: say("Write the completion script of a shell", "Écrit le script de complétion d'un shell"),
		Long: say("Writes the script that lets a shell (bash, zsh, fish or powershell) complete verbs, flags\nand their values with the Tab key.",
			"Écrit le script grâce auquel un shell (bash, zsh, fish ou powershell) complète verbes,\noptions et valeurs avec la touche Tab."),
		Example:           "  source <(cpsca completion bash)\n  cpsca completion fish > ~/.config/fish/completions/cpsca.fish",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.FixedCompletions([]string{"bash", "zsh", "fish", "powershell"}, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(c *cobra.Command, args []string) error {
			root, out := c.Root(), c.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(out)
			}
			return misused(c, fmt.Sprintf(say("no script for the shell %s", "pas de script pour le shell %s"), args[0]))
		},
	}
}

// helpCommand is `cpsca help VERB…`, the same as `cpsca VERB… --help`.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [VERB…]",
		Short:   say("Explain a verb", "Explique un verbe"),
		Long:    say("Explains a verb, with examples; the same as VERB --help.", "Explique un verbe, avec des exemples ; équivaut à VERB --help."),
		Example: "  cpsca help card show",
		RunE: func(c *cobra.Command, args []string) error {
			found, rest, err := c.Root().Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return unknownVerb(found, rest[0])
			}
			return found.Help()
		},
	}
}

// choices lets shells complete a flag that has few values.
func choices(c *cobra.Command, flag string, values ...string) {
	// The flag exists: it was defined by the caller.
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}
