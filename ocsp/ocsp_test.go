package ocsp

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"cpsca/card"
)

func TestAnswersAsClientsReadThem(t *testing.T) {
	b := newBench(t, nil)
	for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		for _, c := range []struct {
			n      byte
			status int
			reason int
		}{
			{1, xocsp.Good, 0},
			{2, xocsp.Revoked, xocsp.CertificateHold},
			{3, xocsp.Revoked, xocsp.Unspecified},
			{9, xocsp.Unknown, 0},
		} {
			der, err := xocsp.CreateRequest(leaf(c.n), b.ca.certificate, &xocsp.RequestOptions{Hash: hash})
			if err != nil {
				t.Fatal(err)
			}
			answer, err := b.Answer(der)
			if err != nil {
				t.Fatal(err)
			}
			got, err := xocsp.ParseResponseForCert(answer.DER, leaf(c.n), b.ca.certificate)
			if err != nil {
				t.Fatalf("%s, serial %d: %v", hash, c.n, err)
			}
			if got.Status != c.status || got.RevocationReason != c.reason {
				t.Errorf("%s, serial %d: got status %d reason %d", hash, c.n, got.Status, got.RevocationReason)
			}
			if got.ThisUpdate != b.image.asOf || got.ProducedAt != noon || got.NextUpdate != b.image.asOf.Add(time.Hour) {
				t.Errorf("got times %s %s %s", got.ProducedAt, got.ThisUpdate, got.NextUpdate)
			}
			if got.ThisUpdate != answer.ThisUpdate || got.NextUpdate != answer.NextUpdate || answer.Unknown != (c.n == 9) || answer.Nonce || answer.Stale {
				t.Errorf("the response's own account is wrong: %+v", answer)
			}
			if c.status == xocsp.Revoked && got.RevokedAt != noon.Add(-time.Hour) {
				t.Errorf("revoked at %s", got.RevokedAt)
			}
			if key, _ := KeyID(b.Delegate(b.ca.id)); string(got.ResponderKeyHash) != string(key[:]) || got.Certificate == nil {
				t.Error("the responder is not named by its key or its certificate is missing")
			}
		}
	}
}

func TestReasonsArePublishedOnlyByPolicy(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Reasons = true })
	answer := b.ask(t, certID(t, b.ca.certificate, 3, crypto.SHA1))
	got, err := xocsp.ParseResponse(answer.DER, b.ca.certificate)
	if err != nil || got.RevocationReason != xocsp.KeyCompromise {
		t.Fatalf("got %+v, %v, want keyCompromise", got, err)
	}
}

func TestNothingIsSignedAboutWhatIsNotOurs(t *testing.T) {
	b := newBench(t, nil)
	stranger := newAuthority(t, "Stranger")
	ours := certID(t, b.ca.certificate, 1, crypto.SHA1)
	sameKeyOtherName := certID(t, b.ca.certificate, 1, crypto.SHA1)
	sameKeyOtherName.IssuerNameHash = make([]byte, 20)
	unknownHash := certID(t, b.ca.certificate, 1, crypto.SHA1)
	unknownHash.Hash = 0
	for name, ids := range map[string][]CertID{
		"another issuer":                {certID(t, stranger.certificate, 1, crypto.SHA1)},
		"ours and another issuer":       {ours, certID(t, stranger.certificate, 1, crypto.SHA1)},
		"two of our issuers":            {ours, certID(t, b.other.certificate, 1, crypto.SHA1)},
		"an intent":                     {certID(t, b.ca.certificate, 4, crypto.SHA256)},
		"a good one and an intent":      {ours, certID(t, b.ca.certificate, 4, crypto.SHA1)},
		"our key under another name":    {sameKeyOtherName},
		"a hash algorithm that we lack": {unknownHash},
	} {
		answer := b.ask(t, ids...)
		if answer.Status != Unauthorized || string(answer.DER) != string(xocsp.UnauthorizedErrorResponse) {
			t.Errorf("%s: got %s", name, answer.Status)
		}
	}
	answer := b.ask(t, certID(t, b.other.certificate, 1, crypto.SHA1))
	got, err := xocsp.ParseResponse(answer.DER, b.other.certificate)
	if err != nil || got.Status != xocsp.Unknown {
		t.Errorf("a serial of one issuer asked of another: got %+v, %v, want unknown", got, err)
	}
}

