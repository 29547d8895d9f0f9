package card

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseNumberTakesTenASCIIDigits(t *testing.T) {
	for _, bad := range []string{"", "123456789", "12345678901", "123456789a", " 123456789", "123456789\n", "-123456789", "١٢٣٤٥", "12345 6789"} {
		got, err := ParseNumber(bad)
		if !errors.Is(err, ErrNumber) || got != "" {
			t.Errorf("%q: got %q, %v, want ErrNumber", bad, got, err)
		}
	}
	got, err := ParseNumber("0000000001")
	if err != nil || got != "0000000001" {
		t.Errorf("got %q, %v", got, err)
	}
}

func FuzzParseNumber(f *testing.F) {
	f.Add("0123456789")
	f.Add("012345678٩")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseNumber(s)
		digits := len(s) == 10 && strings.Trim(s, "0123456789") == ""
		if digits != (err == nil) || digits && string(n) != s {
			t.Fatalf("%q: got %q, %v", s, n, err)
		}
	})
}

func FuzzParseSerial(f *testing.F) {
	f.Add("10ffffffffffffffffffffffffffff01")
	f.Add(strings.Repeat("A", 33))
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseSerial(s)
		hexadecimal(t, s, 32, got.String(), err)
	})
}

func FuzzParseKeyID(f *testing.F) {
	f.Add("00112233445566778899aabbccddeeff00112233")
	f.Add(strings.Repeat("g", 40))
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseKeyID(s)
		hexadecimal(t, s, 40, got.String(), err)
	})
}

// hexadecimal is the property of both: exactly the texts of n hexadecimal
// digits are read, and come out in lower case.
func hexadecimal(t *testing.T, s string, n int, got string, err error) {
	t.Helper()
	right := len(s) == n && strings.Trim(s, "0123456789abcdefABCDEF") == ""
	if right != (err == nil) {
		t.Fatalf("%q: %v", s, err)
	}
	if right && got != strings.ToLower(s) {
		t.Fatalf("%q came out as %q", s, got)
	}
}

func TestAFailedParseGivesTheZeroValue(t *testing.T) {
	s, err := ParseSerial("10" + strings.Repeat("0", 29) + "g")
	if err == nil || s != (Serial{}) {
		t.Errorf("got %v, %v", s, err)
	}
	k, err := ParseKeyID(strings.Repeat("1", 41))
	if err == nil || k != (KeyID{}) {
		t.Errorf("got %v, %v", k, err)
	}
}

func TestJSONOfTheNounsReturnsWhatWentIn(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	serial := Serial{0x10, 15: 0xff}
	issuer := KeyID{1, 19: 2}
	cases := map[string]any{
		"an order":              &Order{ID: "o1", Holder: "899700075122", Profession: 21, Type: CPS, Form: FormCard, Why: Renewal, Replaces: "0000000001", Bureau: "b", State: OrderOpen, Created: at},
		"an order of the first": &Order{ID: "o1", Holder: "899700075122", Why: First, State: OrderClosed, Created: at},
		"a card":                &Card{Order: "o1", Number: "0000000001", Holder: "899700075122", Profession: 21, Type: CPE, Form: FormCard, State: Held, Bureau: "b", Since: at, Expires: at, Created: at, Activated: at},
		"a card without number": &Card{Order: "o1", Holder: "899700075122", State: Ordered, Since: at, Created: at},
		"a certificate":         &Certificate{Issuer: issuer, Serial: serial, Order: "o1", Card: "0000000001", Use: Signature, Profile: "p", NotBefore: at, NotAfter: at, Status: StatusRevoked, Since: at, Reason: KeyCompromise},
		"a loss report":         &LossReport{ID: 3, Card: "0000000001", Circumstance: Stolen, Happened: at, Received: at, Committed: at, Reporter: "desk"},
		"a step":                &Step{At: at, Event: "activate", From: Dispatched, To: Active, Actor: "desk", Journal: 12},
		"a fingerprint":         &Fingerprint{1, 31: 2},
	}
	for name, in := range cases {
		t.Run(name, func(t *testing.T) {
			text, err := json.Marshal(in)
			if err != nil {
				t.Fatal(err)
			}
			out := reflect.New(reflect.TypeOf(in).Elem()).Interface()
			err = json.Unmarshal(text, out)
			if err != nil || !reflect.DeepEqual(in, out) {
				t.Fatalf("%s\ncame back as %+v, %v", text, out, err)
			}
		})
	}
}

func TestSecretsStayOutOfJSON(t *testing.T) {
	for _, v := range []any{
		Order{Challenges: map[Use]string{Authentication: "secret"}},
		Certificate{TBS: []byte("secret"), Signature: []byte("secret")},
	} {
		text, err := json.Marshal(v)
		if err != nil || strings.Contains(string(text), "secret") || strings.Contains(string(text), "c2VjcmV0") {
			t.Errorf("%s, %v", text, err)
		}
	}
}

func TestUnmarshalRefusesForeignText(t *testing.T) {
	var c Certificate
	for _, text := range []string{`{"serial":"10"}`, `{"issuer":"zz"}`, `{"serial":12}`} {
		err := json.Unmarshal([]byte(text), &c)
		if err == nil {
			t.Errorf("%s was read", text)
		}
	}
}

func TestEveryCircumstanceHasItsReason(t *testing.T) {
	want := map[Circumstance]Reason{Lost: KeyCompromise, Stolen: KeyCompromise, CodesDisclosed: KeyCompromise, NotReceived: KeyCompromise, Damaged: CessationOfOperation}
	if len(want) != len(Circumstances) {
		t.Fatalf("%d circumstances, %d expected", len(Circumstances), len(want))
	}
	for _, c := range Circumstances {
		reason, ok := c.Reason()
		if !ok || reason != want[c] {
			t.Errorf("%s: got %s, %t, want %s", c, reason, ok, want[c])
		}
	}
	_, ok := Circumstance("bored").Reason()
	if ok {
		t.Error("an unknown circumstance has a reason")
	}
}

func TestReasonsAndTypesHaveTheirNames(t *testing.T) {
	for reason, want := range map[Reason]string{
		Unspecified: "unspecified", KeyCompromise: "keyCompromise", AffiliationChanged: "affiliationChanged", Superseded: "superseded",
		CessationOfOperation: "cessationOfOperation", CertificateHold: "certificateHold", PrivilegeWithdrawn: "privilegeWithdrawn", 7: "reason 7",
	} {
		if reason.String() != want {
			t.Errorf("got %s, want %s", reason, want)
		}
	}
	for typ, want := range map[Type]string{CPS: "CPS", CPF: "CPF", CPE: "CPE", CPA: "CPA", 9: "type 9"} {
		if typ.String() != want {
			t.Errorf("got %s, want %s", typ, want)
		}
	}
}
