package card

import (
	"encoding/hex"
	"errors"
	"fmt"
)

// Number is the number printed on a card and carried in its certificates:
// ten decimal digits, unique for ever.
type Number string

// ErrNumber is returned by ParseNumber for anything but ten decimal digits.
var ErrNumber = errors.New("a card number is ten decimal digits")

// ParseNumber checks the shape of a card number. It returns ErrNumber for
// anything but ten ASCII digits.
func ParseNumber(s string) (Number, error) {
	if len(s) != 10 {
		return "", ErrNumber
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return "", ErrNumber
		}
	}
	return Number(s), nil
}

// Type is the card type of code list G02: it becomes the value of the private
// extension 1.2.250.1.71.1.2.2.
type Type int

// The card types of code list G02.
const (
	CPS Type = 0 // professional of the register
	CPF Type = 1 // professional in training
	CPE Type = 2 // staff of an establishment
	CPA Type = 3 // authorised staff
)

// String returns the short name of the type, for example "CPS".
func (t Type) String() string {
	switch t {
	case CPS:
		return "CPS"
	case CPF:
		return "CPF"
	case CPE:
		return "CPE"
	case CPA:
		return "CPA"
	}
	return fmt.Sprintf("type %d", int(t))
}

// Form is what carries the keys. The law counts cards per form
// (code de la sécurité sociale, R161-52).
type Form string

// FormCard is the chip card, the only form issued so far.
const FormCard Form = "card"

// Use is what a certificate is for.
type Use string

// The two uses of the certificates on a card.
const (
	Authentication Use = "authentication"
	Signature      Use = "signature"
)

// Uses lists the certificates of a card in the order in which they are issued.
var Uses = [...]Use{Authentication, Signature}

// Serial is a certificate serial number: sixteen octets, the first between
// 0x10 and 0x7f naming the issuing instance, the others random
// (RFC 5280 §4.1.2.2).
type Serial [16]byte

// String returns the serial in lower-case hexadecimal.
func (s Serial) String() string { return hex.EncodeToString(s[:]) }

// MarshalText makes serials hexadecimal in JSON.
func (s Serial) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Serial) UnmarshalText(text []byte) error { return decodeHex(s[:], text, "serial") }

// ParseSerial reads 32 hexadecimal digits.
func ParseSerial(text string) (Serial, error) {
	var s Serial
	err := s.UnmarshalText([]byte(text))
	return s, err
}

// KeyID names an issuer: the SHA-1 of its public key bits, as in the authority
// key identifier (RFC 5280 §4.2.1.2 method 1) and the OCSP issuerKeyHash
// (RFC 6960 §4.1.1).
type KeyID [20]byte

// String returns the key id in lower-case hexadecimal.
func (k KeyID) String() string { return hex.EncodeToString(k[:]) }

// MarshalText makes key ids hexadecimal in JSON.
func (k KeyID) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *KeyID) UnmarshalText(text []byte) error { return decodeHex(k[:], text, "key id") }

// ParseKeyID reads 40 hexadecimal digits.
func ParseKeyID(text string) (KeyID, error) {
	var k KeyID
	err := k.UnmarshalText([]byte(text))
	return k, err
}

// Fingerprint identifies a public key for ever: the SHA-256 of the RSA modulus
// or of the uncompressed point, so that two encodings of one key meet.
type Fingerprint [32]byte

// String returns the fingerprint in lower-case hexadecimal.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// MarshalText makes fingerprints hexadecimal in JSON.
func (f Fingerprint) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (f *Fingerprint) UnmarshalText(text []byte) error {
	return decodeHex(f[:], text, "key fingerprint")
}

// decodeHex fills into from exactly as many digits as it needs, or leaves it
// as it is.
func decodeHex(into, text []byte, what string) error {
	if len(text) != hex.EncodedLen(len(into)) {
		return fmt.Errorf("reading a %s: want %d hexadecimal digits, got %d characters", what, 2*len(into), len(text))
	}
	octets := make([]byte, len(into))
	_, err := hex.Decode(octets, text)
	if err != nil {
		return fmt.Errorf("reading a %s: %w", what, err)
	}
	copy(into, octets)
	return nil
}
