package profiles

import (
	"bytes"
	"net/netip"
	"time"

	"cpsca/card"
)

// maxNames bounds the names of a TLS certificate.
const maxNames = 64

// Infrastructure is all that is said of one certificate that is not a card's.
type Infrastructure struct {
	Serial    card.Serial
	NotBefore time.Time // truncated to the second
	// NotAfter is the last second of validity; zero: by the profile, clipped
	// to the issuer's. A date that was asked for is refused rather than
	// clipped.
	NotAfter time.Time
	SPKI     []byte // SubjectPublicKeyInfo, canonical DER, taken verbatim
	Subject  []byte // DER Name, see DistinguishedName
	// DNSNames and IPs become the subjectAltName of tls-server, which must
	// have one, tls-client and officer; the others refuse them. Host names
	// without wildcards, addresses without zones.
	DNSNames []string
	IPs      []netip.Addr
}

// CheckInfrastructure validates the facts of a certificate of the
// infrastructure, builds it and reads it back. Errors are as for Check.
func (p *Profile) CheckInfrastructure(one Infrastructure) (*Checked, error) {
	if p.shape.kind != kindInfrastructure {
		return nil, refuse("profile", ruleKinds, "is one of cards")
	}
	err := p.checkSubject(one.Subject)
	if err != nil {
		return nil, err
	}
	err = p.checkAltNames(one.DNSNames, one.IPs)
	if err != nil {
		return nil, err
	}
	c := certificate{
		serial: one.Serial, notBefore: one.NotBefore, notAfter: one.NotAfter, spki: one.SPKI,
		subject: one.Subject, dnsNames: one.DNSNames, ips: one.IPs,
	}
	return p.check(&c)
}

// checkSubject asks for the issuer's own name in a self-signed certificate
// and for another one everywhere else: a name of two keys would make chains
// ambiguous.
func (p *Profile) checkSubject(subject []byte) error {
	err := checkName("subject", ruleDistinguish, subject, true)
	if err != nil {
		return err
	}
	if bytes.Equal(subject, p.issuer.Name) != p.shape.selfSigned {
		return refuse("subject", ruleIssuer, "is the issuer's name, or is not in a self-signed certificate")
	}
	return nil
}

func (p *Profile) checkAltNames(dnsNames []string, ips []netip.Addr) error {
	count := len(dnsNames) + len(ips)
	takes := false
	for _, s := range p.shape.slots {
		takes = takes || s == slotSubjectAltName
	}
	switch {
	case count > 0 && !takes:
		return refuse("subjectAltName", ruleAltName, "has no place in this profile")
	case count == 0 && p.shape.subjectAltName:
		return refuse("subjectAltName", ruleAltName, "is missing")
	case count > maxNames:
		return refuse("subjectAltName", ruleAltName, "has more than 64 names")
	}
	for _, name := range dnsNames {
		if !domainName(name) {
			return refuse("dNSName", ruleAltName, "is not a host name")
		}
	}
	for _, ip := range ips {
		if !ip.IsValid() || ip.Zone() != "" {
			return refuse("iPAddress", ruleAltName, "is not an address")
		}
	}
	return nil
}
