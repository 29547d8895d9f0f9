package client

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"

	"cpsca/card"
)

// An answer that was issued is two certificates in base64 and little else. It is
// written and read here without reflection, octet for octet as encoding/json
// would: that took a third of what both ends spend on an application beside
// TLS. Whatever is not as programs write it goes the long way.

// AppendJSON appends the answer as encoding/json writes it.
func (a *Answer) AppendJSON(b []byte) ([]byte, error) {
	if a.Problem != nil || !plain(a.Order) || !plain(a.Card) || !plain(a.Status) || !a.plainUses() {
		text, err := json.Marshal(a)
		if err != nil {
			return b, fmt.Errorf("encoding an answer: %w", err)
		}
		return append(b, text...), nil
	}
	b = append(b, `{"line":`...)
	b = strconv.AppendInt(b, int64(a.Line), 10)
	if a.Order != "" {
		b = append(append(append(b, `,"order":"`...), a.Order...), '"')
	}
	if a.Card != "" {
		b = append(append(append(b, `,"card":"`...), a.Card...), '"')
	}
	b = append(append(append(b, `,"status":"`...), a.Status...), '"')
	b = strconv.AppendBool(append(b, `,"replayed":`...), a.Replayed)
	for n := range a.Certificates {
		one := &a.Certificates[n]
		if n == 0 {
			b = append(b, `,"certificates":[`...)
		} else {
			b = append(b, ',')
		}
		b = append(append(append(b, `{"use":"`...), one.Use...), `","serial":"`...)
		b = hex.AppendEncode(b, one.Serial[:])
		b = append(b, `","certificate":"`...)
		b = base64.StdEncoding.AppendEncode(b, one.Certificate)
		b = append(b, `"}`...)
	}
	if len(a.Certificates) > 0 {
		b = append(b, ']')
	}
	return append(b, '}'), nil
}

// plainUses says whether AppendJSON can write the certificates: nil octets would
// be null.
func (a *Answer) plainUses() bool {
	for n := range a.Certificates {
		if !plain(a.Certificates[n].Use) || a.Certificates[n].Certificate == nil {
			return false
		}
	}
	return true
}

// plain says whether encoding/json writes a text as it stands.
func plain[T ~string | ~[]byte](text T) bool {
	for i := range len(text) {
		c := text[i]
		if c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

// scanAnswer reads what AppendJSON wrote for an answer without a problem; false
// for anything else.
func scanAnswer(line []byte, a *Answer) bool {
	s := scanner{rest: line, ok: true}
	s.want(`{"line":`)
	a.Line = s.number()
	if s.has(`,"order":"`) {
		a.Order = card.OrderID(s.text())
	}
	if s.has(`,"card":"`) {
		a.Card = card.Number(s.text())
	}
	s.want(`,"status":"`)
	a.Status = string(s.text())
	switch {
	case s.has(`,"replayed":false`):
	default:
		s.want(`,"replayed":true`)
		a.Replayed = true
	}
	for s.ok && s.has(certificatesBegin(len(a.Certificates))) {
		var one IssuedCertificate
		s.want(`{"use":"`)
		one.Use = card.Use(s.text())
		s.want(`,"serial":"`)
		s.serial(&one.Serial)
		s.want(`,"certificate":"`)
		one.Certificate = s.octets()
		s.want(`}`)
		if a.Certificates == nil {
			a.Certificates = make([]IssuedCertificate, 0, len(card.Uses))
		}
		a.Certificates = append(a.Certificates, one)
	}
	if len(a.Certificates) > 0 {
		s.want(`]`)
	}
	s.want(`}`)
	return s.ok && len(s.rest) == 0
}

func certificatesBegin(n int) string {
	if n == 0 {
		return `,"certificates":[`
	}
	return `,`
}

// scanner reads a line from its beginning; ok goes when it meets something else
// than it was told to expect.
type scanner struct {
	rest []byte
	ok   bool
}

func (s *scanner) has(text string) bool {
	if len(s.rest) < len(text) || string(s.rest[:len(text)]) != text {
		return false
	}
	s.rest = s.rest[len(text):]
	return true
}

func (s *scanner) want(text string) { s.ok = s.has(text) && s.ok }

// number reads an integer as JSON has it (RFC 8259 §6), of up to nine digits.
func (s *scanner) number() int {
	n, digits := 0, 0
	for digits < len(s.rest) && digits < 10 && s.rest[digits] >= '0' && s.rest[digits] <= '9' {
		n = 10*n + int(s.rest[digits]-'0')
		digits++
	}
	if digits == 0 || digits > 9 || digits > 1 && s.rest[0] == '0' {
		s.ok = false
		return 0
	}
	s.rest = s.rest[digits:]
	return n
}

// text reads the rest of a string and the quote that ends it.
func (s *scanner) text() []byte {
	end := bytes.IndexByte(s.rest, '"')
	if end < 0 || !plain(s.rest[:end]) {
		s.ok = false
		return nil
	}
	text := s.rest[:end]
	s.rest = s.rest[end+1:]
	return text
}

func (s *scanner) serial(into *card.Serial) {
	text := s.text()
	if len(text) != hex.EncodedLen(len(into)) {
		s.ok = false
		return
	}
	_, err := hex.Decode(into[:], text)
	s.ok = s.ok && err == nil
}

func (s *scanner) octets() []byte {
	text := s.text()
	b := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(b, text)
	s.ok = s.ok && err == nil
	return b[:n]
}

// longestAnswer bounds one line of answers, in octets.
const longestAnswer = 16 << 20

// answers reads answers, one a line, to the end or the first error.
func answers(r io.Reader) iter.Seq2[Answer, error] {
	return func(yield func(Answer, error) bool) {
		lines := bufio.NewReaderSize(r, 64<<10)
		for {
			line, err := longLine(lines)
			if len(bytes.TrimSpace(line)) > 0 {
				a, unreadable := readAnswer(line)
				if unreadable != nil && errors.Is(err, io.EOF) {
					unreadable = io.ErrUnexpectedEOF // it was cut
				}
				if unreadable != nil {
					yield(a, fmt.Errorf("reading a stream: %w", unreadable))
					return
				}
				if !yield(a, nil) {
					return
				}
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Answer{}, fmt.Errorf("reading a stream: %w", err))
				return
			}
		}
	}
}

func readAnswer(line []byte) (Answer, error) {
	var a Answer
	if scanAnswer(bytes.TrimSuffix(line, []byte("\n")), &a) {
		return a, nil
	}
	a = Answer{}
	return a, json.Unmarshal(line, &a)
}

// longLine reads a line with its end, valid until the next call.
func longLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	long := bytes.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = r.ReadSlice('\n')
		long = append(long, line...)
		if len(long) > longestAnswer {
			return nil, fmt.Errorf("%w: a line of more than %d octets", ErrAnswer, longestAnswer)
		}
	}
	return long, err
}
