package api

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/client"
)

// maxLine is the length of the longest line that is read, in octets without
// its end.
const maxLine = 64 << 10

// maxOrder is the length of the longest name of an order.
const maxOrder = 32

// lines cuts a stream into lines in bounded memory.
type lines struct {
	r      *bufio.Reader
	number int // of the last line, from 1
}

func newLines(r io.Reader) *lines { return &lines{r: bufio.NewReaderSize(r, maxLine+2)} } // two for CR LF

// next returns the next line without its end, valid until the next call. It
// returns errLineSize for a line that is too long, and passes over it; io.EOF
// after the last line; any other error is of the stream, and what came of a
// line is dropped.
func (l *lines) next() ([]byte, error) {
	line, err := l.r.ReadSlice('\n')
	if errors.Is(err, io.EOF) && len(line) == 0 {
		return nil, io.EOF
	}
	l.number++
	long := errors.Is(err, bufio.ErrBufferFull)
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = l.r.ReadSlice('\n')
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	if long || len(line) > maxLine {
		return nil, errLineSize
	}
	return line, nil
}

// parseApplication reads one line. What could be read of order and card is
// returned beside an error, for the answer to name them.
func parseApplication(line []byte) (card.Application, error) {
	var a client.Application
	if !scanApplication(line, &a) {
		a = client.Application{}
		err := strict(line, &a)
		if err != nil {
			return card.Application{}, fmt.Errorf("%w: %w", errLine, err)
		}
	}
	if !orderName(string(a.Order)) {
		return card.Application{}, fmt.Errorf("%w: order is 1 to %d letters, digits or hyphens", errLine, maxOrder)
	}
	out := card.Application{Order: a.Order}
	var err error
	out.Number, err = card.ParseNumber(string(a.Card))
	if err != nil {
		return out, err
	}
	for n, sent := range [len(card.Uses)]*client.Request{&a.Authentication, &a.Signature} {
		out.Proofs[n], err = parseProof(sent)
		if err != nil {
			return out, fmt.Errorf("%s: %w", card.Uses[n], err)
		}
	}
	return out, nil
}

// parseProof reads the proof of one use. What is missing stays empty, and what
// is there in two forms stays so: the authority says what is wrong with it.
func parseProof(sent *client.Request) (card.Proof, error) {
	var out card.Proof
	var err error
	if sent.CSR != "" {
		out.Request, err = requestDER(sent.CSR)
		if err != nil {
			return out, err
		}
	}
	out.PublicKey, err = octets(sent.PublicKey, maxRequest)
	if err != nil {
		return out, fmt.Errorf("%w: public_key is base64 of DER", ca.ErrKey)
	}
	out.Signature, err = octets(sent.Proof, maxRequest)
	if err != nil {
		return out, fmt.Errorf("%w: proof is a signature in base64", ca.ErrProof)
	}
	out.Algorithm = sent.Algorithm
	return out, nil
}

// octets reads base64 without breaks; empty is nil.
func octets(text string, most int) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err == nil && (len(b) > most || strings.ContainsAny(text, "\r\n")) {
		err = errBody
	}
	return b, err
}

func orderName(s string) bool {
	if len(s) == 0 || len(s) > maxOrder {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' {
			return false
		}
	}
	return true
}
