package profiles

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cpsca/card"
)

var start = time.Date(2026, time.March, 2, 9, 30, 15, 0, time.UTC)

// fixedKey derives an EC key from a label: worthless as a secret, the same in
// every run.
func fixedKey(t testing.TB, curve elliptic.Curve, label string) *ecdsa.PrivateKey {
	t.Helper()
	digest := sha512.Sum512([]byte("cpsca test key " + label))
	key, err := ecdsa.ParseRawPrivateKey(curve, digest[:(curve.Params().BitSize+7)/8])
	if err != nil {
		t.Fatalf("key %s: %v", label, err)
	}
	return key
}

func spkiOf(t testing.TB, pub crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func distinguishedName(t testing.TB, commonName string) []byte {
	t.Helper()
	der, err := DistinguishedName(
		Attribute{CountryName, "FR"}, Attribute{OrganizationName, "Autorité de démonstration"},
		Attribute{OrganizationalUnitName, "CARTES TEST"}, Attribute{CommonName, commonName})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// authorityKey is one software authority of a test.
type authorityKey struct {
	signer      crypto.Signer
	issuer      Issuer
	certificate *x509.Certificate
}

func (a *authorityKey) sign(t testing.TB, checked *Checked) *x509.Certificate {
	t.Helper()
	tbs, err := checked.Spend()
	if err != nil {
		t.Fatal(err)
	}
	hash := a.issuer.Algorithm.Hash()
	digest := tbs // Ed25519 signs it whole
	if hash != 0 {
		h := hash.New()
		h.Write(tbs)
		digest = h.Sum(nil)
	}
	// A nil source makes ECDSA deterministic (RFC 6979).
	signature, err := a.signer.Sign(nil, digest, hash)
	if err != nil {
		t.Fatal(err)
	}
	der, err := Assemble(tbs, signature)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("crypto/x509: %v", err)
	}
	return parsed
}

func demoSettings(ca string) Settings {
	return Settings{
		Policy: "1.3.6.1.4.1.99999.1.1", PolicyURI: "http://127.0.0.1:8080/policy",
		CRLs: []string{
			"http://127.0.0.1:8080/crl/" + ca + ".crl",
			"ldap://127.0.0.1:3890/cn=" + ca + ",o=Demo,c=FR?certificateRevocationList;binary?base?objectClass=pkiCA",
		},
		DeltaCRL: "ldap://127.0.0.1:3890/cn=" + ca + ",o=Demo,c=FR?deltaRevocationList;binary?base?objectClass=pkiCA",
		OCSP:     "http://127.0.0.1:8080/ocsp", CAIssuers: "http://127.0.0.1:8080/ca/" + ca + ".cer",
	}
}

func serial(n byte) card.Serial {
	s := card.Serial{0x10, 0xff, 0x80}
	s[15] = n
	return s
}

func compile(t testing.TB, name Name, issuer Issuer, settings Settings) *Profile {
	t.Helper()
	p, err := Compile(name, issuer, settings)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// newRoot makes a self-signed authority.
func newRoot(t testing.TB, name Name, key crypto.Signer, commonName string, n byte) *authorityKey {
	t.Helper()
	spki := spkiOf(t, key.Public())
	algorithm, err := AlgorithmFor(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	keyID, err := SubjectKeyID(spki)
	if err != nil {
		t.Fatal(err)
	}
	a := &authorityKey{signer: key, issuer: Issuer{Name: distinguishedName(t, commonName), KeyID: keyID, Algorithm: algorithm, Test: true}}
	p := compile(t, name, a.issuer, Settings{PolicyURI: "http://127.0.0.1:8080/policy"})
	checked, err := p.CheckInfrastructure(Infrastructure{Serial: serial(n), NotBefore: start, SPKI: spki, Subject: a.issuer.Name})
	if err != nil {
		t.Fatal(err)
	}
	a.certificate = a.sign(t, checked)
	a.issuer.NotBefore, a.issuer.NotAfter = checked.NotBefore(), checked.NotAfter()
	return a
}

// newIssuing makes an issuing authority under a root.
func (a *authorityKey) newIssuing(t testing.TB, name Name, key crypto.Signer, commonName string, n byte) *authorityKey {
	t.Helper()
	spki := spkiOf(t, key.Public())
	algorithm, err := AlgorithmFor(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	p := compile(t, name, a.issuer, demoSettings("root"))
	subject := distinguishedName(t, commonName)
	checked, err := p.CheckInfrastructure(Infrastructure{Serial: serial(n), NotBefore: start, SPKI: spki, Subject: subject})
	if err != nil {
		t.Fatal(err)
	}
	below := &authorityKey{signer: key, certificate: a.sign(t, checked)}
	keyID, err := SubjectKeyID(spki)
	if err != nil {
		t.Fatal(err)
	}
	below.issuer = Issuer{Name: subject, KeyID: keyID, Algorithm: algorithm, NotBefore: checked.NotBefore(), NotAfter: checked.NotAfter(), Test: true}
	return below
}

func nurse() Holder {
	return Holder{ID: "899700075122", FamilyName: "L’Hôpital-Durand", GivenName: "Zoé Anne", Profession: 60}
}

func staff() Holder {
	return Holder{
		ID: "30B0057881/CPET0002", FamilyName: "D'Artagnan", GivenName: "Charles",
		Structure: Structure{Name: "Hôpital des trois dames", ID: "10B0057881", Department: "Paris (75)"},
	}
}

func holderFor(name Name) Holder {
	if name == CPEAuthentication || name == CPESignature {
		return staff()
	}
	return nurse()
}

// estate is one certificate of every profile.
type estate struct {
	root, issuing, technicalRoot, technical *authorityKey
	certificates                            map[Name]*x509.Certificate
	issuers                                 map[Name]*authorityKey
}

// newEstate issues everything with keys that the two functions make.
func newEstate(t testing.TB, rootKey, key func(label string) crypto.Signer) *estate {
	t.Helper()
	e := &estate{certificates: map[Name]*x509.Certificate{}, issuers: map[Name]*authorityKey{}}
	e.root = newRoot(t, Root, rootKey("root"), "TEST AC RACINE DEMO", 1)
	e.issuing = e.root.newIssuing(t, Issuing, key("issuing"), "TEST AC DEMO PERSONNES", 2)
	e.technicalRoot = newRoot(t, TechnicalRoot, rootKey("technical root"), "TEST AC RACINE TECHNIQUE", 3)
	e.technical = e.technicalRoot.newIssuing(t, TechnicalIssuing, key("technical issuing"), "TEST AC TECHNIQUE", 4)
	for i, name := range Names {
		switch name {
		case Root:
			e.certificates[name], e.issuers[name] = e.root.certificate, e.root
			continue
		case Issuing:
			e.certificates[name], e.issuers[name] = e.issuing.certificate, e.root
			continue
		case TechnicalRoot:
			e.certificates[name], e.issuers[name] = e.technicalRoot.certificate, e.technicalRoot
			continue
		case TechnicalIssuing:
			e.certificates[name], e.issuers[name] = e.technical.certificate, e.technicalRoot
			continue
		}
		issuer := e.issuing
		settings := demoSettings("issuing")
		if name == TLSServer || name == TLSClient || name == Officer {
			issuer = e.technical
			settings = demoSettings("technical")
		}
		e.issuers[name] = issuer
		e.certificates[name] = issuer.issue(t, name, settings, key(string(name)).Public(), byte(16+i))
	}
	return e
}

func (a *authorityKey) issue(t testing.TB, name Name, settings Settings, pub crypto.PublicKey, n byte) *x509.Certificate {
	t.Helper()
	p := compile(t, name, a.issuer, settings)
	var checked *Checked
	var err error
	if p.shape.kind == kindCard {
		checked, err = p.Check(Leaf{Serial: serial(n), NotBefore: start, SPKI: spkiOf(t, pub), Holder: holderFor(name), Number: "2800636234"})
	} else {
		one := Infrastructure{Serial: serial(n), NotBefore: start, SPKI: spkiOf(t, pub), Subject: distinguishedName(t, "demo "+string(name))}
		if name == TLSServer {
			one.Subject = distinguishedName(t, "autorite.example")
			one.DNSNames = []string{"localhost", "autorite.example"}
			one.IPs = []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}
		}
		checked, err = p.CheckInfrastructure(one)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return a.sign(t, checked)
}

func fixedEstate(t testing.TB) *estate {
	t.Helper()
	return newEstate(t,
		func(label string) crypto.Signer { return fixedKey(t, elliptic.P384(), label) },
		func(label string) crypto.Signer { return fixedKey(t, elliptic.P256(), label) })
}

// rsaEstate has RSA keys throughout, made once; the authorities have 3072
// bits, or the bound of small keys would end them.
var rsaKey = map[int]func() (*rsa.PrivateKey, error){
	2048: sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }),
	3072: sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 3072) }),
	3073: sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 3072) }),
}

