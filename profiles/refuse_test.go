package profiles

import (
	"bytes"
	"crypto/elliptic"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

func TestSpendGivesTheCertificateOnce(t *testing.T) {
	leaf := testLeaf(t, CPSAuthentication)
	p := compile(t, CPSAuthentication, testIssuer(t), demoSettings("issuing"))
	checked, err := p.Check(leaf)
	if err != nil {
		t.Fatal(err)
	}
	var spent, refused atomic.Int32
	var group sync.WaitGroup
	for range 32 {
		group.Go(func() {
			tbs, err := checked.Spend()
			switch {
			case err == nil && bytes.Equal(tbs, checked.TBS()):
				spent.Add(1)
				clear(tbs)
			case errors.Is(err, ErrSpent) && tbs == nil:
				refused.Add(1)
			}
		})
	}
	group.Wait()
	if spent.Load() != 1 || refused.Load() != 31 {
		t.Fatalf("spent %d times, refused %d times", spent.Load(), refused.Load())
	}
	again, err := p.Check(leaf)
	if err != nil || !bytes.Equal(again.TBS(), checked.TBS()) {
		t.Fatalf("TBS changed after Spend: %v", err)
	}
	key, err := KeyFingerprint(leaf.SPKI)
	if err != nil || checked.Key() != key || checked.Serial() != leaf.Serial || checked.Issuer() != p.Issuer().KeyID ||
		checked.Algorithm() != ECDSAWithSHA256 || checked.Ref() != p.Ref() || !checked.NotBefore().Equal(start) {
		t.Fatal("the value says something else than it holds")
	}
}

func TestTheLastLookRefusesBytesThatAreNotWhatWasAsked(t *testing.T) {
	p := compile(t, CPSSignature, testIssuer(t), demoSettings("issuing"))
	leaf := testLeaf(t, CPSSignature)
	checked, err := p.Check(leaf)
	if err != nil {
		t.Fatal(err)
	}
	texts, err := p.subjectTexts(&leaf.Holder)
	if err != nil {
		t.Fatal(err)
	}
	keyID, err := SubjectKeyID(leaf.SPKI)
	if err != nil {
		t.Fatal(err)
	}
	good := certificate{
		serial: leaf.Serial, notBefore: checked.NotBefore(), notAfter: checked.NotAfter(),
		spki: leaf.SPKI, subject: texts.appendTo(nil), keyID: keyID,
	}
	err = p.verify(checked.TBS(), &good)
	if err != nil {
		t.Fatalf("unchanged: %v", err)
	}
	for name, change := range map[string]func(c *certificate, p *Profile){
		"another serial":       func(c *certificate, _ *Profile) { c.serial[15]++ },
		"another notBefore":    func(c *certificate, _ *Profile) { c.notBefore = c.notBefore.Add(time.Second) },
		"another notAfter":     func(c *certificate, _ *Profile) { c.notAfter = c.notAfter.Add(time.Second) },
		"another key":          func(c *certificate, _ *Profile) { c.spki = rsaSPKI(t) },
		"another subject":      func(c *certificate, _ *Profile) { c.subject = distinguishedName(t, "x") },
		"another key id":       func(c *certificate, _ *Profile) { c.keyID[0]++ },
		"another issuer":       func(_ *certificate, p *Profile) { p.issuer.Name = distinguishedName(t, "x") },
		"another issuer's key": func(_ *certificate, p *Profile) { p.issuer.KeyID[0]++ },
		"another algorithm":    func(_ *certificate, p *Profile) { p.algorithm = SHA256WithRSA.Identifier() },
	} {
		c, q := good, *p
		change(&c, &q)
		err := q.verify(checked.TBS(), &c)
		if !errors.Is(err, ErrEncoding) {
			t.Errorf("%s: %v", name, err)
		}
	}
	twice := *p
	twice.parts = append(append([]part{}, p.parts...), p.parts[0])
	_, err = twice.Check(leaf)
	if !errors.Is(err, ErrEncoding) {
		t.Errorf("RFC 5280 §4.2, an extension twice: %v", err)
	}
}

func TestAssembleRefusesWhatIsNotATBSCertificate(t *testing.T) {
	tbs := readCertificate(t, "cpe-authentication.der").RawTBSCertificate
	for name, tt := range map[string]struct{ tbs, signature []byte }{
		"no signature": {tbs, nil}, "nothing": {nil, []byte{1}}, "cut short": {tbs[:100], []byte{1}},
		"something behind it": {append(bytes.Clone(tbs), 0), []byte{1}}, "another SEQUENCE": {[]byte{0x30, 0}, []byte{1}},
	} {
		_, err := Assemble(tt.tbs, tt.signature)
		if !errors.Is(err, ErrAssemble) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHashesDifferWithEverythingThatAProfileAdds(t *testing.T) {
	issuer, settings := testIssuer(t), demoSettings("issuing")
	base := compile(t, CPSAuthentication, issuer, settings)
	if base.Hash() != compile(t, CPSAuthentication, issuer, settings).Hash() {
		t.Fatal("two compilations of the same have two hashes")
	}
	if base.Version() != 1 || base.Name() != CPSAuthentication || base.Ref().Hash != base.Hash() {
		t.Fatal("the reference is another one")
	}
	seen := map[[32]byte]string{base.Hash(): "the base"}
	add := func(name string, p *Profile) {
		if other, ok := seen[p.Hash()]; ok {
			t.Errorf("%s has the hash of %s", name, other)
		}
		seen[p.Hash()] = name
	}
	add("another profile", compile(t, CPSSignature, issuer, settings))
	production := issuer
	production.Test = false
	add("a production issuer", compile(t, CPSAuthentication, production, settings))
	longer := issuer
	longer.NotAfter = longer.NotAfter.Add(time.Second)
	add("a longer issuer", compile(t, CPSAuthentication, longer, settings))
	other := issuer
	other.KeyID[0]++
	add("another issuer key", compile(t, CPSAuthentication, other, settings))
	other = issuer
	other.Algorithm = ECDSAWithSHA384
	add("another algorithm", compile(t, CPSAuthentication, other, settings))
	for name, change := range map[string]func(s *Settings){
		"another policy": func(s *Settings) { s.Policy += ".1" }, "another suffix": func(s *Settings) { s.UPNSuffix = "@a.example" },
		"another card issuer": func(s *Settings) { s.CardIssuer = "8025000002" }, "no delta list": func(s *Settings) { s.DeltaCRL = "" },
		"another validity": func(s *Settings) { s.Validity = Period{Years: 2} }, "another responder": func(s *Settings) { s.OCSP += "x" },
		"another bound": func(s *Settings) { s.RSA2048NotAfter = start.AddDate(3, 0, 0) },
	} {
		changed := settings
		change(&changed)
		add(name, compile(t, CPSAuthentication, issuer, changed))
	}
}

func TestForCardKnowsTheProfilesOfCards(t *testing.T) {
	for _, tt := range []struct {
		cardType card.Type
		use      card.Use
		want     Name
	}{
		{card.CPS, card.Authentication, CPSAuthentication}, {card.CPS, card.Signature, CPSSignature},
		{card.CPE, card.Authentication, CPEAuthentication}, {card.CPE, card.Signature, CPESignature}, {card.CPF, card.Signature, ""},
	} {
		got, ok := ForCard(tt.cardType, tt.use)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s %s: got %q", tt.cardType, tt.use, got)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	for name, spki := range map[string][]byte{"RSA-2048": rsaSPKI(b), "P-256": spkiOf(b, fixedKey(b, elliptic.P256(), "leaf").Public())} {
		b.Run(name, func(b *testing.B) {
			leaf := testLeaf(b, CPSAuthentication)
			leaf.SPKI = spki
			p := compile(b, CPSAuthentication, testIssuer(b), demoSettings("issuing"))
			b.ReportAllocs()
			for b.Loop() {
				_, err := p.Check(leaf)
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
