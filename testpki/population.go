package testpki

import (
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"cpsca/registry"
)

// largestPopulation is the number of seven-digit serials after 997.
const largestPopulation = 10_000_000

// longestPostalLine is the bound of package registry for a line of an envelope, in characters.
const longestPostalLine = 38

// The streams keep what is drawn for one purpose from changing what is drawn for another.
const (
	personStream     = 0x70657273
	misfortuneStream = 0x6576656e
	structureStream  = 0x73747275
	serialStep       = 7_368_787 // without a common divisor with 10^7, so that every serial comes once
)

// Shares says how many of a population something befell, each from 0 to 1; the zero value is nobody. The first five
// exclude each other and are taken in their order until they reach 1.
type Shares struct {
	StruckOff float64
	Suspended float64
	// Reinstated were suspended and may practise again.
	Reinstated float64
	Deceased   float64
	Retired    float64
	// WithoutAddress are missing from the contacts file, or are there without a street, half and half.
	WithoutAddress float64
}

// Population is a fictitious register: the same for the same seed, number and shares, in every run. It keeps nobody; each
// person is computed when asked for, so that one of millions costs no memory. It never changes and may be used by several
// goroutines.
type Population struct {
	seed   uint64
	n      int
	shares Shares
}

// Professional is one person of a population, as the readers of package registry give back what the files say.
type Professional struct {
	// Person has all practices, in the order in which the persons file gives them.
	Person registry.Person
	// Events are the lines of the events file.
	Events []registry.Event
	// Contact is the line of the contacts file; zero if there is none.
	Contact registry.Contact

	authority  string // autorité d'enregistrement
	decomposed bool   // the persons file writes the names in NFD
	practices  []practiceRow
}

// practiceRow is what a line of the persons file says besides the practice.
type practiceRow struct {
	structure *structure
	skillType skillType
}

// NewPopulation describes n persons, at most ten million; a negative number is none. Nothing befell any of them; see With.
// Their RPPS numbers are 997, a serial that no other has, and the Luhn key. About one in twenty is a student or holds no
// card for another reason; see Ready.
func NewPopulation(seed uint64, n int) *Population {
	return &Population{seed: seed, n: max(0, min(n, largestPopulation))}
}

// With returns the same people with other shares of misfortune.
func (p *Population) With(shares Shares) *Population {
	return &Population{seed: p.seed, n: p.n, shares: shares}
}

// Len returns the number of persons.
func (p *Population) Len() int { return p.n }

// All goes through the persons by index.
func (p *Population) All() iter.Seq2[int, Professional] {
	return func(yield func(int, Professional) bool) {
		for i := range p.n {
			if !yield(i, p.Person(i)) {
				return
			}
		}
	}
}

// Eligible goes through the persons that are Ready, by index.
func (p *Population) Eligible() iter.Seq2[int, Professional] {
	return func(yield func(int, Professional) bool) {
		for i, one := range p.All() {
			if one.Ready() == nil && !yield(i, one) {
				return
			}
		}
	}
}

// Person computes the person of an index from 0 to Len-1.
func (p *Population) Person(i int) Professional {
	r := p.personStream(i)
	rows := rowsOf(r)
	id := p.nationalID(i)
	trade := pickTrade(r)
	woman := chance(r, 0.7)
	person := registry.Person{
		ID: id, Civility: "M", FamilyName: familyName(r), GivenName: givenName(r, woman),
	}
	if woman {
		person.Civility = "MME"
	}
	if trade.doctor {
		person.ExerciseCivility = "DR"
	}
	one := Professional{authority: trade.authority, decomposed: chance(r, 0.05)}
	category := registry.CategoryCivil
	switch draw := r.IntN(100); {
	case draw < 1:
		category = registry.CategoryMilitary
	case draw < 5 && trade.students:
		category = registry.CategoryStudent
	}
	skill := pickSkill(r, trade)
	second := trade
	if chance(r, 0.02) {
		second = pickTrade(r)
	}
	first := r.IntN(1 << 30)
	for row := range rows {
		if row == 1 {
			trade = second
			skill = pickSkill(r, trade)
		}
		k := pick(r, trade.kinds)
		// Neighbours in steps: no person has a structure twice.
		s := structureOf(p.seed, k.first+(first+row*97)%k.size)
		one.practices = append(one.practices, practiceRow{structure: s, skillType: skill.kind})
		person.Practices = append(person.Practices, s.practice(r, trade, category, skill))
	}
	one.Person = person
	one.Contact = contactOf(r, i, person)
	p.befall(i, &one)
	return one
}

func (p *Population) personStream(i int) *rand.Rand {
	return stream(p.seed, personStream, i)
}

// stream is the source of all that is drawn for one purpose about one thing.
func stream(seed, purpose uint64, index int) *rand.Rand {
	return rand.New(rand.NewPCG(seed^purpose, uint64(index)))
}

// rowsOf draws how many lines a person has in the persons file; it is the first draw, so that a writer can skip.
func rowsOf(r *rand.Rand) int {
	switch draw := r.IntN(100); {
	case draw < 68:
		return 1
	case draw < 89:
		return 2
	case draw < 97:
		return 3
	}
	return longestCareer
}

// longestCareer is the largest number of rows of one person.
const longestCareer = 4

func (p *Population) nationalID(i int) registry.NationalID {
	serial := (p.seed%largestPopulation + uint64(i)*serialStep) % largestPopulation
	digits := "997" + padded(int(serial), 7)
	key, _ := registry.LuhnKey(digits) // ten digits always have one
	return registry.RPPS(digits + string(rune(key))).NationalID()
}

