package registry

import (
	_ "embed"
	"strconv"
	"strings"
)

// Entry is one line of a code list.
type Entry struct {
	Code  string `json:"code"`
	Label string `json:"label"`
	// Deprecated entries are read in old data and not given to anybody new.
	Deprecated bool `json:"deprecated,omitempty"`
}

// CodeList is one table of the nomenclature of the health sector (NOS). The lists of this package are filled when the program
// starts and never change, so that they may be read by any number of goroutines.
type CodeList struct {
	// Name is the number of the table, for instance "G15".
	Name string
	// Title says in French what the table lists.
	Title string

	entries []Entry
	index   map[string]int
}

// Label returns the label of a code, in French with its accents, and whether the table has that code.
func (l *CodeList) Label(code string) (string, bool) {
	entry, ok := l.Entry(code)
	return entry.Label, ok
}

// Entry returns the line of a code and whether the table has that code.
func (l *CodeList) Entry(code string) (Entry, bool) {
	at, ok := l.index[code]
	if !ok {
		return Entry{}, false
	}
	return l.entries[at], true
}

// Entries returns a copy of the table in its published order.
func (l *CodeList) Entries() []Entry {
	return append([]Entry(nil), l.entries...)
}

func newCodeList(name, title string, entries ...Entry) *CodeList {
	index := make(map[string]int, len(entries))
	for i, entry := range entries {
		index[entry.Code] = i
	}
	return &CodeList{Name: name, Title: title, entries: entries, index: index}
}

// newEmbeddedCodeList reads lines of code, tab, label.
func newEmbeddedCodeList(name, title, lines string) *CodeList {
	var entries []Entry
	for line := range strings.Lines(lines) {
		code, label, found := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if found {
			entries = append(entries, Entry{Code: code, Label: label})
		}
	}
	return newCodeList(name, title, entries...)
}

//go:embed specialities.tsv
var specialityLines string

//go:embed sectors.tsv
var sectorLines string

