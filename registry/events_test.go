package registry

import (
	"bytes"
	"strings"
	"testing"
)

func eventHeader() string { return strings.Join(EventColumns(), "|") + "|\n" }

func TestReadEventsReadsItsDocumentedFormat(t *testing.T) {
	text := "Identification nationale PP|Événement|Date|Source|\n" +
		"899700075122|RADIATION|2026-03-01|Ordre national|\n" +
		"899700075064|SUSPENSION|01/03/2026||\n" +
		"899700075064| REINTEGRATION |2026-04-01|Ordre|\n" +
		"00B6087510|DECES|2026-03-01|INSEE|\n" +
		"899700735741|RETRAITE|2199-12-31|CARMF|\n" +
		"30B0057881/CPET0002|MODIFICATION|2024-02-29|" + strings.Repeat("é", 64) + "|\n"
	var events []Event
	report, err := ReadEvents("evenements.txt", strings.NewReader(text), func(line int, e Event) error {
		if line != len(events)+2 {
			t.Fatalf("line %d", line)
		}
		events = append(events, e)
		return nil
	})
	if err != nil || report.Accepted != 6 || report.Rejected != 0 {
		t.Fatalf("%v, report %+v", err, report)
	}
	want := []Event{
		{"899700075122", StruckOff, day("2026-03-01"), "Ordre national"},
		{"899700075064", Suspended, day("2026-03-01"), ""},
		{"899700075064", Reinstated, day("2026-04-01"), "Ordre"},
		{"00B6087510", Deceased, day("2026-03-01"), "INSEE"},
		{"899700735741", Retired, day("2199-12-31"), "CARMF"},
		{"30B0057881/CPET0002", Changed, day("2024-02-29"), strings.Repeat("é", 64)},
	}
	for i := range want {
		if events[i] != want[i] {
			t.Errorf("got %+v, want %+v", events[i], want[i])
		}
	}
}

func TestReadEventsRefusesALineAndGoesOn(t *testing.T) {
	for name, test := range map[string]struct {
		line   string
		column int
	}{
		"a wrong Luhn key":            {"810102727017|DECES|2026-03-01||", 1},
		"an obsolete identifier":      {"9123456789|DECES|2026-03-01||", 1},
		"an event that is in no list": {"899700075122|DEMENAGEMENT|2026-03-01||", 2},
		"an event with its accents":   {"899700075122|DÉCÈS|2026-03-01||", 2},
		"no event":                    {"899700075122||2026-03-01||", 2},
		"a day that does not exist":   {"899700075122|DECES|2026-02-30||", 3},
		"an American date":            {"899700075122|DECES|12/31/2026||", 3},
		"no date":                     {"899700075122|DECES|||", 3},
		"a date long past":            {"899700075122|DECES|1899-12-31||", 3},
		"a source of 65 characters":   {"899700075122|DECES|2026-03-01|" + strings.Repeat("é", 65) + "|", 4},
		"a column too few":            {"899700075122|DECES|2026-03-01|", 0},
		"no separator at the end":     {"899700075122|DECES|2026-03-01|INSEE", 0},
	} {
		t.Run(name, func(t *testing.T) {
			good := "899700075122|DECES|2026-03-01||\n"
			rows := 0
			report, err := ReadEvents("f", strings.NewReader(eventHeader()+good+test.line+"\n"+good), func(int, Event) error {
				rows++
				return nil
			})
			if err != nil || rows != 2 || len(report.Errors) != 1 {
				t.Fatalf("%v, %d rows, report %+v", err, rows, report)
			}
			failure := report.Errors[0]
			wrongCount := test.column == 0 && failure.Column == 0
			if failure.Line != 3 || failure.Column != test.column && !wrongCount {
				t.Fatalf("got %+v, want column %d", failure, test.column)
			}
		})
	}
}

func FuzzReadEvents(f *testing.F) {
	f.Add([]byte("899700075122|DECES|2026-03-01|INSEE|\n899700075122|DECES|01/03/2026||"))
	f.Add([]byte("|||||||\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, text := range [][]byte{data, append([]byte(eventHeader()), data...)} {
			rows := 0
			report, err := ReadEvents("f", bytes.NewReader(text), func(_ int, e Event) error {
				rows++
				_, err := ParseNationalID(string(e.ID))
				if err != nil || !e.Kind.Valid() || e.Date.IsZero() {
					t.Fatalf("accepted %+v", e)
				}
				return nil
			})
			checkReport(t, report, err, rows)
		}
	})
}
