package testpki

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"cpsca/registry"
)

// countryFrance is the INSEE code with which the extraction writes France.
const countryFrance = "99000"

// writeBuffer is the size of the pieces in which files are written, in bytes.
const writeBuffer = 256 << 10

// WritePersons writes the persons as a file PS_LibreAcces_Personne_activite (56 columns and a separator after the last
// one, header, LF, UTF-8) and returns the number of lines after the header. It holds one line at a time. First comes the
// first practice of everybody, then the second one of those who have two, and so on: the rows of one person are not
// adjacent, but for the last ones of a population of a handful.
func (p *Population) WritePersons(w io.Writer) (rows int, err error) {
	out := bufio.NewWriterSize(w, writeBuffer)
	line := appendHeader(nil, registry.PersonColumns())
	_, err = out.Write(line)
	if err != nil {
		return 0, fmt.Errorf("writing persons: %w", err)
	}
	for row := range longestCareer {
		for i := range p.n {
			if rowsOf(p.personStream(i)) <= row {
				continue
			}
			one := p.Person(i)
			line = one.appendRow(line[:0], row)
			_, err = out.Write(line)
			if err != nil {
				return rows, fmt.Errorf("writing persons: %w", err)
			}
			rows++
		}
	}
	err = out.Flush()
	if err != nil {
		return rows, fmt.Errorf("writing persons: %w", err)
	}
	return rows, nil
}

// WriteEvents writes the events file of package registry and returns the number of lines after the header.
func (p *Population) WriteEvents(w io.Writer) (rows int, err error) {
	return p.write(w, "events", registry.EventColumns(), func(line []byte, one *Professional) ([]byte, int) {
		for _, event := range one.Events {
			line = appendFields(line, string(event.ID), string(event.Kind), event.Date.Format(time.DateOnly), event.Source)
			line = append(line, '\n')
		}
		return line, len(one.Events)
	})
}

// WriteContacts writes the contacts file of package registry and returns the number of lines after the header.
func (p *Population) WriteContacts(w io.Writer) (rows int, err error) {
	return p.write(w, "contacts", registry.ContactColumns(), func(line []byte, one *Professional) ([]byte, int) {
		c := one.Contact
		if c.ID == "" {
			return line, 0
		}
		line = appendFields(line, string(c.ID), c.Recipient, c.Complement, c.Street, c.Locality, c.PostalCode, c.City, c.Country,
			nationalPhone(c), c.Email, c.Updated.Format(time.DateOnly))
		return append(line, '\n'), 1
	})
}

// nationalPhone writes a number as people do, where the reader can complete it.
func nationalPhone(c registry.Contact) string {
	digits, french := strings.CutPrefix(c.Phone, "+33")
	if !french || c.Country != "" || len(digits) != 9 {
		return c.Phone
	}
	return "0" + digits[:1] + " " + digits[1:3] + " " + digits[3:5] + " " + digits[5:7] + " " + digits[7:]
}

// write is what the two files that follow the persons one by one have in common.
func (p *Population) write(w io.Writer, name string, columns []string, lines func([]byte, *Professional) ([]byte, int)) (rows int, err error) {
	out := bufio.NewWriterSize(w, writeBuffer)
	line := appendHeader(nil, columns)
	for _, one := range p.All() {
		_, err = out.Write(line)
		if err != nil {
			return rows, fmt.Errorf("writing %s: %w", name, err)
		}
		count := 0
		line, count = lines(line[:0], &one)
		rows += count
	}
	_, err = out.Write(line)
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return rows, fmt.Errorf("writing %s: %w", name, err)
	}
	return rows, nil
}

func appendHeader(line []byte, columns []string) []byte {
	return append(appendFields(line, columns...), '\n')
}

// appendFields writes each field and a separator behind it.
func appendFields(line []byte, fields ...string) []byte {
	for _, field := range fields {
		line = append(line, field...)
		line = append(line, '|')
	}
	return line
}

// appendRow writes one practice in the documented order of columns.
func (o Professional) appendRow(line []byte, row int) []byte {
	id, practice, s := string(o.Person.ID), &o.Person.Practices[row], o.practices[row].structure
	family, given := o.written()
	profession := strconv.Itoa(int(practice.Profession))
	siren := practice.SIRET[:9]
	line = appendFields(line,
		id[:1], id[1:], id, o.Person.ExerciseCivility, civilityLabels[o.Person.ExerciseCivility],
		o.Person.Civility, civilityLabels[o.Person.Civility], family, given,
		profession, label(registry.Professions, profession), practice.Category, label(registry.Categories, practice.Category),
		practice.SkillType, o.practices[row].skillType.label, practice.Skill, label(registry.Specialities, practice.Skill),
		practice.Mode, label(registry.Modes, practice.Mode))
	line = appendFields(line,
		practice.SIRET, siren, practice.FINESS, "", practice.StructureID, practice.StructureName, "",
		s.recipient, s.point, s.number, s.repetition, s.way.code, s.way.label, s.street, s.distribution, s.cedex,
		s.place.postalCode, s.place.commune, s.place.city, countryFrance, "FRANCE", s.phone, "", "", s.email)
	line = appendFields(line,
		s.place.department, s.place.label, "", o.authority, practice.Sector, label(registry.Sectors, practice.Sector),
		practice.PharmacistSection, label(registry.PharmacistSections, practice.PharmacistSection),
		practice.Role, "Titulaire de cabinet", practice.ActivityKind, "Activité standard de soin ou de pharmacien")
	return append(line, '\n')
}

var civilityLabels = map[string]string{"M": "Monsieur", "MME": "Madame", "DR": "Docteur"}

// label is empty for the empty code.
func label(list *registry.CodeList, code string) string {
	text, _ := list.Label(code)
	return text
}
