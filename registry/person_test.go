package registry

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"
)

func day(text string) time.Time {
	date, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return date
}

func TestEligible(t *testing.T) {
	const id = NationalID("899700075122")
	pharmacist := Person{ID: id, FamilyName: "PHARMACH0007512", Practices: []Practice{
		{Profession: 10, Category: CategoryStudent}, {Profession: 21, Category: CategoryCivil},
		{Profession: 60, Category: CategoryMilitary}, {Profession: 50}, {Profession: 71, Category: CategoryCivil},
	}}
	event := func(kind EventKind, date string) Event { return Event{ID: id, Kind: kind, Date: day(date)} }
	on := day("2026-06-15").Add(12 * time.Hour)
	for name, test := range map[string]struct {
		profession ProfessionCode
		events     []Event
		want       error
	}{
		"no event":                              {21, nil, nil},
		"a military practice":                   {60, nil, nil},
		"a profession held as a student only":   {10, nil, ErrProfessionNotHeld},
		"a practice without category":           {50, nil, ErrProfessionNotHeld},
		"a profession never held":               {40, nil, ErrProfessionNotHeld},
		"a profession that table G15 lacks":     {71, nil, ErrProfessionNotHeld},
		"no profession":                         {0, nil, ErrProfessionNotHeld},
		"struck off":                            {21, []Event{event(StruckOff, "2026-06-01")}, ErrStruckOff},
		"struck off today":                      {21, []Event{event(StruckOff, "2026-06-15")}, ErrStruckOff},
		"to be struck off tomorrow":             {21, []Event{event(StruckOff, "2026-06-16")}, nil},
		"suspended":                             {21, []Event{event(Suspended, "2026-06-01")}, ErrSuspended},
		"reinstated after a suspension":         {21, []Event{event(Suspended, "2026-05-01"), event(Reinstated, "2026-06-01")}, nil},
		"reinstated on the day of a suspension": {21, []Event{event(Reinstated, "2026-05-01"), event(Suspended, "2026-05-01")}, nil},
		"reinstated before a suspension":        {21, []Event{event(Suspended, "2026-06-02"), event(Reinstated, "2026-06-01")}, ErrSuspended},
		"suspended again after a reinstatement": {21, []Event{
			event(Suspended, "2026-01-01"), event(Suspended, "2026-03-01"), event(Reinstated, "2026-02-01"),
		}, ErrSuspended},
		"to be reinstated tomorrow":        {21, []Event{event(Suspended, "2026-05-01"), event(Reinstated, "2026-06-16")}, ErrSuspended},
		"reinstated after a striking off":  {21, []Event{event(StruckOff, "2026-05-01"), event(Reinstated, "2026-06-01")}, nil},
		"deceased, then reinstated":        {21, []Event{event(Deceased, "2026-05-01"), event(Reinstated, "2026-06-01")}, ErrDeceased},
		"deceased outweighs struck off":    {21, []Event{event(StruckOff, "2026-06-01"), event(Deceased, "2026-05-01")}, ErrDeceased},
		"retired":                          {21, []Event{event(Retired, "2026-05-01")}, ErrRetired},
		"retired, then reinstated":         {21, []Event{event(Retired, "2026-05-01"), event(Reinstated, "2026-06-01")}, ErrRetired},
		"changed":                          {21, []Event{event(Changed, "2026-05-01")}, nil},
		"the event of another person":      {21, []Event{{ID: "899700075064", Kind: Deceased, Date: day("2026-05-01")}}, nil},
		"an event that is in no list here": {21, []Event{event("AUTRE", "2026-05-01")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			err := Eligible(pharmacist, test.profession, test.events, on)
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestTypesThatCrossTheInterfaceKeepTheirValueInJSON(t *testing.T) {
	practice := Practice{
		Profession: 21, Category: "C", Mode: "L", FINESS: "0B0057881", Sector: "SA33", PharmacistSection: "A",
		Address: Address{City: "PARIS"},
	}
	for _, value := range []any{
		&Person{ID: "899700075122", FamilyName: "É", GivenName: "A", Practices: []Practice{practice}},
		&PersonRow{ID: "899700075122", FamilyName: "É", GivenName: "A", Practice: practice},
		&Event{ID: "899700075122", Kind: Deceased, Date: day("2026-05-01"), Source: "INSEE"},
		&Contact{ID: "899700075122", Recipient: "A", Updated: day("2026-05-01")},
		&Report{File: "f", Errors: []LineError{{File: "f", Line: 2, Reason: "r"}}, Encodings: []string{"ASCII"}},
	} {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		back := reflect.New(reflect.TypeOf(value).Elem()).Interface()
		err = json.Unmarshal(text, back)
		if err != nil || !reflect.DeepEqual(value, back) {
			t.Fatalf("%s comes back as %+v, %v", text, back, err)
		}
	}
}
