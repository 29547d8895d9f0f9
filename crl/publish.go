package crl

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"cpsca/card"
)

// Kind says why a list is published. Expired entries leave only after a
// regularly scheduled list; emergency lists do not count (RFC 5280 §3.3).
type Kind string

// The kinds.
const (
	Regular   Kind = "regular"
	Emergency Kind = "emergency"
)

// Published describes a list that is in place.
type Published struct {
	Issuer     card.KeyID
	Kind       Kind
	Number     int64
	ThisUpdate time.Time
	NextUpdate time.Time
	Entries    int
	Size       int      // octets of DER
	SHA256     [32]byte // of the DER
	Sequence   uint64   // of the feed, as of which the revocations were read
	Path       string
}

// Publisher builds the full lists of its issuers and puts them in its folder.
// Its methods may be called at the same time; publications of one issuer wait
// for each other.
type Publisher struct {
	cfg   Config
	lines []*line
}

// line is the succession of lists of one issuer. Whoever holds the one token
// of turn owns the fields below it, across the signature too: two lists of an
// issuer are never made at once.
type line struct {
	issuer *Issuer
	path   string
	wake   chan struct{} // one place: a second wake before the first is heard is the same wake

	turn        chan struct{}
	last        *List     // what is published; nil before it was read or if there is none
	lastRegular bool      // last is known to be a regular list
	sequence    uint64    // of last, 0 if not known
	regularAt   time.Time // thisUpdate of the last regular list of this process
}

// NewPublisher makes a publisher for some issuers. It returns ErrConfig for
// settings out of bounds, for two issuers with one key id or file, and for a
// file name that is more than a name.
func NewPublisher(cfg Config, issuers ...*Issuer) (*Publisher, error) {
	err := cfg.Validate()
	if err != nil {
		return nil, err
	}
	p := &Publisher{cfg: cfg.withDefaults()}
	taken := map[string]bool{}
	for _, issuer := range issuers {
		if issuer.File == "" || filepath.Base(issuer.File) != issuer.File || !filepath.IsLocal(issuer.File) || issuer.File == "." {
			return nil, fmt.Errorf("list file name %q: %w", issuer.File, ErrConfig)
		}
		if taken[issuer.File] || taken[issuer.KeyID.String()] {
			return nil, fmt.Errorf("list issuer %s or its file is given twice: %w", issuer.KeyID, ErrConfig)
		}
		taken[issuer.File], taken[issuer.KeyID.String()] = true, true
		p.lines = append(p.lines, &line{
			issuer: issuer,
			path:   filepath.Join(p.cfg.Folder, issuer.File),
			wake:   make(chan struct{}, 1),
			turn:   make(chan struct{}, 1),
		})
	}
	return p, nil
}

// Publish makes the full list of an issuer now and puts it in place. It
// returns when the list is durable and recorded. Before that the list is read
// back by crypto/x509 and its signature verified (ErrReadBack), and it is
// compared with the published one (ErrNumber, ErrBehind, ErrRevived,
// ErrMissing). With any error but ErrRecord, and ErrWrite after the rename, the
// published list stays as it was; with ErrRecord the new list is in place and is
// returned too.
func (p *Publisher) Publish(ctx context.Context, issuer card.KeyID, kind Kind) (Published, error) {
	for _, l := range p.lines {
		if l.issuer.KeyID == issuer {
			return p.publish(ctx, l, kind, false)
		}
	}
	return Published{}, fmt.Errorf("publishing for %s: %w", issuer, ErrUnknownIssuer)
}

// publish takes the turn, publishes and reports. With onlyNews a list that
// would tell nothing new is not made, and Number is 0 in the answer.
func (p *Publisher) publish(ctx context.Context, l *line, kind Kind, onlyNews bool) (Published, error) {
	err := l.take(ctx)
	if err != nil {
		return Published{}, err
	}
	defer l.give()
	done, err := p.next(ctx, l, kind, onlyNews)
	if done.Number != 0 {
		p.cfg.Meter.ListPublished(done)
		p.cfg.Log.Info("list published", "issuer", l.issuer.KeyID, "kind", kind, "number", done.Number,
			"entries", done.Entries, "sequence", done.Sequence)
	}
	if err != nil {
		err = fmt.Errorf("publishing the list of %s: %w", l.issuer.KeyID, err)
	}
	// What fails because the caller gave up is the caller's, not an alarm.
	if err != nil && ctx.Err() == nil {
		p.cfg.Meter.ListFailed(l.issuer.KeyID, err)
		p.cfg.Log.Error("list not published", "issuer", l.issuer.KeyID, "kind", kind, "error", err)
	}
	return done, err
}

func (l *line) take(ctx context.Context) error {
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the turn to publish: %w", context.Cause(ctx))
	}
}

