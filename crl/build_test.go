package crl

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"slices"
	"testing"
	"time"

	"cpsca/card"
)

func TestGoldenListIsReproducedByteForByte(t *testing.T) {
	der := readPEM(t, "testdata/igc-sante-elementaire.pem")
	certificate := must(x509.ParseCertificate(readPEM(t, "testdata/igc-sante-elementaire-ca.pem")))
	golden, err := Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	err = Check(golden, certificate, golden.ThisUpdate)
	if err != nil {
		t.Fatal(err)
	}
	if golden.Count != 1013 || golden.Number != 1287 || golden.NextUpdate.Sub(golden.ThisUpdate) != DefaultLifetime {
		t.Fatalf("got %d entries, number %d, dates %s to %s", golden.Count, golden.Number, golden.ThisUpdate, golden.NextUpdate)
	}
	var revocations []card.Revocation
	for e := range golden.Entries() {
		revocations = append(revocations, card.Revocation{Serial: e.Serial, Status: card.StatusRevoked, Since: e.Date, Reason: card.Superseded, Invalidity: e.Date})
	}
	issuer := &Issuer{Name: certificate.RawSubject, KeyID: golden.KeyID, Certificate: certificate}
	signing, _ := algorithmNamed(x509.SHA256WithRSA)
	content := Content{Number: golden.Number, ThisUpdate: golden.ThisUpdate, NextUpdate: golden.NextUpdate}
	tbs := appendTBS(nil, issuer, signing, content, entriesOf(t, Policy{}, revocations...))
	if !bytes.Equal(tbs, golden.TBS) {
		t.Fatal("the built TBSCertList differs from the golden one")
	}
	keyID, err := keyIDOf(certificate)
	if err != nil || keyID != golden.KeyID {
		t.Fatalf("got key id %s, %v, want %s", keyID, err, golden.KeyID)
	}
}

func TestGoldenOrderIsByDate(t *testing.T) {
	golden, err := Parse(readPEM(t, "testdata/igc-sante-elementaire.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(slices.Collect(golden.Entries()), func(a, b Entry) int { return a.Date.Compare(b.Date) }) {
		t.Fatal("the golden list is not in order of date")
	}
}

func TestEntryEncodings(t *testing.T) {
	serial := card.Serial(must(hex.DecodeString("1d5de25e3dc14bde3fcf4b5ac7803c9b")))
	since := time.Date(2026, 1, 2, 3, 4, 5, 600, time.FixedZone("", 3600))
	lost := time.Date(2025, 12, 31, 23, 0, 0, 0, time.UTC)
	const head = "02101d5de25e3dc14bde3fcf4b5ac7803c9b" + "170d3236303130323032303430355a"
	for name, c := range map[string]struct {
		policy Policy
		r      card.Revocation
		want   string
	}{
		"a revocation says serial and date alone": {
			Policy{}, card.Revocation{Status: card.StatusRevoked, Reason: card.KeyCompromise, Since: since, Invalidity: lost},
			"3021" + head},
		"a hold always says certificateHold": {
			Policy{}, card.Revocation{Status: card.StatusHeld, Since: since},
			"302f" + head + "300c300a0603551d1504030a0106"},
		"a reason is published where policy says so": {
			Policy{Reasons: ReasonsAll}, card.Revocation{Status: card.StatusRevoked, Reason: card.KeyCompromise, Since: since},
			"302f" + head + "300c300a0603551d1504030a0101"},
		"unspecified is never encoded": {
			Policy{Reasons: ReasonsAll}, card.Revocation{Status: card.StatusRevoked, Since: since},
			"3021" + head},
		"the moment of a loss is published where policy says so": {
			Policy{Reasons: ReasonsAll, InvalidityDate: true},
			card.Revocation{Status: card.StatusRevoked, Reason: card.KeyCompromise, Since: since, Invalidity: lost},
			"3049" + head + "3026" + "300a0603551d1504030a0101" + "30180603551d180411180f32303235313233313233303030305a"},
		"from 2050 on dates are GeneralizedTime": {
			Policy{}, card.Revocation{Status: card.StatusRevoked, Since: time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)},
			"3023" + head[:36] + "180f32303530303130313030303030305a"},
		"through 2049 dates are UTCTime": {
			Policy{}, card.Revocation{Status: card.StatusRevoked, Since: time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC)},
			"3021" + head[:36] + "170d3439313233313233353935395a"},
	} {
		t.Run(name, func(t *testing.T) {
			c.r.Serial = serial
			e, err := c.policy.Entry(c.r)
			if err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(e.DER); got != c.want {
				t.Fatalf("got  %s\nwant %s", got, c.want)
			}
			r := reader(e.DER)
			read, err := readEntry(&r)
			if err != nil || read.Serial != e.Serial || !read.Date.Equal(e.Date) || read.Reason != e.Reason || !read.Invalidity.Equal(e.Invalidity) {
				t.Fatalf("read back %+v, %v, want %+v", read, err, e)
			}
		})
	}
}

