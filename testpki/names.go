package testpki

import (
	"math/rand/v2"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Family names are put together from halves, so that they sound French, hold every letter that the language writes and are
// nobody's in particular.
var (
	nameHeads = []string{
		"Beau", "Mont", "Haute", "Roche", "Clair", "Fonte", "Val", "Bois", "Grand", "Noir", "Belle", "Mau", "Chante", "Aigue",
		"Franche", "Pierre", "Vieux", "Étang", "Île", "Aÿ", "Âtre", "Orge",
	}
	nameTails = []string{
		"court", "val", "nay", "lieu", "brun", "fort", "mesnil", "cœur", "pré", "hêtre", "rivière", "plaine", "loup", "lune",
		"garde", "grève", "forêt", "chêne", "épine", "haÿ", "noël", "aïeul", "août", "façon",
	}
	womenNames = []string{
		"Zoé", "Anaïs", "Chloé", "Léa", "Hélène", "Gaëlle", "Maëlys", "Cécile", "Élodie", "Aurélie", "Marie", "Anne", "Sophie",
		"Thérèse", "Françoise", "Inès", "Maÿlis", "Laure", "Camille", "Nathalie", "Salomé", "Agnès",
	}
	menNames = []string{
		"François", "Jérôme", "Noël", "Loïc", "Benoît", "Émile", "Jean", "Louis", "Paul", "André", "Raphaël", "Théo", "Michel",
		"Gaël", "Stéphane", "Aurélien", "Hugo", "Cédric", "Éloi", "Frédéric", "Rémi", "Saül",
	}
)

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// chance is true in a share of all draws.
func chance(r *rand.Rand, share float64) bool { return r.Float64() < share }

func surname(r *rand.Rand) string { return pick(r, nameHeads) + pick(r, nameTails) }

// familyName draws a name of at most 64 characters, as certificates bound it: plain ones, compound ones with one or two
// hyphens, ones with either apostrophe, with particles, and long ones.
func familyName(r *rand.Rand) string {
	name := surname(r)
	switch draw := r.IntN(100); {
	case draw < 62:
	case draw < 73:
		name += "-" + surname(r)
	case draw < 76:
		name += "--" + surname(r)
	case draw < 81:
		name = "D’" + name
	case draw < 86:
		name = "D'" + name
	case draw < 88:
		name = "L’" + name + "-" + surname(r)
	case draw < 92:
		name = "De " + name
	case draw < 95:
		name = "De La " + name
	case draw < 97:
		name = "Le " + name
	default:
		name = "De La " + name + "-" + surname(r) + " D’" + surname(r)
	}
	if chance(r, 0.75) {
		return strings.ToUpper(name)
	}
	return name
}

// givenName draws one name, a compound one, or several.
func givenName(r *rand.Rand, woman bool) string {
	list := menNames
	if woman {
		list = womenNames
	}
	name := pick(r, list)
	switch draw := r.IntN(100); {
	case draw < 80:
	case draw < 92:
		name += "-" + pick(r, list)
	case draw < 98:
		name += " " + pick(r, list)
	default:
		name += "-" + pick(r, list) + " " + pick(r, list) + " " + pick(r, list)
	}
	return name
}

// recipientLine is the first line of an envelope in at most 38 characters (NF Z10-011): names are shortened to initials
// and at last cut, which a fictitious letter box does not mind.
func recipientLine(civility, given, family string) string {
	initial, _ := utf8.DecodeRuneInString(given)
	for _, line := range []string{
		civility + " " + given + " " + family,
		civility + " " + string(unicode.ToUpper(initial)) + " " + family,
		family,
	} {
		if utf8.RuneCountInString(line) <= longestPostalLine {
			return line
		}
	}
	return strings.TrimSpace(string([]rune(family)[:longestPostalLine]))
}
