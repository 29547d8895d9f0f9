package registry

import (
	"strings"
	"testing"
)

func TestCodeListsHaveTheirPublishedSizeAndNoDuplicate(t *testing.T) {
	sizes := map[string]int{
		"G01": 6, "G02": 5, "G03": 3, "G05": 17, "G07": 5, "G08": 9, "G15": 30, "G16": 4, "G17": 4, "R01": 244, "R02": 63,
		"R09": 3, "R23": 3,
	}
	for _, list := range Lists() {
		entries := list.Entries()
		if len(entries) != sizes[list.Name] {
			t.Errorf("%s has %d entries, want %d", list.Name, len(entries), sizes[list.Name])
		}
		if len(list.index) != len(entries) || list.Title == "" {
			t.Errorf("%s names a code twice or has no title", list.Name)
		}
		for _, entry := range entries {
			if entry.Label == "" || strings.TrimSpace(entry.Label) != entry.Label || !codeShape(entry.Code) || !graphic(entry.Label) {
				t.Errorf("%s: entry %+v", list.Name, entry)
			}
		}
		delete(sizes, list.Name)
	}
	if len(sizes) > 0 {
		t.Errorf("lists missing: %v", sizes)
	}
}

func TestLabelsAreThePublishedOnes(t *testing.T) {
	for _, test := range []struct {
		list        *CodeList
		code, label string
	}{
		{ProductCategories, "80", "Carte de Professionnel ou Personnel de Santé de TEST"},
		{CardTypes, "00", "Carte de Professionnel de Santé (CPS)"},
		{Civilities, "22", "Madame"},
		{PharmacistSections, "A", "Titulaire d'officine"},
		{StructureKinds, "1", "Numéro FINESS"},
		{PersonKinds, "8", "Numéro RPPS"},
		{ProfessionsInTraining, "50", "Sage-Femme en formation"},
		{CardModes, "01", "Salarié"},
		{Modes, "S", "Salarié"},
		{Categories, "M", "Militaire"},
		{Sectors, "SA33", "Pharmacie d'officine"},
		{Sectors, "SA63", "Communauté Professionnelle Territoriale de Santé"},
		{Specialities, "SM36", "Oncologie, option médicale"},
		{Specialities, "DSM240", "Cancérologie, option Imagerie cancérologie"},
	} {
		label, ok := test.list.Label(test.code)
		if !ok || label != test.label {
			t.Errorf("%s %s = %q, %v, want %q", test.list.Name, test.code, label, ok, test.label)
		}
	}
	_, ok := CardTypes.Label("99")
	if ok {
		t.Error("an unknown code has a label")
	}
}

func TestProfessionsCarryTheTitleOfCertificates(t *testing.T) {
	for code, label := range map[ProfessionCode]string{
		10: "Médecin", 21: "Pharmacien", 40: "Chirurgien-Dentiste", 50: "Sage-Femme", 60: "Infirmier",
		70: "Masseur-Kinésithérapeute", 86: "Technicien de labo médical", 98: "Manipulateur ERM",
	} {
		entry, ok := Profession(code)
		if !ok || entry.Label != label || entry.Code != code || entry.Deprecated {
			t.Errorf("%d: %+v, %v", code, entry, ok)
		}
	}
	for _, code := range []ProfessionCode{35, 36, 37, 38, 39, 93} {
		entry, ok := Profession(code)
		if !ok || !entry.Deprecated {
			t.Errorf("%d is not marked deprecated: %+v", code, entry)
		}
	}
	_, ok := Profession(0)
	if ok {
		t.Error("no profession has an entry")
	}
}

func TestEntriesIsACopy(t *testing.T) {
	CardTypes.Entries()[0].Label = "changed"
	label, _ := CardTypes.Label("00")
	if label == "changed" {
		t.Fatal("a caller can change a code list")
	}
}