func TestSerialsThatWereNeverIssuedAreNeverGood(t *testing.T) {
	for _, extended := range []bool{false, true} {
		b := newBench(t, func(c *Config) { c.ExtendedRevoke = extended })
		for _, number := range []*big.Int{big.NewInt(0), big.NewInt(1), big.NewInt(-1), new(big.Int).Lsh(big.NewInt(0x10), 152), leaf(200).SerialNumber} {
			der, err := xocsp.CreateRequest(&x509.Certificate{SerialNumber: number}, b.ca.certificate, nil)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := b.Answer(der)
			if err != nil {
				t.Fatal(err)
			}
			got, err := xocsp.ParseResponse(answer.DER, b.ca.certificate)
			if err != nil || !answer.Unknown {
				t.Fatalf("serial %x: %+v, %v", number, answer, err)
			}
			if !extended && got.Status != xocsp.Unknown {
				t.Errorf("serial %x: got status %d, want unknown", number, got.Status)
			}
			if extended && (got.Status != xocsp.Revoked || got.RevocationReason != xocsp.CertificateHold || got.RevokedAt.Unix() != 0) {
				t.Errorf("serial %x: got %+v, want revoked for ever", number, got)
			}
			if extended != contains(answer.DER, idPKIXOCSPExtendedRevoke) {
				t.Errorf("serial %x: the extension is wrong", number)
			}
		}
	}
}

func TestAnImageThatLagsCallsNoSerialUnknown(t *testing.T) {
	for name, c := range map[string]struct {
		knowsAll time.Duration
		age      time.Duration
		status   Status
	}{
		"an image of this second":               {0, 0, Successful},
		"a clock that runs behind":              {0, -time.Minute, Successful},
		"at the bound":                          {0, 10 * time.Second, Successful},
		"one second beyond":                     {0, 11 * time.Second, Unauthorized},
		"without the authority for an hour":     {0, time.Hour, Unauthorized},
		"at a bound of the operator's":          {time.Minute, time.Minute, Successful},
		"one second beyond a bound of his":      {time.Second, 2 * time.Second, Unauthorized},
		"without the authority for three hours": {time.Minute, 3 * time.Hour, Unauthorized},
	} {
		for _, extended := range []bool{false, true} {
			b := newBench(t, func(cfg *Config) { cfg.KnowsAll, cfg.ExtendedRevoke = c.knowsAll, extended })
			b.now = b.image.asOf.Add(c.age)
			known, issuedMeanwhile := certID(t, b.ca.certificate, 1, crypto.SHA1), certID(t, b.ca.certificate, 9, crypto.SHA1)
			for _, ids := range [][]CertID{{issuedMeanwhile}, {known, issuedMeanwhile}} {
				if answer := b.ask(t, ids...); answer.Status != c.status {
					t.Errorf("%s, extended revoke %v, %d serials: got %s, want %s", name, extended, len(ids), answer.Status, c.status)
				}
			}
			if answer := b.ask(t, known); answer.Status != Successful {
				t.Errorf("%s: of a serial that it knows: got %s", name, answer.Status)
			}
		}
	}
}

// contains tells whether an object identifier occurs in DER.
func contains(der []byte, oid asn1.ObjectIdentifier) bool {
	needle, err := asn1.Marshal(oid)
	return err == nil && bytes.Contains(der, needle)
}

