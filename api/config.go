package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/client"
	"cpsca/feed"
	"cpsca/lifecycle"
	"cpsca/officer"
	"cpsca/registry"
)

// Enrolments tells who may use a certificate.
type Enrolments interface {
	// Enrolled is asked at every request; card.ErrNotFound if the
	// certificate opens nothing: unknown, ended, held or revoked.
	Enrolled(ctx context.Context, f officer.Fingerprint) (officer.Enrolment, error)
	Enrolments(ctx context.Context) ([]officer.Enrolment, error)
}

// Register tells what is known of a person; card.ErrUnknownHolder if nothing.
type Register interface {
	Holder(ctx context.Context, id registry.NationalID) (registry.Person, []registry.Event, registry.Contact, error)
}

// Rows commits slices of a register file, each on disk when it returns.
type Rows interface {
	Persons(ctx context.Context, rows []registry.PersonRow) error
	Events(ctx context.Context, events []registry.Event) error
	Contacts(ctx context.Context, contacts []registry.Contact) error
}

// Import is one register file on its way in.
type Import interface {
	Rows
	// Finish closes the import with its report.
	Finish(ctx context.Context, report *registry.Report) error
}

// Orders reads orders and what is known about them.
type Orders interface {
	// Orders lists orders of a bureau (all if empty) in a state (all if
	// empty), oldest first, after the given one, at most limit.
	Orders(ctx context.Context, bureau string, state card.OrderState, after card.OrderID, limit int) ([]card.Order, error)
	Dossiers(ctx context.Context, bureau string, ids []card.OrderID) (map[card.OrderID]card.Dossier, error)
}

// Desk takes decisions about cards.
type Desk interface {
	Order(ctx context.Context, actor string, r lifecycle.OrderRequest) (card.Order, error)
	Activate(ctx context.Context, actor string, number card.Number) (card.Card, error)
	ReportLoss(ctx context.Context, actor string, l lifecycle.Loss) (lifecycle.Reported, error)
	Cancel(ctx context.Context, actor string, order card.OrderID) (card.Card, error)
}

// Workshop hears from bureaux about cards that failed.
type Workshop interface {
	Spoil(ctx context.Context, actor, bureau string, number card.Number) (card.Card, error)
}

// Issuing answers applications, at most ca.MaxChunk at a time and in their
// order. An error is of the whole chunk; sending it again is safe.
type Issuing interface {
	Issue(ctx context.Context, requester, bureau string, applications []card.Application) ([]ca.Answer, error)
	// Chunk is how many applications to put together while more are waiting.
	Chunk() int
}

// Cards reads cards; card.ErrNotFound for a number that no card has.
type Cards interface {
	Card(ctx context.Context, number card.Number) (card.Card, error)
	CardsOf(ctx context.Context, holder registry.NationalID) ([]card.Card, error)
}

// Histories reads the life of a card, oldest first.
type Histories interface {
	History(ctx context.Context, id int64) ([]card.Step, error)
	CertificatesOf(ctx context.Context, id int64) ([]card.Certificate, error)
	LossReports(ctx context.Context, c card.Card) ([]card.LossReport, error)
}

// Certificates reads recorded certificates and revokes those of the
// infrastructure; card.ErrNotFound for any other.
type Certificates interface {
	Certificate(ctx context.Context, issuer card.KeyID, serial card.Serial) (card.Certificate, error)
	RevokeInfrastructure(ctx context.Context, actor string, issuer card.KeyID, serial card.Serial, reason card.Reason) error
}

// Issuers lists the CA certificates of the house, oldest first.
type Issuers interface {
	Issuers(ctx context.Context) ([]client.Issuer, error)
}

// Lists is the register of revocation lists; card.ErrNotFound for an issuer
// that has none.
type Lists interface {
	// Lists lists the newest numbers of every issuer.
	Lists(ctx context.Context) ([]client.List, error)
	// List returns the list published last, in DER.
	List(ctx context.Context, issuer card.KeyID) ([]byte, error)
	// Publish makes and publishes a list now.
	Publish(ctx context.Context, actor string, issuer card.KeyID) (client.List, error)
}

