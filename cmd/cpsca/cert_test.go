package main

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
)

func TestOneDoubtIsEnoughNotToTrust(t *testing.T) {
	good := verdict{Chain: "ok", OCSP: "good", List: "not listed"}
	if !good.trusted() {
		t.Fatalf("not trusted: %+v", good)
	}
	for name, v := range map[string]verdict{
		"no chain":              {Chain: "x509: certificate signed by unknown authority", OCSP: "good", List: "not listed"},
		"unknown to OCSP":       {Chain: "ok", OCSP: "unknown", List: "not listed"},
		"on the list":           {Chain: "ok", OCSP: "good", List: "listed 2026-11-23 03:00:00"},
		"a list past its time":  {Chain: "ok", OCSP: "good", List: "crl: the list is past its nextUpdate"},
		"nothing was asked":     {},
		"OCSP could not tell":   {Chain: "ok", OCSP: "try later", List: "not listed"},
		"everything against it": {Chain: "expired", OCSP: "revoked", List: "listed"},
	} {
		t.Run(name, func(t *testing.T) {
			if v.trusted() {
				t.Fatalf("trusted: %+v", v)
			}
		})
	}
}

func TestANameIsReadAsPeopleWriteIt(t *testing.T) {
	name := pkix.Name{Names: []pkix.AttributeTypeAndValue{
		{Type: asn1.ObjectIdentifier{2, 5, 4, 6}, Value: "FR"},
		{Type: asn1.ObjectIdentifier{2, 5, 4, 42}, Value: "Benoît"},
		{Type: asn1.ObjectIdentifier{2, 5, 4, 4}, Value: "ÉTANG\x1b[2J"},
		{Type: asn1.ObjectIdentifier{1, 2, 3}, Value: 7},
	}}
	got, want := subjectText(name), `C=FR, GN=Benoît, SN="ÉTANG\x1b[2J", 1.2.3=7`
	if got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}
