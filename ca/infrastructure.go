package ca

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"cpsca/card"
	"cpsca/profiles"
)

// Request asks for one certificate of the infrastructure: an issuer's, a
// responder's, a server's, a client's, an officer's.
type Request struct {
	Actor    string // who decided it, printable ASCII
	Subject  string // whom it is for, unique in the house, for people to read
	Name     []byte // DER Name of the subject
	SPKI     []byte // canonical SubjectPublicKeyInfo
	DNSNames []string
	IPs      []netip.Addr
	NotAfter time.Time // zero: by the profile
	Renewal  bool      // the subject may keep the key that it has
}

// Technical issues certificates of the infrastructure by the same protocol as
// those of cards: intent, signature, verification, record.
type Technical struct {
	Ledger   Infrastructure
	Instance byte // as Config.Instance
	// Now is business time; nil means time.Now.
	Now func() time.Time
}

// Issue signs one certificate with an issuer under a profile compiled for it,
// and returns it in DER with its serial. Errors wrap those of profiles and
// card.ErrKeyKnown; ErrConfig for a profile of another issuer, ErrStopped,
// ErrAbandoned if the signature or the record failed: then no byte of the
// signature left the process.
func (t Technical) Issue(ctx context.Context, issuer *Issuer, profile *profiles.Profile, r Request) ([]byte, card.Serial, error) {
	if t.Now == nil {
		t.Now = time.Now
	}
	err := issuer.fits(profile)
	if err == nil {
		err = issuer.ready()
	}
	if err != nil {
		return nil, card.Serial{}, fmt.Errorf("certifying %s: %w", r.Subject, err)
	}
	checked, err := profile.CheckInfrastructure(profiles.Infrastructure{
		Serial: newSerial(t.Instance), NotBefore: t.Now().UTC().Truncate(time.Second), NotAfter: r.NotAfter,
		SPKI: r.SPKI, Subject: r.Name, DNSNames: r.DNSNames, IPs: r.IPs,
	})
	if err != nil {
		return nil, card.Serial{}, fmt.Errorf("checking the certificate of %s: %w", r.Subject, err)
	}
	intent := card.Intent{
		Issuer: checked.Issuer(), Serial: checked.Serial(), Use: card.Use(profile.Name()), Subject: r.Subject, Profile: checked.Ref(),
		Key: checked.Key(), NotBefore: checked.NotBefore(), NotAfter: checked.NotAfter(), TBS: checked.TBS(),
	}
	err = t.Ledger.IntendInfrastructure(ctx, r.Actor, intent, r.Renewal)
	ctx = context.WithoutCancel(ctx)
	if err != nil {
		return nil, card.Serial{}, fmt.Errorf("intending the certificate of %s: %w", r.Subject, t.unintended(ctx, r.Actor, intent, err))
	}
	signature, err := issuer.sign(ctx, checked)
	if err == nil {
		err = t.Ledger.RecordInfrastructure(ctx, r.Actor, intent, signature)
	}
	if err != nil {
		abandoned := t.Ledger.AbandonInfrastructure(ctx, r.Actor, intent)
		return nil, card.Serial{}, fmt.Errorf("%w: certificate of %s: %w", ErrAbandoned, r.Subject, errors.Join(err, abandoned))
	}
	der, err := profiles.Assemble(intent.TBS, signature)
	if err != nil {
		return nil, card.Serial{}, fmt.Errorf("assembling the certificate of %s: %w", r.Subject, err)
	}
	return der, intent.Serial, nil
}

// unintended ends an intent whose commit failed: it may be on disk all the
// same. A refusal says that it is not, and that the serial may be another's.
func (t Technical) unintended(ctx context.Context, actor string, intent card.Intent, cause error) error {
	if errors.Is(cause, card.ErrKeyKnown) || errors.Is(cause, card.ErrSerialTaken) {
		return cause
	}
	return errors.Join(cause, t.Ledger.AbandonInfrastructure(ctx, actor, intent))
}

// SelfIssuer is the issuer of its own certificate, which does not exist yet:
// what a root is during its ceremony. keyID must be that of the signer's key,
// else ErrConfig.
func SelfIssuer(signer Signer, keyID card.KeyID) (*Issuer, error) {
	spki, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return nil, fmt.Errorf("encoding the root's key: %w", err)
	}
	own, err := profiles.SubjectKeyID(spki)
	if err != nil {
		return nil, fmt.Errorf("computing the root's key id: %w", err)
	}
	if own != keyID {
		return nil, fmt.Errorf("%w: the key id is not that of the root's key", ErrConfig)
	}
	algorithm, err := profiles.AlgorithmFor(signer.Public())
	if err != nil {
		return nil, fmt.Errorf("choosing the root's algorithm: %w", err)
	}
	return &Issuer{public: signer.Public(), keyID: keyID, algorithm: algorithm, scheme: issuerScheme(algorithm), signer: signer}, nil
}
