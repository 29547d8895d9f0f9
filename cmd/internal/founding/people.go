package founding

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"cpsca/ca"
	"cpsca/cmd/internal/hierarchy"
	"cpsca/crl"
	"cpsca/officer"
	"cpsca/profiles"
)

// DefaultBureau is the personalisation bureau of a new house.
const DefaultBureau = "bureau"

// identity is one technical certificate with a role.
type identity struct {
	file    string // of certificate and key, without ending
	person  string
	role    officer.Role // empty: the server, which has none
	bureau  string
	profile profiles.Name
}

func (f *founder) identities() []identity {
	out := []identity{
		{file: "server", person: "authority", profile: profiles.TLSServer},
		{file: "status", person: "status node", role: officer.StatusNode, profile: profiles.TLSClient},
		{file: "bureau", person: "personalisation bureau", role: officer.Bureau, bureau: DefaultBureau, profile: profiles.TLSClient},
		{file: "desk", person: "registration desk", role: officer.Desk, profile: profiles.TLSClient},
		{file: "auditor", person: "auditor", role: officer.Auditor, profile: profiles.TLSClient},
	}
	for _, person := range f.plan.Officers {
		out = append(out, identity{file: officerFile(person), person: person, role: officer.SecurityOfficer, profile: profiles.Officer})
	}
	return out
}

func officerFile(person string) string {
	return "officer-" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(person))
}

func (f *founder) people(ctx context.Context) error {
	err := os.Mkdir(f.path("identities"), 0o700)
	if err != nil {
		return fmt.Errorf("making the folder of identities: %w", err)
	}
	technical := f.authorities[hierarchy.Technical].issuer
	facts, err := hierarchy.Facts(technical, true)
	if err != nil {
		return err
	}
	for _, one := range f.identities() {
		compiled, err := profiles.Compile(one.profile, facts, profiles.Settings{Policy: demoPolicy, Validity: profiles.Period{Years: 1}})
		if err != nil {
			return fmt.Errorf("compiling profile %s: %w", one.profile, err)
		}
		err = f.introduce(ctx, technical, compiled, one)
		if err != nil {
			return err
		}
	}
	return nil
}

// introduce makes the key and certificate of one identity and enrols it.
func (f *founder) introduce(ctx context.Context, technical *ca.Issuer, compiled *profiles.Profile, one identity) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("generating the key of %s: %w", one.person, err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("encoding the key of %s: %w", one.person, err)
	}
	name, err := f.name(one.person)
	if err != nil {
		return err
	}
	request := ca.Request{Actor: f.actor(), Subject: one.person, Name: name, SPKI: spki}
	if one.profile == profiles.TLSServer {
		request.DNSNames, request.IPs, err = serverNames(f.plan.Authority)
		if err != nil {
			return err
		}
	}
	der, serial, err := f.technical.Issue(ctx, technical, compiled, request)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding the key of %s: %w", one.person, err)
	}
	err = writePEM(f.path("identities", one.file+".key"), "PRIVATE KEY", private, 0o600)
	if err != nil {
		return err
	}
	err = f.writeChain(f.path("identities", one.file+".pem"), der)
	if err != nil {
		return err
	}
	if one.role == "" {
		return nil
	}
	return f.db.Enrol(ctx, f.actor(), officer.Enrolment{
		Fingerprint: officer.FingerprintOf(der), Person: one.person, Role: one.role, Bureau: one.bureau, Issuer: technical.KeyID(), Serial: serial,
	})
}

// writeChain writes a certificate with the technical issuer's below it, as a
// TLS peer sends them.
func (f *founder) writeChain(path string, der []byte) error {
	err := writePEM(path, "CERTIFICATE", der, 0o644)
	if err != nil {
		return err
	}
	above, err := os.ReadFile(f.path("issuers", hierarchy.Technical+".pem"))
	if err != nil {
		return fmt.Errorf("reading the technical issuer: %w", err)
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	_, err = file.Write(above)
	if err != nil {
		file.Close()
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return file.Close()
}

// serverNames are the names that clients may call the authority by.
func serverNames(address string) ([]string, []netip.Addr, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the authority's address: %w", err)
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return []string{host}, nil, nil
	}
	if ip.IsLoopback() {
		return []string{"localhost"}, []netip.Addr{ip}, nil
	}
	return nil, []netip.Addr{ip}, nil
}

// rootListLife is how long the list of a root stands: a root that is off line
// signs the next one in a ceremony, once a year at least (EN 319 411-1 §6.3.9).
const rootListLife = 365 * 24 * time.Hour

func (f *founder) rootLists(ctx context.Context) error {
	err := os.Mkdir(f.path("lists"), 0o755)
	if err != nil {
		return fmt.Errorf("making the folder of lists: %w", err)
	}
	var issuers []*crl.Issuer
	for _, name := range []string{hierarchy.Root, hierarchy.TechnicalRoot} {
		a := f.authorities[name]
		issuer, err := crl.NewIssuer(a.certificate, a.key)
		if err != nil {
			return fmt.Errorf("preparing the list of %s: %w", name, err)
		}
		issuer.File = name + ".crl"
		issuers = append(issuers, issuer)
	}
	publisher, err := crl.NewPublisher(crl.Config{
		Folder: f.path("lists"), Source: f.db, Numbers: f.db, Policy: crl.Policy{Lifetime: rootListLife}, Now: f.plan.Now,
	}, issuers...)
	if err != nil {
		return fmt.Errorf("preparing the lists of the roots: %w", err)
	}
	for _, issuer := range issuers {
		_, err = publisher.Publish(ctx, issuer.KeyID, crl.Regular)
		if err != nil {
			return fmt.Errorf("publishing %s: %w", issuer.File, err)
		}
	}
	return nil
}
