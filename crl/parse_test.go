package crl

import (
	"bytes"
	"crypto/x509"
	"errors"
	"slices"
	"testing"

	"cpsca/card"
)

// listOf builds a list of n entries with a key of its own choice.
func listOf(t testing.TB, policy Policy, n int) (*Issuer, []byte) {
	t.Helper()
	issuer := testIssuer(t, p256Key())
	var revocations []card.Revocation
	for i := range n {
		r := revoked(issuer, i)
		r.Invalidity = noon
		revocations = append(revocations, r)
	}
	der, err := Build(issuer, contentAt(7, noon), entriesOf(t, policy, revocations...))
	if err != nil {
		t.Fatal(err)
	}
	return issuer, der
}

func element(tag byte, parts ...[]byte) []byte {
	content := bytes.Join(parts, nil)
	return append(appendHeader(nil, tag, len(content)), content...)
}

// forged puts a TBSCertList of given parts into a list with a signature of
// nothing: Parse looks at the shape only.
func forged(parts ...[]byte) []byte {
	identifier := []byte(algorithms[1].identifier)
	return element(tagSequence, element(tagSequence, parts...), identifier, element(tagBitString, []byte{0, 1}))
}

func TestParseRefuses(t *testing.T) {
	version := appendPositive(nil, versionV2)
	identifier := []byte(algorithms[1].identifier)
	name := element(tagSequence)
	this, next := appendTime(nil, noon), appendTime(nil, noon.AddDate(0, 0, 1))
	extensions := appendExtensions(nil, card.KeyID{1}, 7)
	e := entriesOf(t, Policy{}, card.Revocation{Serial: serialOf(1), Status: card.StatusRevoked, Since: noon})[0].DER
	entry := func(parts ...[]byte) []byte {
		return forged(version, identifier, name, this, next, element(tagSequence, element(tagSequence, parts...)), extensions)
	}
	extended := func(x ...[]byte) []byte {
		return forged(version, identifier, name, this, next, element(tagExplicit0, element(tagSequence, x...)))
	}
	oid := func(oid string) []byte { return element(tagObjectID, []byte(oid)) }
	yes := []byte{tagBoolean, 1, 0xff}
	aki := element(tagSequence, oid(oidAuthorityKeyIdentifier), element(tagOctetString, element(tagSequence, element(tagKeyIdentifier, make([]byte, 20)))))
	number := element(tagSequence, oid(oidCRLNumber), element(tagOctetString, appendPositive(nil, 7)))
	numbered := func(b ...byte) []byte {
		return element(tagSequence, oid(oidCRLNumber), element(tagOctetString, element(tagInteger, b)))
	}
	serial := element(tagInteger, []byte{0x1d}, make([]byte, 15))
	reason := func(b ...byte) []byte {
		return element(tagSequence, element(tagSequence, oid(oidReasonCode), element(tagOctetString, element(tagEnumerated, b))))
	}
	_, err := Parse(forged(version, identifier, name, this, next, element(tagSequence, e), extensions))
	if err != nil {
		t.Fatalf("the list that all cases change is refused: %v", err)
	}
	_, err = Parse(extended(aki, number, element(tagSequence, oid("\x55\x1d\x2e"), element(tagOctetString))))
	if err != nil {
		t.Fatalf("an unknown extension that is not critical: %v", err)
	}
	whole := reader(forged(version, identifier, name, this, next, extensions))
	content, _ := whole.take(tagSequence)
	wide := append([]byte{tagSequence, 0x83, 0, byte(len(content) >> 8), byte(len(content))}, content...)
	critical := func(oid string, value []byte) []byte {
		return element(tagSequence, element(tagObjectID, []byte(oid)), yes, element(tagOctetString, value))
	}
	for name, c := range map[string]struct {
		der  []byte
		want error
	}{
		"a length with leading zeros":         {wide, ErrFormat},
		"a critical authorityKeyIdentifier":   {extended(critical(oidAuthorityKeyIdentifier, element(tagSequence, element(tagKeyIdentifier, make([]byte, 20)))), number), ErrFormat},
		"a critical cRLNumber":                {extended(aki, critical(oidCRLNumber, appendPositive(nil, 7))), ErrFormat},
		"a time of another zone letter":       {forged(version, identifier, name, element(tagUTCTime, []byte("260201000000Y")), next, extensions), ErrFormat},
		"nothing":                             {nil, ErrFormat},
		"an indefinite length":                {[]byte{0x30, 0x80, 0, 0}, ErrFormat},
		"a length longer than needed":         {[]byte{0x30, 0x81, 0x01, 0}, ErrFormat},
		"trailing bytes":                      {append(forged(version, identifier, name, this, next, extensions), 0), ErrFormat},
		"version 1":                           {forged(identifier, name, this, next, extensions), ErrFormat},
		"version 3":                           {forged(appendPositive(nil, 2), identifier, name, this, next, extensions), ErrFormat},
		"two different algorithms":            {forged(version, []byte(algorithms[2].identifier), name, this, next, extensions), ErrFormat},
		"no nextUpdate":                       {forged(version, identifier, name, this, extensions), ErrFormat},
		"a day that does not exist":           {forged(version, identifier, name, element(tagUTCTime, []byte("260230000000Z")), next, extensions), ErrFormat},
		"a leap second":                       {forged(version, identifier, name, element(tagUTCTime, []byte("260630235960Z")), next, extensions), ErrFormat},
		"a time without seconds":              {forged(version, identifier, name, element(tagUTCTime, []byte("2602010000Z")), next, extensions), ErrFormat},
		"a time zone":                         {forged(version, identifier, name, element(tagUTCTime, []byte("260201000000+0100")), next, extensions), ErrFormat},
		"GeneralizedTime before 2050":         {forged(version, identifier, name, appendGeneralizedTime(nil, noon), next, extensions), ErrFormat},
		"an empty list of revocations":        {forged(version, identifier, name, this, next, element(tagSequence), extensions), ErrFormat},
		"no extensions":                       {forged(version, identifier, name, this, next), ErrFormat},
		"no cRLNumber":                        {extended(aki), ErrFormat},
		"no authorityKeyIdentifier":           {extended(number), ErrFormat},
		"cRLNumber twice":                     {extended(aki, number, number), ErrFormat},
		"authorityKeyIdentifier twice":        {extended(aki, aki, number), ErrFormat},
		"cRLNumber 0":                         {extended(aki, numbered(0)), ErrFormat},
		"a negative cRLNumber":                {extended(aki, numbered(0x80)), ErrFormat},
		"cRLNumber with a leading zero":       {extended(aki, numbered(0, 1)), ErrFormat},
		"cRLNumber of nine octets":            {extended(aki, numbered(1, 0, 0, 0, 0, 0, 0, 0, 0)), ErrFormat},
		"an unknown critical extension":       {extended(aki, number, element(tagSequence, oid("\x55\x1d\x1c"), yes, element(tagOctetString))), ErrCritical},
		"an explicit default":                 {extended(aki, number, element(tagSequence, oid("\x55\x1d\x2e"), []byte{tagBoolean, 1, 0}, element(tagOctetString))), ErrFormat},
		"an object identifier that is cut":    {extended(aki, number, element(tagSequence, oid("\x55\x1d\xae"), element(tagOctetString))), ErrFormat},
		"a serial twice":                      {forged(version, identifier, name, this, next, element(tagSequence, e, e), extensions), ErrDuplicate},
		"a short serial":                      {entry(element(tagInteger, []byte{5}), this), ErrFormat},
		"a negative serial":                   {entry(element(tagInteger, []byte{0x80}, make([]byte, 15)), this), ErrFormat},
		"empty entry extensions":              {entry(serial, this, element(tagSequence)), ErrFormat},
		"bytes after the entry extensions":    {entry(serial, this, reason(1), []byte{5, 0}), ErrFormat},
		"reason unspecified (RFC 5280 5.3.1)": {entry(serial, this, reason(0)), ErrFormat},
		"removeFromCRL in a full list":        {entry(serial, this, reason(8)), ErrFormat},
		"a reason of two octets":              {entry(serial, this, reason(0, 1)), ErrFormat},
		"an unknown critical entry extension": {entry(serial, this, element(tagSequence, element(tagSequence, oid("\x55\x1d\x1d"), yes, element(tagOctetString)))), ErrCritical},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(c.der)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestParseReadsTheRootListOfTheOtherExtensionOrder(t *testing.T) {
	aki := appendExtensions(nil, card.KeyID{1}, 7)
	inside := reader(aki[4:])
	_, first, _, _ := inside.element()
	_, second, _, _ := inside.element()
	list, err := Parse(forged(appendPositive(nil, versionV2), []byte(algorithms[1].identifier), element(tagSequence),
		appendTime(nil, noon), appendTime(nil, noon), element(tagExplicit0, element(tagSequence, second, first))))
	if err != nil || list.Number != 7 || list.KeyID != (card.KeyID{1}) {
		t.Fatalf("got %+v, %v", list, err)
	}
}

func TestCheckRefuses(t *testing.T) {
	issuer, der := listOf(t, Policy{}, 2)
	certificate := issuer.Certificate
	flipped := bytes.Clone(der)
	serial := serialOf(1)
	flipped[bytes.Index(der, serial[:])+15] ^= 2
	list, tampered := must(Parse(der)), must(Parse(flipped))
	renamed := testCertificate(t, p256Key(), func(c *x509.Certificate) { c.Subject.CommonName = "Another" })
	rekeyed := testCertificate(t, p384Key(), nil)
	noSign := testCertificate(t, p256Key(), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign })
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"nothing in a list of today":      {Check(list, certificate, noon), nil},
		"nothing at the last instant":     {Check(list, certificate, list.NextUpdate), nil},
		"nothing within clock tolerance":  {Check(list, certificate, noon.Add(-clockTolerance)), nil},
		"a list after nextUpdate":         {Check(list, certificate, list.NextUpdate.Add(1)), ErrStale},
		"a list of tomorrow":              {Check(list, certificate, noon.Add(-clockTolerance-1)), ErrNotYet},
		"a changed serial":                {Check(tampered, certificate, noon), ErrSignature},
		"another issuer name":             {Check(list, renamed, noon), ErrIssuer},
		"another issuer key":              {Check(list, rekeyed, noon), ErrIssuer},
		"an issuer that may not sign one": {Check(list, noSign, noon), ErrIssuer},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: got %v, want %v", name, c.err, c.want)
		}
	}
}