func TestFreshnessFollowsTheImageAndNeverTheClock(t *testing.T) {
	b := newBench(t, nil)
	id := certID(t, b.ca.certificate, 1, crypto.SHA1)
	asOf := b.image.asOf
	for _, c := range []struct {
		name       string
		age        time.Duration
		status     Status
		stale      bool
		nextUpdate time.Time
	}{
		{"new", 0, Successful, false, asOf.Add(time.Hour)},
		{"at the bound of freshness", 15 * time.Minute, Successful, false, asOf.Add(time.Hour)},
		{"stale", 15*time.Minute + time.Second, Successful, true, asOf.Add(30*time.Minute + time.Second)},
		{"two days", 48 * time.Hour, Successful, true, asOf.Add(48*time.Hour + 15*time.Minute)},
		{"near the end", 72*time.Hour - time.Minute, Successful, true, asOf.Add(72 * time.Hour)},
		{"too old", 72 * time.Hour, TryLater, false, time.Time{}},
		{"from a clock that runs before ours", -5 * time.Minute, Successful, false, asOf.Add(55 * time.Minute)},
		{"from the future", -5*time.Minute - time.Second, TryLater, false, time.Time{}},
	} {
		b.now = asOf.Add(c.age)
		answer := b.ask(t, id)
		if answer.Status != c.status || answer.Stale != c.stale || !answer.NextUpdate.Equal(c.nextUpdate) {
			t.Errorf("%s: got %s, stale %v, nextUpdate %s", c.name, answer.Status, answer.Stale, answer.NextUpdate)
		}
		if c.status == Successful && c.age >= 0 && answer.ThisUpdate != asOf {
			t.Errorf("%s: thisUpdate moved to %s", c.name, answer.ThisUpdate)
		}
		if answer.ThisUpdate.After(answer.ProducedAt) {
			t.Errorf("%s: thisUpdate after producedAt", c.name)
		}
	}
	b.image.asOf = time.Time{}
	if answer := b.ask(t, id); answer.Status != TryLater {
		t.Errorf("without an image: got %s", answer.Status)
	}
}

func TestWithoutAValidResponderCertificateTheAnswerIsTryLater(t *testing.T) {
	b := newBench(t, nil)
	id := certID(t, b.ca.certificate, 1, crypto.SHA1)
	end := b.Delegate(b.ca.id).NotAfter
	b.image.asOf, b.now = end.Add(-time.Minute), end.Add(-time.Second)
	answer := b.ask(t, id)
	if answer.Status != Successful || answer.NextUpdate != end {
		t.Errorf("got %s until %s, want until the end of the certificate", answer.Status, answer.NextUpdate)
	}
	b.now = end
	if answer := b.ask(t, id); answer.Status != TryLater {
		t.Errorf("expired: got %s", answer.Status)
	}
	bare, err := New(b.cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.now = noon
	response, err := bare.Respond(&Request{CertIDs: []CertID{id}})
	if err != nil || response.Status != TryLater {
		t.Errorf("none installed: got %s, %v", response.Status, err)
	}
}

func TestResponderCertificatesThatGiveNoRightAreRefused(t *testing.T) {
	b := newBench(t, nil)
	key := newECKey(t, elliptic.P256())
	p521 := newECKey(t, elliptic.P521())
	usage := func(u ...x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = u }
	}
	cases := map[string]struct {
		certificate *x509.Certificate
		signer      crypto.Signer
	}{
		"of another issuer":        {b.other.responder(key, nil), key},
		"without OCSPSigning":      {b.ca.responder(key, usage(x509.ExtKeyUsageClientAuth)), key},
		"with anyExtendedKeyUsage": {b.ca.responder(key, usage(x509.ExtKeyUsageAny)), key},
		"without nocheck":          {b.ca.responder(key, func(c *x509.Certificate) { c.ExtraExtensions = nil }), key},
		"a CA":                     {b.ca.responder(key, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }), key},
		"a key that may not sign":  {b.ca.responder(key, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }), key},
		"expired":                  {b.ca.responder(key, func(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Second) }), key},
		"not yet valid":            {b.ca.responder(key, func(c *x509.Certificate) { c.NotBefore = noon.Add(time.Second) }), key},
		"of another key":           {b.ca.responder(key, nil), newECKey(t, elliptic.P256())},
		"P-521":                    {b.ca.responder(p521, nil), p521},
	}
	for name, c := range cases {
		err := b.Install(b.ca.id, c.certificate, c.signer)
		if !errors.Is(err, ErrResponderCertificate) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	err := b.Install(card.KeyID{}, b.ca.responder(key, nil), key)
	if !errors.Is(err, card.ErrNotFound) {
		t.Errorf("an issuer that is not ours: got %v", err)
	}
}