func rsaEstate(t testing.TB) *estate {
	t.Helper()
	made := func(which int) crypto.Signer {
		key, err := rsaKey[which]()
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	return newEstate(t, func(string) crypto.Signer { return made(3072) }, func(label string) crypto.Signer {
		if label == "issuing" || label == "technical issuing" {
			return made(3073)
		}
		return made(2048)
	})
}

// edwardsEstate has Ed25519 keys in its authorities.
func edwardsEstate(t testing.TB) *estate {
	t.Helper()
	made := func(label string) crypto.Signer {
		seed := sha512.Sum512([]byte("cpsca test key " + label))
		return ed25519.NewKeyFromSeed(seed[:ed25519.SeedSize])
	}
	return newEstate(t, made, func(label string) crypto.Signer {
		if label == "issuing" || label == "technical issuing" {
			return made(label)
		}
		return fixedKey(t, elliptic.P256(), label)
	})
}

func readCertificate(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	der, err := os.ReadFile(filepath.Join("testdata", "igc-sante", name))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(der)
	if block != nil {
		der = block.Bytes
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// testIssuer is an issuer of fictitious people that lives long enough.
func testIssuer(t testing.TB) Issuer {
	t.Helper()
	return Issuer{
		Name: distinguishedName(t, "TEST AC"), KeyID: card.KeyID{1, 2, 3}, Algorithm: ECDSAWithSHA256,
		NotBefore: start.AddDate(-1, 0, 0), NotAfter: start.AddDate(9, 0, 0), Test: true,
	}
}

func testLeaf(t testing.TB, name Name) Leaf {
	t.Helper()
	return Leaf{
		Serial: serial(7), NotBefore: start, SPKI: spkiOf(t, fixedKey(t, elliptic.P256(), "leaf").Public()),
		Holder: holderFor(name), Number: "2800636234",
	}
}
