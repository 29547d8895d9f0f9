package profiles

import (
	"bytes"
	"errors"
	"testing"

	"cpsca/card"
	"cpsca/registry"
)

// leafCase changes one fact of a good leaf.
type leafCase struct {
	name   string
	of     Name
	change func(l *Leaf)
	field  string
}

func runLeafCases(t *testing.T, rule string, cases []leafCase) {
	t.Helper()
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			leaf := testLeaf(t, tt.of)
			p := compile(t, tt.of, testIssuer(t), demoSettings("issuing"))
			_, err := p.Check(leaf)
			if err != nil {
				t.Fatalf("before the change: %v", err)
			}
			tt.change(&leaf)
			_, err = p.Check(leaf)
			r := refusal(t, err)
			if r.Rule != rule || r.Field != tt.field {
				t.Fatalf("got %s (%s), want %s (%s)", r.Field, r.Rule, tt.field, rule)
			}
		})
	}
}

func TestRefusesBySection3IdentifiersThatDoNotFitTheCard(t *testing.T) {
	runLeafCases(t, ruleSubject, []leafCase{
		{"no identifier", CPSSignature, func(l *Leaf) { l.Holder.ID = "" }, "id"},
		{"a wrong Luhn key", CPSSignature, func(l *Leaf) { l.Holder.ID = "899700075123" }, "id"},
		{"a type that no card carries", CPSSignature, func(l *Leaf) { l.Holder.ID = "9123456789" }, "id"},
		{"staff on a CPS", CPSAuthentication, func(l *Leaf) { l.Holder.ID = "30B0057881/CPET0002" }, "id"},
		{"a professional on a CPE", CPESignature, func(l *Leaf) { l.Holder.ID = "899700075122" }, "id"},
		{"a structure on a CPS", CPSSignature, func(l *Leaf) { l.Holder.Structure.Name = "X" }, "structure"},
		{"another structure than the identifier's", CPESignature, func(l *Leaf) { l.Holder.Structure.ID = "10B0057882" }, "structure.id"},
		{"a structure without its type digit", CPEAuthentication, func(l *Leaf) { l.Holder.Structure.ID = "0B0057881" }, "structure.id"},
	})
}

func TestRefusesBySection4_7TitlesThatAreNotInTheTable(t *testing.T) {
	runLeafCases(t, ruleTitle, []leafCase{
		{"profession 0 on a CPS", CPSSignature, func(l *Leaf) { l.Holder.Profession = 0 }, "profession"},
		{"an unknown profession", CPSAuthentication, func(l *Leaf) { l.Holder.Profession = 11 }, "profession"},
		{"a negative profession", CPSAuthentication, func(l *Leaf) { l.Holder.Profession = -10 }, "profession"},
		{"a profession on a CPE", CPEAuthentication, func(l *Leaf) { l.Holder.Profession = 60 }, "profession"},
	})
}

func TestRefusesBySection2_1CardNumbersThatAreNotTenDigits(t *testing.T) {
	runLeafCases(t, ruleNumber, []leafCase{
		{"empty", CPSSignature, func(l *Leaf) { l.Number = "" }, "number"},
		{"nine digits", CPSSignature, func(l *Leaf) { l.Number = "280063623" }, "number"},
		{"a letter", CPEAuthentication, func(l *Leaf) { l.Number = "280063623A" }, "number"},
	})
}

func TestRefusesByRFC5280Section4_1_2_2SerialsOutsideTheInstances(t *testing.T) {
	runLeafCases(t, ruleSerial, []leafCase{
		{"zero", CPSSignature, func(l *Leaf) { l.Serial = card.Serial{} }, "serial"},
		{"a first octet of 0x0f", CPSSignature, func(l *Leaf) { l.Serial[0] = 0x0f }, "serial"},
		{"negative", CPSSignature, func(l *Leaf) { l.Serial[0] = 0x80 }, "serial"},
	})
}

func TestRefusesBySection6TestAndProductionMixed(t *testing.T) {
	key, err := registry.LuhnKey("1000000000")
	if err != nil {
		t.Fatal(err)
	}
	genuine := map[Name]registry.NationalID{
		CPSSignature: registry.NationalID("81000000000" + string(key)), CPEAuthentication: "3760021832/000000018",
	}
	for name, id := range genuine {
		for _, test := range []bool{true, false} {
			issuer := testIssuer(t)
			issuer.Test = test
			p := compile(t, name, issuer, demoSettings("issuing"))
			leaf := testLeaf(t, name) // a fictitious person
			_, err := p.Check(leaf)
			if errors.Is(err, ErrEnvironment) == test {
				t.Errorf("%s of a fictitious person, test issuer %v: %v", name, test, err)
			}
			leaf.Holder.ID = id
			if name == CPEAuthentication {
				leaf.Holder.Structure.ID = "1760021832"
			}
			checked, err := p.Check(leaf)
			if errors.Is(err, ErrEnvironment) != test {
				t.Errorf("%s of a real person, test issuer %v: %v", name, test, err)
			}
			if err == nil && !bytes.Contains(checked.TBS(), []byte{4, 3, 4, 1, 0}) {
				t.Errorf("%s of production does not have category 00", name)
			}
		}
	}
}