// The code lists of cards and certificates.
var (
	// ProductCategories is table G01; the code is the value of the one-byte extension 1.2.250.1.71.1.2.5 in hexadecimal.
	ProductCategories = newCodeList("G01", "Catégorie de produit",
		Entry{Code: "00", Label: "Carte de Professionnel ou Personnel de Santé"},
		Entry{Code: "02", Label: "Module de Sécurité"},
		Entry{Code: "03", Label: "Certificat logiciel"},
		Entry{Code: "80", Label: "Carte de Professionnel ou Personnel de Santé de TEST"},
		Entry{Code: "82", Label: "Module de Sécurité de TEST"},
		Entry{Code: "83", Label: "Certificat logiciel de TEST"},
	)
	// CardTypes is table G02; the code is the decimal value of the extension 1.2.250.1.71.1.2.2 on two digits.
	CardTypes = newCodeList("G02", "Type de carte",
		Entry{Code: "00", Label: "Carte de Professionnel de Santé (CPS)"},
		Entry{Code: "01", Label: "Carte de Professionnel de Santé en Formation (CPF)"},
		Entry{Code: "02", Label: "Carte de Personnel d'Établissement (CDE/CPE)"},
		Entry{Code: "03", Label: "Carte de Personnel Autorisé (CDA/CPA)"},
		Entry{Code: "04", Label: "Carte de Service (CSA)", Deprecated: true},
	)
	// Civilities is table G03.
	Civilities = newCodeList("G03", "Civilité",
		Entry{Code: "22", Label: "Madame"},
		Entry{Code: "23", Label: "Mademoiselle", Deprecated: true},
		Entry{Code: "31", Label: "Monsieur"},
	)
	// PharmacistSections is table G05, the sections of the roll of the Order of pharmacists.
	PharmacistSections = newCodeList("G05", "Section du tableau des pharmaciens",
		Entry{Code: "A", Label: "Titulaire d'officine"},
		Entry{Code: "B", Label: "Entreprise-industrie"},
		Entry{Code: "C", Label: "Entreprise-distribution"},
		Entry{Code: "D", Label: "Adjoint, remplaçant ou gérant"},
		Entry{Code: "DA", Label: "Adjoint"},
		Entry{Code: "DH", Label: "Établissement de soins"},
		Entry{Code: "DM", Label: "Mutualiste ou minier"},
		Entry{Code: "E", Label: "Outre-Mer"},
		Entry{Code: "EA", Label: "Titulaire Outre-Mer"},
		Entry{Code: "EB", Label: "Industrie Outre-Mer"},
		Entry{Code: "EC", Label: "Distribution Outre-Mer"},
		Entry{Code: "ED", Label: "Adjoint Outre-Mer"},
		Entry{Code: "EG", Label: "Biologiste Outre-Mer"},
		Entry{Code: "EH", Label: "Établissement de santé Outre-Mer"},
		Entry{Code: "G", Label: "Biologiste"},
		Entry{Code: "H", Label: "Établissement de soins"},
		Entry{Code: "M", Label: "Militaire"},
	)
	// StructureKinds is table G07, the type digit before the identifier of a structure.
	StructureKinds = newCodeList("G07", "Type d'identifiant de structure",
		Entry{Code: "0", Label: "Identifiant de cabinet ADELI"},
		Entry{Code: "1", Label: "Numéro FINESS"},
		Entry{Code: "2", Label: "Numéro SIREN"},
		Entry{Code: "3", Label: "Numéro SIRET"},
		Entry{Code: "4", Label: "Identifiant de cabinet RPPS"},
	)
	// PersonKinds is table G08, the type before the identifier of a person. Those that no card carries are marked deprecated.
	PersonKinds = newCodeList("G08", "Type d'identifiant de personne",
		Entry{Code: "0", Label: "Numéro ADELI"},
		Entry{Code: "1", Label: "Identifiant de cabinet ADELI et numéro de registre", Deprecated: true},
		Entry{Code: "2", Label: "Numéro DRASS", Deprecated: true},
		Entry{Code: "3", Label: "Numéro FINESS et numéro de registre"},
		Entry{Code: "4", Label: "Numéro SIREN et numéro de registre", Deprecated: true},
		Entry{Code: "5", Label: "Numéro SIRET et numéro de registre"},
		Entry{Code: "6", Label: "Identifiant de cabinet RPPS et numéro de registre", Deprecated: true},
		Entry{Code: "8", Label: "Numéro RPPS"},
		Entry{Code: "9", Label: "Numéro d'étudiant", Deprecated: true},
	)
	// ProfessionsInTraining is table G16; the label is the title of a CPF.
	ProfessionsInTraining = newCodeList("G16", "Profession en formation",
		Entry{Code: "10", Label: "Médecin en formation"},
		Entry{Code: "21", Label: "Pharmacien en formation"},
		Entry{Code: "40", Label: "Chirurgien-Dentiste en formation"},
		Entry{Code: "50", Label: "Sage-Femme en formation"},
	)
	// CardModes is table G17, the mode of exercise as cards write it.
	CardModes = newCodeList("G17", "Mode d'exercice (carte)",
		Entry{Code: "00", Label: "Libéral, exploitant ou commerçant"},
		Entry{Code: "01", Label: "Salarié"},
		Entry{Code: "04", Label: "Remplaçant"},
		Entry{Code: "07", Label: "Non rétribué"},
	)
	// Modes is table R23, the mode of exercise as the directory writes it.
	Modes = newCodeList("R23", "Mode d'exercice (annuaire)",
		Entry{Code: "L", Label: "Libéral, indépendant, artisan, commerçant"},
		Entry{Code: "S", Label: "Salarié"},
		Entry{Code: "B", Label: "Bénévole"},
	)
	// Categories is table R09, the category under which a profession is exercised.
	Categories = newCodeList("R09", "Catégorie professionnelle",
		Entry{Code: CategoryCivil, Label: "Civil"},
		Entry{Code: CategoryMilitary, Label: "Militaire"},
		Entry{Code: CategoryStudent, Label: "Étudiant"},
	)
	// Sectors is table R02, the sectors of activity.
	Sectors = newEmbeddedCodeList("R02", "Secteur d'activité", sectorLines)
	// Specialities is table R01, the specialities and qualifications of the RPPS (extension 1.2.250.1.71.4.2.5).
	Specialities = newEmbeddedCodeList("R01", "Spécialités et qualifications RPPS", specialityLines)
)