func (l *line) give() { <-l.turn }

// next makes the next list of a line. The caller has the turn.
func (p *Publisher) next(ctx context.Context, l *line, kind Kind, onlyNews bool) (Published, error) {
	err := l.load()
	if err != nil {
		return Published{}, err
	}
	// Taken before the revocations are read: the list never claims to be
	// younger than what it tells.
	thisUpdate := p.cfg.Now().UTC().Truncate(time.Second)
	chosen, err := p.read(ctx, l, thisUpdate)
	if err != nil {
		return Published{}, err
	}
	if onlyNews && l.sameAsLast(chosen.entries) {
		return Published{}, nil
	}
	content := Content{ThisUpdate: thisUpdate, NextUpdate: thisUpdate.Add(p.cfg.Policy.lifetime())}
	content.Number, err = p.cfg.Numbers.ReserveNumber(ctx, l.issuer.KeyID, content.ThisUpdate, content.NextUpdate)
	if err != nil {
		return Published{}, fmt.Errorf("reserving a list number: %w", err)
	}
	der, err := Build(l.issuer, content, chosen.entries)
	if err != nil {
		return Published{}, err
	}
	list, err := readBack(l.issuer, content, chosen.entries, der)
	if err != nil {
		return Published{}, err
	}
	err = l.follows(list, p.cfg.Policy, chosen.revocations)
	if err != nil {
		return Published{}, err
	}
	err = replaceFile(l.path, der)
	if err != nil {
		return Published{}, err
	}
	l.last, l.lastRegular, l.sequence = list, kind == Regular, chosen.sequence
	if kind == Regular {
		l.regularAt = thisUpdate
	}
	done := Published{
		Issuer: l.issuer.KeyID, Kind: kind, Number: content.Number,
		ThisUpdate: content.ThisUpdate, NextUpdate: content.NextUpdate,
		Entries: list.Count, Size: len(der), SHA256: sha256.Sum256(der),
		Sequence: chosen.sequence, Path: l.path,
	}
	// The list is in place: a caller that gives up now must not leave it
	// unrecorded.
	err = p.cfg.Numbers.Published(context.WithoutCancel(ctx), done.Issuer, done.Number, done.SHA256, done.Sequence)
	if err != nil {
		return done, fmt.Errorf("list %d: %w: %w", done.Number, ErrRecord, err)
	}
	return done, nil
}

// read asks the source and chooses the entries of the list.
func (p *Publisher) read(ctx context.Context, l *line, thisUpdate time.Time) (selection, error) {
	revocations, sequence, err := p.cfg.Source.Revocations(ctx, l.issuer.KeyID)
	if err != nil {
		return selection{}, fmt.Errorf("reading revocations: %w", err)
	}
	if sequence < l.sequence {
		return selection{}, fmt.Errorf("sequence %d after %d: %w", sequence, l.sequence, ErrBehind)
	}
	entries, err := l.choose(p.cfg.Policy, revocations, thisUpdate)
	return selection{revocations, sequence, entries}, err
}

// load reads the published list of the folder, once: afterwards this process
// knows what it published, and a file that was damaged since is replaced by
// the next publication.
func (l *line) load() error {
	if l.last != nil {
		return nil
	}
	der, err := os.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPrevious, err)
	}
	list, err := Parse(der)
	if err == nil {
		err = checkOrigin(list, l.issuer.Certificate)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPrevious, err)
	}
	l.last = list
	return nil
}

// readBack lets crypto/x509 judge the finished bytes, entry by entry, and
// returns what this room's own reader makes of them.
func readBack(issuer *Issuer, content Content, entries []Entry, der []byte) (*List, error) {
	judged, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReadBack, err)
	}
	err = judged.CheckSignatureFrom(issuer.Certificate)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReadBack, err)
	}
	same := judged.Number != nil && judged.Number.IsInt64() && judged.Number.Int64() == content.Number &&
		judged.ThisUpdate.Equal(content.ThisUpdate) && judged.NextUpdate.Equal(content.NextUpdate) &&
		bytes.Equal(judged.RawIssuer, issuer.Certificate.RawSubject) &&
		bytes.Equal(judged.AuthorityKeyId, issuer.Certificate.SubjectKeyId) &&
		len(judged.RevokedCertificateEntries) == len(entries)
	for i := 0; same && i < len(entries); i++ {
		seen, e := &judged.RevokedCertificateEntries[i], &entries[i]
		same = bytes.Equal(seen.SerialNumber.Bytes(), e.Serial[:]) && seen.RevocationTime.Equal(e.Date) &&
			seen.ReasonCode == int(e.Reason)
	}
	if !same {
		return nil, fmt.Errorf("list %d: %w", content.Number, ErrReadBack)
	}
	list, err := Parse(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReadBack, err)
	}
	return list, nil
}
