package testpki

import (
	"math/rand/v2"
	"sort"

	"cpsca/registry"
)

const pharmacist registry.ProfessionCode = 21

// trade is a profession of table G15 with what is usual in it. The weights are the rough proportions of the register.
type trade struct {
	code      registry.ProfessionCode
	weight    int
	doctor    bool // carries the civility of exercise DR
	students  bool // some are entered before their diploma
	authority string
	kinds     []*kind
	skills    []skill
}

// skill is a savoir-faire: its type and its code of table R01. The empty one is none.
type skill struct {
	kind skillType
	code string
}

type skillType struct{ code, label string }

var (
	speciality    = skillType{"S", "Spécialité ordinale"}
	qualification = skillType{"PAC", "Qualification PAC"}
)

var (
	carers  = []*kind{hospital, hospital, clinic, practice, practice, group}
	fitters = []*kind{practice, group}
	trades  = []trade{
		{code: 60, weight: 6400, students: true, authority: "CNOI", kinds: carers, skills: []skill{{}, {}, {}, {}, {}, {}, {speciality, "SI01"}}},
		{code: 10, weight: 2350, doctor: true, students: true, authority: "CNOM", kinds: carers, skills: []skill{
			{speciality, "SM54"}, {speciality, "SM54"}, {speciality, "SM53"}, {speciality, "SM02"}, {speciality, "SM04"},
			{speciality, "SM32"}, {speciality, "SM40"}, {speciality, "SM42"}, {qualification, "PAC00"},
		}},
		{code: 70, weight: 1050, students: true, authority: "CNOMK", kinds: []*kind{practice, practice, group, hospital}},
		{code: pharmacist, weight: 750, doctor: true, students: true, authority: "CNOP", kinds: []*kind{pharmacy, pharmacy, pharmacy, hospital, lab}},
		{code: 40, weight: 470, doctor: true, students: true, authority: "ONCD", kinds: []*kind{practice, practice, group}, skills: []skill{{}, {}, {}, {}, {speciality, "SCD01"}}},
		{code: 86, weight: 500, authority: "ARS", kinds: []*kind{lab, hospital}},
		{code: 28, weight: 450, authority: "ARS", kinds: fitters},
		{code: 98, weight: 400, authority: "ARS", kinds: []*kind{hospital, clinic}},
		{code: 91, weight: 270, authority: "ARS", kinds: []*kind{practice, practice, hospital}},
		{code: 31, weight: 250, authority: "ARS", kinds: []*kind{practice, group}},
		{code: 50, weight: 240, students: true, authority: "CNOSF", kinds: carers},
		{code: 96, weight: 170, authority: "ARS", kinds: carers},
		{code: 95, weight: 170, authority: "ARS", kinds: carers},
		{code: 94, weight: 160, authority: "ARS", kinds: carers},
		{code: 80, weight: 140, students: true, authority: "ONPP", kinds: []*kind{practice}},
		{code: 92, weight: 60, authority: "ARS", kinds: []*kind{practice, hospital}},
		{code: 26, weight: 50, authority: "ARS", kinds: fitters},
		{code: 69, weight: 40, authority: "ARS", kinds: []*kind{hospital}},
		{code: 81, weight: 25, authority: "ARS", kinds: fitters},
		{code: 83, weight: 20, authority: "ARS", kinds: fitters},
		{code: 82, weight: 15, authority: "ARS", kinds: fitters},
		{code: 32, weight: 10, authority: "ARS", kinds: []*kind{hospital}},
		{code: 84, weight: 4, authority: "ARS", kinds: fitters},
		{code: 85, weight: 4, authority: "ARS", kinds: fitters},
	}
	// tradeBounds are the sums of the weights up to each trade.
	tradeBounds = func() []int {
		sum, bounds := 0, make([]int, len(trades))
		for i := range trades {
			sum += trades[i].weight
			bounds[i] = sum
		}
		return bounds
	}()
)

func pickTrade(r *rand.Rand) *trade {
	draw := r.IntN(tradeBounds[len(tradeBounds)-1])
	return &trades[sort.SearchInts(tradeBounds, draw+1)]
}

func pickSkill(r *rand.Rand, t *trade) skill {
	if len(t.skills) == 0 {
		return skill{}
	}
	return pick(r, t.skills)
}
