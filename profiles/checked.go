package profiles

import (
	"bytes"
	"crypto/ed25519"
	"sync/atomic"
	"time"

	"cpsca/card"
)

// Checked is a certificate ready to be signed, bound to the profile and issuer
// that checked it. Only Check and CheckInfrastructure make one. It may be used
// by any number of goroutines.
type Checked struct {
	profile             *Profile
	serial              card.Serial
	notBefore, notAfter time.Time
	key                 card.Fingerprint
	tbs                 []byte
	spent               atomic.Bool
}

// TBS returns a copy of the DER TBSCertificate, to be recorded or looked at.
func (c *Checked) TBS() []byte { return bytes.Clone(c.tbs) }

// Spend returns the TBSCertificate to sign, once; every later call, from
// whatever goroutine, returns ErrSpent. A second signature over it would be a
// second certificate of one serial.
func (c *Checked) Spend() ([]byte, error) {
	if c.spent.Swap(true) {
		return nil, ErrSpent
	}
	return bytes.Clone(c.tbs), nil
}

// Serial returns the serial number of the certificate.
func (c *Checked) Serial() card.Serial { return c.serial }

// NotBefore returns the first second of validity, UTC.
func (c *Checked) NotBefore() time.Time { return c.notBefore }

// NotAfter returns the last second of validity, UTC.
func (c *Checked) NotAfter() time.Time { return c.notAfter }

// Key returns the fingerprint of the certified key.
func (c *Checked) Key() card.Fingerprint { return c.key }

// Issuer returns the key identifier of the issuer that has to sign.
func (c *Checked) Issuer() card.KeyID { return c.profile.issuer.KeyID }

// Algorithm returns the algorithm with which it has to be signed.
func (c *Checked) Algorithm() SignatureAlgorithm { return c.profile.issuer.Algorithm }

// Ref returns the profile that made the certificate.
func (c *Checked) Ref() card.ProfileRef { return c.profile.Ref() }

// check holds what is common to all certificates: serial, key, validity, then
// building and reading back.
func (p *Profile) check(c *certificate) (*Checked, error) {
	if c.serial[0] < 0x10 || c.serial[0] > 0x7f {
		return nil, refuse("serial", ruleSerial, "does not begin with an octet from 0x10 to 0x7f")
	}
	err := c.readKey()
	if err != nil {
		return nil, err
	}
	_, edwards := c.key.public.(ed25519.PublicKey)
	if edwards && p.shape.basicConstraints == endEntity {
		return nil, refuseAs(ErrUnsupportedKey, "subjectPublicKeyInfo", ruleKeys, "is an Ed25519 key, which issuers alone have")
	}
	err = p.checkSelfSigned(c)
	if err != nil {
		return nil, err
	}
	c.notBefore, c.notAfter, err = p.validity(c.notBefore, c.notAfter, c.key.public)
	if err != nil {
		return nil, err
	}
	// What differs beside subject and key has room in half a kilobyte, but for
	// many host names: then the slice grows.
	room := len(p.algorithm) + len(p.issuer.Name) + len(c.subject) + len(c.spki) + p.constants + 512
	tbs := p.appendTBS(make([]byte, 0, room), c)
	err = p.verify(tbs, c)
	if err != nil {
		return nil, err
	}
	return &Checked{
		profile: p, serial: c.serial, notBefore: c.notBefore, notAfter: c.notAfter,
		key: c.key.fingerprint, tbs: tbs,
	}, nil
}

// readKey reads the key unless the caller did.
func (c *certificate) readKey() error {
	if c.key == nil {
		key, err := ParseKey(c.spki)
		if err != nil {
			return refuseAs(err, "subjectPublicKeyInfo", ruleKeys, err.Error())
		}
		c.key = key
	}
	c.spki, c.keyID = c.key.spki, c.key.id
	return nil
}

// checkSelfSigned asks whether key and issuer are one where they must be, and
// two everywhere else.
func (p *Profile) checkSelfSigned(c *certificate) error {
	if (c.keyID == p.issuer.KeyID) != p.shape.selfSigned {
		return refuse("subjectPublicKeyInfo", ruleKeyID, "is the issuer's key, or is not in a self-signed certificate")
	}
	if !p.shape.selfSigned {
		return nil
	}
	algorithm, err := AlgorithmFor(c.key.public)
	if err != nil || algorithm != p.issuer.Algorithm {
		return refuse("Algorithm", "RFC 5280 §4.1.2.3", "is not one of the issuer's key")
	}
	return nil
}
