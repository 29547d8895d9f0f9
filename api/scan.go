package api

import (
	"bytes"

	"cpsca/card"
	"cpsca/client"
)

// scanner reads a JSON text from its beginning. It understands what programs
// write, and gives up on everything else: a reader that is slow and complete
// stands behind it.
type scanner struct{ rest []byte }

// scanApplication reads an application of plain strings: each member under its
// documented name, at most once, no escapes, printable ASCII alone. False means
// that strict is to read the line, or to say what is wrong with it.
//
// It is seven times as fast as encoding/json, whose part of a line was more than
// that of everything else at the doors; a fuzz test holds it against strict.
func scanApplication(line []byte, a *client.Application) bool {
	s := scanner{line}
	seen := 0
	ok := s.object(func(name []byte) bool {
		member := 0
		ok := false
		switch string(name) {
		case "order":
			var text []byte
			member = 1
			text, ok = s.text()
			a.Order = card.OrderID(text)
		case "card":
			var text []byte
			member = 2
			text, ok = s.text()
			a.Card = card.Number(text)
		case "authentication":
			member, ok = 4, s.request(&a.Authentication)
		case "signature":
			member, ok = 8, s.request(&a.Signature)
		}
		fresh := seen&member == 0
		seen |= member
		return ok && fresh
	})
	s.blanks()
	return ok && len(s.rest) == 0
}

// request reads one proof of possession.
func (s *scanner) request(r *client.Request) bool {
	seen := 0
	return s.object(func(name []byte) bool {
		member := 0
		text, ok := s.text()
		switch string(name) {
		case "csr":
			member, r.CSR = 1, string(text)
		case "public_key":
			member, r.PublicKey = 2, string(text)
		case "proof":
			member, r.Proof = 4, string(text)
		case "algorithm":
			member, r.Algorithm = 8, card.ProofAlgorithm(text)
		}
		fresh := member != 0 && seen&member == 0
		seen |= member
		return ok && fresh
	})
}

// object reads an object; member is called behind the colon of each.
func (s *scanner) object(member func(name []byte) bool) bool {
	if !s.take('{') {
		return false
	}
	if s.take('}') {
		return true
	}
	for {
		name, ok := s.text()
		if !ok || !s.take(':') || !member(name) {
			return false
		}
		if !s.take(',') {
			return s.take('}')
		}
	}
}

func (s *scanner) blanks() {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\t' || s.rest[0] == '\r' || s.rest[0] == '\n') {
		s.rest = s.rest[1:]
	}
}

// take reads one character behind blanks.
func (s *scanner) take(c byte) bool {
	s.blanks()
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// text reads a string without escapes.
func (s *scanner) text() ([]byte, bool) {
	if !s.take('"') {
		return nil, false
	}
	end := bytes.IndexByte(s.rest, '"')
	if end < 0 || !plain(s.rest[:end]) {
		return nil, false
	}
	text := s.rest[:end]
	s.rest = s.rest[end+1:]
	return text, true
}

// plain says whether a string stands for its own octets: printable ASCII without
// a backslash.
func plain(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	return true
}
