package testpki

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"time"

	"cpsca/card"
	"cpsca/hsm"
	"cpsca/profiles"
)

// KeySource makes the key of an authority under a label.
type KeySource func(label string, algorithm hsm.Algorithm) (crypto.Signer, error)

// TokenKeys makes keys inside a token.
func TokenKeys(ctx context.Context, token *hsm.Token) KeySource {
	return func(label string, algorithm hsm.Algorithm) (crypto.Signer, error) {
		key, err := token.Generate(ctx, label, algorithm)
		if err != nil {
			return nil, err
		}
		return key, nil
	}
}

// Options say what hierarchy a test wants. The zero value is RSA-2048 throughout, in software, now.
type Options struct {
	// Root and Issuing are the algorithms of the two keys; zero: RSA-2048, which is quick where production takes RSA-4096.
	Root, Issuing hsm.Algorithm
	// Keys makes the keys; nil: GenerateKey.
	Keys KeySource
	// URL is where lists, responder and certificates are, without a slash at its end; empty: "http://127.0.0.1:8080".
	URL string
	// Now gives the time; nil: time.Now. The authorities are valid from an hour before.
	Now func() time.Time
}

// Hierarchy is a root and an issuing authority under it, both TEST.
type Hierarchy struct {
	Root, Issuing *Authority
}

// Authority is a test authority with its key at hand. Its methods may be used by several goroutines if its signer may.
type Authority struct {
	// Issuer is what profiles.Compile takes.
	Issuer profiles.Issuer
	// Settings are those of the certificates that it issues: its list at URL/crl/LABEL.crl, its responder at URL/ocsp, its
	// certificate at URL/ca/LABEL.cer, the label being that of its key: "root", "issuing", "technical-root" or
	// "technical-issuing". They may be changed before the first certificate.
	Settings    profiles.Settings
	Certificate *x509.Certificate
	Signer      crypto.Signer

	chain [][]byte // DER, itself first, without the root
	now   func() time.Time
}

// NewHierarchy makes the authorities of cards: profiles root and issuing.
func NewHierarchy(o Options) (*Hierarchy, error) {
	return o.hierarchy(profiles.Root, profiles.Issuing, "PERSONNES")
}

// NewTechnicalHierarchy makes the authorities of servers, clients and officers: profiles technical-root and
// technical-issuing.
func NewTechnicalHierarchy(o Options) (*Hierarchy, error) {
	return o.hierarchy(profiles.TechnicalRoot, profiles.TechnicalIssuing, "TECHNIQUE")
}

func (o Options) hierarchy(root, issuing profiles.Name, family string) (*Hierarchy, error) {
	if o.Root == 0 {
		o.Root = hsm.RSA2048
	}
	if o.Issuing == 0 {
		o.Issuing = hsm.RSA2048
	}
	if o.Keys == nil {
		o.Keys = func(_ string, algorithm hsm.Algorithm) (crypto.Signer, error) { return GenerateKey(algorithm) }
	}
	if o.URL == "" {
		o.URL = "http://127.0.0.1:8080"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &Hierarchy{}
	var err error
	h.Root, err = o.authority(root, o.Root, "TEST AC RACINE "+family, nil)
	if err != nil {
		return nil, fmt.Errorf("making the test root: %w", err)
	}
	h.Issuing, err = o.authority(issuing, o.Issuing, "TEST AC "+family, h.Root)
	if err != nil {
		return nil, fmt.Errorf("making the test issuer: %w", err)
	}
	return h, nil
}

// authority makes one under another, or a root if that is nil.
func (o Options) authority(profile profiles.Name, algorithm hsm.Algorithm, commonName string, above *Authority) (*Authority, error) {
	signer, err := o.Keys(string(profile), algorithm)
	if err != nil {
		return nil, err
	}
	subject, err := nameOf(commonName)
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return nil, err
	}
	keyID, err := profiles.SubjectKeyID(spki)
	if err != nil {
		return nil, err
	}
	signs, err := profiles.AlgorithmFor(signer.Public())
	if err != nil {
		return nil, err
	}
	a := &Authority{
		Issuer:   profiles.Issuer{Name: subject, KeyID: keyID, Algorithm: signs, Test: true},
		Settings: settingsOf(o.URL, string(profile)), Signer: signer, now: o.Now,
	}
	by := above
	if by == nil {
		by = a
	}
	start := o.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	a.Certificate, err = by.infrastructure(profile, profiles.Infrastructure{NotBefore: start, SPKI: spki, Subject: subject}, func(s *profiles.Settings) {
		// The bound of small RSA keys is a rule for cards; here they stand for larger ones.
		s.RSA2048NotAfter = start.AddDate(50, 0, 0)
	})
	if err != nil {
		return nil, err
	}
	a.Issuer.NotBefore, a.Issuer.NotAfter = a.Certificate.NotBefore, a.Certificate.NotAfter
	if above != nil {
		a.chain = append([][]byte{a.Certificate.Raw}, above.chain...)
	}
	return a, nil
}

