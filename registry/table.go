package registry

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	separator = "|"
	// longestText bounds every text that is read from a column, in characters.
	longestText = 255
	// longestCode bounds every code that is read from a column, in bytes.
	longestCode = 32
)

// layout describes one file format: its documented columns in their documented order, those without which the file is foreign,
// and names that earlier versions gave to a column.
type layout struct {
	name    string
	columns []string
	keys    []int
	former  map[string]int
}

// record is one line of a file while it is read. The first column that fails decides; what is read after it is empty.
type record struct {
	layout *layout
	// at gives the position in the file of each documented column, -1 for none.
	at      []int
	fields  []string
	failure *LineError
}

// readTable reads the header and hands each line that has the right number of fields to row, which reads its columns. A row
// that set the record's failure is rejected; an error that row returns ends the reading.
func readTable(name string, source io.Reader, l *layout, row func(line int, r *record) error) (*Report, error) {
	report := &Report{File: name, Errors: []LineError{}}
	measured := newMeasuredReader(source)
	lines := newLineReader(measured)
	err := readLines(report, lines, l, row)
	report.SHA256 = measured.sum()
	report.Bytes = measured.bytes
	report.Encodings = lines.encodings()
	report.Truncated = lines.truncated
	return report, err
}

func readLines(report *Report, lines *lineReader, l *layout, row func(line int, r *record) error) error {
	header, err := lines.next()
	if err == io.EOF {
		return fmt.Errorf("%w: %s: it is empty, %s expected", ErrForeignFile, report.File, l.name)
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", report.File, err)
	}
	r, missing, err := l.match(header.text)
	if err != nil {
		return fmt.Errorf("%s: %w", report.File, err)
	}
	report.MissingColumns = missing
	for number := 2; ; number++ {
		line, err := lines.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s after line %d: %w", report.File, number-1, err)
		}
		report.Lines++
		r.begin(line)
		if r.failure == nil {
			err = row(number, r)
			if err != nil {
				return fmt.Errorf("handing over line %d of %s: %w", number, report.File, err)
			}
		}
		if r.failure == nil {
			report.Accepted++
			continue
		}
		failure := *r.failure
		failure.File, failure.Line = report.File, number
		report.reject(failure)
	}
}

// match reads a header. Names are compared without regard to accents, case, spaces, apostrophes and a part in parentheses, and
// may stand in any order; the number of columns must be the documented one.
func (l *layout) match(header string) (*record, []string, error) {
	names := strings.Split(header, separator)
	if len(names) != len(l.columns)+1 || strings.TrimSpace(names[len(names)-1]) != "" {
		return nil, nil, fmt.Errorf("%w: header has %d columns, %s has %d and a separator after the last one",
			ErrForeignFile, len(names), l.name, len(l.columns))
	}
	known := make(map[string]int, len(l.columns))
	for former, column := range l.former {
		known[foldName(former)] = column
	}
	at := make([]int, len(l.columns))
	for column, name := range l.columns {
		known[foldName(name)] = column
		at[column] = -1
	}
	for position, name := range names[:len(l.columns)] {
		column, ok := known[foldName(name)]
		if !ok {
			continue
		}
		if at[column] >= 0 {
			return nil, nil, fmt.Errorf("%w: header names column %q twice", ErrForeignFile, l.columns[column])
		}
		at[column] = position
	}
	for _, column := range l.keys {
		if at[column] < 0 {
			return nil, nil, fmt.Errorf("%w: header lacks column %q of %s", ErrForeignFile, l.columns[column], l.name)
		}
	}
	var missing []string
	for column, position := range at {
		if position < 0 {
			missing = append(missing, l.columns[column])
		}
	}
	return &record{layout: l, at: at, fields: make([]string, len(names))}, missing, nil
}

// foldName keeps the letters and digits of a column name, without accents, in lower case, up to the first parenthesis.
func foldName(name string) string {
	name, _, _ = strings.Cut(name, "(")
	var folded strings.Builder
	for _, r := range norm.NFD.String(name) {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			folded.WriteRune(unicode.ToLower(r))
		}
	}
	return folded.String()
}

// begin cuts a line into its fields.
func (r *record) begin(line sourceLine) {
	r.failure = nil
	if line.fault != "" {
		r.failure = &LineError{Reason: line.fault}
		return
	}
	rest := line.text
	last := len(r.fields) - 1
	for i := range last {
		at := strings.IndexByte(rest, separator[0])
		if at < 0 {
			r.failure = &LineError{Reason: r.wrongCount(i + 1)}
			return
		}
		r.fields[i] = rest[:at]
		rest = rest[at+1:]
	}
	if strings.Contains(rest, separator) {
		r.failure = &LineError{Reason: r.wrongCount(last + countFields(rest))}
		return
	}
	r.fields[last] = rest
	if strings.TrimSpace(rest) != "" {
		r.failure = &LineError{
			Column: last + 1, ColumnName: "after the last separator", Reason: "column is not empty", Value: rest,
		}
	}
}

func (r *record) wrongCount(fields int) string {
	return fmt.Sprintf("line has %d separators, %d expected", fields-1, len(r.fields)-1)
}

func (r *record) fail(column int, reason string) {
	if r.failure != nil {
		return
	}
	failure := &LineError{Column: r.at[column] + 1, ColumnName: r.layout.columns[column], Reason: reason}
	if r.at[column] >= 0 {
		failure.Value = r.fields[r.at[column]]
	}
	r.failure = failure
}

// text returns a column in NFC without the spaces around it. Characters that are not graphic (controls, bidirectional marks,
// the replacement character of a failed decoding) are refused, since they would end on a card.
func (r *record) text(column int) string {
	return r.textUpTo(column, longestText)
}

func (r *record) textUpTo(column, longest int) string {
	if r.failure != nil || r.at[column] < 0 {
		return ""
	}
	value := r.fields[r.at[column]]
	if value == "" {
		return ""
	}
	if printableASCII(value) {
		value = strings.Trim(value, " ")
	} else {
		if !graphic(value) {
			r.fail(column, "holds a control or undecodable character")
			return ""
		}
		value = norm.NFC.String(strings.TrimSpace(value))
	}
	if len(value) > longest && utf8.RuneCountInString(value) > longest {
		r.fail(column, fmt.Sprintf("is longer than %d characters", longest))
		return ""
	}
	return value
}

// required is text that may not be empty.
func (r *record) required(column int) string {
	value := r.text(column)
	if value == "" {
		r.fail(column, "is empty")
	}
	return value
}

// code returns a column that holds a code of a table: letters without accent, digits, '-', '_', '.', at most 32. Whether the
// table has it is not asked, since tables grow faster than programs.
func (r *record) code(column int) string {
	value := r.text(column)
	if value != "" && (len(value) > longestCode || !codeShape(value)) {
		r.fail(column, "is not a code")
		return ""
	}
	return value
}

func codeShape(value string) bool {
	return registerNumber(value)
}

// printableASCII tells the values, most of a register, that need neither NFC nor a look at each character's category.
func printableASCII(value string) bool {
	for i := 0; i < len(value); i++ {
		if value[i] < 0x20 || value[i] > 0x7e {
			return false
		}
	}
	return true
}

func graphic(value string) bool {
	for _, r := range value {
		if r == utf8.RuneError || !unicode.IsGraphic(r) {
			return false
		}
	}
	return true
}
