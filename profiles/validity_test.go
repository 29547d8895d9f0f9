package profiles

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"testing"
	"time"
)

func date(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestAnniversariesKeepTheTimeOfDay(t *testing.T) {
	for _, tt := range []struct {
		name, from string
		period     Period
		want       string
	}{
		{"three years of the field", "2020-09-15T12:20:00Z", Period{Years: 3}, "2023-09-15T12:20:00Z"},
		{"29 February to an ordinary year", "2024-02-29T23:59:59Z", Period{Years: 3}, "2027-02-28T23:59:59Z"},
		{"29 February to a leap year", "2024-02-29T01:02:03Z", Period{Years: 4}, "2028-02-29T01:02:03Z"},
		{"28 February to a leap year", "2025-02-28T00:00:00Z", Period{Years: 3}, "2028-02-28T00:00:00Z"},
		{"a month from 31 January", "2026-01-31T10:00:00Z", Period{Months: 1}, "2026-02-28T10:00:00Z"},
		{"a month over the year's end", "2026-12-31T10:00:00Z", Period{Months: 2}, "2027-02-28T10:00:00Z"},
		{"days over the month's end", "2026-01-31T10:00:00Z", Period{Days: 14}, "2026-02-14T10:00:00Z"},
		{"days are counted after months", "2026-01-31T10:00:00Z", Period{Months: 1, Days: 1}, "2026-03-01T10:00:00Z"},
		{"another zone is turned into UTC", "2026-07-01T01:00:00+02:00", Period{Years: 1}, "2027-06-30T23:00:00Z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.period.After(date(tt.from))
			if got.Format(time.RFC3339) != tt.want {
				t.Fatalf("got %s, want %s", got.Format(time.RFC3339), tt.want)
			}
		})
	}
}

func TestValidityIsClippedToTheBoundsOfIssuerAndKey(t *testing.T) {
	rsa2048 := readCertificate(t, "cps-signature.pem").RawSubjectPublicKeyInfo
	big, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	ec := spkiOf(t, fixedKey(t, elliptic.P256(), "leaf").Public())
	for _, tt := range []struct {
		name     string
		from     string
		spki     []byte
		issuerTo string
		until    string // settings' bound for RSA
		want     string // empty: refused
	}{
		{"three years where nothing is in the way", "2026-03-02T09:30:15Z", ec, "2040-01-01T00:00:00Z", "", "2029-03-02T09:30:15Z"},
		{"fractions of a second are dropped", "2026-03-02T09:30:15.999Z", ec, "2040-01-01T00:00:00Z", "", "2029-03-02T09:30:15Z"},
		{"the issuer's last second is the last", "2026-03-02T09:30:15Z", ec, "2028-01-01T00:00:00Z", "", "2028-01-01T00:00:00Z"},
		{"RSA-2048 ends with 2030", "2029-03-02T09:30:15Z", rsa2048, "2040-01-01T00:00:00Z", "", "2030-12-31T23:59:59Z"},
		{"the bound of RSA-2048 can be set", "2029-03-02T09:30:15Z", rsa2048, "2040-01-01T00:00:00Z", "2029-12-31T23:59:59Z", "2029-12-31T23:59:59Z"},
		{"RSA-3072 has no such bound", "2029-03-02T09:30:15Z", spkiOf(t, big.Public()), "2040-01-01T00:00:00Z", "", "2032-03-02T09:30:15Z"},
		{"EC keys have no such bound", "2029-03-02T09:30:15Z", ec, "2040-01-01T00:00:00Z", "", "2032-03-02T09:30:15Z"},
		{"thirty days are enough", "2030-12-01T23:59:59Z", rsa2048, "2040-01-01T00:00:00Z", "", "2030-12-31T23:59:59Z"},
		{"RFC 5280 §4.1.2.5 a card from 2048 ends in GeneralizedTime", "2048-03-02T09:30:15Z", ec, "2060-01-01T00:00:00Z", "", "2051-03-02T09:30:15Z"},
		{"a card of the issuer's first second is possible", "2025-01-01T00:00:00Z", ec, "2040-01-01T00:00:00Z", "", "2028-01-01T00:00:00Z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checked, err := checkAt(t, tt.from, tt.spki, tt.issuerTo, tt.until)
			if err != nil {
				t.Fatal(err)
			}
			if got := checked.NotAfter().Format(time.RFC3339); got != tt.want {
				t.Fatalf("got %s, want %s", got, tt.want)
			}
			if checked.NotBefore().Nanosecond() != 0 || checked.NotBefore().Location() != time.UTC {
				t.Fatalf("notBefore %v is not a second of UTC", checked.NotBefore())
			}
		})
	}
}

