package hsm

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// URI names a key by the part of RFC 7512 that is used here: pkcs11: with the path attributes object (required), token,
// serial and type=private. Everything else is refused, first of all query attributes: a PIN never stands in a name.
type URI struct {
	Object string // CKA_LABEL, 1 to 64 bytes
	Token  string // label of the token, at most 32 bytes; empty means any
	Serial string // serial number of the token, at most 16 bytes; empty means any
}

const uriScheme = "pkcs11:"

// ParseURI reads a URI. Its errors name attributes and positions, never values.
func ParseURI(text string) (URI, error) {
	if len(text) < len(uriScheme) || !strings.EqualFold(text[:len(uriScheme)], uriScheme) {
		return URI{}, errors.New("a key name must begin with pkcs11:")
	}
	path := text[len(uriScheme):]
	if strings.Contains(path, "?") {
		return URI{}, errors.New("a key URI has no query attributes (RFC 7512 §2.4)")
	}
	var u URI
	seen := make(map[string]bool)
	for position, attribute := range strings.Split(path, ";") {
		name, raw, ok := strings.Cut(attribute, "=")
		if !ok {
			return URI{}, fmt.Errorf("attribute %d of the key URI is not name=value", position+1)
		}
		if seen[name] {
			return URI{}, fmt.Errorf("attribute %d of the key URI is a repetition", position+1)
		}
		seen[name] = true
		value, err := unescape(raw)
		if err == nil {
			err = u.set(name, value)
		}
		if err != nil {
			return URI{}, fmt.Errorf("attribute %d of the key URI: %w", position+1, err)
		}
	}
	if u.Object == "" {
		return URI{}, errors.New("the key URI has no object")
	}
	return u, nil
}

// set takes one attribute, decoded.
func (u *URI) set(name, value string) error {
	err := checkLabel(value)
	if err != nil {
		return err
	}
	switch name {
	case "object":
		u.Object = value
	case "token":
		if len(value) > tokenLabel {
			return fmt.Errorf("the token label is longer than %d bytes", tokenLabel)
		}
		u.Token = value
	case "serial":
		if len(value) > tokenSerial {
			return fmt.Errorf("the serial number is longer than %d bytes", tokenSerial)
		}
		u.Serial = value
	case "type":
		if value != "private" {
			return errors.New("the type is not private")
		}
	default:
		return errors.New("it is none of object, token, serial and type")
	}
	return nil
}

// String is the inverse of ParseURI, with every character escaped that need not stand bare.
func (u URI) String() string {
	var b strings.Builder
	b.WriteString(uriScheme)
	separator := ""
	for _, attribute := range [][2]string{{"token", u.Token}, {"serial", u.Serial}, {"object", u.Object}} {
		if attribute[1] == "" {
			continue
		}
		b.WriteString(separator + attribute[0] + "=")
		for _, c := range []byte(attribute[1]) {
			if unreserved(c) {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		}
		separator = ";"
	}
	return b.String()
}

// unreserved, RFC 3986 §2.3.
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// unescape reads pk11-pchar, RFC 7512 §2.3, into UTF-8.
func unescape(raw string) (string, error) {
	var value []byte
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case unreserved(c) || strings.IndexByte(":[]@!$'()*+,=&", c) >= 0:
			value = append(value, c)
		case c == '%' && i+2 < len(raw) && hexDigit(raw[i+1]) >= 0 && hexDigit(raw[i+2]) >= 0:
			value = append(value, byte(hexDigit(raw[i+1])<<4|hexDigit(raw[i+2])))
			i += 2
		default:
			return "", errors.New("a character must be written as a percent sign and two hexadecimal digits")
		}
	}
	if !utf8.Valid(value) {
		return "", errors.New("the value is not UTF-8")
	}
	return string(value), nil
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
