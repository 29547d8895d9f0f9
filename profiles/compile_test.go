package profiles

import (
	"errors"
	"strings"
	"testing"
)

func TestRefusesBySection8SettingsOutsideTheirBounds(t *testing.T) {
	for name, change := range map[string]func(s *Settings){
		"no policy for cards":             func(s *Settings) { s.Policy = "" },
		"a policy of words":               func(s *Settings) { s.Policy = "policy" },
		"a policy of two arcs":            func(s *Settings) { s.Policy = "1.2" },
		"a policy with a leading zero":    func(s *Settings) { s.Policy = "1.2.03" },
		"a policy under arc 3":            func(s *Settings) { s.Policy = "3.2.1" },
		"a policy under 1.40":             func(s *Settings) { s.Policy = "1.40.1" },
		"a policy with a sign":            func(s *Settings) { s.Policy = "1.2.+3" },
		"a policy URI without scheme":     func(s *Settings) { s.PolicyURI = "example.org/pc" },
		"a policy URI of a file":          func(s *Settings) { s.PolicyURI = "file:///pc" },
		"no distribution point for cards": func(s *Settings) { s.CRLs, s.DeltaCRL = nil, "" },
		"a delta list without a list":     func(s *Settings) { s.CRLs = nil },
		"five distribution points":        func(s *Settings) { s.CRLs = []string{"http://a", "http://a", "http://a", "http://a", "http://a"} },
		"LDAP before HTTP":                func(s *Settings) { s.CRLs = []string{"ldap://a/cn=x", "http://a/x.crl"} },
		"a raw space in a URL":            func(s *Settings) { s.CRLs = []string{"http://a/AC TEST.crl"} },
		"an accent in a URL":              func(s *Settings) { s.CRLs = []string{"http://a/é.crl"} },
		"a list behind TLS":               func(s *Settings) { s.CRLs = []string{"https://a/x.crl"} },
		"a URL without host":              func(s *Settings) { s.CRLs = []string{"http:///x.crl"} },
		"a URL with a password":           func(s *Settings) { s.CRLs = []string{"http://a:b@c/x.crl"} },
		"a URL with a fragment":           func(s *Settings) { s.OCSP = "http://a/#x" },
		"a URL of more than 1024":         func(s *Settings) { s.OCSP = "http://a/" + strings.Repeat("x", 1020) },
		"a responder behind TLS":          func(s *Settings) { s.OCSP = "https://a/" },
		"no responder for cards":          func(s *Settings) { s.OCSP = "" },
		"issuers by LDAP":                 func(s *Settings) { s.CAIssuers = "ldap://a/cn=x" },
		"a suffix without @":              func(s *Settings) { s.UPNSuffix = "carte.example" },
		"a suffix with two @":             func(s *Settings) { s.UPNSuffix = "@@carte.example" },
		"a suffix of more than 64":        func(s *Settings) { s.UPNSuffix = "@" + strings.Repeat("a.", 40) + "fr" },
		"a card issuer of nine digits":    func(s *Settings) { s.CardIssuer = "802500000" },
		"a card issuer with a letter":     func(s *Settings) { s.CardIssuer = "80250000A1" },
		"a negative validity":             func(s *Settings) { s.Validity = Period{Years: 3, Days: -1} },
		"a validity of 40 years":          func(s *Settings) { s.Validity = Period{Years: 40} },
	} {
		settings := demoSettings("issuing")
		change(&settings)
		_, err := Compile(CPSSignature, testIssuer(t), settings)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if r := refusal(t, err); r.Rule != ruleSettings {
			t.Errorf("%s: %v", name, err)
		}
	}
	settings := demoSettings("root")
	settings.CRLs, settings.DeltaCRL = nil, ""
	_, err := Compile(Issuing, testIssuer(t), settings)
	if r := refusal(t, err); r.Field != "CRLs" {
		t.Errorf("an issuing authority without list: %v", err)
	}
}

func TestRefusesBySection5_3ValiditiesLongerThanTheProfiles(t *testing.T) {
	for name, period := range map[Name]Period{
		CPSSignature: {Years: 3, Days: 1}, OCSP: {Days: 91}, TLSServer: {Years: 1, Days: 1}, Issuing: {Years: 20, Months: 1},
	} {
		settings := demoSettings("issuing")
		settings.Validity = period
		_, err := Compile(name, testIssuer(t), settings)
		if r := refusal(t, err); r.Rule != ruleBounds {
			t.Errorf("%s: %v", name, err)
		}
	}
	issuer := testIssuer(t)
	issuer.NotAfter = issuer.NotBefore
	_, err := Compile(OCSP, issuer, demoSettings("issuing"))
	if !errors.Is(err, ErrValidity) {
		t.Errorf("an issuer without validity: %v", err)
	}
}
