package profiles

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Bounds of texts, in Unicode characters after normalisation.
const (
	maxFamilyName   = 64
	maxGivenName    = 64
	maxOrganization = 40
	maxDepartment   = 64
	maxRawText      = 4096 // octets looked at before anything else
)

// unreadable are marks without a picture that are not of category Cf.
var unreadable = []*unicode.RangeTable{unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector}

// normalise composes a text (NFC), turns every run of spaces into one U+0020
// and trims it. It refuses invalid UTF-8, the replacement character, control
// and format characters (bidirectional ones among them), line separators,
// unassigned and private characters, and a combining mark without a base.
// Everything else, apostrophes and hyphens of any kind among it, is kept.
func normalise(field, text string) (string, error) {
	if len(text) > maxRawText {
		return "", refuse(field, ruleCharacters, "is far too long")
	}
	if settled(text) {
		return text, nil
	}
	return compose(field, text)
}

// compose is normalise for any text.
func compose(field, text string) (string, error) {
	if !utf8.ValidString(text) {
		return "", refuse(field, ruleCharacters, "is not valid UTF-8")
	}
	var b strings.Builder
	space := false
	for _, r := range norm.NFC.String(text) {
		if unicode.Is(unicode.Zs, r) {
			space = true
			continue
		}
		if !readable(r) {
			return "", refuse(field, ruleCharacters, "holds a character that names do not have")
		}
		first := b.Len() == 0
		if (first || space) && unicode.Is(unicode.M, r) {
			return "", refuse(field, ruleCharacters, "holds a combining mark without its letter")
		}
		if space && !first {
			b.WriteByte(' ')
		}
		space = false
		b.WriteRune(r)
	}
	return b.String(), nil
}

// settled reports whether a text is as normalise would leave it, for nearly all
// that are: of printable ASCII, of the letters from U+00C0 to U+017F, each of
// which NFC leaves alone among the others, and of the apostrophe U+2019.
func settled(text string) bool {
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == ' ':
			if i == 0 || i == len(text)-1 || text[i-1] == ' ' {
				return false
			}
			i++
		case c > ' ' && c <= '~':
			i++
		default:
			r, size := utf8.DecodeRuneInString(text[i:])
			if (r < 0xc0 || r > 0x17f) && r != '’' {
				return false
			}
			i += size
		}
	}
	return true
}

func readable(r rune) bool {
	if r == utf8.RuneError || unicode.In(r, unreadable...) {
		return false
	}
	return unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S)
}

// normaliseRequired is normalise for a text that may not be empty.
func normaliseRequired(field, text string) (string, error) {
	clean, err := normalise(field, text)
	if err != nil {
		return "", err
	}
	if clean == "" {
		return "", refuse(field, ruleEmpty, "is empty")
	}
	return clean, nil
}

// familyName refuses what is too long: a cut surname may be the name of
// somebody else.
func familyName(text string) (string, error) {
	name, err := normaliseRequired("familyName", text)
	if err != nil {
		return "", err
	}
	if utf8.RuneCountInString(name) > maxFamilyName {
		return "", refuse("familyName", ruleFamilyName, "has more than 64 characters and is never cut")
	}
	return name, nil
}

// givenName drops whole names from the end until the rest fits.
func givenName(text string) (string, error) {
	name, err := normaliseRequired("givenName", text)
	if err != nil {
		return "", err
	}
	for utf8.RuneCountInString(name) > maxGivenName {
		space := strings.LastIndexByte(name, ' ')
		if space < 0 {
			return "", refuse("givenName", ruleGivenName, "begins with a name of more than 64 characters")
		}
		name = name[:space]
	}
	return name, nil
}

// organization cuts the name of a structure at 40 characters, between
// letters with their marks, and trims what the cut leaves.
func organization(text string) (string, error) {
	name, err := normaliseRequired("structure.name", text)
	if err != nil {
		return "", err
	}
	if utf8.RuneCountInString(name) <= maxOrganization {
		return name, nil
	}
	runes := []rune(name)
	end := maxOrganization
	for end > 0 && unicode.Is(unicode.M, runes[end]) {
		end--
	}
	name = strings.TrimRight(string(runes[:end]), " ")
	if name == "" {
		return "", refuse("structure.name", ruleStructure, "is one letter with more than 40 marks")
	}
	return name, nil
}

// department accepts a label and its number, as in "Paris (75)".
func department(text string) (string, error) {
	label, err := normaliseRequired("structure.department", text)
	if err != nil {
		return "", err
	}
	name, number, found := strings.Cut(strings.TrimSuffix(label, ")"), " (")
	digits := strings.Replace(strings.Replace(number, "2A", "20", 1), "2B", "20", 1)
	plain := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) < 0
	switch {
	case !found || name == "" || !strings.HasSuffix(label, ")") || !plain || len(number) < 2 || len(number) > 3:
		return "", refuse("structure.department", ruleDepartment, "is not a label and a number in parentheses")
	case utf8.RuneCountInString(label) > maxDepartment:
		return "", refuse("structure.department", ruleDepartment, "has more than 64 characters")
	}
	return label, nil
}
