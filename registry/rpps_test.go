package registry

import (
	"errors"
	"testing"
)

// validNumbers are fictitious numbers that the ANS uses in its test material.
var validNumbers = []string{
	"99700075064", "99700075122", "99700735741", "99700218896", "99700427885", "99700366240", "99700245667", "99700245220",
	"99700234190", "99700343942",
}

func TestParseRPPSAcceptsTheNumbersOfTheTestMaterial(t *testing.T) {
	for _, number := range validNumbers {
		rpps, err := ParseRPPS(number)
		if err != nil {
			t.Fatalf("ParseRPPS(%s) = %v", number, err)
		}
		if !rpps.Test() {
			t.Fatalf("%s is not recognised as a test number", number)
		}
		if got, want := rpps.NationalID(), NationalID("8"+number); got != want {
			t.Fatalf("NationalID() = %s, want %s", got, want)
		}
		key, err := LuhnKey(number[:10])
		if err != nil || key != number[10] {
			t.Fatalf("LuhnKey(%s) = %c, %v, want %c", number[:10], key, err, number[10])
		}
	}
}

func TestParseRPPSSaysWhyItRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want error
	}{
		"the number of a published example with a wrong key": {"10102727017", ErrRPPSKey},
		"another published number with a wrong key":          {"10107582544", ErrRPPSKey},
		"a vendor's counting number":                         {"01234567890", ErrRPPSKey},
		"two digits swapped":                                 {"99700705122", ErrRPPSKey},
		"nothing":                                            {"", ErrRPPSLength},
		"ten digits":                                         {"9970007512", ErrRPPSLength},
		"twelve digits":                                      {"899700075122", ErrRPPSLength},
		"a letter":                                           {"9970007512A", ErrRPPSDigit},
		"a space in front":                                   {" 9970007512", ErrRPPSDigit},
		"digits of another script":                           {"٩٩٧٠٠a", ErrRPPSDigit},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseRPPS(test.text)
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestTestNumbersAreThoseThatStartWith997(t *testing.T) {
	if RPPS("10000000000").Test() || RPPS("").Test() || RPPS("997").Test() {
		t.Fatal("a number outside 997… counts as a test number")
	}
}

func TestLuhnKeyRefusesWhatIsNotTenDigits(t *testing.T) {
	_, err := LuhnKey("997000751")
	if !errors.Is(err, ErrRPPSLength) {
		t.Fatalf("nine digits: %v", err)
	}
	_, err = LuhnKey("997000751x")
	if !errors.Is(err, ErrRPPSDigit) {
		t.Fatalf("a letter: %v", err)
	}
}

func FuzzParseRPPS(f *testing.F) {
	for _, number := range validNumbers {
		f.Add(number)
	}
	f.Add("10102727017")
	f.Add("٩٩٧٠٠a")
	f.Fuzz(func(t *testing.T, text string) {
		rpps, err := ParseRPPS(text)
		if err != nil {
			if !errors.Is(err, ErrRPPSLength) && !errors.Is(err, ErrRPPSDigit) && !errors.Is(err, ErrRPPSKey) {
				t.Fatalf("refused without a reason: %v", err)
			}
			return
		}
		key, err := LuhnKey(text[:10])
		if err != nil || text[:10]+string(key) != string(rpps) {
			t.Fatalf("%q is accepted but its key is %c, %v", text, key, err)
		}
	})
}
