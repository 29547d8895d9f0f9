package testpki

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"

	"go.step.sm/crypto/minica"

	"cpsca/hsm"
)

// Foreign is an authority that nobody here trusts: its certificates look like technical ones and must open no door. It
// is valid for a day from its making, by the clock of the machine.
type Foreign struct {
	authority *minica.CA
}

// NewForeign makes one, its root and its intermediate.
func NewForeign() (*Foreign, error) {
	authority, err := minica.New(minica.WithName("TEST AC ETRANGERE"))
	if err != nil {
		return nil, fmt.Errorf("making a foreign authority: %w", err)
	}
	return &Foreign{authority: authority}, nil
}

// Roots returns a pool that trusts its root alone.
func (f *Foreign) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(f.authority.Root)
	return pool
}

// TLS issues a certificate for servers and clients alike with a fresh P-256 key; hosts are names or addresses.
func (f *Foreign) TLS(commonName string, hosts ...string) (tls.Certificate, error) {
	key, err := GenerateKey(hsm.P256)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{Country: []string{"FR"}, Organization: []string{"TEST Autorité étrangère"}, CommonName: commonName},
		PublicKey:   key.Public(),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		ip := net.ParseIP(host)
		if ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
			continue
		}
		template.DNSNames = append(template.DNSNames, host)
	}
	leaf, err := f.authority.Sign(template)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("signing a foreign certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{leaf.Raw, f.authority.Intermediate.Raw}, PrivateKey: key, Leaf: leaf}, nil
}
