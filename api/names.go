package api

import (
	"bytes"
	"errors"
	"slices"
)

var (
	errObject = errors.New("want a JSON object")
	errName   = errors.New("the name of a member is not written exactly as documented")
	errTwice  = errors.New("a member comes twice")
)

// names checks the members of every object in a JSON text that encoding/json
// has decoded without unknown fields. That decoder folds case, understands
// escapes and lets the last of two members win, so that two readers of one text
// might see two values (RFC 8259 §4). Every documented name is of lower-case
// letters, digits and underscores: a name of those that the decoder knew is
// written exactly.
func names(text []byte) error {
	text = bytes.TrimLeft(text, blanks)
	if len(text) == 0 || text[0] != '{' {
		return errObject
	}
	var seen [][]byte // of the objects that are open, the outermost first
	var open []int    // where those of each begin
	for at := 0; at < len(text); at++ {
		switch text[at] {
		case '{':
			open = append(open, len(seen))
		case '}':
			seen, open = seen[:open[len(open)-1]], open[:len(open)-1]
		case '"':
			end := stringEnd(text, at)
			behind := bytes.TrimLeft(text[end+1:], blanks)
			if len(behind) > 0 && behind[0] == ':' {
				name := text[at+1 : end]
				switch {
				case bytes.ContainsFunc(name, foreign):
					return errName
				case slices.ContainsFunc(seen[open[len(open)-1]:], func(s []byte) bool { return bytes.Equal(s, name) }):
					return errTwice
				}
				seen = append(seen, name)
			}
			at = end
		}
	}
	return nil
}

// blanks is the whitespace of JSON (RFC 8259 §2).
const blanks = " \t\r\n"

func foreign(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' }

// stringEnd finds the quote that ends the string that begins at another: the
// first with an even number of backslashes before it. Most of a line is base64
// that has none.
func stringEnd(text []byte, at int) int {
	for {
		at += 1 + bytes.IndexByte(text[at+1:], '"')
		before := at
		for text[before-1] == '\\' {
			before--
		}
		if (at-before)%2 == 0 {
			return at
		}
	}
}
