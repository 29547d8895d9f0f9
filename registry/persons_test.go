package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// personFields returns the 56 fields of a fictitious pharmacist, a number from 0 making another person of each.
func personFields(number int) []string {
	digits := fmt.Sprintf("997%07d", number)
	key, err := LuhnKey(digits)
	if err != nil {
		panic(err)
	}
	rpps := digits + string(key)
	fields := make([]string, len(personLayout.columns))
	for column, value := range map[int]string{
		personIDType: "8", personID: rpps, personNationalID: "8" + rpps, personExerciseCivility: "DR", 4: "Docteur",
		personCivility: "MME", 6: "Madame", personFamilyName: "ÉPREUVE-ESSAI", personGivenName: "Zoé",
		personProfession: "21", 10: "Pharmacien", personCategory: "C", 12: "Civil", personSkillType: "S",
		personSkill: "SM54", personMode: "L", 18: "Libéral", personSIRET: "00000000029751", 20: "000000000",
		personFINESS: "0B0057881", personStructureID: "F0B0057881", personStructureName: "PHARMACIE D'ESSAI",
		personRecipient: "RAYON 3", personStreetNumber: "1", personStreetKind: "RUE", personStreetName: "DE L'ÉTÉ",
		personCedex: "75001 PARIS", personPostalCode: "75001", personCity: "Paris", personCountry: "99000",
		personDepartment: "75", personDepartmentLabel: "Paris", 47: "CNOP", personSector: "SA33",
		49: "Pharmacie d'officine", personPharmacistSection: "A", personRole: "FON-01", personActivityKind: "GENR01",
	} {
		fields[column] = value
	}
	return fields
}

func personLine(number int, changes map[int]string) string {
	fields := personFields(number)
	for column, value := range changes {
		fields[column] = value
	}
	return strings.Join(fields, "|") + "|\n"
}

func personHeader() string { return strings.Join(PersonColumns(), "|") + "|\n" }

