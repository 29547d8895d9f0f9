package language

import "testing"

func TestTheLocaleChoosesTheLanguage(t *testing.T) {
	cases := map[string]struct {
		env  map[string]string
		want bool
	}{
		"no locale at all":           {nil, false},
		"a French terminal":          {map[string]string{"LANG": "fr_FR.UTF-8"}, true},
		"messages alone in French":   {map[string]string{"LANG": "en_GB.UTF-8", "LC_MESSAGES": "fr_FR.UTF-8"}, true},
		"LC_ALL goes before the two": {map[string]string{"LANG": "fr_FR", "LC_MESSAGES": "fr_FR", "LC_ALL": "C"}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := speaksFrench(func(name string) string { return c.env[name] })
			if got != c.want {
				t.Fatalf("got %v, want %v", got, c.want)
			}
		})
	}
}
