package registry

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// ErrForeignFile means that the header of a file is not the one of the format it was read as: nothing of it was handed over.
var ErrForeignFile = errors.New("file is not of this format")

const (
	// reportedErrors bounds the errors that a report keeps; the others are counted.
	reportedErrors = 1000
	// quotedCharacters bounds the part of a wrong value that a line error repeats.
	quotedCharacters = 32
)

// LineError says what is wrong with one line of a register file. Error leaves the value out, since it may be a name or a
// number; Value is for the person who sent the file.
type LineError struct {
	File string `json:"file"`
	// Line is counted from 1, the header included.
	Line int `json:"line"`
	// Column is the position in this file counted from 1, or 0 when the line as a whole is meant.
	Column int `json:"column,omitempty"`
	// ColumnName is the documented name of the column.
	ColumnName string `json:"column_name,omitempty"`
	Reason     string `json:"reason"`
	// Value is the beginning of the wrong value, at most 32 characters.
	Value string `json:"value,omitempty"`
}

// Error names the file, the line, the column and the reason, without the value.
func (e *LineError) Error() string {
	if e.Column == 0 {
		return fmt.Sprintf("%s line %d: %s", e.File, e.Line, e.Reason)
	}
	return fmt.Sprintf("%s line %d, column %d (%s): %s", e.File, e.Line, e.Column, e.ColumnName, e.Reason)
}

// Report is what became of one register file. After a reader returned without an error, Accepted + Rejected = Lines.
type Report struct {
	File string `json:"file"`
	// SHA256 is the hexadecimal hash of the bytes as they came, before any decoding. It covers the whole file only when the
	// reader returned without an error.
	SHA256 string `json:"sha256"`
	// Bytes counts the bytes that came.
	Bytes int64 `json:"bytes"`
	// Lines counts the lines after the header.
	Lines    int `json:"lines"`
	Accepted int `json:"accepted"`
	Rejected int `json:"rejected"`
	// Encodings lists what was seen, in that order: "UTF-8", "Windows-1252", "UTF-16LE" or "UTF-16BE". A file without any accent
	// is "ASCII".
	Encodings []string `json:"encodings"`
	// MissingColumns lists documented columns that the header lacks and that the format can do without; they read as empty.
	MissingColumns []string `json:"missing_columns,omitempty"`
	// Truncated means that the last line does not end: the file was cut, and absence from it proves nothing.
	Truncated bool `json:"truncated"`
	// Errors holds the first 1000 line errors.
	Errors []LineError `json:"errors"`
	// MoreErrors counts the line errors beyond those.
	MoreErrors int `json:"more_errors"`
}

func (r *Report) reject(e LineError) {
	r.Rejected++
	if len(r.Errors) >= reportedErrors {
		r.MoreErrors++
		return
	}
	e.Value = shorten(e.Value)
	r.Errors = append(r.Errors, e)
}

// shorten cuts a value to a bounded copy that JSON can carry, so that a report does not hold the line it came from.
func shorten(value string) string {
	short := make([]rune, 0, quotedCharacters)
	for _, r := range value {
		if len(short) == quotedCharacters {
			return string(short[:quotedCharacters-1]) + "…"
		}
		if !unicode.IsGraphic(r) {
			r = utf8.RuneError
		}
		short = append(short, r)
	}
	return string(short)
}