func readAllPersons(t *testing.T, text string) ([]PersonRow, *Report) {
	t.Helper()
	var rows []PersonRow
	report, err := ReadPersons("personnes.txt", strings.NewReader(text), func(_ int, p PersonRow) error {
		rows = append(rows, p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if report.Accepted != len(rows) || report.Accepted+report.Rejected != report.Lines {
		t.Fatalf("%d rows, report %+v", len(rows), report)
	}
	return rows, report
}

func wantPerson(number int) PersonRow {
	return PersonRow{
		ID: NationalID(personFields(number)[personNationalID]), Civility: "MME", ExerciseCivility: "DR",
		FamilyName: "ÉPREUVE-ESSAI", GivenName: "Zoé",
		Practice: Practice{
			Profession: 21, Category: "C", SkillType: "S", Skill: "SM54", Mode: "L", SIRET: "00000000029751",
			FINESS: "0B0057881", StructureID: "F0B0057881", StructureName: "PHARMACIE D'ESSAI",
			Address: Address{
				Complement: "RAYON 3", Street: "1 RUE DE L'ÉTÉ", CedexOffice: "75001 PARIS", PostalCode: "75001",
				City: "Paris", CountryCode: "99000",
			},
			Department: "75", DepartmentLabel: "Paris", Sector: "SA33", PharmacistSection: "A", Role: "FON-01",
			ActivityKind: "GENR01",
		},
	}
}

func TestReadPersonsReadsEveryEncodingAlike(t *testing.T) {
	text := personHeader() + personLine(1, nil) + personLine(2, nil)
	windows, err := charmap.Windows1252.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	utf16 := func(order unicode.Endianness) string {
		encoded, err := unicode.UTF16(order, unicode.UseBOM).NewEncoder().String(text)
		if err != nil {
			t.Fatal(err)
		}
		return encoded
	}
	for name, test := range map[string]struct{ text, encoding string }{
		"UTF-8":                               {text, "UTF-8"},
		"UTF-8 with a byte order mark":        {"\ufeff" + text, "UTF-8"},
		"Windows-1252":                        {windows, "Windows-1252"},
		"UTF-16 little endian":                {utf16(unicode.LittleEndian), "UTF-16LE"},
		"UTF-16 big endian":                   {utf16(unicode.BigEndian), "UTF-16BE"},
		"CR LF":                               {strings.ReplaceAll(text, "\n", "\r\n"), "UTF-8"},
		"decomposed accents":                  {strings.ReplaceAll(text, "é", "e\u0301"), "UTF-8"},
		"spaces around the names":             {strings.ReplaceAll(text, "|Zoé|", "| Zoé\u00a0|"), "UTF-8"},
		"a header in capitals without accent": {strings.ToUpper(strings.ReplaceAll(personHeader(), "é", "e")) + personLine(1, nil) + personLine(2, nil), "UTF-8"},
		"a header without its parentheses":    {strings.ReplaceAll(text, " (coord. structure)", ""), "UTF-8"},
		"the earlier name of a column":        {strings.ReplaceAll(text, "Code fonction", "Code rôle"), "UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			rows, report := readAllPersons(t, test.text)
			if len(rows) != 2 || rows[0] != wantPerson(1) || rows[1] != wantPerson(2) {
				t.Fatalf("got %+v\nreport %+v", rows, report)
			}
			if !slices.Equal(report.Encodings, []string{test.encoding}) || report.Truncated || report.MissingColumns != nil {
				t.Fatalf("report %+v", report)
			}
			hash := sha256.Sum256([]byte(test.text))
			if report.SHA256 != hex.EncodeToString(hash[:]) || report.Bytes != int64(len(test.text)) {
				t.Fatalf("report %+v", report)
			}
		})
	}
}

func TestReadPersonsFollowsTheHeaderWhenColumnsMove(t *testing.T) {
	turn := func(line string) string {
		fields := strings.Split(strings.TrimSuffix(line, "|\n"), "|")
		slices.Reverse(fields)
		return strings.Join(fields, "|") + "|\n"
	}
	rows, _ := readAllPersons(t, turn(personHeader())+turn(personLine(7, nil)))
	if len(rows) != 1 || rows[0] != wantPerson(7) {
		t.Fatalf("got %+v", rows)
	}
	_, report := readAllPersons(t, turn(personHeader())+turn(personLine(7, map[int]string{personProfession: "x"})))
	if len(report.Errors) != 1 || report.Errors[0].Column != 56-personProfession || report.Errors[0].ColumnName != "Code profession" {
		t.Fatalf("got %+v", report.Errors)
	}
}

func TestReadPersonsRefusesALineAndGoesOn(t *testing.T) {
	tooFew := strings.Replace(personLine(1, nil), "|", "", 1)
	for name, test := range map[string]struct {
		line   string
		column int
		reason string
	}{
		"a wrong Luhn key":               {personLine(1, map[int]string{personID: "10102727017", personNationalID: "810102727017"}), 3, "Luhn"},
		"another wrong Luhn key":         {personLine(1, map[int]string{personID: "10107582544", personNationalID: "810107582544"}), 3, "Luhn"},
		"no identifier":                  {personLine(1, map[int]string{personNationalID: ""}), 3, "empty"},
		"an identifier of staff":         {personLine(1, map[int]string{personNationalID: "30B0057881/1"}), 3, "professional"},
		"a type that disagrees":          {personLine(1, map[int]string{personIDType: "0"}), 1, "first character"},
		"a number that disagrees":        {personLine(1, map[int]string{personID: "99700075122"}), 2, "without its first"},
		"no family name":                 {personLine(1, map[int]string{personFamilyName: "  "}), 8, "empty"},
		"a control character":            {personLine(1, map[int]string{personFamilyName: "A\x00B"}), 8, "control"},
		"a carriage return inside":       {personLine(1, map[int]string{personGivenName: "A\rB"}), 9, "control"},
		"a mark that turns the text":     {personLine(1, map[int]string{personGivenName: "A\u202eB"}), 9, "control"},
		"a replacement character":        {personLine(1, map[int]string{personGivenName: "Zo\ufffd"}), 9, "undecodable"},
		"a name of 256 characters":       {personLine(1, map[int]string{personFamilyName: strings.Repeat("É", 256)}), 8, "longer"},
		"a profession in letters":        {personLine(1, map[int]string{personProfession: "Médecin"}), 10, "profession code"},
		"a negative profession":          {personLine(1, map[int]string{personProfession: "-21"}), 10, "profession code"},
		"a category that is no code":     {personLine(1, map[int]string{personCategory: "C C"}), 12, "not a code"},
		"a SIRET of 13 digits":           {personLine(1, map[int]string{personSIRET: "0000000002975"}), 20, "SIRET"},
		"a FINESS of 8 characters":       {personLine(1, map[int]string{personFINESS: "0B005788"}), 22, "FINESS"},
		"a column too few":               {tooFew, 0, "55 separators, 56 expected"},
		"a column too many":              {"|" + personLine(1, nil), 0, "57 separators, 56 expected"},
		"text after the last separator":  {strings.TrimSuffix(personLine(1, nil), "\n") + "Z9\n", 57, "not empty"},
		"an empty line":                  {"\n", 0, "0 separators"},
		"a byte that is not UTF-8":       {personLine(1, map[int]string{personGivenName: "Zo\xe9"}), 0, "not UTF-8"},
		"a line longer than 64 KiB":      {personLine(1, map[int]string{4: strings.Repeat("x", maximumLine)}), 0, "longer than 65536"},
		"a line longer than the buffer":  {strings.Repeat("x", 3*maximumLine) + "\n", 0, "longer than 65536"},
		"a line one byte above 64 KiB":   {strings.Repeat("x", maximumLine+1) + "\n", 0, "longer than 65536"},
		"a line of 64 KiB without a bar": {strings.Repeat("x", maximumLine) + "\r\n", 0, "0 separators"},
	} {
		t.Run(name, func(t *testing.T) {
			rows, report := readAllPersons(t, personHeader()+personLine(2, nil)+test.line+personLine(3, nil))
			if len(rows) != 2 || rows[0] != wantPerson(2) || rows[1] != wantPerson(3) {
				t.Fatalf("the lines around it: %+v", rows)
			}
			if report.Rejected != 1 || len(report.Errors) != 1 {
				t.Fatalf("report %+v", report)
			}
			failure := report.Errors[0]
			if failure.File != "personnes.txt" || failure.Line != 3 || failure.Column != test.column || !strings.Contains(failure.Reason, test.reason) {
				t.Fatalf("got %+v, want column %d and %q", failure, test.column, test.reason)
			}
			if len([]rune(failure.Value)) > quotedCharacters || failure.Value != "" && strings.Contains(failure.Error(), failure.Value) {
				t.Fatalf("value %q in %q", failure.Value, failure.Error())
			}
		})
	}
}

func TestReadPersonsAcceptsWhatOnlyEligibilityCanJudge(t *testing.T) {
	for name, changes := range map[string]map[int]string{
		"an identity without profession":                   {personProfession: "", personCategory: "", personMode: ""},
		"a profession that table G15 lacks":                {personProfession: "71"},
		"a category that table R09 lacks":                  {personCategory: "F"},
		"no given name":                                    {personGivenName: ""},
		"a control character in a column that is not read": {42: "\x01"},
		"a student": {personCategory: "E"},
	} {
		t.Run(name, func(t *testing.T) {
			rows, report := readAllPersons(t, personHeader()+personLine(1, changes))
			if len(rows) != 1 {
				t.Fatalf("report %+v", report)
			}
		})
	}
}

func TestReadPersonsReportsATruncatedLastLine(t *testing.T) {
	whole := personHeader() + personLine(1, nil) + personLine(2, nil)
	for name, text := range map[string]string{
		"cut before the line end":   strings.TrimSuffix(whole, "\n"),
		"cut in the middle of text": whole[:len(whole)-200],
		"cut after ten bytes":       personHeader() + personLine(1, nil) + personLine(2, nil)[:10],
		"cut in a line too long":    personHeader() + personLine(1, nil) + strings.Repeat("x", 2*maximumLine),
	} {
		t.Run(name, func(t *testing.T) {
			rows, report := readAllPersons(t, text)
			if len(rows) != 1 || report.Rejected != 1 || report.Errors[0].Line != 3 || !report.Truncated {
				t.Fatalf("%d rows, report %+v", len(rows), report)
			}
		})
	}
}

func TestReadPersonsRefusesAForeignFileAsAWhole(t *testing.T) {
	line := personLine(1, nil)
	for name, text := range map[string]string{
		"nothing":                      "",
		"another format of ours":       strings.Join(EventColumns(), "|") + "|\n",
		"no header":                    line + line,
		"a column less":                strings.Replace(personHeader(), "Téléphone 2 (coord. structure)|", "", 1) + line,
		"a column more":                "Autre|" + personHeader() + line,
		"no separator at the end":      strings.TrimSuffix(personHeader(), "|\n") + "\n" + line,
		"a column in place of the end": strings.TrimSuffix(personHeader(), "\n") + "Autre\n" + line,
		"a key column of other name":   strings.Replace(personHeader(), "Identification nationale PP", "Clé", 1) + line,
		"a column twice":               strings.Replace(personHeader(), "Téléphone 2 (", "Téléphone (", 1) + line,
		"a header too long":            strings.Repeat("x", 2*maximumLine) + "\n" + line,
		"binary rubbish":               "PK\x03\x04\x00\x00\xff\xfe",
	} {
		t.Run(name, func(t *testing.T) {
			report, err := ReadPersons("autre.txt", strings.NewReader(text), func(int, PersonRow) error {
				t.Fatal("a line of a foreign file was handed over")
				return nil
			})
			if !errors.Is(err, ErrForeignFile) || report == nil || report.Accepted != 0 {
				t.Fatalf("%v, report %+v", err, report)
			}
		})
	}
}

func TestReadPersonsNamesOptionalColumnsThatAreMissing(t *testing.T) {
	rows, report := readAllPersons(t, strings.Replace(personHeader(), "Code fonction", "Nouveauté", 1)+personLine(1, nil))
	if len(rows) != 1 || rows[0].Role != "" || !slices.Equal(report.MissingColumns, []string{"Code fonction"}) {
		t.Fatalf("%+v, report %+v", rows, report)
	}
}

func TestReadPersonsRefusesUTF8InsideAWindowsFile(t *testing.T) {
	windows, err := charmap.Windows1252.NewEncoder().String(personHeader() + personLine(1, nil))
	if err != nil {
		t.Fatal(err)
	}
	rows, report := readAllPersons(t, windows+personLine(2, nil))
	if len(rows) != 1 || report.Rejected != 1 || !strings.Contains(report.Errors[0].Reason, "UTF-8") {
		t.Fatalf("%+v, report %+v", rows, report)
	}
}

func TestReadPersonsStopsWhenTheReceiverFails(t *testing.T) {
	full := errors.New("disk full")
	calls := 0
	report, err := ReadPersons("f", strings.NewReader(personHeader()+personLine(1, nil)+personLine(2, nil)), func(line int, _ PersonRow) error {
		calls++
		if line != 2 {
			t.Fatalf("line %d", line)
		}
		return full
	})
	if !errors.Is(err, full) || calls != 1 || report.Accepted != 0 {
		t.Fatalf("%v after %d calls, report %+v", err, calls, report)
	}
}

func TestReadPersonsReturnsTheErrorOfTheSource(t *testing.T) {
	broken := errors.New("connection reset")
	source := io.MultiReader(strings.NewReader(personHeader()+personLine(1, nil)+"8|"), failingReader{broken})
	report, err := ReadPersons("f", source, func(int, PersonRow) error { return nil })
	if !errors.Is(err, broken) || report.Accepted != 1 || report.Rejected != 0 {
		t.Fatalf("%v, report %+v", err, report)
	}
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

func TestReportKeepsAThousandErrorsAndCountsTheOthers(t *testing.T) {
	_, report := readAllPersons(t, personHeader()+strings.Repeat("|\n", 1234))
	if len(report.Errors) != 1000 || report.MoreErrors != 234 || report.Rejected != 1234 {
		t.Fatalf("%d errors, %d more, %d rejected", len(report.Errors), report.MoreErrors, report.Rejected)
	}
}

// endlessLine gives one line of size bytes without holding it.
type endlessLine struct{ left int64 }

func (e *endlessLine) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), e.left))
	copy(p, bytes.Repeat([]byte{'x'}, n))
	e.left -= int64(n)
	return n, nil
}

