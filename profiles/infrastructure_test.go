package profiles

import (
	"bytes"
	"crypto/elliptic"
	"net/netip"
	"strings"
	"testing"

	"cpsca/card"
)

func infrastructure(t testing.TB) Infrastructure {
	t.Helper()
	return Infrastructure{
		Serial: serial(1), NotBefore: start, Subject: distinguishedName(t, "node"),
		SPKI: spkiOf(t, fixedKey(t, elliptic.P256(), "leaf").Public()),
	}
}

func TestRefusesByRFC5280Section4_1_2_6SubjectsThatNameNobody(t *testing.T) {
	p := compile(t, OCSP, testIssuer(t), demoSettings("issuing"))
	good := infrastructure(t).Subject
	noCommonName, err := DistinguishedName(Attribute{CountryName, "FR"}, Attribute{OrganizationName, "X"})
	if err != nil {
		t.Fatal(err)
	}
	decomposed := bytes.Replace(good, []byte("node"), []byte("e\u0301x"), 1)
	for name, subject := range map[string][]byte{
		"nothing": nil, "an empty name": {0x30, 0}, "an empty RDN": {0x30, 2, 0x31, 0}, "cut short": good[:len(good)-1],
		"something behind it": append(bytes.Clone(good), 0), "no commonName": noCommonName,
		"a T61String": bytes.Replace(good, []byte("\x0c\x04node"), []byte("\x14\x04node"), 1),
	} {
		one := infrastructure(t)
		one.Subject = subject
		_, err := p.CheckInfrastructure(one)
		if r := refusal(t, err); r.Field != "subject" || r.Rule != ruleDistinguish {
			t.Errorf("%s: %v", name, err)
		}
	}
	one := infrastructure(t)
	one.Subject = bytes.Replace(decomposed, []byte("\x0c\x04e"), []byte("\x0c\x04e"), 1)
	_, err = p.CheckInfrastructure(one)
	if r := refusal(t, err); r.Rule != ruleCharacters {
		t.Errorf("a text that is not composed: %v", err)
	}
}

