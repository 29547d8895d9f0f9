package registry

import (
	"io"
	"time"
)

const (
	eventNationalID = iota
	eventKind
	eventDate
	eventSource
)

// longestSource bounds the source of an event, in characters.
const longestSource = 64

var eventLayout = &layout{
	name:    "register events",
	columns: []string{"Identification nationale PP", "Événement", "Date", "Source"},
	keys:    []int{eventNationalID, eventKind, eventDate, eventSource},
}

// EventColumns returns the documented header of the events file, for programs that write one.
func EventColumns() []string {
	return append([]string(nil), eventLayout.columns...)
}

// ReadEvents reads a file of register events from r and hands each correct line to each, with its number counted from 1.
//
// The format is ours: the syntax of the persons file (see ReadPersons), UTF-8 recommended, and the header
//
//	Identification nationale PP|Événement|Date|Source|
//	899700075122|SUSPENSION|2026-03-01|Ordre national des pharmaciens|
//
// The identifier is of any kind that cards carry. The event is RADIATION (struck off), SUSPENSION, REINTEGRATION (reinstated),
// DECES (deceased), RETRAITE (retired) or MODIFICATION (changed), in capitals without accents. The date is YYYY-MM-DD or
// DD/MM/YYYY, from 1900 to 2199, and may lie ahead. The source is free, at most 64 characters, and may be empty. Report and
// error are those of ReadPersons.
func ReadEvents(name string, r io.Reader, each func(line int, e Event) error) (*Report, error) {
	return readTable(name, r, eventLayout, func(line int, record *record) error {
		event := Event{
			ID:     record.nationalID(eventNationalID),
			Kind:   EventKind(record.required(eventKind)),
			Date:   record.date(eventDate),
			Source: record.textUpTo(eventSource, longestSource),
		}
		if record.failure == nil && !event.Kind.Valid() {
			record.fail(eventKind, "is not an event: RADIATION, SUSPENSION, REINTEGRATION, DECES, RETRAITE or MODIFICATION")
		}
		if record.failure != nil {
			return nil
		}
		return each(line, event)
	})
}

// date reads a day in one of the two accepted forms, at midnight UTC.
func (r *record) date(column int) time.Time {
	value := r.required(column)
	if r.failure != nil {
		return time.Time{}
	}
	day, err := time.Parse(time.DateOnly, value)
	if err != nil {
		day, err = time.Parse("02/01/2006", value)
	}
	if err != nil || day.Year() < 1900 || day.Year() > 2199 {
		r.fail(column, "is not a date YYYY-MM-DD or DD/MM/YYYY between 1900 and 2199")
		return time.Time{}
	}
	return day
}
