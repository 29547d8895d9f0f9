package registry

import (
	"io"
	"strconv"
	"strings"
)

// PersonRow is one line of the persons file: who, and one practice. Its strings share the memory of the line; clone what is
// kept for long.
type PersonRow struct {
	ID               NationalID `json:"id"`
	Civility         string     `json:"civility,omitempty"`
	ExerciseCivility string     `json:"exercise_civility,omitempty"`
	FamilyName       string     `json:"family_name"`
	GivenName        string     `json:"given_name,omitempty"`
	Practice
}

// Positions of the columns that are read, in the documented order of the persons file.
const (
	personIDType            = 0
	personID                = 1
	personNationalID        = 2
	personExerciseCivility  = 3
	personCivility          = 5
	personFamilyName        = 7
	personGivenName         = 8
	personProfession        = 9
	personCategory          = 11
	personSkillType         = 13
	personSkill             = 15
	personMode              = 17
	personSIRET             = 19
	personFINESS            = 21
	personStructureID       = 23
	personStructureName     = 24
	personRecipient         = 26
	personPoint             = 27
	personStreetNumber      = 28
	personStreetRepetition  = 29
	personStreetKind        = 31
	personStreetName        = 32
	personDistribution      = 33
	personCedex             = 34
	personPostalCode        = 35
	personCity              = 37
	personCountry           = 38
	personDepartment        = 44
	personDepartmentLabel   = 45
	personSector            = 48
	personPharmacistSection = 50
	personRole              = 52
	personActivityKind      = 54
)

var personLayout = &layout{
	name: "PS_LibreAcces_Personne_activite",
	columns: []string{
		"Type d'identifiant PP", "Identifiant PP", "Identification nationale PP", "Code civilité d'exercice",
		"Libellé civilité d'exercice", "Code civilité", "Libellé civilité", "Nom d'exercice", "Prénom d'exercice",
		"Code profession", "Libellé profession", "Code catégorie professionnelle", "Libellé catégorie professionnelle",
		"Code type savoir-faire", "Libellé type savoir-faire", "Code savoir-faire", "Libellé savoir-faire",
		"Code mode exercice", "Libellé mode exercice", "Numéro SIRET site", "Numéro SIREN site", "Numéro FINESS site",
		"Numéro FINESS établissement juridique", "Identifiant technique de la structure", "Raison sociale site",
		"Enseigne commerciale site", "Complément destinataire (coord. structure)",
		"Complément point géographique (coord. structure)", "Numéro Voie (coord. structure)",
		"Indice répétition voie (coord. structure)", "Code type de voie (coord. structure)",
		"Libellé type de voie (coord. structure)", "Libellé Voie (coord. structure)",
		"Mention distribution (coord. structure)", "Bureau cedex (coord. structure)", "Code postal (coord. structure)",
		"Code commune (coord. structure)", "Libellé commune (coord. structure)", "Code pays (coord. structure)",
		"Libellé pays (coord. structure)", "Téléphone (coord. structure)", "Téléphone 2 (coord. structure)",
		"Télécopie (coord. structure)", "Adresse e-mail (coord. structure)", "Code Département (structure)",
		"Libellé Département (structure)", "Ancien identifiant de la structure", "Autorité d'enregistrement",
		"Code secteur d'activité", "Libellé secteur d'activité", "Code section tableau pharmaciens",
		"Libellé section tableau pharmaciens", "Code fonction", "Libellé fonction", "Code genre activité",
		"Libellé genre activité",
	},
	keys: []int{
		personIDType, personID, personNationalID, personFamilyName, personGivenName, personProfession, personCategory,
		personMode, personStructureID, personSector,
	},
	former: map[string]int{"Code rôle": personRole, "Libellé rôle": personRole + 1},
}

// PersonColumns returns the documented header of the persons file, for programs that write one.
func PersonColumns() []string {
	return append([]string(nil), personLayout.columns...)
}

