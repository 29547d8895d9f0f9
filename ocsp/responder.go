package ocsp

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"cpsca/card"
	"cpsca/feed"
)

// Defaults and bounds of the freshness rules.
const (
	DefaultFresh           = 15 * time.Minute
	DefaultStale           = 72 * time.Hour
	DefaultNextUpdate      = time.Hour
	DefaultStaleNextUpdate = 15 * time.Minute
	DefaultKnowsAll        = 10 * time.Second

	// clockSkew is how far the authority's clock may run before ours.
	clockSkew = 5 * time.Minute
)

// Image is what the responder knows of serials. *feed.Image is one.
type Image interface {
	// Lookup returns what is recorded of a serial of an issuer, or false.
	Lookup(issuer card.KeyID, serial card.Serial) (feed.Record, bool)
	// AsOf returns until when the image is complete, the zero time if it is
	// not.
	AsOf() time.Time
}

// Config says how a Responder answers.
type Config struct {
	// Image is asked about every serial.
	Image Image
	// Issuers are the certificates of the CAs that are answered for, each
	// with another key or name.
	Issuers []*x509.Certificate
	// Fresh is the age of the image up to which all is normal. Default 15 min.
	Fresh time.Duration
	// Stale is the age from which nothing is answered. Default 72 h, which is
	// also the most.
	Stale time.Duration
	// NextUpdate is the time from thisUpdate to nextUpdate while the image is
	// fresh; more than Fresh. Default 1 h, which is also the most.
	NextUpdate time.Duration
	// StaleNextUpdate is the time from now to nextUpdate while the image is
	// stale; at most NextUpdate. Default 15 min.
	StaleNextUpdate time.Duration
	// KnowsAll is the age of the image up to which a serial that it does not
	// know counts as never issued, 1 s to 1 min; beyond it the answer is
	// unauthorized. It must exceed the time between two heads, or no serial
	// is ever called unknown. Default 10 s.
	KnowsAll time.Duration
	// ExtendedRevoke answers revoked, as RFC 6960 §2.2 and §4.4.8 allow, for
	// a serial that was never issued; see KnowsAll. Default false: unknown.
	ExtendedRevoke bool
	// Reasons publishes the reasons of revocations. Default false: only the
	// reason certificateHold, without which a hold cannot be told.
	Reasons bool
	// ArchiveCutoff adds, for expired certificates, the date from which on
	// the status of expired certificates is kept (RFC 6960 §4.4.4): the
	// beginning of the issuer, as the image forgets nothing.
	ArchiveCutoff bool
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

func (c *Config) setDefaults() {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.Fresh, DefaultFresh},
		{&c.Stale, DefaultStale},
		{&c.NextUpdate, DefaultNextUpdate},
		{&c.StaleNextUpdate, DefaultStaleNextUpdate},
		{&c.KnowsAll, DefaultKnowsAll},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

// Validate returns the first field that is out of bounds; zero values stand for
// the defaults.
func (c Config) Validate() error {
	c.setDefaults()
	switch {
	case c.Image == nil:
		return errors.New("ocsp: Image is missing")
	case len(c.Issuers) == 0:
		return errors.New("ocsp: Issuers is empty")
	case c.Fresh < time.Second || c.Fresh >= c.Stale:
		return errors.New("ocsp: Fresh must be at least 1 s and less than Stale")
	case c.Stale > DefaultStale:
		return errors.New("ocsp: Stale must be at most 72 h")
	case c.NextUpdate <= c.Fresh || c.NextUpdate > DefaultNextUpdate:
		return errors.New("ocsp: NextUpdate must be more than Fresh and at most 1 h")
	case c.StaleNextUpdate < time.Minute || c.StaleNextUpdate > c.NextUpdate:
		return errors.New("ocsp: StaleNextUpdate must be at least 1 min and at most NextUpdate")
	case c.KnowsAll < time.Second || c.KnowsAll > time.Minute:
		return errors.New("ocsp: KnowsAll must be 1 s to 1 min")
	}
	return nil
}

// Responder answers requests. Its methods may be called from several
// goroutines.
type Responder struct {
	cfg     Config
	issuers map[card.KeyID]*issuer
	index   map[string]*issuer
}

// New makes a responder; until Install it answers tryLater.
func New(cfg Config) (*Responder, error) {
	err := cfg.Validate()
	if err != nil {
		return nil, err
	}
	cfg.setDefaults()
	r := &Responder{cfg: cfg, issuers: map[card.KeyID]*issuer{}, index: map[string]*issuer{}}
	for _, certificate := range cfg.Issuers {
		i, err := newIssuer(certificate)
		if err != nil {
			return nil, fmt.Errorf("adding the issuer %q: %w", certificate.Subject.CommonName, err)
		}
		if r.issuers[i.keyID] != nil {
			return nil, fmt.Errorf("adding the issuer %q: its key was added before", certificate.Subject.CommonName)
		}
		indexes, err := i.indexes()
		if err != nil {
			return nil, fmt.Errorf("adding the issuer %q: %w", certificate.Subject.CommonName, err)
		}
		r.issuers[i.keyID] = i
		for _, key := range indexes {
			r.index[key] = i
		}
	}
	return r, nil
}

// Install gives the responder its certificate and key for an issuer, in place
// of those it has; answers under way end with those they began with. It returns
// ErrResponderCertificate, with the reason, for what gives no right to answer,
// and card.ErrNotFound for an issuer that is not in the Config.
func (r *Responder) Install(id card.KeyID, certificate *x509.Certificate, signer crypto.Signer) error {
	i := r.issuers[id]
	if i == nil {
		return fmt.Errorf("installing a responder certificate for issuer %s: %w", id, card.ErrNotFound)
	}
	d, err := i.newDelegate(certificate, signer, r.cfg.Now())
	if err != nil {
		return fmt.Errorf("installing a responder certificate for issuer %s: %w", id, err)
	}
	i.delegate.Store(d)
	return nil
}

// Delegate returns the responder certificate in use for an issuer, or nil.
func (r *Responder) Delegate(id card.KeyID) *x509.Certificate {
	i := r.issuers[id]
	if i == nil {
		return nil
	}
	d := i.delegate.Load()
	if d == nil {
		return nil
	}
	return d.certificate
}

// Answer reads a request and answers it. The error is for the log and never
// about the request: why an answer is InternalError, else nil. It names no
// certificate.
func (r *Responder) Answer(der []byte) (Response, error) {
	request, err := ParseRequest(der)
	if err != nil {
		return Refusal(MalformedRequest), nil
	}
	return r.Respond(request)
}

// Respond answers a request that was read; see Answer.
func (r *Responder) Respond(request *Request) (Response, error) {
	i := r.issuerOf(request)
	if i == nil {
		return Refusal(Unauthorized), nil
	}
	// The image's time is read before its entries, so that no entry is older
	// than the answer says.
	now := r.cfg.Now().UTC().Truncate(time.Second)
	d := i.delegate.Load()
	answer, age, ok := r.frame(now, d)
	if !ok {
		return Refusal(TryLater), nil
	}
	answer.nonce = request.Nonce
	response := Response{Nonce: request.Nonce != nil, Stale: age > r.cfg.Fresh}
	for _, id := range request.CertIDs {
		s, issued, ok := r.single(i, id, now)
		if !ok || !issued && age > r.cfg.KnowsAll {
			return Refusal(Unauthorized), nil
		}
		if !issued {
			response.Unknown = true
			answer.extendedRevoke = answer.extendedRevoke || s.status == revoked
		}
		answer.singles = append(answer.singles, s)
	}
	var err error
	response.DER, err = d.respond(answer)
	if err != nil {
		return Refusal(InternalError), err
	}
	response.ProducedAt, response.ThisUpdate, response.NextUpdate = answer.producedAt, answer.thisUpdate, answer.nextUpdate
	return response, nil
}

// Unissued says whether a request names a serial of one of the issuers that the
// image does not know. A request about other issuers does not: it is refused
// without a signature.
func (r *Responder) Unissued(request *Request) bool {
	i := r.issuerOf(request)
	if i == nil {
		return false
	}
	for _, id := range request.CertIDs {
		_, issued, ok := r.single(i, id, time.Time{})
		if ok && !issued {
			return true
		}
	}
	return false
}

// issuerOf returns the one issuer that all CertIDs name, nil if they do not or
// it is not ours: one signature speaks for one issuer.
func (r *Responder) issuerOf(request *Request) *issuer {
	var one *issuer
	for _, id := range request.CertIDs {
		i := r.index[index(id.Hash, id.IssuerNameHash, id.IssuerKeyHash)]
		if i == nil || one != nil && i != one {
			return nil
		}
		one = i
	}
	return one
}

// frame decides the times of an answer and tells the age of the image, which is
// negative if our clock runs behind; ok is false if no answer can be given now:
// no image, one too old, or no responder certificate that is valid.
func (r *Responder) frame(now time.Time, d *delegate) (answer *data, age time.Duration, ok bool) {
	asOf := r.cfg.Image.AsOf()
	if asOf.IsZero() || d == nil || now.Before(d.certificate.NotBefore) {
		return nil, 0, false
	}
	age = now.Sub(asOf)
	if age >= r.cfg.Stale || age < -clockSkew {
		return nil, 0, false
	}
	answer = &data{responderKey: d.keyHash, producedAt: now, thisUpdate: asOf}
	if age < 0 {
		// Our clock runs behind: what is complete until asOf is so until now.
		answer.thisUpdate = now
	}
	answer.nextUpdate = answer.thisUpdate.Add(r.cfg.NextUpdate)
	if age > r.cfg.Fresh {
		answer.nextUpdate = earlier(now.Add(r.cfg.StaleNextUpdate), asOf.Add(r.cfg.Stale))
	}
	answer.nextUpdate = earlier(answer.nextUpdate, d.certificate.NotAfter)
	return answer, age, answer.nextUpdate.After(now)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// neverIssuedAt is the revocation time of what was never issued (RFC 6960
// §2.2).
var neverIssuedAt = time.Unix(0, 0).UTC()

// single decides what is said of one certificate. issued is false for a serial
// that the image has never heard of; ok is false if nothing may be said, since
// the certificate may or may not exist.
func (r *Responder) single(i *issuer, id CertID, now time.Time) (s single, issued, ok bool) {
	s = single{certID: id.Raw, status: unknown}
	record, known := feed.Record{}, false
	if len(id.SerialNumber) == len(card.Serial{}) && id.SerialNumber[0] < 0x80 {
		record, known = r.cfg.Image.Lookup(i.keyID, card.Serial(id.SerialNumber))
	}
	if !known {
		if r.cfg.ExtendedRevoke {
			s.status, s.revokedAt, s.reason = revoked, neverIssuedAt, card.CertificateHold
		}
		return s, false, true
	}
	switch record.Status {
	case card.StatusGood:
		s.status = good
	case card.StatusHeld:
		s.status, s.revokedAt, s.reason = revoked, record.At, card.CertificateHold
	case card.StatusRevoked:
		s.status, s.revokedAt = revoked, record.At
		if r.cfg.Reasons {
			s.reason = record.Reason
		}
	default:
		return single{}, false, false
	}
	if r.cfg.ArchiveCutoff && now.After(record.NotAfter) {
		s.archiveCutoff = i.certificate.NotBefore.UTC()
	}
	return s, true, true
}

// respond writes and signs an answer.
func (d *delegate) respond(answer *data) ([]byte, error) {
	tbs, err := answer.tbs()
	if err != nil {
		return nil, fmt.Errorf("writing a response: %w", err)
	}
	signature, err := d.sign(tbs)
	if err != nil {
		return nil, err
	}
	der, err := wrap(tbs, signature, d.algorithm, d.certificate.Raw)
	if err != nil {
		return nil, fmt.Errorf("writing a response: %w", err)
	}
	return der, nil
}