func nameOf(commonName string) ([]byte, error) {
	return profiles.DistinguishedName(
		profiles.Attribute{Type: profiles.CountryName, Value: "FR"},
		profiles.Attribute{Type: profiles.OrganizationName, Value: "TEST Autorité fictive"},
		profiles.Attribute{Type: profiles.CommonName, Value: commonName})
}

// settingsOf uses the enterprise number that IANA keeps for examples (RFC 5612).
func settingsOf(url, label string) profiles.Settings {
	return profiles.Settings{
		Policy: "1.3.6.1.4.1.32473.1.1", PolicyURI: url + "/policy", CRLs: []string{url + "/crl/" + label + ".crl"},
		OCSP: url + "/ocsp", CAIssuers: url + "/ca/" + label + ".cer",
	}
}

// NewSerial draws a serial number as instance 0x10 does.
func NewSerial() card.Serial {
	var serial card.Serial
	_, _ = rand.Read(serial[:]) // never fails: it ends the process instead
	serial[0] = 0x10
	return serial
}

// Issue signs what a profile of this authority checked and returns the certificate.
func (a *Authority) Issue(checked *profiles.Checked) (*x509.Certificate, error) {
	tbs, err := checked.Spend()
	if err != nil {
		return nil, err
	}
	hash := checked.Algorithm().Hash()
	digest := tbs // Ed25519 signs it whole
	if hash != 0 {
		h := hash.New()
		h.Write(tbs)
		digest = h.Sum(nil)
	}
	signature, err := a.Signer.Sign(rand.Reader, digest, hash)
	if err != nil {
		return nil, fmt.Errorf("signing a test certificate: %w", err)
	}
	der, err := profiles.Assemble(tbs, signature)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// Card issues a card certificate; a zero serial and a zero notBefore are filled in.
func (a *Authority) Card(name profiles.Name, leaf profiles.Leaf) (*x509.Certificate, error) {
	profile, err := profiles.Compile(name, a.Issuer, a.Settings)
	if err != nil {
		return nil, err
	}
	if leaf.Serial == (card.Serial{}) {
		leaf.Serial = NewSerial()
	}
	if leaf.NotBefore.IsZero() {
		leaf.NotBefore = a.now()
	}
	checked, err := profile.Check(leaf)
	if err != nil {
		return nil, err
	}
	return a.Issue(checked)
}

// Personalise issues both certificates of a CPS for a professional and loads them on the card.
func (a *Authority) Personalise(c *Card, one Professional) error {
	for _, use := range card.Uses {
		name, ok := profiles.ForCard(card.CPS, use)
		if !ok {
			return fmt.Errorf("a CPS has no profile for %s", use)
		}
		spki, err := c.SPKI(use)
		if err != nil {
			return err
		}
		certificate, err := a.Card(name, profiles.Leaf{
			SPKI: spki, Number: c.Number(),
			Holder: profiles.Holder{
				ID: one.Person.ID, FamilyName: one.Person.FamilyName, GivenName: one.Person.GivenName, Profession: one.Profession(),
			},
		})
		if err != nil {
			return fmt.Errorf("personalising a test card: %w", err)
		}
		err = c.Load(use, certificate.Raw)
		if err != nil {
			return err
		}
	}
	return nil
}

// Infrastructure issues a certificate that is not a card's, such as that of a responder, with hosts (names or addresses)
// in its subjectAltName where the profile has one.
func (a *Authority) Infrastructure(name profiles.Name, commonName string, public crypto.PublicKey, hosts ...string) (*x509.Certificate, error) {
	subject, err := nameOf(commonName)
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	one := profiles.Infrastructure{NotBefore: a.now(), SPKI: spki, Subject: subject}
	for _, host := range hosts {
		ip, err := netip.ParseAddr(host)
		if err == nil {
			one.IPs = append(one.IPs, ip)
			continue
		}
		one.DNSNames = append(one.DNSNames, host)
	}
	return a.infrastructure(name, one, func(*profiles.Settings) {})
}

func (a *Authority) infrastructure(name profiles.Name, one profiles.Infrastructure, change func(*profiles.Settings)) (*x509.Certificate, error) {
	settings := a.Settings
	change(&settings)
	profile, err := profiles.Compile(name, a.Issuer, settings)
	if err != nil {
		return nil, err
	}
	one.Serial = NewSerial()
	checked, err := profile.CheckInfrastructure(one)
	if err != nil {
		return nil, err
	}
	return a.Issue(checked)
}

// TLS issues a tls-server, tls-client or officer certificate for a fresh P-256 key, ready for a tls.Config, with the
// authorities above it but the root.
func (a *Authority) TLS(name profiles.Name, commonName string, hosts ...string) (tls.Certificate, error) {
	key, err := GenerateKey(hsm.P256)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := a.Infrastructure(name, commonName, key.Public(), hosts...)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: append([][]byte{leaf.Raw}, a.chain...), PrivateKey: key, Leaf: leaf}, nil
}

// Roots returns a pool that trusts the root alone.
func (h *Hierarchy) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(h.Root.Certificate)
	return pool
}
