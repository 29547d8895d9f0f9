package testpki_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"cpsca/registry"
	"cpsca/testpki"
)

var everyMisfortune = testpki.Shares{
	StruckOff: 0.05, Suspended: 0.05, Reinstated: 0.05, Deceased: 0.05, Retired: 0.05, WithoutAddress: 0.1,
}

func written(t testing.TB, write func(io.Writer) (int, error)) (string, int) {
	t.Helper()
	var file bytes.Buffer
	rows, err := write(&file)
	if err != nil {
		t.Fatal(err)
	}
	return file.String(), rows
}

func wantClean(t testing.TB, report *registry.Report, err error, rows int) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if report.Rejected != 0 || report.Accepted != rows || report.Lines != rows || report.Truncated || len(report.MissingColumns) != 0 {
		t.Fatalf("%d rows written, the report is %+v", rows, report)
	}
}

func TestThePersonsFileReadsBackAsThePersons(t *testing.T) {
	p := testpki.NewPopulation(7, 5000)
	file, rows := written(t, p.WritePersons)
	people := map[registry.NationalID]registry.Person{}
	last, adjacent, several := registry.NationalID(""), 0, 0
	report, err := registry.ReadPersons("persons", strings.NewReader(file), func(_ int, row registry.PersonRow) error {
		if row.ID == last {
			adjacent++
		}
		last = row.ID
		person, seen := people[row.ID]
		if seen {
			several++
		}
		person = registry.Person{
			ID: row.ID, Civility: row.Civility, ExerciseCivility: row.ExerciseCivility, FamilyName: row.FamilyName, GivenName: row.GivenName,
			Practices: append(person.Practices, row.Practice),
		}
		people[row.ID] = person
		return nil
	})
	wantClean(t, report, err, rows)
	if len(people) != p.Len() || adjacent != 0 || several != rows-p.Len() || several < p.Len()/4 {
		t.Errorf("%d people, %d adjacent rows, %d further rows", len(people), adjacent, several)
	}
	for i, one := range p.All() {
		if got := people[one.Person.ID]; !reflect.DeepEqual(got, one.Person) {
			t.Fatalf("person %d: got  %+v\nwant %+v", i, got, one.Person)
		}
	}
	if !strings.HasPrefix(report.Encodings[0], "UTF-8") || strings.Contains(file, "\r") || norm.NFC.IsNormalString(file) {
		t.Error("want UTF-8, LF and some names in NFD")
	}
}

func TestEventsAndContactsReadBackAsTheyAre(t *testing.T) {
	p := testpki.NewPopulation(8, 3000).With(everyMisfortune)
	var events []registry.Event
	file, rows := written(t, p.WriteEvents)
	report, err := registry.ReadEvents("events", strings.NewReader(file), func(_ int, e registry.Event) error {
		events = append(events, e)
		return nil
	})
	wantClean(t, report, err, rows)
	var contacts []registry.Contact
	file, rows = written(t, p.WriteContacts)
	report, err = registry.ReadContacts("contacts", strings.NewReader(file), func(_ int, c registry.Contact) error {
		contacts = append(contacts, c)
		return nil
	})
	wantClean(t, report, err, rows)
	var wantEvents []registry.Event
	var wantContacts []registry.Contact
	for _, one := range p.All() {
		wantEvents = append(wantEvents, one.Events...)
		if one.Contact.ID != "" {
			wantContacts = append(wantContacts, one.Contact)
		}
	}
	if !reflect.DeepEqual(events, wantEvents) || !reflect.DeepEqual(contacts, wantContacts) {
		t.Errorf("got %d events and %d contacts, want %d and %d", len(events), len(contacts), len(wantEvents), len(wantContacts))
	}
}

func TestSharesAreKept(t *testing.T) {
	const n = 10000
	p := testpki.NewPopulation(9, n).With(everyMisfortune)
	reasons := []error{
		nil, registry.ErrStruckOff, registry.ErrSuspended, registry.ErrDeceased, registry.ErrRetired,
		registry.ErrProfessionNotHeld, registry.ErrIncompleteAddress,
	}
	counts := make([]int, len(reasons))
	reinstated := 0
	for _, one := range p.All() {
		got := one.Ready()
		for i, reason := range reasons {
			if errors.Is(got, reason) {
				counts[i]++
			}
		}
		if len(one.Events) == 2 {
			reinstated++
		}
	}
	for i, want := range []struct{ least, most int }{{6700, 7300}, {400, 600}, {400, 600}, {400, 600}, {400, 600}, {150, 400}, {600, 900}} {
		if counts[i] < want.least || counts[i] > want.most {
			t.Errorf("%v: %d of %d", reasons[i], counts[i], n)
		}
	}
	eligible := 0
	for range p.Eligible() {
		eligible++
	}
	if eligible != counts[0] || reinstated < 400 || reinstated > 600 {
		t.Errorf("%d eligible, %d ready, %d reinstated", eligible, counts[0], reinstated)
	}
	for _, one := range testpki.NewPopulation(9, 1000).All() {
		if len(one.Events) != 0 || one.Contact.Complete() != nil {
			t.Fatal("without shares, something befell somebody")
		}
	}
}

