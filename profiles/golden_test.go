package profiles

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cpsca/card"
)

var update = flag.Bool("update", false, "write the golden certificates anew")

// issuerOf takes from a certificate what is said of its issuer.
func issuerOf(cert *x509.Certificate) Issuer {
	return Issuer{
		Name: cert.RawIssuer, KeyID: card.KeyID(cert.AuthorityKeyId), Algorithm: SHA256WithRSA,
		NotBefore: time.Date(2013, time.June, 25, 0, 0, 0, 0, time.UTC),
		NotAfter:  time.Date(2033, time.June, 24, 0, 0, 0, 0, time.UTC), Test: true,
	}
}

// igcSettings are the settings of a TEST issuing authority of IGC-Santé.
func igcSettings(short, ca, root string) Settings {
	entry := "ldap://annuaire-igc.esante.gouv.fr/cn=" + ca + ",ou=" + root + ",ou=IGC-SANTE%20TEST,ou=0002%20187512751,o=ASIP-SANTE,c=FR?"
	return Settings{
		Policy: "1.2.250.1.213.1.7.2.1.1.1.1", PolicyURI: "http://igc-sante.esante.gouv.fr/PC%20TEST",
		CRLs: []string{
			"http://igc-sante.esante.gouv.fr/CRL/" + short + ".crl",
			entry + "certificaterevocationlist;binary?base?objectClass=pkiCA",
		},
		DeltaCRL: entry + "deltarevocationlist;binary?base?objectClass=pkiCA",
		OCSP:     "http://ocsp.esante.gouv.fr", CAIssuers: "http://igc-sante.esante.gouv.fr/AC%20TEST/" + short + ".cer",
		UPNSuffix: "@carte-cps.fr", CardIssuer: "8025000001",
	}
}

func serialOf(cert *x509.Certificate) card.Serial {
	var s card.Serial
	cert.SerialNumber.FillBytes(s[:])
	return s
}

func TestGoldenCPSSignatureOfTheFieldIsReproducedByteForByte(t *testing.T) {
	cert := readCertificate(t, "cps-signature.pem")
	p := compile(t, CPSSignature, issuerOf(cert),
		igcSettings("ACI-FO-PP-TEST", "TEST%20AC%20IGC-SANTE%20FORT%20PERSONNES", "TEST%20AC%20RACINE%20IGC-SANTE%20FORT"))
	checked, err := p.Check(Leaf{
		Serial: serialOf(cert), NotBefore: cert.NotBefore, SPKI: cert.RawSubjectPublicKeyInfo, Number: "2800636234",
		Holder: Holder{ID: "00B6087510", FamilyName: "INFIRMCS ADELI8751", GivenName: "OLIVIER", Profession: 60},
	})
	if err != nil {
		t.Fatal(err)
	}
	sameBytes(t, checked.TBS(), cert.RawTBSCertificate)
	whole, err := Assemble(checked.TBS(), cert.Signature)
	if err != nil {
		t.Fatal(err)
	}
	sameBytes(t, whole, cert.Raw)
	const published = "67053d18fde08a0921ce05c1c2a3da944dcbeb6ea633628c63b1f35c3efe3082"
	digest := sha256.Sum256(whole)
	if hex.EncodeToString(digest[:]) != published {
		t.Fatalf("SHA-256 of the certificate: got %x, want %s", digest, published)
	}
}