func TestALineOfAGigabyteIsReportedInBoundedMemory(t *testing.T) {
	source := io.MultiReader(
		strings.NewReader(personHeader()), &endlessLine{1 << 30}, strings.NewReader("\n"+personLine(1, nil)))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	highest := uint64(0)
	watched := readerFunc(func(p []byte) (int, error) {
		n, err := source.Read(p)
		return n, err
	})
	report, err := ReadPersons("f", watched, func(int, PersonRow) error {
		runtime.ReadMemStats(&after)
		highest = after.Sys - before.Sys
		return nil
	})
	if err != nil || report.Accepted != 1 || report.Rejected != 1 || report.Errors[0].Line != 2 {
		t.Fatalf("%v, report %+v", err, report)
	}
	if highest > 64<<20 {
		t.Fatalf("the process grew by %d bytes", highest)
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func FuzzReadPersons(f *testing.F) {
	f.Add([]byte(personHeader() + personLine(1, nil)))
	f.Add([]byte("\xff\xfe8\x00|\x00"))
	f.Add([]byte(personHeader() + personLine(1, map[int]string{personGivenName: "\xe9"}) + "|\n8|"))
	f.Fuzz(func(t *testing.T, data []byte) {
		// Half of the property needs a header that is accepted, so the data is read as a whole file and as the lines of one.
		for _, text := range [][]byte{data, append([]byte(personHeader()), data...)} {
			rows := 0
			report, err := ReadPersons("f", bytes.NewReader(text), func(_ int, p PersonRow) error {
				rows++
				id, err := ParseNationalID(string(p.ID))
				if err != nil || !id.Professional() || p.FamilyName == "" || !graphic(p.FamilyName+p.GivenName) {
					t.Fatalf("accepted %+v", p)
				}
				return nil
			})
			checkReport(t, report, err, rows)
		}
	})
}

// checkReport holds for every file that the readers of this package are fed from memory.
func checkReport(t *testing.T, report *Report, err error, rows int) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrForeignFile) {
		t.Fatal(err)
	}
	if report.Accepted != rows || report.Accepted+report.Rejected != report.Lines {
		t.Fatalf("%d rows handed over, report %+v", rows, report)
	}
	if len(report.Errors)+report.MoreErrors != report.Rejected {
		t.Fatalf("errors do not add up: %+v", report)
	}
}

func BenchmarkReadPersons(b *testing.B) {
	const rows = 10000
	var text bytes.Buffer
	text.WriteString(personHeader())
	for i := range rows {
		text.WriteString(personLine(i, nil))
	}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		report, err := ReadPersons("f", bytes.NewReader(text.Bytes()), func(int, PersonRow) error { return nil })
		if err != nil || report.Accepted != rows {
			b.Fatalf("%v, %+v", err, report)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
}
