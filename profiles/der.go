package profiles

import "time"

// Tags of DER (X.690 §8) that are written while a certificate is built.
const (
	tagInteger         = 0x02
	tagBitString       = 0x03
	tagOctetString     = 0x04
	tagNull            = 0x05
	tagUTF8String      = 0x0c
	tagPrintableString = 0x13
	tagUTCTime         = 0x17
	tagGeneralizedTime = 0x18
	tagSequence        = 0x30
	tagSet             = 0x31

	tagContext0            = 0x80
	tagContext1            = 0x81
	tagContext2            = 0x82
	tagContext7            = 0x87
	tagContext0Constructed = 0xa0
	tagContext3Constructed = 0xa3
)

// enclose puts the header of an element before what was appended to b since
// start, moving it up. One pass in reading order needs no lengths beforehand;
// a certificate is small enough that the moving costs nothing next to its
// signature.
func enclose(b []byte, start int, tag byte) []byte {
	var header [5]byte
	header[0] = tag
	n := len(b) - start
	size := 2
	switch {
	case n < 0x80:
		header[1] = byte(n)
	case n < 0x100:
		header[1], header[2] = 0x81, byte(n)
		size = 3
	case n < 0x10000:
		header[1], header[2], header[3] = 0x82, byte(n>>8), byte(n)
		size = 4
	default:
		header[1], header[2], header[3], header[4] = 0x83, byte(n>>16), byte(n>>8), byte(n)
		size = 5
	}
	b = append(b, header[:size]...)
	copy(b[start+size:], b[start:start+n])
	copy(b[start:], header[:size])
	return b
}

func appendElement(b []byte, tag byte, content []byte) []byte {
	start := len(b)
	b = append(b, content...)
	return enclose(b, start, tag)
}

func appendText(b []byte, tag byte, text string) []byte {
	start := len(b)
	b = append(b, text...)
	return enclose(b, start, tag)
}

// appendInteger writes a non-negative INTEGER from its big-endian octets.
func appendInteger(b []byte, octets []byte) []byte {
	for len(octets) > 1 && octets[0] == 0 {
		octets = octets[1:]
	}
	start := len(b)
	if len(octets) == 0 || octets[0]&0x80 != 0 {
		b = append(b, 0)
	}
	b = append(b, octets...)
	return enclose(b, start, tagInteger)
}

// appendTime writes a Time: UTCTime through 2049, GeneralizedTime from 2050
// (RFC 5280 §4.1.2.5).
func appendTime(b []byte, t time.Time) []byte {
	if t.Year() >= 2050 {
		return appendGeneralizedTime(b, tagGeneralizedTime, t)
	}
	start := len(b)
	b = appendDigits(b, t.Year()%100)
	b = appendWithinYear(b, t)
	return enclose(b, start, tagUTCTime)
}

// appendGeneralizedTime writes YYYYMMDDHHMMSSZ under the tag given, which
// differs where the time is implicitly tagged (RFC 5280 §4.1.2.5.2).
func appendGeneralizedTime(b []byte, tag byte, t time.Time) []byte {
	start := len(b)
	b = appendDigits(b, t.Year()/100)
	b = appendDigits(b, t.Year()%100)
	b = appendWithinYear(b, t)
	return enclose(b, start, tag)
}

func appendWithinYear(b []byte, t time.Time) []byte {
	_, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = appendDigits(b, int(month))
	b = appendDigits(b, day)
	b = appendDigits(b, hour)
	b = appendDigits(b, minute)
	b = appendDigits(b, second)
	return append(b, 'Z')
}

func appendDigits(b []byte, n int) []byte {
	return append(b, byte('0'+n/10), byte('0'+n%10))
}
