package profiles

import (
	"bytes"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cpsca/card"
)

// verify reads a TBSCertificate back with a parser that shares nothing with
// the builder and compares it with what was asked: the last look before the
// bytes can be signed.
func (p *Profile) verify(tbs []byte, c *certificate) error {
	input := cryptobyte.String(tbs)
	var sequence, version, serial, algorithm, issuer, subject, spki, wrapped, extensions cryptobyte.String
	var notBefore, notAfter time.Time
	if !input.ReadASN1(&sequence, asn1.SEQUENCE) || !input.Empty() ||
		!sequence.ReadASN1(&version, contextSpecific(0).Constructed()) ||
		!sequence.ReadASN1(&serial, asn1.INTEGER) ||
		!sequence.ReadASN1Element(&algorithm, asn1.SEQUENCE) ||
		!sequence.ReadASN1Element(&issuer, asn1.SEQUENCE) ||
		!readValidity(&sequence, &notBefore, &notAfter) ||
		!sequence.ReadASN1Element(&subject, asn1.SEQUENCE) ||
		!sequence.ReadASN1Element(&spki, asn1.SEQUENCE) ||
		!sequence.ReadASN1(&wrapped, contextSpecific(3).Constructed()) || !sequence.Empty() ||
		!wrapped.ReadASN1(&extensions, asn1.SEQUENCE) || !wrapped.Empty() {
		return fmt.Errorf("%w: it is not a TBSCertificate", ErrEncoding)
	}
	switch {
	case !bytes.Equal(version, version3[2:]):
		return differs("version")
	case !bytes.Equal(serial, c.serial[:]):
		return differs("serialNumber")
	case !bytes.Equal(algorithm, p.algorithm):
		return differs("signature")
	case !bytes.Equal(issuer, p.issuer.Name):
		return differs("issuer")
	case !notBefore.Equal(c.notBefore) || !notAfter.Equal(c.notAfter):
		return differs("validity")
	case !bytes.Equal(subject, c.subject):
		return differs("subject")
	case !bytes.Equal(spki, c.spki):
		return differs("subjectPublicKeyInfo")
	}
	return p.verifyExtensions(extensions, c)
}

func differs(field string) error {
	return fmt.Errorf("%w: %s differs", ErrEncoding, field)
}

// verifyExtensions asks for no extension twice (RFC 5280 §4.2) and for both
// key identifiers as asked.
func (p *Profile) verifyExtensions(extensions cryptobyte.String, c *certificate) error {
	var seen [24][]byte
	count := 0
	for !extensions.Empty() {
		var one, id, value cryptobyte.String
		if !extensions.ReadASN1(&one, asn1.SEQUENCE) ||
			!one.ReadASN1Element(&id, asn1.OBJECT_IDENTIFIER) ||
			!one.SkipOptionalASN1(asn1.BOOLEAN) ||
			!one.ReadASN1(&value, asn1.OCTET_STRING) || !one.Empty() || count == len(seen) {
			return differs("extensions")
		}
		for _, other := range seen[:count] {
			if bytes.Equal(other, id) {
				return fmt.Errorf("%w: an extension is there twice", ErrEncoding)
			}
		}
		seen[count] = id
		count++
		if bytes.Equal(id, derSubjectKeyIdentifier) && !holdsKeyID(value, asn1.OCTET_STRING, c.keyID) {
			return differs("subjectKeyIdentifier")
		}
		if bytes.Equal(id, derAuthorityKeyIdentifier) {
			var sequence cryptobyte.String
			if !value.ReadASN1(&sequence, asn1.SEQUENCE) || !value.Empty() ||
				!holdsKeyID(sequence, contextSpecific(0), p.issuer.KeyID) {
				return differs("authorityKeyIdentifier")
			}
		}
	}
	if count == 0 {
		return differs("extensions")
	}
	return nil
}

func holdsKeyID(value cryptobyte.String, tag asn1.Tag, want card.KeyID) bool {
	var got cryptobyte.String
	return value.ReadASN1(&got, tag) && value.Empty() && bytes.Equal(got, want[:])
}

func readValidity(sequence *cryptobyte.String, notBefore, notAfter *time.Time) bool {
	var validity cryptobyte.String
	return sequence.ReadASN1(&validity, asn1.SEQUENCE) &&
		readTime(&validity, notBefore) && readTime(&validity, notAfter) && validity.Empty()
}

// readTime reads a Time of whole seconds in UTC and refuses the form that its
// year does not have, and a date that is in no calendar (RFC 5280 §4.1.2.5).
func readTime(input *cryptobyte.String, t *time.Time) bool {
	var text cryptobyte.String
	var tag asn1.Tag
	if !input.ReadAnyASN1(&text, &tag) {
		return false
	}
	century := 0
	switch {
	case tag == asn1.UTCTime && len(text) == len("YYMMDDHHMMSSZ"):
	case tag == asn1.GeneralizedTime && len(text) == len("YYYYMMDDHHMMSSZ"):
		century = number(text[:2])
		text = text[2:]
	default:
		return false
	}
	year, month, day := number(text[0:2]), number(text[2:4]), number(text[4:6])
	hour, minute, second := number(text[6:8]), number(text[8:10]), number(text[10:12])
	if min(century, year, month, day, hour, minute, second) < 0 || text[12] != 'Z' {
		return false
	}
	switch {
	case tag == asn1.GeneralizedTime:
		year += 100 * century
	case year >= 50:
		year += 1900
	default:
		year += 2000
	}
	*t = time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	y, m, d := t.Date()
	inCalendar := y == year && int(m) == month && d == day && hour < 24 && minute < 60 && second < 60
	return inCalendar && (tag == asn1.UTCTime || year >= 2050)
}

// number reads two digits, -1 if they are none.
func number(digits []byte) int {
	tens, ones := digits[0]-'0', digits[1]-'0'
	if tens > 9 || ones > 9 {
		return -1
	}
	return 10*int(tens) + int(ones)
}
