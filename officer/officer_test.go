package officer

import (
	"errors"
	"testing"
	"time"

	"cpsca/audit"
)

func TestValidateRefusesWhatNoDoorUnderstands(t *testing.T) {
	cases := map[string]struct {
		e    Enrolment
		want error
	}{
		"a role that does not exist":  {Enrolment{Person: "Ada", Role: "root"}, ErrRole},
		"a bureau without a name":     {Enrolment{Person: "Ada", Role: Bureau}, ErrBureau},
		"a desk with a bureau":        {Enrolment{Person: "Ada", Role: Desk, Bureau: "b"}, ErrBureau},
		"a person without a name":     {Enrolment{Role: Desk}, audit.ErrText},
		"a name of two forms":         {Enrolment{Person: "Zoé", Role: Desk}, audit.ErrText},
		"a desk":                      {Enrolment{Person: "Ada", Role: Desk}, nil},
		"a bureau that says whose it": {Enrolment{Person: "Ada", Role: Bureau, Bureau: "b"}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := c.e.Validate()
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestAnAuditorIsNothingElse(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	desk := Enrolment{Person: "Ada", Role: Desk}
	auditor := Enrolment{Person: "Ada", Role: Auditor}
	ended := auditor
	ended.Ended = now
	cases := map[string]struct {
		existing []Enrolment
		next     Enrolment
		want     error
	}{
		"a desk who becomes auditor":      {[]Enrolment{desk}, auditor, ErrExclusive},
		"an auditor who becomes a desk":   {[]Enrolment{auditor}, desk, ErrExclusive},
		"a desk who also is an officer":   {[]Enrolment{desk}, Enrolment{Person: "Ada", Role: SecurityOfficer}, nil},
		"somebody who was an auditor":     {[]Enrolment{ended}, desk, nil},
		"an auditor beside another desk":  {[]Enrolment{desk}, Enrolment{Person: "Bob", Role: Auditor}, nil},
		"an auditor with a second device": {[]Enrolment{auditor}, auditor, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := Admits(c.existing, c.next)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
}
