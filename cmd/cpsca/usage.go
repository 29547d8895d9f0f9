package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageError is a command line that cannot be understood.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// misused is a usage error of one verb: it shows how the verb is written.
func misused(c *cobra.Command, what string) error {
	return usageError{fmt.Errorf(say("%s\nusage: %s\nmore with: %s --help", "%s\nutilisation : %s\nvoir aussi : %s --help"), what, c.UseLine(), c.CommandPath())}
}

// wrapUsage makes wrong arguments and missing flags usage errors, for every
// verb, and refuses verbs that do not exist.
func wrapUsage(c *cobra.Command) {
	check := c.Args
	c.Args = func(c *cobra.Command, args []string) error {
		missing := missingFlags(c)
		if len(missing) > 0 {
			return misused(c, say("missing: ", "il manque : ")+strings.Join(missing, ", "))
		}
		if check != nil && check(c, args) != nil {
			return misused(c, fmt.Sprintf(say("wrong number of arguments: %d", "mauvais nombre d'arguments : %d"), len(args)))
		}
		return nil
	}
	if c.HasSubCommands() && c.Run == nil && c.RunE == nil {
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownVerb(c, args[0])
			}
			return c.Help()
		}
	}
	for _, sub := range c.Commands() {
		wrapUsage(sub)
	}
}

// missingFlags lists the flags that a verb requires and was not given.
func missingFlags(c *cobra.Command) []string {
	var out []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if len(f.Annotations[cobra.BashCompOneRequiredFlag]) > 0 && !f.Changed {
			out = append(out, "--"+f.Name)
		}
	})
	return out
}

// unknownVerb refuses a verb that does not exist and names those that are
// written almost alike.
func unknownVerb(c *cobra.Command, word string) error {
	text := fmt.Sprintf(say("no such verb: %s %s", "verbe inconnu : %s %s"), c.CommandPath(), word)
	c.SuggestionsMinimumDistance = 2
	alike := c.SuggestionsFor(word)
	if len(alike) > 0 {
		text += fmt.Sprintf(say(" (did you mean %s?)", " (vouliez-vous dire %s ?)"), strings.Join(alike, ", "))
	}
	return usageError{fmt.Errorf(say("%s\nsee the verbs with: %s --help", "%s\nliste des verbes : %s --help"), text, c.CommandPath())}
}

// wrongFlag is what is wrong with a flag, in the language of the reader.
func wrongFlag(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var without *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		return misused(c, fmt.Sprintf(say("no such flag: %s", "option inconnue : %s"), dashed(unknown.GetSpecifiedName())))
	case errors.As(err, &without):
		return misused(c, fmt.Sprintf(say("%s wants a value", "%s attend une valeur"), dashed(without.GetSpecifiedName())))
	case errors.As(err, &invalid):
		kind := invalid.GetFlag().Value.Type()
		if kind == "int" {
			kind = say("a whole number", "un nombre entier")
		}
		return misused(c, fmt.Sprintf(say("--%s wants %s, got %s", "--%s attend %s, pas %s"), invalid.GetFlag().Name, kind, invalid.GetValue()))
	}
	return misused(c, err.Error())
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// frenchUsage are the headings of cobra's help.
var frenchUsage = strings.NewReplacer(
	"Usage:", "Utilisation :",
	"Aliases:", "Autres noms :",
	"Examples:", "Exemples :",
	"Available Commands:", "Verbes :",
	"Additional Commands:", "Autres verbes :",
	"Global Flags:", "Options communes :",
	"Flags:", "Options :",
	"Additional help topics:", "Autres sujets :",
	"{{.CommandPath}} [command]", "{{.CommandPath}} [verbe]",
	"Use \"", "« ",
	" --help\" for more information about a command.", " --help » en dit plus sur un verbe.",
)

// speakUsage sets the language of the help that cobra writes.
func speakUsage(root *cobra.Command) {
	english := root.UsageTemplate()
	root.SetUsageTemplate(say(english, frenchUsage.Replace(english)))
}
