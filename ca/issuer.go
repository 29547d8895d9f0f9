package ca

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"fmt"
	"sync/atomic"

	"cpsca/card"
	"cpsca/profiles"
)

// badInARow is how many unverified signatures in a row stop an issuer: one may
// be a fault, two are a defect that would leak an RSA key.
const badInARow = 2

// Issuer is a CA certificate with the key that signs for it. It may be used by
// several goroutines.
type Issuer struct {
	certificate *x509.Certificate // nil for a root during its own ceremony
	public      crypto.PublicKey
	keyID       card.KeyID
	algorithm   profiles.SignatureAlgorithm
	scheme      scheme // of algorithm
	signer      Signer
	bad         atomic.Int32 // signatures in a row that did not verify
	stopped     atomic.Bool  // never goes back: a good signature that was under way meanwhile proves nothing
}

// NewIssuer joins a CA certificate and its key. The key must be the
// certificate's.
func NewIssuer(certificate *x509.Certificate, signer Signer) (*Issuer, error) {
	type comparable interface{ Equal(crypto.PublicKey) bool }
	public, ok := certificate.PublicKey.(comparable)
	if !ok || !public.Equal(signer.Public()) {
		return nil, fmt.Errorf("%w: the key is not that of certificate %q", ErrConfig, certificate.Subject.CommonName)
	}
	algorithm, err := profiles.AlgorithmFor(signer.Public())
	if err != nil {
		return nil, fmt.Errorf("choosing the issuer's algorithm: %w", err)
	}
	keyID, err := profiles.SubjectKeyID(certificate.RawSubjectPublicKeyInfo)
	if err != nil {
		return nil, fmt.Errorf("computing the issuer's key id: %w", err)
	}
	return &Issuer{
		certificate: certificate, public: signer.Public(), keyID: keyID, algorithm: algorithm, scheme: issuerScheme(algorithm), signer: signer,
	}, nil
}

// issuerScheme is how an issuer's algorithm signs.
func issuerScheme(a profiles.SignatureAlgorithm) scheme {
	switch a {
	case profiles.SHA256WithRSA:
		return scheme{rsaPKCS1v15, a.Hash()}
	case profiles.ECDSAWithSHA256, profiles.ECDSAWithSHA384:
		return scheme{ecdsaInDER, a.Hash()}
	case profiles.Ed25519:
		return scheme{pureEd25519, a.Hash()}
	}
	return scheme{} // verifies nothing
}

// KeyID names the issuer.
func (i *Issuer) KeyID() card.KeyID { return i.keyID }

// Certificate is the issuer's own certificate; not to be changed.
func (i *Issuer) Certificate() *x509.Certificate { return i.certificate }

// fits refuses a profile with ErrConfig unless it was compiled for this very
// issuer: what it checks would otherwise be signed by somebody else, or with
// another algorithm than the certificate says.
func (i *Issuer) fits(p *profiles.Profile) error {
	if p == nil {
		return fmt.Errorf("%w: a profile is missing", ErrConfig)
	}
	of := p.Issuer()
	switch {
	case of.KeyID != i.keyID:
		return fmt.Errorf("%w: profile %s is another issuer's", ErrConfig, p.Name())
	case of.Algorithm != i.algorithm:
		return fmt.Errorf("%w: profile %s says %s, the issuer's key signs by %s", ErrConfig, p.Name(), of.Algorithm, i.algorithm)
	case i.certificate == nil:
		return nil
	case !bytes.Equal(of.Name, i.certificate.RawSubject):
		return fmt.Errorf("%w: profile %s names the issuer otherwise than its certificate does", ErrConfig, p.Name())
	case of.NotBefore.Before(i.certificate.NotBefore) || of.NotAfter.After(i.certificate.NotAfter):
		return fmt.Errorf("%w: profile %s reaches beyond the validity of its issuer", ErrConfig, p.Name())
	}
	return nil
}

// ready is ErrStopped once the issuer was stopped, and the signer's own error
// where that knows that it cannot sign now.
func (i *Issuer) ready() error {
	if i.stopped.Load() {
		return ErrStopped
	}
	s, ok := i.signer.(interface{ Ready() error })
	if !ok {
		return nil
	}
	err := s.Ready()
	if err != nil {
		return fmt.Errorf("asking the signer: %w", err)
	}
	return nil
}

// sign spends a checked certificate: one entry into the HSM, then
// verification with the public key. ErrSignature twice in a row makes every
// further call ErrStopped.
func (i *Issuer) sign(ctx context.Context, checked *profiles.Checked) ([]byte, error) {
	err := i.ready()
	if err != nil {
		return nil, err
	}
	tbs, err := checked.Spend()
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	var room [sha512.Size]byte
	signed := i.scheme.signed(tbs, &room)
	signature, err := i.signer.SignContext(ctx, signed, i.scheme.hash)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	if verifying && !i.scheme.verifies(i.public, signed, signature) {
		if i.bad.Add(1) >= badInARow {
			i.stopped.Store(true)
		}
		return nil, ErrSignature
	}
	i.bad.Store(0)
	return signature, nil
}

// newSerial draws a serial: the instance's octet and 120 random bits.
func newSerial(instance byte) card.Serial {
	var s card.Serial
	_, _ = rand.Read(s[:]) // never fails: crypto/rand ends the process instead
	s[0] = instance
	return s
}
