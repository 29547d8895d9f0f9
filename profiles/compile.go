package profiles

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"cpsca/card"
)

// Issuer is the authority that signs.
type Issuer struct {
	// Name is the DER Name of its certificate's subject, byte for byte
	// (RFC 5280 §4.1.2.4).
	Name []byte
	// KeyID is the subject key identifier of its certificate.
	KeyID card.KeyID
	// Algorithm is the one with which it signs.
	Algorithm SignatureAlgorithm
	// NotBefore and NotAfter are the validity of its certificate, UTC, both
	// included; ignored for self-signed certificates.
	NotBefore, NotAfter time.Time
	// Test issuers certify fictitious people only and mark their cards;
	// production issuers refuse fictitious people. It holds for the life of
	// an issuer.
	Test bool
}

// part is a run of constant extensions, or the place of one that differs.
type part struct {
	variable slot // 0: constant
	constant []byte
}

// Profile is a shape compiled for one issuer: constant bytes and the places
// between them. It never changes and may be used by any number of goroutines.
type Profile struct {
	name            Name
	shape           *shape
	issuer          Issuer
	algorithm       []byte // AlgorithmIdentifier
	parts           []part
	constants       int // octets of the constant parts
	period          Period
	rsa2048NotAfter time.Time
	upnSuffix       string
	tokenPrefix     string
	hash            [32]byte
}

// Compile prepares a profile for an issuer. A *Refusal names what is missing
// or out of bounds.
func Compile(name Name, issuer Issuer, settings Settings) (*Profile, error) {
	sh, ok := shapes[name]
	if !ok {
		return nil, refuse("profile", ruleKinds, "is unknown")
	}
	err := settings.Validate()
	if err != nil {
		return nil, fmt.Errorf("compiling %s: %w", name, err)
	}
	settings = settings.completed(sh)
	err = checkCompile(sh, &issuer, &settings)
	if err != nil {
		return nil, fmt.Errorf("compiling %s: %w", name, err)
	}
	issuer.Name = bytes.Clone(issuer.Name)
	issuer.NotBefore, issuer.NotAfter = issuer.NotBefore.UTC(), issuer.NotAfter.UTC()
	p := &Profile{
		name: name, shape: sh, issuer: issuer, algorithm: issuer.Algorithm.Identifier(),
		period: settings.Validity, rsa2048NotAfter: settings.RSA2048NotAfter.UTC(),
		upnSuffix: settings.UPNSuffix, tokenPrefix: settings.CardIssuer + "/",
	}
	for _, s := range sh.slots {
		if s >= slotSubjectKeyIdentifier {
			p.parts = append(p.parts, part{variable: s})
			continue
		}
		der, err := constantExtension(s, sh, &issuer, &settings)
		if err != nil {
			return nil, fmt.Errorf("compiling %s: %w", name, err)
		}
		p.addConstant(der)
	}
	p.hash = p.digest()
	return p, nil
}

func (p *Profile) addConstant(der []byte) {
	last := len(p.parts) - 1
	if last < 0 || p.parts[last].variable != 0 {
		p.parts = append(p.parts, part{})
		last++
	}
	p.parts[last].constant = append(p.parts[last].constant, der...)
	p.constants += len(der)
}

// checkCompile holds what a shape asks of issuer and settings.
func checkCompile(sh *shape, issuer *Issuer, s *Settings) error {
	err := checkName("issuer", ruleIssuer, issuer.Name, false)
	if err != nil {
		return err
	}
	switch {
	case issuer.Algorithm.Identifier() == nil:
		return refuse("Algorithm", "RFC 5280 §4.1.2.3", "is unknown")
	case issuer.KeyID == card.KeyID{}:
		return refuse("KeyID", ruleKeyID, "is missing")
	case !sh.selfSigned && (issuer.NotBefore.IsZero() || !issuer.NotAfter.After(issuer.NotBefore)):
		return refuseAs(ErrValidity, "issuer", ruleBounds, "has no validity")
	case !s.Validity.within(sh.longest):
		return refuse("Validity", ruleBounds, "is longer than the profile allows")
	case sh.crls && len(s.CRLs) == 0:
		return refuse("CRLs", ruleSettings, "are missing")
	case s.DeltaCRL != "" && len(s.CRLs) == 0:
		return refuse("DeltaCRL", ruleSettings, "is there without CRLs")
	case sh.kind == kindCard && s.Policy == "":
		return refuse("Policy", ruleSettings, "is missing")
	case sh.kind == kindCard && s.OCSP == "":
		return refuse("OCSP", ruleSettings, "is missing")
	}
	return nil
}

// digest hashes everything that the profile adds to the facts of a
// certificate, each item behind its length.
func (p *Profile) digest() [32]byte {
	h := sha256.New()
	add := func(item []byte) {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(item)))
		h.Write(length[:])
		h.Write(item)
	}
	add([]byte("cpsca profile"))
	add([]byte(p.name))
	add(fmt.Appendf(nil, "version %d test %t", p.shape.version, p.issuer.Test))
	add(p.algorithm)
	add(p.issuer.Name)
	add(p.issuer.KeyID[:])
	for _, one := range p.parts {
		add(fmt.Appendf(nil, "slot %d", one.variable))
		add(one.constant)
	}
	add([]byte(p.upnSuffix))
	add([]byte(p.tokenPrefix))
	add(fmt.Appendf(nil, "%d %d %d", p.period.Years, p.period.Months, p.period.Days))
	for _, t := range []time.Time{p.issuer.NotBefore, p.issuer.NotAfter, p.rsa2048NotAfter} {
		add([]byte(t.Format(time.RFC3339)))
	}
	return [32]byte(h.Sum(nil))
}

// Name returns the name of the profile.
func (p *Profile) Name() Name { return p.name }

// Version returns the version of the profile's shape, from 1.
func (p *Profile) Version() int { return p.shape.version }

// Hash returns the SHA-256 over all that the profile adds to the facts of a
// certificate, issuer and settings included.
func (p *Profile) Hash() [32]byte { return p.hash }

// Ref returns name, version and hash together, as intents keep them.
func (p *Profile) Ref() card.ProfileRef {
	return card.ProfileRef{Name: string(p.name), Version: p.shape.version, Hash: p.hash}
}

// Issuer returns the issuer for which the profile was compiled.
func (p *Profile) Issuer() Issuer {
	issuer := p.issuer
	issuer.Name = bytes.Clone(issuer.Name)
	return issuer
}
