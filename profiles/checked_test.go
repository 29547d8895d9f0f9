package profiles

import (
	"bytes"
	"crypto/elliptic"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cpsca/card"
)

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

// FuzzReadTime: what the reader takes cryptobyte takes too, for the same moment.
func FuzzReadTime(f *testing.F) {
	for _, at := range []time.Time{start, start.AddDate(24, 0, 0), time.Date(2028, time.February, 29, 23, 59, 59, 0, time.UTC), time.Date(1950, time.January, 1, 0, 0, 0, 0, time.UTC)} {
		f.Add(appendTime(nil, at))
	}
	f.Add([]byte("\x17\x0d260229000000Z"))
	f.Add([]byte("\x18\x0f20490101000000Z"))
	f.Add([]byte("\x17\x0d991231235960Z"))
	f.Add([]byte("\x17\x11260101000000+0000"))
	f.Fuzz(func(t *testing.T, der []byte) {
		ours, theirs := cryptobyte.String(der), cryptobyte.String(der)
		var got, want time.Time
		taken := readTime(&ours, &got)
		known := theirs.PeekASN1Tag(asn1.UTCTime) && theirs.ReadASN1UTCTime(&want) ||
			theirs.PeekASN1Tag(asn1.GeneralizedTime) && theirs.ReadASN1GeneralizedTime(&want) && want.Year() >= 2050
		if taken && (!known || !got.Equal(want)) {
			t.Fatalf("%q: got %v, cryptobyte %v, %v", der, got, want, known)
		}
		if known && want.Location() == time.UTC && !taken && bytes.HasSuffix(der[:len(der)-len(theirs)], []byte("Z")) && want.Equal(want.Truncate(time.Second)) && len(der)-len(theirs) >= 15 {
			t.Fatalf("%q: cryptobyte takes it", der)
		}
	})
}