// Feed reads the stream of status changes.
type Feed interface {
	// Records lists records after a sequence, at most limit, with sequence
	// and chain hash of the feed's end in the same snapshot.
	Records(ctx context.Context, after uint64, limit int) (records []feed.Record, end uint64, hash feed.Hash, err error)
	// Changed returns a channel that is closed at the next change.
	Changed() <-chan struct{}
}

// HeadSigner signs the feed's end.
type HeadSigner interface {
	// asOf is an instant before the end of the feed was read: what was
	// committed since is not claimed to be covered.
	SignHead(ctx context.Context, sequence uint64, hash feed.Hash, asOf time.Time) (feed.Head, error)
}

// Responders certifies the keys of OCSP responders, given in a PKCS#10 request
// in DER; the certificate is in DER.
type Responders interface {
	IssueResponder(ctx context.Context, actor string, issuer card.KeyID, csr []byte) ([]byte, error)
}

// Meter counts what passes the doors. Its method is called once a request.
type Meter interface {
	Answered(route string, status int, took time.Duration)
}

type noMeter struct{}

func (noMeter) Answered(string, int, time.Duration) {}

// Config is what stands behind the doors. Everything without a default is
// required.
type Config struct {
	Enrolments Enrolments
	Register   Register
	// BeginImport announces a file. kind is client.Persons, Events or
	// Contacts.
	BeginImport  func(ctx context.Context, actor, kind, file string) (Import, error)
	Orders       Orders
	Desk         Desk
	Workshop     Workshop
	Issuing      Issuing
	Cards        Cards
	Histories    Histories
	Certificates Certificates
	Issuers      Issuers
	Lists        Lists
	Feed         Feed
	HeadSigner   HeadSigner
	Responders   Responders
	// Refusal gives the text of a refusal that no sentinel names, such as a
	// profile's, if it may be told to the caller. Nil: none may.
	Refusal func(error) (reason string, ok bool)
	// Version of the program, for people to read.
	Version string
	// Log gets one line per request; nil means slog.Default().
	Log *slog.Logger
	// Meter counts requests; nil counts nothing.
	Meter Meter
	// Idle is how long a caller may leave a transfer without progress, in
	// either direction; 0 means one minute. 1 s to 1 h.
	Idle time.Duration
	// Stopping is closed when the process is told to stop: callers who wait
	// for news are answered then. Nil: never.
	Stopping <-chan struct{}
	// Now is business time; nil means time.Now.
	Now func() time.Time
}

// ErrConfig is returned by New for a configuration that cannot serve.
var ErrConfig = errors.New("the configuration of the doors")

func (c *Config) complete() error {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Meter == nil {
		c.Meter = noMeter{}
	}
	if c.Refusal == nil {
		c.Refusal = func(error) (string, bool) { return "", false }
	}
	if c.Idle == 0 {
		c.Idle = time.Minute
	}
	if c.Idle < time.Second || c.Idle > time.Hour {
		return fmt.Errorf("%w: idle is 1 s to 1 h, not %v", ErrConfig, c.Idle)
	}
	for _, need := range []struct {
		name   string
		absent bool
	}{
		{"Enrolments", c.Enrolments == nil}, {"Register", c.Register == nil}, {"BeginImport", c.BeginImport == nil},
		{"Orders", c.Orders == nil}, {"Desk", c.Desk == nil}, {"Workshop", c.Workshop == nil}, {"Issuing", c.Issuing == nil},
		{"Cards", c.Cards == nil}, {"Histories", c.Histories == nil}, {"Certificates", c.Certificates == nil},
		{"Issuers", c.Issuers == nil}, {"Lists", c.Lists == nil}, {"Feed", c.Feed == nil}, {"HeadSigner", c.HeadSigner == nil},
		{"Responders", c.Responders == nil},
	} {
		if need.absent {
			return fmt.Errorf("%w: %s is required", ErrConfig, need.name)
		}
	}
	return nil
}