func TestEveryKindOfResponderKeyAnswers(t *testing.T) {
	b := newBench(t, nil)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []crypto.Signer{rsaKey, newECKey(t, elliptic.P256()), newECKey(t, elliptic.P384())} {
		err = b.Install(b.ca.id, b.ca.responder(key, nil), key)
		if err != nil {
			t.Fatal(err)
		}
		answer := b.ask(t, certID(t, b.ca.certificate, 1, crypto.SHA256))
		got, err := xocsp.ParseResponse(answer.DER, b.ca.certificate)
		if err != nil || got.Status != xocsp.Good {
			t.Errorf("%T: %+v, %v", key, got, err)
		}
	}
}

// badSigner fails, or signs something else.
type badSigner struct {
	crypto.Signer
	err error
}

func (s badSigner) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	if s.err != nil {
		return nil, s.err
	}
	digest[0] ^= 1
	return s.Signer.Sign(r, append([]byte(nil), digest[1:]...), crypto.Hash(0))
}

func TestASignatureThatDoesNotVerifyIsNotReleased(t *testing.T) {
	b := newBench(t, nil)
	key := newECKey(t, elliptic.P256())
	gone := errors.New("the token is gone")
	for _, c := range []struct{ signer, want error }{{nil, errSignature}, {gone, gone}} {
		err := b.Install(b.ca.id, b.ca.responder(key, nil), badSigner{key, c.signer})
		if err != nil {
			t.Fatal(err)
		}
		id := certID(t, b.ca.certificate, 1, crypto.SHA1)
		answer, err := b.Respond(&Request{CertIDs: []CertID{id}})
		if !errors.Is(err, c.want) || string(answer.DER) != string(xocsp.InternalErrorErrorResponse) {
			t.Errorf("got %x, %v, want internalError and %v", answer.DER, err, c.want)
		}
	}
}

func TestArchiveCutoffOnlyForExpiredCertificates(t *testing.T) {
	b := newBench(t, func(c *Config) { c.ArchiveCutoff = true })
	expired := b.image.records[serial(3)]
	expired.NotAfter = noon.Add(-time.Second)
	b.image.records[serial(3)] = expired
	for n, want := range map[byte]bool{1: false, 3: true} {
		answer := b.ask(t, certID(t, b.ca.certificate, n, crypto.SHA1))
		if contains(answer.DER, idPKIXOCSPArchiveCutoff) != want {
			t.Errorf("serial %d: archiveCutoff present is not %v", n, want)
		}
		_, err := xocsp.ParseResponse(answer.DER, b.ca.certificate)
		if err != nil {
			t.Error(err)
		}
	}
}

func TestConfigurationBounds(t *testing.T) {
	b := newBench(t, nil)
	for name, change := range map[string]func(*Config){
		"no image":                           func(c *Config) { c.Image = nil },
		"no issuers":                         func(c *Config) { c.Issuers = nil },
		"fresh beyond stale":                 func(c *Config) { c.Fresh = 73 * time.Hour },
		"negative fresh":                     func(c *Config) { c.Fresh = -1 },
		"stale beyond 72 h":                  func(c *Config) { c.Stale = 73 * time.Hour },
		"nextUpdate too long":                func(c *Config) { c.NextUpdate = 2 * time.Hour },
		"nextUpdate passed while fresh":      func(c *Config) { c.NextUpdate = 15 * time.Minute },
		"stale nextUpdate longer than fresh": func(c *Config) { c.StaleNextUpdate = 2 * time.Hour },
		"an image that knows all for ever":   func(c *Config) { c.KnowsAll = 2 * time.Minute },
		"an image that never knows all":      func(c *Config) { c.KnowsAll = time.Millisecond },
		"an issuer twice":                    func(c *Config) { c.Issuers = append(c.Issuers, c.Issuers[0]) },
		"an issuer that is no CA": func(c *Config) {
			c.Issuers = []*x509.Certificate{b.ca.responder(newECKey(t, elliptic.P256()), nil)}
		},
	} {
		cfg := b.cfg
		change(&cfg)
		_, err := New(cfg)
		if err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
