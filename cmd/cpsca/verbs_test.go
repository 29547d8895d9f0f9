package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// verbsIn is what the help of every command says under a locale.
func verbsIn(t *testing.T, locale string) []verb {
	t.Helper()
	command := exec.Command("cpsca-verbs")
	command.Env = append(os.Environ(), "LC_ALL="+locale)
	output, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var out []verb
	err = json.Unmarshal(output, &out)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEveryVerbIsExplainedInBothLanguages(t *testing.T) {
	english, french := verbsIn(t, "C.UTF-8"), verbsIn(t, "fr_FR.UTF-8")
	if len(english) < 30 || len(english) != len(french) {
		t.Fatalf("got %d verbs in English, %d in French", len(english), len(french))
	}
	for i, e := range english {
		f := french[i]
		t.Run(e.Path, func(t *testing.T) {
			if e.Path != f.Path {
				t.Fatalf("the trees differ: %s and %s", e.Path, f.Path)
			}
			translated(t, "Short", e.Short, f.Short)
			if e.Leaf {
				translated(t, "Long", e.Long, f.Long)
				if !strings.Contains(e.Example, e.Path) {
					t.Errorf("no example of %s: %q", e.Path, e.Example)
				}
			}
			for name, usage := range e.Flags {
				translated(t, "--"+name, usage, f.Flags[name])
			}
		})
	}
}

// translated fails for a text that is missing, the same in both languages, or
// untidy.
func translated(t *testing.T, what, english, french string) {
	t.Helper()
	switch {
	case english == "" || french == "":
		t.Errorf("%s: nothing in one of the languages: %q, %q", what, english, french)
	case english == french:
		t.Errorf("%s: the French text is the English one: %q", what, english)
	}
	for _, text := range []string{english, french} {
		for _, line := range strings.Split(text, "\n") {
			if len([]rune(line)) > 110 || strings.TrimRight(line, " ") != line {
				t.Errorf("%s: a line too long or with spaces at its end: %q", what, line)
			}
		}
	}
}
