package registry

import "errors"

// Reasons for which a text is not an RPPS number; test with errors.Is.
var (
	// ErrRPPSLength means that the text does not have exactly 11 characters.
	ErrRPPSLength = errors.New("RPPS number does not have 11 digits")
	// ErrRPPSDigit means that a character is not a decimal digit.
	ErrRPPSDigit = errors.New("RPPS number holds a character that is not a digit")
	// ErrRPPSKey means that the last digit is not the Luhn key of the ten before it.
	ErrRPPSKey = errors.New("RPPS number has a wrong Luhn key")
)

const (
	rppsLength     = 11
	rppsTestPrefix = "997"
)

// RPPS is the number of a professional in the register: 11 decimal digits without meaning, the last one a Luhn key, kept for
// life. A value made by ParseRPPS is valid; one converted from a string is not checked.
type RPPS string

// ParseRPPS checks text and returns it as a number. It accepts nothing around the 11 digits. The error is ErrRPPSLength,
// ErrRPPSDigit or ErrRPPSKey and never quotes the text.
func ParseRPPS(text string) (RPPS, error) {
	if len(text) != rppsLength {
		return "", ErrRPPSLength
	}
	if !allDigits(text) {
		return "", ErrRPPSDigit
	}
	if luhnSum(text, false)%10 != 0 {
		return "", ErrRPPSKey
	}
	return RPPS(text), nil
}

// Test reports whether the number belongs to the range that the ANS keeps for fictitious professionals (997…). Production
// issuers refuse these.
func (r RPPS) Test() bool {
	return len(r) == rppsLength && r[:len(rppsTestPrefix)] == rppsTestPrefix
}

// NationalID returns the national identifier of the professional: the type digit 8 before the number. The Luhn key covers the
// 11 digits alone, so that the 12 characters together are not Luhn valid.
func (r RPPS) NationalID() NationalID {
	return NationalID("8" + string(r))
}

// LuhnKey returns the ASCII digit that makes a valid RPPS number when it is written after tenDigits. The error is ErrRPPSLength
// or ErrRPPSDigit (ISO/IEC 7812-1 annex B).
func LuhnKey(tenDigits string) (byte, error) {
	if len(tenDigits) != rppsLength-1 {
		return 0, ErrRPPSLength
	}
	if !allDigits(tenDigits) {
		return 0, ErrRPPSDigit
	}
	return '0' + byte((10-luhnSum(tenDigits, true)%10)%10), nil
}

// luhnSum adds the digits from the right, every second one doubled with its two figures added; doubleLast says whether the
// rightmost digit is among the doubled ones, which it is when the key is still missing.
func luhnSum(digits string, doubleLast bool) int {
	sum := 0
	double := doubleLast
	for i := len(digits) - 1; i >= 0; i-- {
		value := int(digits[i] - '0')
		if double {
			value *= 2
			if value > 9 {
				value -= 9
			}
		}
		sum += value
		double = !double
	}
	return sum
}

func allDigits(text string) bool {
	for i := 0; i < len(text); i++ {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return true
}

// allUpperAlphanumeric reports whether text holds only 0–9 and A–Z, the alphabet of ADELI and FINESS identifiers.
func allUpperAlphanumeric(text string) bool {
	for i := 0; i < len(text); i++ {
		digit := text[i] >= '0' && text[i] <= '9'
		upper := text[i] >= 'A' && text[i] <= 'Z'
		if !digit && !upper {
			return false
		}
	}
	return true
}