// ReadPersons reads the published extraction PS_LibreAcces_Personne_activite from r and hands each correct line to each, with
// its number counted from 1, the header included. The rows of one person are several and not adjacent.
//
// Syntax: separator '|', one after the last column too, a header line, no quoting, LF or CRLF; UTF-8 with or without a byte
// order mark, Windows-1252 or UTF-16 with one. The 56 columns may stand in any order.
//
// A line is refused when it has another number of columns, does not end, is longer than 64 KiB, contradicts the encoding of the
// file; when the identifier is not a valid national identifier of a professional (ADELI or RPPS), or its two halves do not
// give it; when the family name is empty, a text has more than 255 characters or one that is not graphic, a code, SIRET or FINESS
// number has another shape. A line without profession is handed over as an identity alone (Profession 0). Codes that the
// tables of this package lack are kept as they stand; what they entitle to is decided by Eligible.
//
// The report is never nil. The error is nil, or ErrForeignFile when the header is not the documented one, or the wrapped error
// of r or of each; wrong lines are in the report and are no error.
func ReadPersons(name string, r io.Reader, each func(line int, p PersonRow) error) (*Report, error) {
	return readTable(name, r, personLayout, func(line int, record *record) error {
		row := PersonRow{
			ID:               record.personID(),
			Civility:         record.code(personCivility),
			ExerciseCivility: record.code(personExerciseCivility),
			FamilyName:       record.required(personFamilyName),
			GivenName:        record.text(personGivenName),
			Practice:         record.practice(),
		}
		if record.failure != nil {
			return nil
		}
		return each(line, row)
	})
}

// personID checks that the three columns of the identifier agree and name a professional.
func (r *record) personID() NationalID {
	id := r.nationalID(personNationalID)
	kind, number := r.text(personIDType), r.text(personID)
	if r.failure != nil {
		return ""
	}
	if !id.Professional() {
		r.fail(personNationalID, "does not identify a professional")
		return ""
	}
	if kind != string(id[:1]) {
		r.fail(personIDType, "is not the first character of the national identifier")
	}
	if number != string(id[1:]) {
		r.fail(personID, "is not the national identifier without its first character")
	}
	return id
}

// nationalID reads a column that holds a national identifier.
func (r *record) nationalID(column int) NationalID {
	value := r.text(column)
	if r.failure != nil {
		return ""
	}
	id, err := ParseNationalID(value)
	if err != nil {
		r.fail(column, err.Error())
	}
	return id
}

func (r *record) practice() Practice {
	return Practice{
		Profession:        r.profession(),
		Category:          r.code(personCategory),
		SkillType:         r.code(personSkillType),
		Skill:             r.code(personSkill),
		Mode:              r.code(personMode),
		SIRET:             r.siret(),
		FINESS:            r.finess(),
		StructureID:       r.code(personStructureID),
		StructureName:     r.text(personStructureName),
		Address:           r.address(),
		Department:        r.code(personDepartment),
		DepartmentLabel:   r.text(personDepartmentLabel),
		Sector:            r.code(personSector),
		PharmacistSection: r.code(personPharmacistSection),
		Role:              r.code(personRole),
		ActivityKind:      r.code(personActivityKind),
	}
}

func (r *record) profession() ProfessionCode {
	value := r.text(personProfession)
	if value == "" {
		return 0
	}
	code, err := strconv.Atoi(value)
	if err != nil || !allDigits(value) || len(value) > 3 || code == 0 {
		r.fail(personProfession, "is not a profession code of one to three digits")
		return 0
	}
	return ProfessionCode(code)
}

func (r *record) siret() string {
	value := r.text(personSIRET)
	if value != "" && (len(value) != siretLength || !allDigits(value)) {
		r.fail(personSIRET, "is not a SIRET number of 14 digits")
		return ""
	}
	return value
}

func (r *record) finess() string {
	value := r.text(personFINESS)
	if value != "" && (len(value) != finessLength || !allUpperAlphanumeric(value)) {
		r.fail(personFINESS, "is not a FINESS number of 9 characters")
		return ""
	}
	return value
}

func (r *record) address() Address {
	return Address{
		Complement: r.joined(personRecipient, personPoint),
		Street: r.joined(
			personStreetNumber, personStreetRepetition, personStreetKind, personStreetName),
		Distribution: r.text(personDistribution),
		CedexOffice:  r.text(personCedex),
		PostalCode:   r.text(personPostalCode),
		City:         r.text(personCity),
		CountryCode:  r.code(personCountry),
	}
}

// joined reads columns and puts one space between those that are not empty.
func (r *record) joined(columns ...int) string {
	var parts [4]string
	filled := parts[:0]
	for _, column := range columns {
		value := r.text(column)
		if value != "" {
			filled = append(filled, value)
		}
	}
	if len(filled) == 1 {
		return filled[0]
	}
	return strings.Join(filled, " ")
}
