package registry

import (
	"errors"
	"fmt"
	"strings"
)

// Reasons for which a text is not a national identifier of a card holder; test with errors.Is. A wrong RPPS number inside an
// identifier of type 8 gives the reasons of ParseRPPS.
var (
	// ErrIDEmpty means that there is no text at all.
	ErrIDEmpty = errors.New("national identifier is empty")
	// ErrIDKind means that the type digit is unknown, obsolete, or of a kind that is never written on a card.
	ErrIDKind = errors.New("national identifier is of a type that no card carries")
	// ErrIDShape means that what follows the type digit does not have the length or the characters of that type.
	ErrIDShape = errors.New("national identifier does not have the shape of its type")
)

// IDKind is the type of a national identifier, the first character of a PS_IdNat (table G08).
type IDKind byte

// The kinds that cards carry (table G08). All others are refused by ParseNationalID.
const (
	// KindADELI: 0 and nine digits or capital letters; being phased out, professions move to the RPPS.
	KindADELI IDKind = '0'
	// KindFINESS: 3, the nine characters of a FINESS number, a slash, and the number of the staff register of that structure.
	KindFINESS IDKind = '3'
	// KindSIRET: 5, the fourteen digits of a SIRET number, a slash, and the number of the staff register of that structure.
	KindSIRET IDKind = '5'
	// KindRPPS: 8 and an RPPS number.
	KindRPPS IDKind = '8'
)

const (
	adeliLength          = 9
	finessLength         = 9
	siretLength          = 14
	registerNumberLength = 32
)

// refusedKinds says, for the type digits of table G08 that no card carries today, what they were.
var refusedKinds = map[byte]string{
	'1': "practice by its ADELI number",
	'2': "DRASS number, obsolete",
	'4': "SIREN and register number",
	'6': "practice by its RPPS number",
	'9': "student number, obsolete since 2020",
}

// NationalID is the national identifier of a card holder (PS_IdNat): a type digit and an identifier, without spaces. It is the
// CN of the certificates. A value made by ParseNationalID is valid; one converted from a string is not checked.
type NationalID string

// ParseNationalID checks text against the kinds that cards carry. A register number has 1 to 32 characters among letters
// without accent, digits, '-', '_' and '.', since it becomes a part of the certificate's CN and of the UPN. The error is
// ErrIDEmpty, ErrIDKind, ErrIDShape or a reason of ParseRPPS and never quotes the identifier.
func ParseNationalID(text string) (NationalID, error) {
	if text == "" {
		return "", ErrIDEmpty
	}
	rest := text[1:]
	switch kind := IDKind(text[0]); kind {
	case KindADELI:
		if len(rest) != adeliLength || !allUpperAlphanumeric(rest) {
			return "", fmt.Errorf("%w: 0 is followed by 9 digits or capital letters (ADELI)", ErrIDShape)
		}
	case KindFINESS:
		structure, register, _ := strings.Cut(rest, "/")
		if len(structure) != finessLength || !allUpperAlphanumeric(structure) || !registerNumber(register) {
			return "", fmt.Errorf("%w: 3 is followed by a FINESS number of 9 characters, a slash and a register number", ErrIDShape)
		}
	case KindSIRET:
		structure, register, _ := strings.Cut(rest, "/")
		if len(structure) != siretLength || !allDigits(structure) || !registerNumber(register) {
			return "", fmt.Errorf("%w: 5 is followed by a SIRET number of 14 digits, a slash and a register number", ErrIDShape)
		}
	case KindRPPS:
		_, err := ParseRPPS(rest)
		if err != nil {
			return "", err
		}
	default:
		was, known := refusedKinds[text[0]]
		if !known {
			return "", fmt.Errorf("%w: unknown type", ErrIDKind)
		}
		return "", fmt.Errorf("%w: type %c (%s)", ErrIDKind, text[0], was)
	}
	return NationalID(text), nil
}

// Kind returns the type digit, 0 for an empty identifier.
func (id NationalID) Kind() IDKind {
	if id == "" {
		return 0
	}
	return IDKind(id[0])
}

// RPPS returns the RPPS number of an identifier of that kind, and false for all others.
func (id NationalID) RPPS() (RPPS, bool) {
	if id.Kind() != KindRPPS {
		return "", false
	}
	return RPPS(id[1:]), true
}

// Structure returns the structure that an identifier of staff names, as the OU of its certificates writes it: the type digit of
// table G07 (1 for FINESS, 3 for SIRET) and the number. It returns false for professionals.
func (id NationalID) Structure() (string, bool) {
	structure, ok := id.structureNumber()
	if !ok {
		return "", false
	}
	if id.Kind() == KindFINESS {
		return "1" + structure, true
	}
	return "3" + structure, true
}

// Professional reports whether the identifier names a professional (ADELI or RPPS) and not the staff of a structure.
func (id NationalID) Professional() bool {
	return id.Kind() == KindADELI || id.Kind() == KindRPPS
}

// Test reports whether the identifier is fictitious: an RPPS number 997…; an ADELI or FINESS number with a letter elsewhere than
// in a department of Corsica (2A, 2B) or overseas (9A to 9F), as in 0B6087510; a SIRET number that starts with 000, which INSEE does not allot.
func (id NationalID) Test() bool {
	switch id.Kind() {
	case KindRPPS:
		return RPPS(id[1:]).Test()
	case KindADELI:
		return fictitiousDepartment(string(id[1:]))
	case KindFINESS:
		structure, _ := id.structureNumber()
		return fictitiousDepartment(structure)
	case KindSIRET:
		return strings.HasPrefix(string(id[1:]), "000")
	}
	return false
}

func (id NationalID) structureNumber() (string, bool) {
	if id.Kind() != KindFINESS && id.Kind() != KindSIRET {
		return "", false
	}
	structure, _, found := strings.Cut(string(id[1:]), "/")
	return structure, found
}

// fictitiousDepartment looks for a letter that no real number has. Real ones write the departments of Corsica 2A and 2B, and
// ADELI those overseas 9A to 9F.
func fictitiousDepartment(number string) bool {
	if len(number) >= 2 {
		corsican := number[0] == '2' && number[1] >= 'A' && number[1] <= 'B'
		overseas := number[0] == '9' && number[1] >= 'A' && number[1] <= 'F'
		if corsican || overseas {
			number = number[2:]
		}
	}
	return !allDigits(number)
}

func registerNumber(text string) bool {
	if text == "" || len(text) > registerNumberLength {
		return false
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		letter := c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		digit := c >= '0' && c <= '9'
		if !letter && !digit && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}
