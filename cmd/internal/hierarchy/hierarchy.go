// Package hierarchy puts issuers and their profiles together from the ledger,
// a token and the configuration: what `cpsca init` makes once and
// cpsca-authority finds again at each start.
package hierarchy

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/config"
	"cpsca/hsm"
	"cpsca/profiles"
	"cpsca/store"
)

// The issuers of a hierarchy. A name is also the label of the key, and the
// name of the files of certificate and list.
const (
	Root          = "root"
	Cards         = "cards"
	TechnicalRoot = "technical-root"
	Technical     = "technical"
)

// ErrMissing: the ledger does not know an issuer of that name.
var ErrMissing = errors.New("the ledger has no such issuer")

// Certificates reads the certificates of the issuers by their names.
func Certificates(ctx context.Context, db *store.DB) (map[string]*x509.Certificate, error) {
	issuers, err := db.Issuers(ctx)
	if err != nil {
		return nil, err
	}
	out := make(map[string]*x509.Certificate, len(issuers))
	for _, i := range issuers {
		out[i.Name], err = x509.ParseCertificate(i.Certificate)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate of issuer %s: %w", i.Name, err)
		}
	}
	return out, nil
}

// Open finds the key of an issuer in a token, reads its attributes back and
// joins it with its certificate.
func Open(ctx context.Context, certificates map[string]*x509.Certificate, token *hsm.Token, name string) (*ca.Issuer, *hsm.Key, error) {
	certificate, ok := certificates[name]
	if !ok {
		return nil, nil, fmt.Errorf("%w: %s", ErrMissing, name)
	}
	key, err := token.Key(ctx, name)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the key of issuer %s: %w", name, err)
	}
	issuer, err := ca.NewIssuer(certificate, key)
	if err != nil {
		return nil, nil, fmt.Errorf("opening issuer %s: %w", name, err)
	}
	return issuer, key, nil
}

// Facts is what profiles need to know of an issuer.
func Facts(i *ca.Issuer, test bool) (profiles.Issuer, error) {
	certificate := i.Certificate()
	algorithm, err := profiles.AlgorithmFor(certificate.PublicKey)
	if err != nil {
		return profiles.Issuer{}, fmt.Errorf("describing the issuer: %w", err)
	}
	return profiles.Issuer{
		Name: certificate.RawSubject, KeyID: i.KeyID(), Algorithm: algorithm,
		NotBefore: certificate.NotBefore, NotAfter: certificate.NotAfter, Test: test,
	}, nil
}

// Settings are the texts and URLs in certificates that the named issuer signs.
func Settings(c config.Certificates, name string) profiles.Settings {
	s := profiles.Settings{
		Policy: c.Policy, PolicyURI: c.PolicyURI,
		CRLs: []string{ListURL(c, name)}, OCSP: c.OCSP, CAIssuers: c.Publication + "/ca/" + name + ".cer",
		UPNSuffix: c.UPNSuffix,
	}
	if point, ok := c.LDAP[name]; ok {
		s.CRLs = append(s.CRLs, point)
	}
	return s
}

// ListURL is where the list of an issuer is published.
func ListURL(c config.Certificates, name string) string {
	return c.Publication + "/crl/" + name + ".crl"
}

// CardProfiles compiles the profiles of cards for their issuer.
func CardProfiles(issuer profiles.Issuer, c config.Certificates) ([]*profiles.Profile, error) {
	settings := Settings(c, Cards)
	settings.Validity = profiles.Period{Years: c.CardYears}
	var out []*profiles.Profile
	for _, use := range card.Uses {
		name, _ := profiles.ForCard(card.CPS, use)
		p, err := profiles.Compile(name, issuer, settings)
		if err != nil {
			return nil, fmt.Errorf("compiling profile %s: %w", name, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// Responder compiles the profile of the responders of the card issuer, and
// names them.
func Responder(issuer *ca.Issuer, c config.Certificates, test bool) (ca.Responder, error) {
	facts, err := Facts(issuer, test)
	if err != nil {
		return ca.Responder{}, err
	}
	p, err := profiles.Compile(profiles.OCSP, facts, profiles.Settings{Policy: c.Policy, Validity: profiles.Period{Days: c.ResponderDays}})
	if err != nil {
		return ca.Responder{}, fmt.Errorf("compiling profile %s: %w", profiles.OCSP, err)
	}
	subject := issuer.Certificate().Subject
	name, err := profiles.DistinguishedName(
		profiles.Attribute{Type: profiles.CountryName, Value: first(subject.Country, "FR")},
		profiles.Attribute{Type: profiles.OrganizationName, Value: first(subject.Organization, "CPSCA")},
		profiles.Attribute{Type: profiles.CommonName, Value: "OCSP " + subject.CommonName},
	)
	if err != nil {
		return ca.Responder{}, fmt.Errorf("naming the responders: %w", err)
	}
	return ca.Responder{Issuer: issuer, Profile: p, Name: name}, nil
}

func first(values []string, otherwise string) string {
	if len(values) == 0 {
		return otherwise
	}
	return values[0]
}