// FuzzParse: what Parse accepts, crypto/x509 accepts too and reads the same in
// every field that both read; and Parse never panics. A name that x509 refuses
// excuses it, since Parse does not look into names.
func FuzzParse(f *testing.F) {
	for _, policy := range []Policy{{}, {Reasons: ReasonsAll, InvalidityDate: true}} {
		for _, n := range []int{0, 1, 3} {
			_, der := listOf(f, policy, n)
			f.Add(der)
		}
	}
	golden := must(Parse(readPEM(f, "testdata/igc-sante-elementaire.pem")))
	f.Add(golden.DER)
	f.Fuzz(func(t *testing.T, der []byte) {
		ours, err := Parse(der)
		if err != nil {
			return
		}
		theirs, err := x509.ParseRevocationList(der)
		if err != nil {
			if !nameRefused(ours.Issuer) {
				t.Fatalf("accepted %x, which crypto/x509 refuses: %v", der, err)
			}
			return
		}
		same := bytes.Equal(ours.TBS, theirs.RawTBSRevocationList) && bytes.Equal(ours.Signature, theirs.Signature) &&
			ours.Algorithm == theirs.SignatureAlgorithm && bytes.Equal(ours.Issuer, theirs.RawIssuer) &&
			bytes.Equal(ours.KeyID[:], theirs.AuthorityKeyId) && theirs.Number.IsInt64() && theirs.Number.Int64() == ours.Number &&
			ours.ThisUpdate.Equal(theirs.ThisUpdate) && ours.NextUpdate.Equal(theirs.NextUpdate) &&
			ours.Count == len(theirs.RevokedCertificateEntries)
		entries := slices.Collect(ours.Entries())
		same = same && len(entries) == ours.Count
		for i := 0; same && i < len(entries); i++ {
			e := theirs.RevokedCertificateEntries[i]
			same = bytes.Equal(entries[i].DER, e.Raw) && entries[i].Date.Equal(e.RevocationTime) &&
				bytes.Equal(entries[i].Serial[:], e.SerialNumber.Bytes()) && int(entries[i].Reason) == e.ReasonCode
		}
		if !same {
			t.Fatalf("read differently: %x\nours   %+v\ntheirs %+v", der, ours, theirs)
		}
	})
}

// nameRefused asks crypto/x509 about the name alone, in a list that is
// otherwise in order.
func nameRefused(name []byte) bool {
	_, err := x509.ParseRevocationList(forged(appendPositive(nil, versionV2), []byte(algorithms[1].identifier), name,
		appendTime(nil, noon), appendTime(nil, noon), appendExtensions(nil, card.KeyID{1}, 7)))
	return err != nil
}
