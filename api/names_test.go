package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"cpsca/client"
)

func TestMembersAreNamedExactlyAndOnce(t *testing.T) {
	cases := map[string]struct {
		text string
		want error
	}{
		"as documented":                  {`{"order":"o1","card":"1","authentication":{"csr":"a"},"signature":{"csr":"b"}}`, nil},
		"nothing":                        {` { } `, nil},
		"a name in a value":              {`{"order":"\"order\":{}","card":"order"}`, nil},
		"a value that ends in backslash": {`{"order":"\\","card":"}{"}`, nil},
		"a quote and a colon in a value": {`{"order":"a\":1"}`, nil},
		"blanks before the colon":        {"{\"order\" \t\r\n:\"o1\"}", nil},
		"a capital":                      {`{"Order":"o1"}`, errName},
		"a long s":                       {`{"\u017fignature":{"csr":"a"}}`, errName},
		"a long s as it is":              {`{"ſignature":{"csr":"a"}}`, errName},
		"an escape":                      {`{"\u006frder":"o1"}`, errName},
		"a capital further in":           {`{"signature":{"Csr":"a"}}`, errName},
		"twice":                          {`{"order":"o1","card":"1","order":"o2"}`, errTwice},
		"twice further in":               {`{"signature":{"csr":"a","csr":"b"}}`, errTwice},
		"an object twice":                {`{"signature":{"csr":"a"},"signature":{"csr":"b"}}`, errTwice},
		"twice behind an object":         {`{"order":"o1","signature":{"csr":"a"},"order":"o2"}`, errTwice},
		"twice behind blanks":            {`{"order":"o1", "order" :"o2"}`, errTwice},
		"null":                           {`null`, errObject},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var a client.Application
			err := strict([]byte(c.text), &a)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestAnObjectsNamesAreItsOwn(t *testing.T) {
	for _, text := range []string{`{"a":{"a":1}}`, `{"a":{"b":1},"b":2}`, `{"a":[{"b":1},{"b":2}]}`} {
		err := names([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// members reads an object with exactly written names, and says whether a name
// comes twice.
func members(t *testing.T, text []byte) map[string]json.RawMessage {
	t.Helper()
	out := make(map[string]json.RawMessage)
	d := json.NewDecoder(bytes.NewReader(text))
	_, err := d.Token()
	for err == nil && d.More() {
		var name json.Token
		name, err = d.Token()
		var value json.RawMessage
		if err == nil {
			err = d.Decode(&value)
		}
		if _, twice := out[fmt.Sprint(name)]; twice {
			t.Fatalf("%s has %s twice", text, name)
		}
		out[fmt.Sprint(name)] = value
	}
	if err != nil {
		t.Fatalf("reading %s again: %v", text, err)
	}
	return out
}

// takeMember reads a member that a map with exact names has.
func takeMember(t *testing.T, from map[string]json.RawMessage, name string, into any) {
	t.Helper()
	value, ok := from[name]
	delete(from, name)
	if !ok {
		return
	}
	err := json.Unmarshal(value, into)
	if err != nil {
		t.Fatalf("reading %s: %v", name, err)
	}
}

// What is accepted has the value that a reader sees who knows exact names
// alone, and nothing beside it.
func FuzzStrict(f *testing.F) {
	f.Add([]byte(line(1)))
	f.Add([]byte(`{"order":"a","Order":"b","signature":{"csr":"\\","CSR":"x"}}`))
	f.Add([]byte(`{"order" : "\"a\":","order":null,"signature":null}`))
	f.Add([]byte(`{"\u006frder":"a"}`))
	f.Add([]byte(` { "order" : "a" , "card":"", "signature":{ }, "authentication" : {"public_key":"a","proof":"b","algorithm":"c"} } `))
	f.Add([]byte(`{"order":"a","signature":{"csr":"a","csr":"b"}}`))
	f.Add([]byte(`{}x`))
	f.Add([]byte(`{"order":"a",}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, scanned client.Application
		quick := scanApplication(text, &scanned)
		if strict(text, &got) != nil {
			if quick {
				t.Fatalf("%s: read in passing, and refused", text)
			}
			return
		}
		if quick && scanned != got {
			t.Fatalf("%s: got %+v in passing, want %+v", text, scanned, got)
		}
		var want client.Application
		outer := members(t, text)
		takeMember(t, outer, "order", &want.Order)
		takeMember(t, outer, "card", &want.Card)
		for name, request := range map[string]*client.Request{"authentication": &want.Authentication, "signature": &want.Signature} {
			value := outer[name]
			delete(outer, name)
			if len(value) > 0 && value[0] == '{' {
				inner := members(t, value)
				takeMember(t, inner, "csr", &request.CSR)
				takeMember(t, inner, "public_key", &request.PublicKey)
				takeMember(t, inner, "proof", &request.Proof)
				takeMember(t, inner, "algorithm", &request.Algorithm)
				if len(inner) > 0 {
					t.Fatalf("%s: %v is beside the documented", text, inner)
				}
			}
		}
		if got != want || len(outer) > 0 {
			t.Fatalf("%s: got %+v, want %+v, beside it %v", text, got, want, outer)
		}
	})
}

func TestADoorRefusesADoubtfulName(t *testing.T) {
	for _, text := range []string{`{"holder":"899700000013","HOLDER":"x"}`, `{"holder":"899700000013","holder":"x"}`, `null`} {
		var r client.OrderRequest
		if strict([]byte(text), &r) == nil {
			t.Errorf("%s passes", text)
		}
	}
	twice := strings.Replace(line(1), `"order":`, `"order":"o2","order":`, 1)
	_, err := parseApplication([]byte(twice))
	if !errors.Is(err, errLine) || !errors.Is(err, errTwice) {
		t.Errorf("got %v", err)
	}
}

// What programs write is read in passing, with blanks or without.
func TestWhatProgramsWriteIsReadInPassing(t *testing.T) {
	for _, text := range []string{
		line(1), ` {"order": "o1", "card": "0000000001"} `,
		`{"order":"o1","card":"0000000001","authentication":{"public_key":"MAA=","proof":"MAA=","algorithm":"RSASSA-PSS"},"signature":{"csr":"MAA="}}`,
	} {
		var a client.Application
		if !scanApplication([]byte(text), &a) || a.Order != "o1" || a.Card != "0000000001" {
			t.Errorf("%s: got %+v", text, a)
		}
	}
}

// BenchmarkParseApplication is the hot path of the doors.
func BenchmarkParseApplication(b *testing.B) {
	csr := base64.StdEncoding.EncodeToString(make([]byte, 700))
	text := fmt.Appendf(nil, `{"order":"o1","card":"0000000001","authentication":{"csr":%q},"signature":{"csr":%q}}`, csr, csr)
	b.Run("whole", func(b *testing.B) {
		for b.Loop() {
			_, err := parseApplication(text)
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("names", func(b *testing.B) {
		for b.Loop() {
			err := names(text)
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