func TestRefusesByRFC5280Section4_1_2_4NamesThatMakeChainsAmbiguous(t *testing.T) {
	issuer := testIssuer(t)
	one := infrastructure(t)
	one.Subject = issuer.Name
	_, err := compile(t, Issuing, issuer, demoSettings("root")).CheckInfrastructure(one)
	if r := refusal(t, err); r.Rule != ruleIssuer || r.Field != "subject" {
		t.Errorf("an issuing authority under its own name: %v", err)
	}
	_, err = compile(t, Root, issuer, Settings{}).CheckInfrastructure(infrastructure(t))
	if r := refusal(t, err); r.Rule != ruleIssuer || r.Field != "subject" {
		t.Errorf("a root under another name than its issuer: %v", err)
	}
	for name, change := range map[string]func(*Issuer){
		"no name": func(i *Issuer) { i.Name = nil }, "an empty name": func(i *Issuer) { i.Name = []byte{0x30, 0} },
		"no DER": func(i *Issuer) { i.Name = []byte("CN=x") },
	} {
		other := testIssuer(t)
		change(&other)
		_, err := Compile(OCSP, other, demoSettings("issuing"))
		if r := refusal(t, err); r.Rule != ruleIssuer {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRefusesByRFC5280Section4_2_1_1KeysThatDoNotFitTheIssuer(t *testing.T) {
	issuer := testIssuer(t)
	one := infrastructure(t)
	one.Subject = issuer.Name
	_, err := compile(t, Root, issuer, Settings{}).CheckInfrastructure(one)
	if r := refusal(t, err); r.Rule != ruleKeyID {
		t.Errorf("a root with another key identifier: %v", err)
	}
	one = infrastructure(t)
	issuer.KeyID, err = SubjectKeyID(one.SPKI)
	if err != nil {
		t.Fatal(err)
	}
	_, err = compile(t, Issuing, issuer, demoSettings("root")).CheckInfrastructure(one)
	if r := refusal(t, err); r.Rule != ruleKeyID {
		t.Errorf("an issuing authority with the key of its root: %v", err)
	}
	one.Subject = issuer.Name
	issuer.Algorithm = SHA256WithRSA
	_, err = compile(t, Root, issuer, Settings{}).CheckInfrastructure(one)
	if r := refusal(t, err); r.Field != "Algorithm" {
		t.Errorf("an RSA signature by an EC key: %v", err)
	}
	issuer.KeyID = card.KeyID{}
	_, err = Compile(OCSP, issuer, demoSettings("issuing"))
	if r := refusal(t, err); r.Rule != ruleKeyID {
		t.Errorf("no key identifier: %v", err)
	}
	issuer = testIssuer(t)
	issuer.Algorithm = 0
	_, err = Compile(OCSP, issuer, demoSettings("issuing"))
	if r := refusal(t, err); r.Field != "Algorithm" {
		t.Errorf("no algorithm: %v", err)
	}
}

func TestRefusesByRFC5280Section4_2_1_6AlternativeNames(t *testing.T) {
	server := compile(t, TLSServer, testIssuer(t), demoSettings("technical"))
	responder := compile(t, OCSP, testIssuer(t), demoSettings("issuing"))
	local := netip.MustParseAddr("127.0.0.1")
	for _, tt := range []struct {
		name string
		p    *Profile
		dns  []string
		ips  []netip.Addr
	}{
		{"a server without names", server, nil, nil},
		{"a wildcard", server, []string{"*.example"}, nil},
		{"an empty name", server, []string{""}, nil},
		{"an empty label", server, []string{"a..example"}, nil},
		{"an underscore", server, []string{"a_b.example"}, nil},
		{"a hyphen at the end", server, []string{"a-.example"}, nil},
		{"a label of 64", server, []string{strings.Repeat("a", 64)}, nil},
		{"a name of 254", server, []string{strings.Repeat("a.", 126) + "aa"}, nil},
		{"a name in Unicode", server, []string{"é.example"}, nil},
		{"no address", server, nil, []netip.Addr{{}}},
		{"an address with a zone", server, nil, []netip.Addr{netip.MustParseAddr("fe80::1%eth0")}},
		{"sixty-five addresses", server, nil, make([]netip.Addr, 65)},
		{"a responder with an address", responder, nil, []netip.Addr{local}},
	} {
		one := infrastructure(t)
		one.DNSNames, one.IPs = tt.dns, tt.ips
		_, err := tt.p.CheckInfrastructure(one)
		if r := refusal(t, err); r.Rule != ruleAltName {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestRefusesBySection2ProfilesForOtherFacts(t *testing.T) {
	_, err := compile(t, OCSP, testIssuer(t), demoSettings("issuing")).Check(testLeaf(t, CPSSignature))
	if r := refusal(t, err); r.Rule != ruleKinds {
		t.Error(err)
	}
	_, err = compile(t, CPSSignature, testIssuer(t), demoSettings("issuing")).CheckInfrastructure(infrastructure(t))
	if r := refusal(t, err); r.Rule != ruleKinds {
		t.Error(err)
	}
	_, err = Compile("cps-confidentiality", testIssuer(t), demoSettings("issuing"))
	if r := refusal(t, err); r.Rule != ruleKinds {
		t.Error(err)
	}
}

func TestRefusesBySection3_4AttributesOfNames(t *testing.T) {
	for name, attributes := range map[string][]Attribute{
		"two commonNames":           {{CommonName, "a"}, {CommonName, "b"}},
		"two countries":             {{CountryName, "FR"}, {CountryName, "BE"}},
		"a country in small":        {{CountryName, "fr"}},
		"a country of three":        {{CountryName, "FRA"}},
		"an organisation of 65":     {{OrganizationName, strings.Repeat("É", 65)}},
		"an attribute of no type":   {{0, "x"}},
		"a locality longer than it": {{LocalityName, strings.Repeat("x", 129)}},
	} {
		_, err := DistinguishedName(attributes...)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		refusal(t, err)
	}
	_, err := DistinguishedName()
	if r := refusal(t, err); r.Rule != ruleDistinguish {
		t.Error(err)
	}
	_, err = DistinguishedName(Attribute{CommonName, " "})
	if r := refusal(t, err); r.Rule != ruleEmpty || r.Field != "commonName" {
		t.Error(err)
	}
	der, err := DistinguishedName(Attribute{CountryName, "FR"}, Attribute{OrganizationalUnitName, "0002 187512751"})
	if err != nil || !bytes.Contains(der, []byte("\x13\x02FR")) || !bytes.Contains(der, []byte("\x0c\x0e0002 187512751")) {
		t.Errorf("got %x, %v", der, err)
	}
}