func TestEntryRefuses(t *testing.T) {
	good := card.Revocation{Serial: serialOf(1), Status: card.StatusRevoked, Since: noon}
	for name, c := range map[string]struct {
		policy Policy
		change func(*card.Revocation)
		want   error
	}{
		"a serial that starts with zero":         {Policy{}, func(r *card.Revocation) { r.Serial[0] = 0 }, ErrEntry},
		"a serial that would be negative":        {Policy{}, func(r *card.Revocation) { r.Serial[0] = 0x80 }, ErrEntry},
		"a good serial":                          {Policy{}, func(r *card.Revocation) { r.Status = card.StatusGood }, ErrEntry},
		"an intent":                              {Policy{}, func(r *card.Revocation) { r.Status = card.StatusIntended }, ErrEntry},
		"a date before 1950":                     {Policy{}, func(r *card.Revocation) { r.Since = time.Time{} }, ErrTime},
		"a date after 9999":                      {Policy{}, func(r *card.Revocation) { r.Since = noon.AddDate(8000, 0, 0) }, ErrTime},
		"an invalidity date after 9999":          {Policy{InvalidityDate: true}, func(r *card.Revocation) { r.Invalidity = noon.AddDate(8000, 0, 0) }, ErrTime},
		"a revocation that would look held":      {Policy{Reasons: ReasonsAll}, func(r *card.Revocation) { r.Reason = card.CertificateHold }, ErrEntry},
		"removeFromCRL, which is for deltas":     {Policy{Reasons: ReasonsAll}, func(r *card.Revocation) { r.Reason = 8 }, ErrEntry},
		"a reason that RFC 5280 does not define": {Policy{Reasons: ReasonsAll}, func(r *card.Revocation) { r.Reason = 11 }, ErrEntry},
	} {
		t.Run(name, func(t *testing.T) {
			r := good
			c.change(&r)
			_, err := c.policy.Entry(r)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestBuiltListsAreReadByX509(t *testing.T) {
	for name, key := range map[string]crypto.Signer{"RSA": rsaKey(), "P-256": p256Key(), "P-384": p384Key()} {
		issuer := testIssuer(t, key)
		for _, count := range []int{0, 1, 3, 4, 1000, 2000} {
			var revocations []card.Revocation
			for n := range count {
				r := revoked(issuer, n)
				r.Since = r.Since.AddDate(n%50, 0, 0)
				r.Invalidity = noon
				revocations = append(revocations, r)
			}
			policy := Policy{Reasons: ReasonsAll, InvalidityDate: true}
			for _, number := range []int64{1, 127, 128, 32767, 32768, 1<<63 - 1} {
				content := contentAt(number, noon.AddDate(count%30, 0, 0))
				entries := entriesOf(t, policy, revocations...)
				der, err := Build(issuer, content, entries)
				if err != nil {
					t.Fatalf("%s, %d entries: %v", name, count, err)
				}
				list, err := readBack(issuer, content, entries, der)
				if err != nil {
					t.Fatalf("%s, %d entries, number %d: %v", name, count, number, err)
				}
				err = Check(list, issuer.Certificate, content.ThisUpdate)
				if err != nil {
					t.Fatal(err)
				}
				if number > 1 && count > 4 {
					break
				}
			}
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	issuer := testIssuer(t, p256Key())
	one := entriesOf(t, Policy{}, revoked(issuer, 1))
	broken := errors.New("the module is gone")
	withSigner := func(sign func([]byte, crypto.SignerOpts) ([]byte, error)) *Issuer {
		changed := *issuer
		changed.Signer = signerFunc{issuer.Signer, sign}
		return &changed
	}
	for name, c := range map[string]struct {
		issuer  *Issuer
		content Content
		entries []Entry
		want    error
	}{
		"a serial twice (RFC 5280 5.1.2.6)": {issuer, contentAt(1, noon), append(one[:1:1], one...), ErrDuplicate},
		"an entry without encoding":         {issuer, contentAt(1, noon), []Entry{{Serial: serialOf(1)}}, ErrEntry},
		"number zero":                       {issuer, contentAt(0, noon), one, ErrNumber},
		"a negative number":                 {issuer, contentAt(-1, noon), one, ErrNumber},
		"thisUpdate with a fraction":        {issuer, contentAt(1, noon.Add(1)), one, ErrTime},
		"nextUpdate that is not later":      {issuer, Content{1, noon, noon}, one, ErrTime},
		"nextUpdate that does not exist":    {issuer, Content{1, noon, time.Time{}}, one, ErrTime},
		"an algorithm it does not know":     {&Issuer{Algorithm: x509.SHA1WithRSA}, contentAt(1, noon), one, ErrIssuer},
		"a signer that fails": {withSigner(func([]byte, crypto.SignerOpts) ([]byte, error) {
			return nil, broken
		}), contentAt(1, noon), one, broken},
		"a signature with one bit flipped": {withSigner(func(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
			signature, err := issuer.Signer.Sign(rand.Reader, digest, opts)
			signature[len(signature)-1] ^= 1
			return signature, err
		}), contentAt(1, noon), one, ErrSignature},
	} {
		t.Run(name, func(t *testing.T) {
			der, err := Build(c.issuer, c.content, c.entries)
			if !errors.Is(err, c.want) || der != nil {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestNewIssuerRefuses(t *testing.T) {
	_, ed25519Key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p521Key := must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	for name, c := range map[string]struct {
		key, signer crypto.Signer
		change      func(*x509.Certificate)
	}{
		"a certificate that may not sign lists":   {p256Key(), p256Key(), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }},
		"a certificate that is no authority's":    {p256Key(), p256Key(), func(c *x509.Certificate) { c.IsCA = false }},
		"another subject key identifier":          {p256Key(), p256Key(), func(c *x509.Certificate) { c.SubjectKeyId = make([]byte, 20) }},
		"the key of another certificate":          {p256Key(), must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), nil},
		"no key":                                  {p256Key(), nil, nil},
		"a key type that is not in use (Ed25519)": {ed25519Key, ed25519Key, nil},
		"a curve that is not in use (P-521)":      {p521Key, p521Key, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewIssuer(testCertificate(t, c.key, c.change), c.signer)
			if !errors.Is(err, ErrIssuer) {
				t.Fatalf("got %v, want %v", err, ErrIssuer)
			}
		})
	}
}