func checkAt(t *testing.T, from string, spki []byte, issuerTo, until string) (*Checked, error) {
	t.Helper()
	issuer, settings := testIssuer(t), demoSettings("issuing")
	issuer.NotBefore, issuer.NotAfter = date("2025-01-01T00:00:00Z"), date(issuerTo)
	if until != "" {
		settings.RSA2048NotAfter = date(until)
	}
	leaf := testLeaf(t, CPSSignature)
	leaf.NotBefore, leaf.SPKI = date(from), spki
	return compile(t, CPSSignature, issuer, settings).Check(leaf)
}

func TestRefusesBySection5_3ANotBeforeThatLiesBeforeTheIssuers(t *testing.T) {
	_, err := checkAt(t, "2024-12-31T23:59:59Z", testLeaf(t, CPSSignature).SPKI, "2040-01-01T00:00:00Z", "")
	if r := refusal(t, err); r.Rule != ruleBounds || !errors.Is(err, ErrValidity) {
		t.Fatal(err)
	}
}

func TestRefusesBySection5_4LessThanThirtyDaysForACard(t *testing.T) {
	rsa2048 := readCertificate(t, "cps-signature.pem").RawSubjectPublicKeyInfo
	for _, from := range []string{"2030-12-02T00:00:00Z", "2030-12-31T23:59:59Z", "2031-01-01T00:00:00Z"} {
		_, err := checkAt(t, from, rsa2048, "2040-01-01T00:00:00Z", "")
		if r := refusal(t, err); r.Rule != ruleMinimum || !errors.Is(err, ErrValidity) {
			t.Fatalf("%s: %v", from, err)
		}
	}
	_, err := checkAt(t, "2039-12-15T00:00:00Z", testLeaf(t, CPSSignature).SPKI, "2040-01-01T00:00:00Z", "")
	if !errors.Is(err, ErrValidity) {
		t.Fatalf("an issuer about to end: %v", err)
	}
}

func TestRefusesByRFC5280Section4_1_2_5DatesOutsideTheCalendar(t *testing.T) {
	leaf := testLeaf(t, CPSSignature)
	p := compile(t, CPSSignature, testIssuer(t), demoSettings("issuing"))
	for _, from := range []time.Time{{}, date("1949-12-31T23:59:59Z"), time.Date(9500, 1, 1, 0, 0, 0, 0, time.UTC)} {
		leaf.NotBefore = from
		_, err := p.Check(leaf)
		if r := refusal(t, err); r.Rule != "RFC 5280 §4.1.2.5" || !errors.Is(err, ErrValidity) {
			t.Fatalf("%v: %v", from, err)
		}
	}
}

func TestRefusesBySection5_3AnEndThatWasAskedForBeyondTheBounds(t *testing.T) {
	issuer := testIssuer(t)
	one := Infrastructure{
		Serial: serial(1), NotBefore: start, Subject: distinguishedName(t, "node"),
		SPKI: spkiOf(t, fixedKey(t, elliptic.P256(), "leaf").Public()),
	}
	p := compile(t, TLSClient, issuer, demoSettings("technical"))
	for name, notAfter := range map[string]time.Time{
		"longer than the profile allows": start.AddDate(1, 0, 0).Add(time.Second),
		"beyond the issuer":              issuer.NotAfter.Add(time.Second),
		"before it begins":               start.Add(-time.Second),
		"shorter than an hour":           start.Add(time.Hour - time.Second),
	} {
		one.NotAfter = notAfter
		_, err := p.CheckInfrastructure(one)
		if !errors.Is(err, ErrValidity) {
			t.Errorf("%s: %v", name, err)
		}
	}
	one.NotAfter = start.Add(time.Hour)
	checked, err := p.CheckInfrastructure(one)
	if err != nil || !checked.NotAfter().Equal(one.NotAfter) {
		t.Fatalf("an hour: %v", err)
	}
}
