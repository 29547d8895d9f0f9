package registry

import (
	"errors"
	"strings"
	"testing"
)

func TestParseNationalIDKnowsTheKindsOfCards(t *testing.T) {
	for name, test := range map[string]struct {
		text         string
		kind         IDKind
		structure    string
		professional bool
		fictitious   bool
	}{
		"the ADELI number of the golden CPS":        {"00B6087510", KindADELI, "", true, true},
		"an ADELI number of digits":                 {"0759300000", KindADELI, "", true, false},
		"an ADELI number of Corsica":                {"02A9300000", KindADELI, "", true, false},
		"an ADELI number of La Réunion":             {"09D9300000", KindADELI, "", true, false},
		"the staff number of the golden CPE":        {"30B0057881/CPET0002", KindFINESS, "10B0057881", false, true},
		"a staff number of a real FINESS":           {"3760021832/000000018", KindFINESS, "1760021832", false, false},
		"a staff number under a SIRET":              {"500000000029751/CPAT0001", KindSIRET, "300000000029751", false, true},
		"a staff number under an allotted SIRET":    {"518751275100020/A-1_b.2", KindSIRET, "318751275100020", false, false},
		"an RPPS number":                            {"899700075122", KindRPPS, "", true, true},
		"an RPPS number outside the range of tests": {"810000000009", KindRPPS, "", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := ParseNationalID(test.text)
			if err != nil {
				t.Fatal(err)
			}
			structure, staff := id.Structure()
			if id.Kind() != test.kind || structure != test.structure || staff == test.professional {
				t.Fatalf("kind %c, structure %q, %v", id.Kind(), structure, staff)
			}
			if id.Professional() != test.professional || id.Test() != test.fictitious {
				t.Fatalf("professional %v, test %v", id.Professional(), id.Test())
			}
			rpps, ok := id.RPPS()
			if ok != (test.kind == KindRPPS) || ok && "8"+string(rpps) != test.text {
				t.Fatalf("RPPS() = %s, %v", rpps, ok)
			}
		})
	}
}

func TestParseNationalIDSaysWhyItRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want error
	}{
		"nothing":                           {"", ErrIDEmpty},
		"a practice by ADELI":               {"1123456789/1", ErrIDKind},
		"a DRASS number":                    {"2123456789", ErrIDKind},
		"a SIREN":                           {"4123456789/1", ErrIDKind},
		"a practice by RPPS":                {"699700075122001/1", ErrIDKind},
		"a student":                         {"9123456789", ErrIDKind},
		"a letter as the type":              {"A123456789", ErrIDKind},
		"the unused type 7":                 {"7123456789", ErrIDKind},
		"an ADELI number too short":         {"012345678", ErrIDShape},
		"an ADELI number in small letters":  {"00b6087510", ErrIDShape},
		"a FINESS without register number":  {"30B0057881", ErrIDShape},
		"an empty register number":          {"30B0057881/", ErrIDShape},
		"a register number with an at sign": {"30B0057881/a@b", ErrIDShape},
		"a register number with a slash":    {"30B0057881/a/b", ErrIDShape},
		"a register number of 33":           {"30B0057881/" + strings.Repeat("1", 33), ErrIDShape},
		"a FINESS of ten":                   {"30B00578811/1", ErrIDShape},
		"a SIRET with a letter":             {"51875127510002A/1", ErrIDShape},
		"an RPPS number with a wrong key":   {"810102727017", ErrRPPSKey},
		"an RPPS number too short":          {"81010272701", ErrRPPSLength},
		"an RPPS number with a letter":      {"8101027270A7", ErrRPPSDigit},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseNationalID(test.text)
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if len(test.text) > 3 && strings.Contains(err.Error(), test.text[1:]) {
				t.Fatalf("the error repeats the identifier: %v", err)
			}
		})
	}
}

func TestAnEmptyIdentifierAnswersWithoutPanic(t *testing.T) {
	var id NationalID
	_, staff := id.Structure()
	_, rpps := id.RPPS()
	if id.Kind() != 0 || staff || rpps || id.Professional() || id.Test() {
		t.Fatal("the empty identifier says that it is something")
	}
}

func FuzzParseNationalID(f *testing.F) {
	for _, seed := range []string{
		"899700075122", "00B6087510", "30B0057881/CPET0002", "500000000029751/CPAT0001", "", "8", "3/", "810102727017",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ParseNationalID(text)
		if err != nil {
			return
		}
		again, err := ParseNationalID(string(id))
		if err != nil || again != id || string(id) != text {
			t.Fatalf("%q does not come back: %q, %v", text, again, err)
		}
		rpps, ok := id.RPPS()
		_, err = ParseRPPS(string(rpps))
		if ok && err != nil {
			t.Fatalf("%q holds an invalid RPPS number: %v", text, err)
		}
		structure, staff := id.Structure()
		if staff == id.Professional() || staff && !strings.Contains(text, structure[1:]+"/") {
			t.Fatalf("%q: structure %q, %v, professional %v", text, structure, staff, id.Professional())
		}
		if len(text) > 64 {
			t.Fatalf("%q is longer than a common name", text)
		}
	})
}
