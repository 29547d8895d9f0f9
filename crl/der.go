package crl

import (
	"fmt"
	"math/bits"
	"time"
)

// The identifier octets that occur in a list (X.690 §8.1.2).
const (
	tagBoolean         = 0x01
	tagInteger         = 0x02
	tagBitString       = 0x03
	tagOctetString     = 0x04
	tagObjectID        = 0x06
	tagEnumerated      = 0x0a
	tagUTCTime         = 0x17
	tagGeneralizedTime = 0x18
	tagSequence        = 0x30
	tagKeyIdentifier   = 0x80 // [0] IMPLICIT OCTET STRING
	tagExplicit0       = 0xa0
)

// Version v2 as the INTEGER 1 (RFC 5280 §5.1.2.1).
const versionV2 = 1

// The object identifiers of the extensions in use, as DER contents.
const (
	oidAuthorityKeyIdentifier = "\x55\x1d\x23" // 2.5.29.35
	oidCRLNumber              = "\x55\x1d\x14" // 2.5.29.20
	oidReasonCode             = "\x55\x1d\x15" // 2.5.29.21
	oidInvalidityDate         = "\x55\x1d\x18" // 2.5.29.24
)

// headerSize is the size of the identifier and length octets in front of
// length content octets.
func headerSize(length int) int {
	if length < 0x80 {
		return 2
	}
	return 2 + (bits.Len(uint(length))+7)/8
}

// sized is the size of a whole element with length content octets.
func sized(length int) int { return headerSize(length) + length }

// appendHeader appends the identifier octet and the shortest form of the
// length (X.690 §10.1).
func appendHeader(dst []byte, tag byte, length int) []byte {
	if length < 0x80 {
		return append(dst, tag, byte(length))
	}
	octets := headerSize(length) - 2
	dst = append(dst, tag, 0x80|byte(octets))
	for shift := 8 * (octets - 1); shift >= 0; shift -= 8 {
		dst = append(dst, byte(length>>shift))
	}
	return dst
}

// appendPositive appends an INTEGER from a value that is not negative.
func appendPositive(dst []byte, value int64) []byte {
	octets := bits.Len64(uint64(value))/8 + 1
	dst = append(dst, tagInteger, byte(octets))
	for shift := 8 * (octets - 1); shift >= 0; shift -= 8 {
		dst = append(dst, byte(value>>shift))
	}
	return dst
}

// appendTime appends UTCTime through 2049 and GeneralizedTime from 2050 on
// (RFC 5280 §5.1.2.4). The caller has checked the date.
func appendTime(dst []byte, t time.Time) []byte {
	if t.UTC().Year() >= 2050 {
		return appendGeneralizedTime(dst, t)
	}
	return appendDateTime(append(dst, tagUTCTime, 13), t, false)
}

// appendGeneralizedTime appends a GeneralizedTime in UTC without fraction
// (RFC 5280 §4.1.2.5.2).
func appendGeneralizedTime(dst []byte, t time.Time) []byte {
	return appendDateTime(append(dst, tagGeneralizedTime, 15), t, true)
}

func appendDateTime(dst []byte, t time.Time, century bool) []byte {
	year, month, day := t.UTC().Date()
	hour, minute, second := t.UTC().Clock()
	if century {
		dst = appendTwo(dst, year/100)
	}
	for _, part := range [...]int{year % 100, int(month), day, hour, minute, second} {
		dst = appendTwo(dst, part)
	}
	return append(dst, 'Z')
}

func appendTwo(dst []byte, n int) []byte {
	return append(dst, byte('0'+n/10), byte('0'+n%10))
}

// checkDate refuses what UTCTime and GeneralizedTime cannot express in X.509:
// fractions of a second and years outside 1950 to 9999.
func checkDate(what string, t time.Time) error {
	year := t.UTC().Year()
	if t.Nanosecond() != 0 || year < 1950 || year > 9999 {
		return fmt.Errorf("%s %s: %w", what, t.UTC().Format(time.RFC3339Nano), ErrTime)
	}
	return nil
}

