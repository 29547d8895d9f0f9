package status

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cpsca/card"
)

// renewEvery is the time between two looks at the responder certificates.
const renewEvery = time.Minute

// Certifier is the authority as the enrolment sees it.
type Certifier interface {
	// Certify returns a responder certificate of an issuer in DER for the key
	// of a PKCS #10 request in DER (RFC 2986).
	Certify(ctx context.Context, issuer card.KeyID, request []byte) ([]byte, error)
}

// Installer takes responder certificates into use, or refuses one that gives
// no right to answer or is for another key. *ocsp.Responder is one.
type Installer interface {
	Install(issuer card.KeyID, certificate *x509.Certificate, signer crypto.Signer) error
}

// Key is the responder key for one issuer; each issuer has its own.
type Key struct {
	Issuer card.KeyID
	Signer crypto.Signer
}

// EnrolmentConfig says for which keys certificates are got.
type EnrolmentConfig struct {
	Keys      []Key
	Certifier Certifier
	Installer Installer
	// Folder keeps the certificates, one file <key id>.cer for each issuer,
	// so that a restart does not need the authority.
	Folder string
	// Log gets a line for each certificate installed, when getting one begins
	// to fail and when it works again. Default: none.
	Log *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Validate returns the first setting that is missing.
func (c EnrolmentConfig) Validate() error {
	if c.Certifier == nil || c.Installer == nil || c.Folder == "" || len(c.Keys) == 0 {
		return errors.New("status: Keys, Certifier, Installer and Folder are required")
	}
	seen := map[card.KeyID]bool{}
	for _, k := range c.Keys {
		if k.Signer == nil || seen[k.Issuer] {
			return fmt.Errorf("status: the key for issuer %s is missing or given twice", k.Issuer)
		}
		seen[k.Issuer] = true
	}
	return nil
}

// Enrolment gets a certificate for each responder key and a new one when half
// of its life is over, while the old one still serves.
type Enrolment struct {
	cfg EnrolmentConfig

	mu      sync.Mutex // guards all below
	current map[card.KeyID]*x509.Certificate
	errs    map[card.KeyID]error
}

// NewEnrolment installs the certificates that the folder holds and that are
// still good for their keys; the others are got by Run.
func NewEnrolment(cfg EnrolmentConfig) (*Enrolment, error) {
	err := cfg.Validate()
	if err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	e := &Enrolment{cfg: cfg, current: map[card.KeyID]*x509.Certificate{}, errs: map[card.KeyID]error{}}
	for _, k := range cfg.Keys {
		der, err := os.ReadFile(e.path(k.Issuer))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = e.install(k, der)
		}
		if err != nil {
			cfg.Log.Warn("a stored responder certificate is not used", "issuer", k.Issuer.String(), "error", err)
		}
	}
	return e, nil
}

func (e *Enrolment) path(issuer card.KeyID) string {
	return filepath.Join(e.cfg.Folder, issuer.String()+".cer")
}

// Run gets and renews certificates until the context ends, and returns its
// error.
func (e *Enrolment) Run(ctx context.Context) error {
	repeat(ctx, renewEvery, func() {
		for _, k := range e.cfg.Keys {
			if e.due(k.Issuer) {
				e.note(k.Issuer, e.renew(ctx, k))
			}
		}
	})
	return ctx.Err()
}

// due tells whether a certificate is missing or over half of its life.
func (e *Enrolment) due(issuer card.KeyID) bool {
	c := e.certificate(issuer)
	if c == nil {
		return true
	}
	half := c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) / 2)
	return !e.cfg.Now().Before(half)
}

func (e *Enrolment) certificate(issuer card.KeyID) *x509.Certificate {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.current[issuer]
}

// renew asks for a certificate, installs it and stores it.
func (e *Enrolment) renew(ctx context.Context, k Key) error {
	// The name is the authority's to choose; a request must have one.
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "OCSP responder"}}
	request, err := x509.CreateCertificateRequest(rand.Reader, template, k.Signer)
	if err != nil {
		return fmt.Errorf("requesting a responder certificate: %w", err)
	}
	der, err := e.cfg.Certifier.Certify(ctx, k.Issuer, request)
	if err != nil {
		return fmt.Errorf("getting a responder certificate: %w", err)
	}
	err = e.install(k, der)
	if err != nil {
		return err
	}
	err = replaceFile(e.path(k.Issuer), der)
	if err != nil {
		return fmt.Errorf("storing a responder certificate: %w", err)
	}
	return nil
}

// install takes a certificate into use; the Installer decides whether it fits
// the key and gives the right to answer.
func (e *Enrolment) install(k Key, der []byte) error {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("reading a responder certificate: %w", err)
	}
	err = e.cfg.Installer.Install(k.Issuer, certificate, k.Signer)
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.current[k.Issuer] = certificate
	e.mu.Unlock()
	e.cfg.Log.Info("responder certificate installed", "issuer", k.Issuer.String(), "until", certificate.NotAfter)
	return nil
}

// note remembers how the last attempt ended and logs changes.
func (e *Enrolment) note(issuer card.KeyID, err error) {
	e.mu.Lock()
	before := e.errs[issuer]
	e.errs[issuer] = err
	e.mu.Unlock()
	if before == nil && err != nil {
		e.cfg.Log.Error("no responder certificate", "issuer", issuer.String(), "error", err)
	}
}
