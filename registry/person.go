package registry

import (
	"errors"
	"fmt"
	"time"
)

// Address is the postal address of a structure as the register writes it.
type Address struct {
	// Complement is the complément destinataire and the complément point géographique.
	Complement string `json:"complement,omitempty"`
	// Street is number, repetition mark, kind of way and name of the way.
	Street       string `json:"street,omitempty"`
	Distribution string `json:"distribution,omitempty"`
	// CedexOffice is the bureau cedex.
	CedexOffice string `json:"cedex_office,omitempty"`
	PostalCode  string `json:"postal_code,omitempty"`
	City        string `json:"city,omitempty"`
	CountryCode string `json:"country_code,omitempty"`
}

// Practice is one activity of a professional: a profession, under a category, with a skill, in a mode, in a structure. It is
// comparable, so that a repeated row can be recognised.
type Practice struct {
	// Profession is the code of table G15, 0 when the row carries an identity alone.
	Profession ProfessionCode `json:"profession,omitempty"`
	// Category is the code of table R09.
	Category string `json:"category,omitempty"`
	// SkillType and Skill are the type and code of a savoir-faire (table R01 and its neighbours).
	SkillType string `json:"skill_type,omitempty"`
	Skill     string `json:"skill,omitempty"`
	// Mode is the code of table R23.
	Mode string `json:"mode,omitempty"`
	// SIRET, FINESS and StructureID identify the structure: 14 digits, 9 characters, and the directory's own identifier.
	SIRET         string  `json:"siret,omitempty"`
	FINESS        string  `json:"finess,omitempty"`
	StructureID   string  `json:"structure_id,omitempty"`
	StructureName string  `json:"structure_name,omitempty"`
	Address       Address `json:"address,omitzero"`
	// Department and DepartmentLabel are those of the structure, for instance "75" and "Paris".
	Department      string `json:"department,omitempty"`
	DepartmentLabel string `json:"department_label,omitempty"`
	// Sector is the code of table R02.
	Sector string `json:"sector,omitempty"`
	// PharmacistSection is the code of table G05.
	PharmacistSection string `json:"pharmacist_section,omitempty"`
	// Role is the code fonction, ActivityKind the code genre activité.
	Role         string `json:"role,omitempty"`
	ActivityKind string `json:"activity_kind,omitempty"`
}

// Person is what the register knows of one professional, the rows of all practices together.
type Person struct {
	ID NationalID `json:"id"`
	// Civility is the code civilité ("M", "MME"), ExerciseCivility the code civilité d'exercice ("DR", "PR").
	Civility         string `json:"civility,omitempty"`
	ExerciseCivility string `json:"exercise_civility,omitempty"`
	// FamilyName and GivenName are the names of exercise, in NFC.
	FamilyName string     `json:"family_name"`
	GivenName  string     `json:"given_name,omitempty"`
	Practices  []Practice `json:"practices"`
}

// EventKind is a register event by its stable code in the events file.
type EventKind string

// The register events.
const (
	StruckOff  EventKind = "RADIATION"
	Suspended  EventKind = "SUSPENSION"
	Reinstated EventKind = "REINTEGRATION"
	Deceased   EventKind = "DECES"
	Retired    EventKind = "RETRAITE"
	// Changed announces that the identity or a practice changed; it takes no right away.
	Changed EventKind = "MODIFICATION"
)

// Valid reports whether the kind is one of the six of this package.
func (k EventKind) Valid() bool {
	switch k {
	case StruckOff, Suspended, Reinstated, Deceased, Retired, Changed:
		return true
	}
	return false
}

// Event is something that happened to a person, told by a source such as an Order.
type Event struct {
	ID   NationalID `json:"id"`
	Kind EventKind  `json:"kind"`
	// Date is the day of the event, midnight UTC.
	Date time.Time `json:"date"`
	// Source says who told it, at most 64 characters.
	Source string `json:"source,omitempty"`
}

// Reasons for which a person is not entitled to a card of a profession; test with errors.Is.
var (
	// ErrDeceased is final: no later event ends it.
	ErrDeceased = errors.New("person is deceased")
	// ErrStruckOff lasts until a reinstatement of the same day or later.
	ErrStruckOff = errors.New("person is struck off")
	// ErrSuspended lasts until a reinstatement of the same day or later.
	ErrSuspended = errors.New("person is suspended")
	// ErrRetired is not ended by a reinstatement, which speaks of sanctions.
	ErrRetired = errors.New("person is retired")
	// ErrProfessionNotHeld means that no practice gives the profession under a category that entitles to a CPS, or that table
	// G15 has no such profession.
	ErrProfessionNotHeld = errors.New("person does not hold the profession")
)

// Eligible says whether a person is entitled to a CPS of a profession at an instant. It returns nil or one of ErrDeceased,
// ErrStruckOff, ErrSuspended, ErrRetired, ErrProfessionNotHeld, the gravest first, with the day since which it holds.
//
// Events count from their day on (midnight UTC); those of other persons and of days to come are ignored, their order is free. A
// profession is held through a practice of category C (civil) or M (military). Category E (student) entitles to a CPF and not
// to a CPS; an empty or unknown category entitles to nothing. It is a pure function.
func Eligible(p Person, profession ProfessionCode, events []Event, on time.Time) error {
	last := make(map[EventKind]time.Time, 6)
	for _, event := range events {
		if event.ID != p.ID || event.Date.After(on) {
			continue
		}
		before, seen := last[event.Kind]
		if !seen || event.Date.After(before) {
			last[event.Kind] = event.Date
		}
	}
	reinstated, wasReinstated := last[Reinstated]
	rules := []struct {
		kind       EventKind
		refusal    error
		reversible bool
	}{
		{Deceased, ErrDeceased, false},
		{StruckOff, ErrStruckOff, true},
		{Suspended, ErrSuspended, true},
		{Retired, ErrRetired, false},
	}
	for _, rule := range rules {
		since, happened := last[rule.kind]
		if !happened || rule.reversible && wasReinstated && !since.After(reinstated) {
			continue
		}
		return fmt.Errorf("%w since %s", rule.refusal, since.UTC().Format(time.DateOnly))
	}
	return p.holds(profession)
}

func (p Person) holds(profession ProfessionCode) error {
	_, known := Profession(profession)
	if !known {
		return fmt.Errorf("%w: table G15 has no code %d", ErrProfessionNotHeld, profession)
	}
	student := false
	for _, practice := range p.Practices {
		if practice.Profession != profession {
			continue
		}
		switch practice.Category {
		case CategoryCivil, CategoryMilitary:
			return nil
		case CategoryStudent:
			student = true
		}
	}
	if student {
		return fmt.Errorf("%w: code %d as a student only", ErrProfessionNotHeld, profession)
	}
	return fmt.Errorf("%w: code %d", ErrProfessionNotHeld, profession)
}