// practice draws how a trade is practised in a structure.
func (s *structure) practice(r *rand.Rand, t *trade, category string, skill skill) registry.Practice {
	mode := "S"
	if s.sector == practice.sector || s.sector == group.sector || s.sector == pharmacy.sector {
		mode = "L"
	}
	if chance(r, 0.01) {
		mode = "B"
	}
	section := ""
	if t.code == pharmacist {
		section = map[string]string{pharmacy.sector: "A", lab.sector: "G"}[s.sector]
		if section == "" {
			section = "H"
		}
	}
	return registry.Practice{
		Profession: t.code, Category: category, SkillType: skill.kind.code, Skill: skill.code, Mode: mode,
		SIRET: s.siret, FINESS: s.finess, StructureID: s.id, StructureName: s.name,
		Address: registry.Address{
			Complement: joinFilled(s.recipient, s.point), Street: s.line(), Distribution: s.distribution, CedexOffice: s.cedex,
			PostalCode: s.place.postalCode, City: s.place.city, CountryCode: countryFrance,
		},
		Department: s.place.department, DepartmentLabel: s.place.label, Sector: s.sector, PharmacistSection: section,
		Role: "FON-01", ActivityKind: "GENR01",
	}
}

// contactOf draws where the person lives.
func contactOf(r *rand.Rand, i int, person registry.Person) registry.Contact {
	town := pick(r, places)
	civility := person.Civility
	if person.ExerciseCivility != "" {
		civility = person.ExerciseCivility
	}
	contact := registry.Contact{
		ID: person.ID, Recipient: recipientLine(civility, person.GivenName, person.FamilyName),
		Street:     strconv.Itoa(1+r.IntN(199)) + " " + pick(r, ways).label + " " + pick(r, streets),
		PostalCode: town.postalCode, City: town.city,
		Phone:   "+33" + strings.ReplaceAll(fictitiousPhone(r), " ", "")[1:],
		Updated: time.Date(2022, time.January, 1+r.IntN(1400), 0, 0, 0, 0, time.UTC),
	}
	if chance(r, 0.1) {
		contact.Complement = "APPARTEMENT " + string(rune('A'+r.IntN(26)))
	}
	if chance(r, 0.05) {
		contact.Locality = "LE HAMEAU D’EN-HAUT"
	}
	if chance(r, 0.01) {
		contact.PostalCode, contact.City, contact.Country = "1000", "Bruxelles", "BE"
	}
	if chance(r, 0.8) {
		contact.Email = "personne" + padded(i, 7) + "@courrier.example"
	}
	return contact
}

// befall draws the events of a person and whether there is an address.
func (p *Population) befall(i int, one *Professional) {
	r := stream(p.seed, misfortuneStream, i)
	draw, day := r.Float64(), time.Date(2024, time.January, 1+r.IntN(600), 0, 0, 0, 0, time.UTC)
	tell := func(kind registry.EventKind, day time.Time) {
		one.Events = append(one.Events, registry.Event{ID: one.Person.ID, Kind: kind, Date: day, Source: one.authority})
	}
	for _, fate := range []struct {
		share float64
		kinds []registry.EventKind
	}{
		{p.shares.StruckOff, []registry.EventKind{registry.StruckOff}},
		{p.shares.Suspended, []registry.EventKind{registry.Suspended}},
		{p.shares.Reinstated, []registry.EventKind{registry.Suspended, registry.Reinstated}},
		{p.shares.Deceased, []registry.EventKind{registry.Deceased}},
		{p.shares.Retired, []registry.EventKind{registry.Retired}},
	} {
		if draw < fate.share {
			for n, kind := range fate.kinds {
				tell(kind, day.AddDate(0, n, 0))
			}
			break
		}
		draw -= fate.share
	}
	if !chance(r, p.shares.WithoutAddress) {
		return
	}
	if chance(r, 0.5) {
		one.Contact = registry.Contact{}
		return
	}
	one.Contact.Street, one.Contact.Locality = "", ""
}

// The day on which Ready asks: after all events of a population, so that the answer does not change with the calendar.
var afterEvents = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// Profession returns the first profession that the person practises other than as a student, 0 if there is none.
func (o Professional) Profession() registry.ProfessionCode {
	for _, practice := range o.Person.Practices {
		if practice.Category != registry.CategoryStudent {
			return practice.Profession
		}
	}
	return 0
}

// Professions returns every profession for which the person may have a CPS, were it not for the events.
func (o Professional) Professions() []registry.ProfessionCode {
	var codes []registry.ProfessionCode
	for _, practice := range o.Person.Practices {
		if practice.Category != registry.CategoryStudent && !slices.Contains(codes, practice.Profession) {
			codes = append(codes, practice.Profession)
		}
	}
	return codes
}

// Ready returns nil if a CPS of Profession can be ordered and sent, and else the reason: an error of registry.Eligible or
// registry.ErrIncompleteAddress.
func (o Professional) Ready() error {
	err := registry.Eligible(o.Person, o.Profession(), o.Events, afterEvents)
	if err != nil {
		return err
	}
	return o.Contact.Complete()
}

// written returns the names as the persons file spells them: mostly composed, for some letter by letter with their marks.
func (o Professional) written() (family, given string) {
	if o.decomposed {
		return norm.NFD.String(o.Person.FamilyName), norm.NFD.String(o.Person.GivenName)
	}
	return o.Person.FamilyName, o.Person.GivenName
}
