package registry

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// maximumLine is the longest line that is read, in bytes of UTF-8 or Windows-1252 without the line end. The longest line of the
// published files stays below 2 KiB.
const maximumLine = 64 << 10

// The encodings as the report names them.
const (
	encodingASCII       = "ASCII"
	encodingUTF8        = "UTF-8"
	encodingWindows1252 = "Windows-1252"
	encodingUTF16LE     = "UTF-16LE"
	encodingUTF16BE     = "UTF-16BE"
)

// measuredReader counts and hashes what passes.
type measuredReader struct {
	source io.Reader
	digest hash.Hash
	bytes  int64
}

func newMeasuredReader(source io.Reader) *measuredReader {
	return &measuredReader{source: source, digest: sha256.New()}
}

func (m *measuredReader) Read(p []byte) (int, error) {
	n, err := m.source.Read(p)
	m.digest.Write(p[:n])
	m.bytes += int64(n)
	return n, err
}

func (m *measuredReader) sum() string {
	return hex.EncodeToString(m.digest.Sum(nil))
}

// lineReader cuts a stream into lines and decodes them. It holds one line at most, whatever the stream.
//
// The encoding of a file is decided once: by a byte order mark, or else by the first line with a byte above 0x7f, which in the
// published files is the header. If that line is UTF-8 the file is UTF-8, if not it is Windows-1252 (of which ISO-8859-1 is the
// useful part). A later line that contradicts the decision is an error of that line: guessing line by line would let one
// damaged byte turn a name into another one.
type lineReader struct {
	source    *bufio.Reader
	encoding  string
	truncated bool
	decoded   []byte
}

// sourceLine is one line without its end. A fault says why its text cannot be used.
type sourceLine struct {
	text  string
	fault string
}

func newLineReader(source io.Reader) *lineReader {
	// Room for the longest line and its CR LF.
	buffered := bufio.NewReaderSize(source, maximumLine+2)
	// A read error shows again at the first line.
	start, _ := buffered.Peek(3)
	switch {
	case bytes.HasPrefix(start, []byte{0xef, 0xbb, 0xbf}):
		buffered.Discard(3)
		return &lineReader{source: buffered, encoding: encodingUTF8}
	case bytes.HasPrefix(start, []byte{0xff, 0xfe}):
		return newUTF16LineReader(buffered, unicode.LittleEndian, encodingUTF16LE)
	case bytes.HasPrefix(start, []byte{0xfe, 0xff}):
		return newUTF16LineReader(buffered, unicode.BigEndian, encodingUTF16BE)
	}
	return &lineReader{source: buffered}
}

func newUTF16LineReader(source io.Reader, order unicode.Endianness, name string) *lineReader {
	decoder := unicode.UTF16(order, unicode.ExpectBOM).NewDecoder()
	return &lineReader{source: bufio.NewReaderSize(transform.NewReader(source, decoder), maximumLine+2), encoding: name}
}

// encodings returns what the report lists.
func (l *lineReader) encodings() []string {
	if l.encoding == "" {
		return []string{encodingASCII}
	}
	return []string{l.encoding}
}

// next returns the next line, or io.EOF after the last one, or the error of the source.
func (l *lineReader) next() (sourceLine, error) {
	raw, err := l.source.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		return l.skip()
	}
	if err != nil && err != io.EOF {
		return sourceLine{}, err
	}
	if err == io.EOF {
		if len(raw) == 0 {
			return sourceLine{}, io.EOF
		}
		l.truncated = true
		return sourceLine{text: l.decode(raw).text, fault: "line does not end: the file is truncated"}, nil
	}
	raw = raw[:len(raw)-1]
	raw = bytes.TrimSuffix(raw, []byte{'\r'})
	if len(raw) > maximumLine {
		return tooLong(), nil
	}
	return l.decode(raw), nil
}

func tooLong() sourceLine {
	return sourceLine{fault: fmt.Sprintf("line is longer than %d bytes", maximumLine)}
}

// skip reads to the end of a line that does not fit, keeping nothing of it.
func (l *lineReader) skip() (sourceLine, error) {
	for {
		_, err := l.source.ReadSlice('\n')
		switch err {
		case nil:
			return tooLong(), nil
		case bufio.ErrBufferFull:
		case io.EOF:
			l.truncated = true
			return tooLong(), nil
		default:
			return sourceLine{}, err
		}
	}
}

func (l *lineReader) decode(raw []byte) sourceLine {
	if ascii(raw) {
		return sourceLine{text: string(raw)}
	}
	valid := utf8.Valid(raw)
	if l.encoding == "" {
		l.encoding = encodingWindows1252
		if valid {
			l.encoding = encodingUTF8
		}
	}
	switch {
	case l.encoding != encodingWindows1252 && !valid:
		return sourceLine{fault: "line is not UTF-8, unlike the file before it"}
	case l.encoding == encodingWindows1252 && valid:
		return sourceLine{fault: "line is UTF-8, unlike the file before it (Windows-1252)"}
	case l.encoding != encodingWindows1252:
		return sourceLine{text: string(raw)}
	}
	l.decoded = l.decoded[:0]
	for _, b := range raw {
		l.decoded = utf8.AppendRune(l.decoded, charmap.Windows1252.DecodeByte(b))
	}
	return sourceLine{text: string(l.decoded)}
}

func ascii(raw []byte) bool {
	for _, b := range raw {
		if b >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// countFields returns how many fields a line has.
func countFields(text string) int {
	return strings.Count(text, separator) + 1
}
