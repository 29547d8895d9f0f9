package profiles

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func refusal(t *testing.T, err error) *Refusal {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) {
		t.Fatalf("got %v, want a *Refusal", err)
	}
	return r
}

func TestTextsAreKeptAsRegisteredOrNormalised(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"plain capitals stay", "DURAND", "DURAND"},
		{"a straight apostrophe stays", "D'ARTAGNAN", "D'ARTAGNAN"},
		{"a curly apostrophe stays", "L’HERMITE", "L’HERMITE"},
		{"hyphens stay", "LE-GOFF‐MARTIN", "LE-GOFF‐MARTIN"},
		{"composed accents stay", "Éloïse", "Éloïse"},
		{"combining accents are composed", "E\u0301loi\u0308se", "Éloïse"},
		{"a combining mark without composed form stays on its letter", "x\u0301", "x\u0301"},
		{"marks are put into canonical order", "a\u0323\u0302", "\u1ead"},
		{"ligatures stay", "Cœur Æsop", "Cœur Æsop"},
		{"spaces around are trimmed", "  DE LA TOUR ", "DE LA TOUR"},
		{"runs of spaces become one", "DE   LA  TOUR", "DE LA TOUR"},
		{"spaces of any kind become one plain space", "DE\u00a0LA\u202f\u2003TOUR", "DE LA TOUR"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := normaliseRequired("familyName", tt.text)
			if err != nil || got != tt.want {
				t.Fatalf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestRefusesBySection4_1CharactersThatNamesDoNotHave(t *testing.T) {
	for name, text := range map[string]string{
		"invalid UTF-8":                      "DUR\xffAND",
		"the replacement character":          "DUR\ufffdAND",
		"NUL":                                "DUR\x00AND",
		"a tab":                              "DUR\tAND",
		"a line feed":                        "DUR\nAND",
		"DEL":                                "DUR\x7fAND",
		"a C1 control":                       "DUR\u0085AND",
		"right-to-left override":             "DUR\u202eAND",
		"left-to-right isolate":              "DUR\u2066AND",
		"right-to-left mark":                 "DUR\u200fAND",
		"a zero width space":                 "DUR\u200bAND",
		"a byte order mark":                  "\ufeffDURAND",
		"a soft hyphen":                      "DUR\u00adAND",
		"a variation selector":               "DUR\ufe0fAND",
		"a Hangul filler":                    "DUR\u3164AND",
		"a line separator":                   "DUR\u2028AND",
		"a private character":                "DUR\ue000AND",
		"an unassigned character":            "DUR\U000e0fffAND",
		"a combining mark at the beginning":  "\u0301DURAND",
		"a combining mark behind a space":    "DU \u0301RAND",
		"far more text than any name has":    strings.Repeat("A", 5000),
		"more than thirty marks on a letter": "DURA" + strings.Repeat("\u0301", 31) + "ND",
		"a combining mark behind a NBSP run": "DU\u00a0\u00a0\u0301RAND",
	} {
		t.Run(name, func(t *testing.T) {
			for _, h := range []Holder{{FamilyName: text, GivenName: "A"}, {FamilyName: "A", GivenName: text}} {
				h.ID, h.Profession = nurse().ID, 60
				_, err := checkHolder(t, CPSSignature, h)
				r := refusal(t, err)
				want := "familyName"
				if h.FamilyName == "A" {
					want = "givenName"
				}
				if r.Rule != ruleCharacters || r.Field != want {
					t.Fatalf("got %s (%s), want %s (%s)", r.Field, r.Rule, want, ruleCharacters)
				}
				if strings.Contains(err.Error(), "AND") {
					t.Fatalf("the error quotes the name: %v", err)
				}
			}
		})
	}
}

func checkHolder(t testing.TB, name Name, h Holder) (*Checked, error) {
	t.Helper()
	leaf := testLeaf(t, name)
	leaf.Holder = h
	return compile(t, name, testIssuer(t), demoSettings("issuing")).Check(leaf)
}

func TestRefusesBySection4_3EmptyFieldsByName(t *testing.T) {
	for _, empty := range []string{"", "   ", "\u00a0"} {
		h := nurse()
		h.FamilyName = empty
		_, err := checkHolder(t, CPSSignature, h)
		if r := refusal(t, err); r.Field != "familyName" || r.Rule != ruleEmpty {
			t.Fatalf("family name %q: %v", empty, err)
		}
		h = nurse()
		h.GivenName = empty
		_, err = checkHolder(t, CPSSignature, h)
		if r := refusal(t, err); r.Field != "givenName" || r.Rule != ruleEmpty {
			t.Fatalf("given name %q: %v", empty, err)
		}
		h = staff()
		h.Structure.Name = empty
		_, err = checkHolder(t, CPESignature, h)
		if r := refusal(t, err); r.Field != "structure.name" || r.Rule != ruleEmpty {
			t.Fatalf("structure %q: %v", empty, err)
		}
		h = staff()
		h.Structure.Department = empty
		_, err = checkHolder(t, CPESignature, h)
		if r := refusal(t, err); r.Field != "structure.department" || r.Rule != ruleEmpty {
			t.Fatalf("department %q: %v", empty, err)
		}
	}
}

func TestRefusesBySection4_4FamilyNamesThatWouldHaveToBeCut(t *testing.T) {
	long := strings.Repeat("É", 64)
	got, err := familyName(long)
	if err != nil || got != long {
		t.Fatalf("64 characters: got %q, %v", got, err)
	}
	got, err = familyName(strings.Repeat("E\u0301", 64))
	if err != nil || got != long {
		t.Fatalf("64 characters once composed: got %q, %v", got, err)
	}
	_, err = familyName(long + "É")
	if r := refusal(t, err); r.Rule != ruleFamilyName {
		t.Fatalf("65 characters: %v", err)
	}
}

func TestGivenNamesLoseWholeNamesFromTheEnd(t *testing.T) {
	first := strings.Repeat("A", 30)
	for _, tt := range []struct{ name, text, want string }{
		{"64 characters stay", first + " " + strings.Repeat("B", 33), first + " " + strings.Repeat("B", 33)},
		{"a third name that does not fit goes", first + " " + first + " CCCC", first + " " + first},
		{"a second name that does not fit goes whole", first + " " + strings.Repeat("B", 34), first},
		{"a first name of 64 stays alone", strings.Repeat("A", 64) + " B", strings.Repeat("A", 64)},
		{"a compound name is one name", "Jean-Pierre " + strings.Repeat("X", 60), "Jean-Pierre"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := givenName(tt.text)
			if err != nil || got != tt.want {
				t.Fatalf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestRefusesBySection4_5AFirstGivenNameOfMoreThan64(t *testing.T) {
	_, err := givenName(strings.Repeat("A", 65) + " Anne")
	if r := refusal(t, err); r.Rule != ruleGivenName || r.Field != "givenName" {
		t.Fatal(err)
	}
}

func TestStructureNamesAreCutAt40BetweenLettersWithTheirMarks(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"as the field cuts", "AGENCE DES SYSTEMES D'INFORMATION PARTAGES DE SANTE", "AGENCE DES SYSTEMES D'INFORMATION PARTAG"},
		{"40 characters stay", strings.Repeat("A", 40), strings.Repeat("A", 40)},
		{"a space at the cut is trimmed", strings.Repeat("A", 39) + " BBB", strings.Repeat("A", 39)},
		{"a mark stays with its letter", strings.Repeat("A", 39) + "x\u0301B", strings.Repeat("A", 39)},
		{"two marks stay with their letter", strings.Repeat("A", 38) + "x\u0323\u0301B", strings.Repeat("A", 38)},
		{"a letter with its mark that fits stays", strings.Repeat("A", 38) + "x\u0301B", strings.Repeat("A", 38) + "x\u0301"},
		{"composed letters count as one", strings.Repeat("e\u0301", 41), strings.Repeat("é", 40)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := organization(tt.text)
			if err != nil || got != tt.want {
				t.Fatalf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestRefusesBySection4_6AStructureOfOneLetterAndItsMarks(t *testing.T) {
	_, err := organization("x" + strings.Repeat("\u0488", 50))
	if r := refusal(t, err); r.Rule != ruleStructure {
		t.Fatal(err)
	}
}

func TestRefusesBySection4_8DepartmentsOfAnotherShape(t *testing.T) {
	for _, good := range []string{"Paris (75)", "Corse-du-Sud (2A)", "La Réunion (974)", "Seine-Maritime (76)"} {
		got, err := department(good)
		if err != nil || got != good {
			t.Fatalf("%s: got %q, %v", good, got, err)
		}
	}
	for _, bad := range []string{"Paris", "75", "(75)", " (75)", "Paris (7)", "Paris (9999)", "Paris (AB)", "Paris (75", "Paris(75)", strings.Repeat("P", 60) + " (75)"} {
		_, err := department(bad)
		r := refusal(t, err)
		if r.Rule != ruleDepartment {
			t.Fatalf("%q: %v", bad, err)
		}
	}
}

// Each character that is settled by itself is so between and behind others.
func TestWhatIsSettledIsWhatNormalisingWouldLeave(t *testing.T) {
	for r := rune(0); r <= 0x2100; r++ {
		for _, text := range []string{string(r), "a" + string(r), string(r) + "a", "é" + string(r) + string(r) + "’"} {
			if !settled(text) {
				continue
			}
			got, err := compose("text", text)
			if err != nil || got != text {
				t.Fatalf("%q is not settled: %q, %v", text, got, err)
			}
		}
	}
	for _, text := range []string{"L’Hôpital-Durand", "Zoé Anne", "MÜLLER", "Œuvrard", "Infirmier en pratique avancée"} {
		if !settled(text) {
			t.Errorf("%q goes the long way", text)
		}
	}
}

// FuzzTexts: what normalise lets through is valid, composed, without controls,
// and normalising it again changes nothing; both ways through it agree.
func FuzzTexts(f *testing.F) {
	for _, seed := range []string{"", " a ", "E\u0301", "\u0344", "a\u202eb", "\u2126", "\xc3", "x\u0301 \u0301"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		clean, err := normalise("text", text)
		if settled(text) {
			long, refused := compose("text", text)
			if err != nil || refused != nil || clean != long {
				t.Fatalf("%q became %q, %v one way and %q, %v the other", text, clean, err, long, refused)
			}
		}
		if err != nil {
			return
		}
		if !utf8.ValidString(clean) || !norm.NFC.IsNormalString(clean) || strings.Contains(clean, "  ") || clean != strings.TrimSpace(clean) {
			t.Fatalf("%q became %q", text, clean)
		}
		for _, r := range clean {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError {
				t.Fatalf("%q became %q", text, clean)
			}
		}
		again, err := normalise("text", clean)
		if err != nil || again != clean {
			t.Fatalf("%q became %q, then %q, %v", text, clean, again, err)
		}
		for _, rule := range []func(string) (string, error){familyName, givenName, organization} {
			got, err := rule(text)
			if err == nil && (got == "" || utf8.RuneCountInString(got) > 64 || !norm.NFC.IsNormalString(got)) {
				t.Fatalf("%q became %q", text, got)
			}
		}
	})
}