func TestNumbersAndPracticesAreUnique(t *testing.T) {
	seen := map[registry.NationalID]bool{}
	for _, one := range testpki.NewPopulation(1<<63, 20000).All() {
		id, err := registry.ParseNationalID(string(one.Person.ID))
		if err != nil || !id.Test() || !strings.HasPrefix(string(id), "8997") || seen[id] {
			t.Fatalf("%s: %v, seen %v", id, err, seen[id])
		}
		seen[id] = true
		structures := map[string]bool{}
		for _, practice := range one.Person.Practices {
			structures[practice.StructureID] = true
		}
		if len(structures) != len(one.Person.Practices) {
			t.Fatalf("%s practises twice in one structure", id)
		}
	}
}

func TestAPopulationIsTheSameForTheSameSeed(t *testing.T) {
	hash := func(seed uint64) [32]byte {
		p := testpki.NewPopulation(seed, 300).With(everyMisfortune)
		persons, _ := written(t, p.WritePersons)
		events, _ := written(t, p.WriteEvents)
		contacts, _ := written(t, p.WriteContacts)
		return sha256.Sum256([]byte(persons + events + contacts))
	}
	if hash(1) != hash(1) || hash(1) == hash(2) {
		t.Error("the files do not follow the seed")
	}
	larger := testpki.NewPopulation(1, 3000)
	if !reflect.DeepEqual(larger.Person(299).Person, testpki.NewPopulation(1, 300).Person(299).Person) {
		t.Error("a larger population begins with other people")
	}
}

func TestNeighboursDoNotResembleEachOther(t *testing.T) {
	women, streets := 0, map[string]bool{}
	for seed := range uint64(50) {
		for _, one := range testpki.NewPopulation(seed, 10).All() {
			if one.Person.Civility == "MME" {
				women++
			}
			streets[one.Person.Practices[0].Address.Street] = true
		}
	}
	if women < 310 || women > 390 || len(streets) < 450 {
		t.Errorf("of 500 there are %d women, in %d streets", women, len(streets))
	}
}

func TestNamesAreAsVariedAsNamesAre(t *testing.T) {
	found := map[string]int{}
	professions := map[registry.ProfessionCode]int{}
	longest := 0
	for _, one := range testpki.NewPopulation(3, 20000).All() {
		name := one.Person.FamilyName
		longest = max(longest, utf8.RuneCountInString(name), utf8.RuneCountInString(one.Person.GivenName))
		for _, mark := range []string{"-", "--", "’", "'", " ", "É", "Œ", "œ", "Ÿ", "Ç", "Ê", "Û"} {
			if strings.Contains(name, mark) {
				found[mark]++
			}
		}
		for _, practice := range one.Person.Practices {
			professions[practice.Profession]++
		}
	}
	if len(found) != 12 || longest > 64 || longest < 40 {
		t.Errorf("found %v, the longest name has %d characters", found, longest)
	}
	for _, entry := range registry.Professions.Entries() {
		if code := registry.ProfessionCode(atoi(t, entry.Code)); !entry.Deprecated && professions[code] == 0 {
			t.Errorf("nobody is %s", entry.Label)
		}
	}
	if professions[60] < 2*professions[10] || professions[10] < professions[70] {
		t.Errorf("the weights are off: %v", professions)
	}
}

func atoi(t testing.TB, text string) (n int) {
	t.Helper()
	_, err := fmt.Sscan(text, &n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAnOutOfRangeNumberOfPersonsIsBounded(t *testing.T) {
	if testpki.NewPopulation(1, -1).Len() != 0 || testpki.NewPopulation(1, 1<<40).Len() != 10_000_000 {
		t.Error("not bounded")
	}
	file, rows := written(t, testpki.NewPopulation(1, 0).WriteContacts)
	if rows != 0 || strings.Count(file, "\n") != 1 {
		t.Errorf("an empty population wrote %q", file)
	}
}

var errFull = errors.New("disk is full")

type fullDisk struct{ room int }

func (d *fullDisk) Write(p []byte) (int, error) {
	d.room -= len(p)
	if d.room < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestAFailedWriteIsReported(t *testing.T) {
	p := testpki.NewPopulation(1, 5000)
	for _, write := range []func(io.Writer) (int, error){p.WritePersons, p.WriteContacts, p.WriteEvents} {
		for _, room := range []int{0, 300 << 10} {
			_, err := write(&fullDisk{room: room})
			small, _ := written(t, write)
			if len(small) > room && !errors.Is(err, errFull) {
				t.Errorf("room for %d bytes: %v", room, err)
			}
		}
	}
}

func BenchmarkWritePersons(b *testing.B) {
	p := testpki.NewPopulation(1, 20000)
	rows := 0
	for b.Loop() {
		n, err := p.WritePersons(io.Discard)
		if err != nil {
			b.Fatal(err)
		}
		rows += n
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}
