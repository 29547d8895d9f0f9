package founding

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"

	"cpsca/ca"
	"cpsca/cmd/internal/hierarchy"
	"cpsca/config"
	"cpsca/profiles"
	"cpsca/store"
)

// certificates is what the house's certificates say, until officers decide
// otherwise.
func (f *founder) certificates() config.Certificates {
	publication := "http://" + f.plan.Status
	return config.Certificates{
		Policy: demoPolicy, Publication: publication, OCSP: publication + "/ocsp",
		UPNSuffix: "@carte-cps.example", CardYears: 3, ResponderDays: 7,
	}
}

// demoPolicy is the certification policy of houses that have none yet: under
// the arc that IANA keeps for documentation (RFC 5612).
const demoPolicy = "1.3.6.1.4.1.32473.1"

func (f *founder) hierarchies(ctx context.Context) error {
	err := os.Mkdir(f.path("issuers"), 0o755)
	if err != nil {
		return fmt.Errorf("making the folder of issuers: %w", err)
	}
	for _, one := range []struct {
		name, above, role, commonName string
		profile                       profiles.Name
		years                         int
	}{
		{hierarchy.Root, hierarchy.Root, "root", "TEST AC RACINE " + f.plan.Organisation, profiles.Root, 20},
		{hierarchy.Cards, hierarchy.Root, "cards", "TEST AC " + f.plan.Organisation + " PERSONNES", profiles.Issuing, 10},
		{hierarchy.TechnicalRoot, hierarchy.TechnicalRoot, "technical-root", "TEST AC RACINE TECHNIQUE " + f.plan.Organisation, profiles.TechnicalRoot, 20},
		{hierarchy.Technical, hierarchy.TechnicalRoot, "technical", "TEST AC TECHNIQUE " + f.plan.Organisation, profiles.TechnicalIssuing, 10},
	} {
		name, err := f.name(one.commonName)
		if err != nil {
			return err
		}
		err = f.certify(ctx, f.authorities[one.name], f.authorities[one.above], one.profile, name, one.years)
		if err != nil {
			return err
		}
		a := f.authorities[one.name]
		err = f.db.AddIssuer(ctx, f.actor(), store.Issuer{KeyID: a.issuer.KeyID(), Name: one.name, Role: one.role, Certificate: a.certificate.Raw})
		if err != nil {
			return err
		}
		err = writePEM(f.path("issuers", one.name+".pem"), "CERTIFICATE", a.certificate.Raw, 0o644)
		if err != nil {
			return err
		}
	}
	public, err := x509.MarshalPKIXPublicKey(f.authorities[feedKey].key.Public())
	if err != nil {
		return fmt.Errorf("encoding the feed's key: %w", err)
	}
	return writePEM(f.path("issuers", "feed.pub"), "PUBLIC KEY", public, 0o644)
}

func (f *founder) name(commonName string) ([]byte, error) {
	return profiles.DistinguishedName(
		profiles.Attribute{Type: profiles.CountryName, Value: "FR"},
		profiles.Attribute{Type: profiles.OrganizationName, Value: f.plan.Organisation},
		profiles.Attribute{Type: profiles.OrganizationalUnitName, Value: "TEST " + f.plan.Preset.Name},
		profiles.Attribute{Type: profiles.CommonName, Value: commonName},
	)
}

// certify makes the certificate of one CA: by another one, or by itself.
func (f *founder) certify(ctx context.Context, of, by *authority, profile profiles.Name, name []byte, years int) error {
	spki, err := x509.MarshalPKIXPublicKey(of.key.Public())
	if err != nil {
		return fmt.Errorf("encoding the key of %s: %w", of.name, err)
	}
	signer := by.issuer
	var facts profiles.Issuer
	if of == by {
		signer, facts, err = self(of, spki, name)
	} else {
		facts, err = hierarchy.Facts(by.issuer, true)
	}
	if err != nil {
		return err
	}
	settings := hierarchy.Settings(f.certificates(), by.name)
	settings.OCSP, settings.CAIssuers, settings.Validity = "", "", profiles.Period{Years: years}
	if of == by {
		settings.CRLs = nil
	}
	compiled, err := profiles.Compile(profile, facts, settings)
	if err != nil {
		return fmt.Errorf("compiling profile %s: %w", profile, err)
	}
	der, _, err := f.technical.Issue(ctx, signer, compiled, ca.Request{Actor: f.actor(), Subject: of.name, Name: name, SPKI: spki})
	if err != nil {
		return err
	}
	of.certificate, err = x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("reading the certificate of %s back: %w", of.name, err)
	}
	of.issuer, err = ca.NewIssuer(of.certificate, of.key)
	return err
}

// self is a root before it has its certificate.
func self(a *authority, spki, name []byte) (*ca.Issuer, profiles.Issuer, error) {
	keyID, err := profiles.SubjectKeyID(spki)
	if err != nil {
		return nil, profiles.Issuer{}, fmt.Errorf("computing the key id of %s: %w", a.name, err)
	}
	algorithm, err := profiles.AlgorithmFor(a.key.Public())
	if err != nil {
		return nil, profiles.Issuer{}, fmt.Errorf("choosing the algorithm of %s: %w", a.name, err)
	}
	issuer, err := ca.SelfIssuer(a.key, keyID)
	return issuer, profiles.Issuer{Name: name, KeyID: keyID, Algorithm: algorithm, Test: true}, err
}

// writePEM writes one PEM block to a new file.
func writePEM(path, kind string, octets []byte, mode os.FileMode) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	err = pem.Encode(file, &pem.Block{Type: kind, Bytes: octets})
	if err != nil {
		file.Close()
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return file.Close()
}