func TestGoldenCPEAuthenticationOfTheFieldIsReproducedByteForByte(t *testing.T) {
	cert := readCertificate(t, "cpe-authentication.der")
	p := compile(t, CPEAuthentication, issuerOf(cert),
		igcSettings("ACI-ST-PP-TEST", "TEST%20AC%20IGC-SANTE%20STANDARD%20PERSONNES", "TEST%20AC%20RACINE%20IGC-SANTE%20STANDARD"))
	checked, err := p.Check(Leaf{
		Serial: serialOf(cert), NotBefore: cert.NotBefore, SPKI: cert.RawSubjectPublicKeyInfo, Number: "2600301752",
		Holder: Holder{
			ID: "30B0057881/CPET0002", FamilyName: "ADMINISTRATIF-CH057880002", GivenName: "CHARLES",
			Structure: Structure{Name: "HOPITAL DES 3 DAMES", ID: "10B0057881", Department: "Paris (75)"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	sameBytes(t, checked.TBS(), cert.RawTBSCertificate)
	whole, err := Assemble(checked.TBS(), cert.Signature)
	if err != nil {
		t.Fatal(err)
	}
	sameBytes(t, whole, cert.Raw)
	issuing := readCertificate(t, "ca-issuing.pem")
	parsed, err := x509.ParseCertificate(whole)
	if err != nil {
		t.Fatal(err)
	}
	err = parsed.CheckSignatureFrom(issuing)
	if err != nil {
		t.Fatalf("the signature of the field over our bytes: %v", err)
	}
}

// The serials of the authorities of the field have 18 octets, so that the
// comparison leaves out serial and header.
func TestGoldenAuthoritiesOfTheFieldAreReproducedButForTheSerial(t *testing.T) {
	root, issuing := readCertificate(t, "ca-root.pem"), readCertificate(t, "ca-issuing.pem")
	for _, tt := range []struct {
		name     Name
		cert     *x509.Certificate
		crls     []string
		notAfter time.Time
	}{
		{Root, root, nil, root.NotAfter},
		{Issuing, issuing, []string{
			"http://igc-sante.esante.gouv.fr/CRL/ACR-ST-TEST.crl",
			"ldap://annuaire-igc.esante.gouv.fr/CN=TEST%20AC%20RACINE%20IGC-SANTE%20STANDARD,OU=IGC-SANTE%20TEST,OU=0002%20187512751,O=ASIP-SANTE,C=FR?certificaterevocationlist;binary?base?objectclass=pkiCa",
		}, issuing.NotAfter},
	} {
		t.Run(string(tt.name), func(t *testing.T) {
			issuer := issuerOf(root)
			issuer.KeyID, issuer.NotAfter = card.KeyID(root.SubjectKeyId), root.NotAfter
			p := compile(t, tt.name, issuer, Settings{PolicyURI: "http://igc-sante.esante.gouv.fr/PC%20TEST", CRLs: tt.crls})
			checked, err := p.CheckInfrastructure(Infrastructure{
				Serial: serial(1), NotBefore: tt.cert.NotBefore, NotAfter: tt.notAfter,
				SPKI: tt.cert.RawSubjectPublicKeyInfo, Subject: tt.cert.RawSubject,
			})
			if err != nil {
				t.Fatal(err)
			}
			ours, theirs := checked.TBS(), tt.cert.RawTBSCertificate
			sameBytes(t, ours[4+5+2+16:], theirs[4+5+2+18:])
		})
	}
}

func TestGoldenOfEveryProfileIsWhatItWas(t *testing.T) {
	e := fixedEstate(t)
	for _, name := range Names {
		t.Run(string(name), func(t *testing.T) {
			path := filepath.Join("testdata", "golden", string(name)+".der")
			got := e.certificates[name].Raw
			if *update {
				writeGolden(t, path, got)
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			sameBytes(t, got, want)
			text, err := os.ReadFile(strings.TrimSuffix(path, ".der") + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			digest := sha256.Sum256(want)
			if !strings.HasPrefix(string(text), "SHA-256 "+hex.EncodeToString(digest[:])+"\n") {
				t.Fatal("the text beside the golden certificate describes another one: run with -update")
			}
		})
	}
}

func writeGolden(t *testing.T, path string, der []byte) {
	t.Helper()
	err := os.WriteFile(path, der, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	text, err := exec.Command("openssl", "x509", "-inform", "DER", "-in", path, "-noout", "-text", "-nameopt", "utf8,sep_comma_plus").Output()
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(der)
	text = append([]byte("SHA-256 "+hex.EncodeToString(digest[:])+"\n"), text...)
	err = os.WriteFile(strings.TrimSuffix(path, ".der")+".txt", text, 0o644)
	if err != nil {
		t.Fatal(err)
	}
}

func sameBytes(t testing.TB, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	at := 0
	for at < len(got) && at < len(want) && got[at] == want[at] {
		at++
	}
	t.Fatalf("octets differ at %d\n got %x\nwant %x", at, got[at:min(at+40, len(got))], want[at:min(at+40, len(want))])
}
