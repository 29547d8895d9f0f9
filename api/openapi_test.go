package api

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"cpsca/card"
	"cpsca/client"
	"cpsca/feed"
	"cpsca/officer"
	"cpsca/registry"

	"go.yaml.in/yaml/v3"
)

type document struct {
	OpenAPI    string                               `yaml:"openapi"`
	Paths      map[string]map[string]map[string]any `yaml:"paths"`
	Components struct {
		Schemas map[string]struct {
			Required   []string       `yaml:"required"`
			Properties map[string]any `yaml:"properties"`
		} `yaml:"schemas"`
	} `yaml:"components"`
}

func described(t *testing.T) document {
	t.Helper()
	var d document
	err := yaml.Unmarshal(description, &d)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTheDescriptionHasExactlyTheDoorsAndTheirRoles(t *testing.T) {
	d := described(t)
	if d.OpenAPI != "3.1.0" {
		t.Fatalf("got OpenAPI %s", d.OpenAPI)
	}
	found := make(map[string]bool)
	for path, operations := range d.Paths {
		for method, operation := range operations {
			pattern := strings.ToUpper(method) + " " + path
			found[pattern] = true
			roles, ok := matrix[pattern]
			if !ok {
				t.Errorf("%s is described and is no door", pattern)
				continue
			}
			var want, got []string
			for _, role := range roles {
				want = append(want, string(role))
			}
			list, _ := operation["x-roles"].([]any)
			for _, role := range list {
				got = append(got, role.(string))
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s: described for %v, opens to %v", pattern, got, want)
			}
		}
	}
	for pattern := range matrix {
		if !found[pattern] {
			t.Errorf("%s is not described", pattern)
		}
	}
}

func TestEveryReferenceOfTheDescriptionResolves(t *testing.T) {
	var whole map[string]any
	err := yaml.Unmarshal(description, &whole)
	if err != nil {
		t.Fatal(err)
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if to, ok := v["$ref"].(string); ok && resolve(whole, to) == nil {
				t.Errorf("%s leads nowhere", to)
			}
			for _, x := range v {
				walk(x)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(whole)
}

func resolve(whole map[string]any, reference string) any {
	var at any = whole
	for step := range strings.SplitSeq(strings.TrimPrefix(reference, "#/"), "/") {
		m, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = m[step]
	}
	return at
}

// The schemas name the fields that the types write.
func TestTheSchemasNameTheFieldsOfTheTypes(t *testing.T) {
	d := described(t)
	for name, v := range map[string]any{
		"Problem": client.Problem{}, "Version": client.Version{}, "Issuer": client.Issuer{}, "IssuerList": client.IssuerList{},
		"Report": registry.Report{}, "LineError": registry.LineError{}, "RegisterPerson": registry.Person{}, "RegisterEvent": registry.Event{},
		"Contact": registry.Contact{}, "Person": client.Person{}, "Entitlement": client.Entitlement{}, "OrderRequest": client.OrderRequest{},
		"Order": card.Order{}, "OrderView": client.Order{}, "OrderList": client.OrderList{}, "ReadyOrder": client.ReadyOrder{},
		"Application": client.Application{}, "Request": client.Request{}, "Answer": client.Answer{}, "IssuedCertificate": client.IssuedCertificate{},
		"Card": card.Card{}, "CardList": client.CardList{}, "Loss": client.Loss{}, "LossReport": card.LossReport{}, "LossAnswer": client.LossAnswer{},
		"Step": card.Step{}, "CertificateEntry": card.Certificate{}, "Certificate": client.Certificate{}, "History": client.History{},
		"Revocation": client.Revocation{}, "List": client.List{}, "ListList": client.ListList{}, "FeedRecord": feed.Record{}, "FeedHead": feed.Head{},
		"ResponderRequest": client.ResponderRequest{}, "ResponderCertificate": client.ResponderCertificate{},
		"Enrolment": client.Enrolment{}, "EnrolmentList": client.EnrolmentList{},
	} {
		schema, ok := d.Components.Schemas[name]
		if !ok {
			t.Errorf("%s is not described", name)
			continue
		}
		want := fields(reflect.TypeOf(v))
		var got []string
		for property := range schema.Properties {
			got = append(got, property)
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: described %v, written %v", name, got, want)
		}
		for _, required := range schema.Required {
			if !slices.Contains(got, required) {
				t.Errorf("%s requires %s, which it does not have", name, required)
			}
		}
		for _, field := range want {
			if strings.ToLower(field) != field || strings.Contains(field, "-") {
				t.Errorf("%s.%s is not snake_case", name, field)
			}
		}
	}
}

// fields lists the JSON names that a struct writes.
func fields(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case f.Anonymous && name == "":
			out = append(out, fields(f.Type)...)
		default:
			out = append(out, name)
		}
	}
	return out
}

func TestTheDescriptionIsServed(t *testing.T) {
	s := newSite(t)
	got, err := s.as(officer.Auditor).OpenAPI(t.Context())
	if err != nil || string(got) != string(description) {
		t.Fatalf("got %d octets, %v", len(got), err)
	}
}

func TestTimesThatAreNotKnownAreLeftOut(t *testing.T) {
	text, err := json.Marshal(client.Enrolment{Since: time.Unix(0, 0).UTC()})
	if err != nil || strings.Contains(string(text), "ended") {
		t.Fatalf("got %s, %v", text, err)
	}
}
