package testpki

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// structure is where somebody practises, with the address in the pieces that the extraction has columns for. It is a pure
// function of its number and the seed, so that colleagues share one.
type structure struct {
	sector                  string
	siret, finess, id, name string
	recipient, point        string
	number, repetition      string
	way                     way
	street                  string
	distribution, cedex     string
	place                   place
	phone, email            string
}

// line is the street as the reader of the register joins it.
func (s *structure) line() string {
	return joinFilled(s.number, s.repetition, s.way.label, s.street)
}

func joinFilled(parts ...string) string {
	filled := parts[:0:0]
	for _, part := range parts {
		if part != "" {
			filled = append(filled, part)
		}
	}
	return strings.Join(filled, " ")
}

// kind of structure, a range of numbers.
type kind struct {
	sector      string // table R02
	first, size int
	titles      []string
	finess      bool
}

var (
	hospital = &kind{"SA01", 0, 10000, []string{"CENTRE HOSPITALIER DE", "HÔPITAL D’ESSAI DE", "CHU FICTIF DE"}, true}
	clinic   = &kind{"SA04", 10000, 5000, []string{"CLINIQUE FICTIVE DE", "POLYCLINIQUE DE L'ESSAI,"}, true}
	pharmacy = &kind{"SA33", 15000, 20000, []string{"PHARMACIE FICTIVE DE", "GRANDE PHARMACIE DE L’ÉPREUVE,"}, true}
	lab      = &kind{"SA25", 35000, 5000, []string{"LABORATOIRE D'ESSAI DE"}, true}
	practice = &kind{"SA07", 40000, 50000, []string{"CABINET FICTIF DE"}, false}
	group    = &kind{"SA08", 90000, 9000, []string{"CABINET DE GROUPE DE", "SCM DE L’EXEMPLE,"}, false}
	kinds    = []*kind{hospital, clinic, pharmacy, lab, practice, group}
)

func kindOf(number int) *kind {
	for _, k := range kinds {
		if number < k.first+k.size {
			return k
		}
	}
	return group
}

// way is a kind of street: code and label.
type way struct{ code, label string }

var ways = []way{
	{"R", "Rue"}, {"R", "Rue"}, {"R", "Rue"}, {"AV", "Avenue"}, {"BD", "Boulevard"}, {"PL", "Place"}, {"IMP", "Impasse"},
	{"CHE", "Chemin"}, {"ALL", "Allée"},
}

var streets = []string{
	"des Tilleuls", "de l’Églantine", "du 8 Mai 1945", "d'Outre-Forêt", "de la Gare", "du Vieux Pré", "de l'Étang",
	"Saint-Exemple", "des Trois Frères", "du Maréchal-Ferrant", "aux Œufs", "du Moulin à Vent",
}

// place is a town with its department.
type place struct{ postalCode, commune, city, department, label string }

var places = []place{
	{"75011", "75111", "Paris", "75", "Paris"},
	{"75015", "75115", "Paris", "75", "Paris"},
	{"13001", "13201", "Marseille", "13", "Bouches-du-Rhône"},
	{"69003", "69383", "Lyon", "69", "Rhône"},
	{"31000", "31555", "Toulouse", "31", "Haute-Garonne"},
	{"59000", "59350", "Lille", "59", "Nord"},
	{"67000", "67482", "Strasbourg", "67", "Bas-Rhin"},
	{"35000", "35238", "Rennes", "35", "Ille-et-Vilaine"},
	{"44000", "44109", "Nantes", "44", "Loire-Atlantique"},
	{"42000", "42218", "Saint-Étienne", "42", "Loire"},
	{"94240", "94038", "L’Haÿ-les-Roses", "94", "Val-de-Marne"},
	{"01000", "01053", "Bourg-en-Bresse", "01", "Ain"},
	{"88100", "88413", "Saint-Dié-des-Vosges", "88", "Vosges"},
	{"20000", "2A004", "Ajaccio", "2A", "Corse-du-Sud"},
	{"20200", "2B033", "Bastia", "2B", "Haute-Corse"},
	{"97400", "97411", "Saint-Denis", "974", "La Réunion"},
}

// structureOf makes the structure of a number below 99000.
func structureOf(seed uint64, number int) *structure {
	r := stream(seed, structureStream, number)
	k := kindOf(number)
	s := &structure{
		sector: k.sector, place: pick(r, places), way: pick(r, ways), street: pick(r, streets),
		siret: "000" + padded(number, 6) + padded(10+r.IntN(80), 5),
	}
	s.name = pick(r, k.titles) + " " + strings.ToUpper(s.place.city)
	s.id = "R1000" + padded(number, 7)
	if k.finess {
		s.finess = "0B" + padded(number, 7)
		s.id = "F" + s.finess
	}
	if chance(r, 0.9) {
		s.number = strconv.Itoa(1 + r.IntN(199))
	}
	if s.number != "" && chance(r, 0.05) {
		s.repetition = pick(r, []string{"B", "T"})
	}
	if k == hospital || k == clinic {
		s.recipient = pick(r, []string{"PÔLE MÈRE-ENFANT", "BÂTIMENT É", "SERVICE D'ESSAI", ""})
		s.point = pick(r, []string{"ENTRÉE B", "", ""})
	}
	if k == hospital && chance(r, 0.5) {
		s.distribution = "BP " + strconv.Itoa(100+r.IntN(900))
		s.cedex = s.place.postalCode + " " + strings.ToUpper(s.place.city) + " CEDEX"
	}
	s.phone = fictitiousPhone(r)
	if chance(r, 0.4) {
		s.email = "structure" + padded(number, 5) + "@annuaire.example"
	}
	return s
}

// fictitiousPhone draws from a block that the French numbering plan keeps for works of fiction, 01 99 00.
func fictitiousPhone(r *rand.Rand) string {
	return "01 99 00 " + padded(r.IntN(100), 2) + " " + padded(r.IntN(100), 2)
}

// padded writes a number that is not negative with zeros before it.
func padded(n, width int) string {
	digits := strconv.Itoa(n)
	return "0000000000"[:max(0, width-len(digits))] + digits
}