// Codes of table R09.
const (
	CategoryCivil    = "C"
	CategoryMilitary = "M"
	CategoryStudent  = "E"
)

// Lists returns every code list in the order of their numbers, for display.
func Lists() []*CodeList {
	return []*CodeList{
		ProductCategories, CardTypes, Civilities, PharmacistSections, StructureKinds, PersonKinds, Professions,
		ProfessionsInTraining, CardModes, Specialities, Sectors, Categories, Modes,
	}
}

// ProfessionCode is a code of table G15, the decimal value of the extension 1.2.250.1.71.1.2.7. Zero is no profession.
type ProfessionCode int

// ProfessionEntry is a profession as cards know it.
type ProfessionEntry struct {
	Code ProfessionCode `json:"code"`
	// Label is the title attribute of the certificates, letter for letter.
	Label string `json:"label"`
	// Deprecated professions left table G15 or were never in the dictionary of cards.
	Deprecated bool `json:"deprecated,omitempty"`
}

// Profession returns the entry of a code of table G15 and whether there is one.
func Profession(code ProfessionCode) (ProfessionEntry, bool) {
	entry, ok := Professions.Entry(strconv.Itoa(int(code)))
	if !ok {
		return ProfessionEntry{}, false
	}
	return ProfessionEntry{Code: code, Label: entry.Label, Deprecated: entry.Deprecated}, true
}

// Professions is table G15; the label is the title of a CPS.
var Professions = newCodeList("G15", "Profession",
	Entry{Code: "10", Label: "Médecin"},
	Entry{Code: "21", Label: "Pharmacien"},
	Entry{Code: "26", Label: "Audioprothésiste"},
	Entry{Code: "28", Label: "Opticien-Lunetier"},
	Entry{Code: "31", Label: "Assistant dentaire"},
	Entry{Code: "32", Label: "Physicien médical"},
	Entry{Code: "35", Label: "Aide-soignant", Deprecated: true},
	Entry{Code: "36", Label: "Ambulancier", Deprecated: true},
	Entry{Code: "37", Label: "Auxiliaire de puériculture", Deprecated: true},
	Entry{Code: "38", Label: "Préparateur en pharmacie hospitalière", Deprecated: true},
	Entry{Code: "39", Label: "Préparateur en pharmacie (officine)", Deprecated: true},
	Entry{Code: "40", Label: "Chirurgien-Dentiste"},
	Entry{Code: "50", Label: "Sage-Femme"},
	Entry{Code: "60", Label: "Infirmier"},
	Entry{Code: "69", Label: "Infirmier psychiatrique"},
	Entry{Code: "70", Label: "Masseur-Kinésithérapeute"},
	Entry{Code: "80", Label: "Pédicure-Podologue"},
	Entry{Code: "81", Label: "Orthoprothésiste"},
	Entry{Code: "82", Label: "Podo-Orthésiste"},
	Entry{Code: "83", Label: "Orthopédiste-Orthésiste"},
	Entry{Code: "84", Label: "Oculariste"},
	Entry{Code: "85", Label: "Epithésiste"},
	Entry{Code: "86", Label: "Technicien de labo médical"},
	Entry{Code: "91", Label: "Orthophoniste"},
	Entry{Code: "92", Label: "Orthoptiste"},
	Entry{Code: "93", Label: "Psychologue", Deprecated: true},
	Entry{Code: "94", Label: "Ergothérapeute"},
	Entry{Code: "95", Label: "Diététicien"},
	Entry{Code: "96", Label: "Psychomotricien"},
	Entry{Code: "98", Label: "Manipulateur ERM"},
)