// A reader takes DER elements off the front of its bytes. Nothing is copied.
type reader []byte

// element takes one element whatever its tag: whole is all of it, content what
// is inside. It accepts low tag numbers and the shortest form of a length of at
// most four octets.
func (r *reader) element() (tag byte, whole, content []byte, ok bool) {
	s := *r
	if len(s) < 2 || s[0]&0x1f == 0x1f {
		return 0, nil, nil, false
	}
	header, length := 2, int(s[1])
	if length >= 0x80 {
		octets := length & 0x7f
		if octets == 0 || octets > 4 || len(s) < 2+octets {
			return 0, nil, nil, false
		}
		length = 0
		for _, b := range s[2 : 2+octets] {
			length = length<<8 | int(b)
		}
		header += octets
		if header != headerSize(length) {
			return 0, nil, nil, false
		}
	}
	if length > len(s)-header {
		return 0, nil, nil, false
	}
	*r = s[header+length:]
	return s[0], s[:header+length], s[header : header+length], true
}

// take takes the contents of one element of the given tag.
func (r *reader) take(tag byte) ([]byte, bool) {
	if !r.next(tag) {
		return nil, false
	}
	_, _, content, ok := r.element()
	return content, ok
}

// next reports whether an element of the tag is next.
func (r *reader) next(tag byte) bool { return len(*r) > 0 && (*r)[0] == tag }

// time takes a Time of RFC 5280 §5.1.2.4: UTCTime through 2049,
// GeneralizedTime from 2050 on, with seconds, in UTC.
func (r *reader) time() (time.Time, bool) {
	if content, ok := r.take(tagUTCTime); ok {
		year, ok := twoDigits(content, 0)
		if !ok || len(content) != 13 {
			return time.Time{}, false
		}
		if year += 1900; year < 1950 {
			year += 100
		}
		return dateTime(year, content[2:])
	}
	t, ok := r.generalizedTime()
	return t, ok && t.Year() >= 2050
}

func (r *reader) generalizedTime() (time.Time, bool) {
	content, ok := r.take(tagGeneralizedTime)
	if !ok || len(content) != 15 {
		return time.Time{}, false
	}
	century, ok := twoDigits(content, 0)
	year, also := twoDigits(content, 2)
	if !ok || !also {
		return time.Time{}, false
	}
	return dateTime(100*century+year, content[4:])
}

// dateTime reads MMDDhhmmssZ; a date that the calendar does not have is
// refused.
func dateTime(year int, s []byte) (time.Time, bool) {
	var part [5]int
	for i := range part {
		n, ok := twoDigits(s, 2*i)
		if !ok {
			return time.Time{}, false
		}
		part[i] = n
	}
	t := time.Date(year, time.Month(part[0]), part[1], part[2], part[3], part[4], 0, time.UTC)
	_, month, day := t.Date()
	hour, minute, second := t.Clock()
	same := [5]int{int(month), day, hour, minute, second} == part
	return t, same && s[10] == 'Z'
}

func twoDigits(s []byte, at int) (int, bool) {
	if len(s) < at+2 || s[at]-'0' > 9 || s[at+1]-'0' > 9 {
		return 0, false
	}
	return 10*int(s[at]-'0') + int(s[at+1]-'0'), true
}

// validObjectID checks the contents of an OBJECT IDENTIFIER: shortest form,
// arcs below 2^31.
func validObjectID(content []byte) bool {
	arc, start := 0, true
	for _, b := range content {
		if start && b == 0x80 || arc >= 1<<(31-7) {
			return false
		}
		arc, start = arc<<7|int(b&0x7f), false
		if b&0x80 == 0 {
			arc, start = 0, true
		}
	}
	return len(content) > 0 && start
}
