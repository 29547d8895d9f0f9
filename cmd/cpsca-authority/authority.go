package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"cpsca/api"
	"cpsca/ca"
	"cpsca/card"
	"cpsca/cmd/internal/hierarchy"
	"cpsca/cmd/internal/token"
	"cpsca/config"
	"cpsca/crl"
	"cpsca/hsm"
	"cpsca/lifecycle"
	"cpsca/metrics"
	"cpsca/profiles"
	"cpsca/registry"
	"cpsca/store"
)

// authority is everything that runs, put together from the configuration.
type authority struct {
	settings  *config.Authority
	log       *slog.Logger
	stop      context.CancelCauseFunc // ends the process in order
	db        *store.DB
	token     *hsm.Token
	issuer    *ca.Issuer
	technical *ca.Issuer
	issuing   *ca.Authority
	publisher *crl.Publisher
	names     map[card.KeyID]string // of the issuers, for the files of their lists
	doors     *api.Server
	meter     *metrics.Metrics
	key       *hsm.Key // of the issuer of cards
}

// assemble opens ledger and HSM and puts the rooms together. What was opened is
// closed by close, also after an error.
func (a *authority) assemble(ctx context.Context) error {
	err := a.unprotected()
	if err != nil {
		return err
	}
	ledger := store.At(a.settings.Ledger)
	ledger.Fatal, ledger.Fenced, ledger.Quota = a.fatal, a.stop, a.quota
	a.db, err = store.Open(ctx, ledger)
	if err != nil {
		return err
	}
	abandoned, err := a.db.AbandonEarlier(ctx)
	if err != nil {
		return fmt.Errorf("abandoning what an earlier process left: %w", err)
	}
	if abandoned > 0 {
		a.log.Warn("attempts of an earlier process were abandoned", "count", abandoned)
	}
	a.meter = metrics.New(metrics.Config{Version: revision, Places: a.places, Ledger: a.db.Standing})
	a.token, err = token.Open(ctx, a.settings.HSM, func(c *hsm.Config) {
		c.Transition, c.Meter, c.HardwareOnly = a.transition, a.meter, !a.test()
	})
	if err != nil {
		return err
	}
	certificates, err := hierarchy.Certificates(ctx, a.db)
	if err != nil {
		return err
	}
	key, err := a.issuers(ctx, certificates)
	if err != nil {
		return err
	}
	err = a.lists(certificates, key)
	if err == nil {
		err = a.notBehind(ctx)
	}
	if err != nil {
		return err
	}
	return a.open(ctx)
}

// fatal ends the process: the disk no longer holds what the page cache shows.
func (a *authority) fatal(err error) {
	a.log.Error("the ledger's disk failed; stopping at once", "error", err)
	os.Exit(1)
}

func (a *authority) close() error {
	var errs []error
	if a.db != nil {
		errs = append(errs, a.db.Close())
	}
	if a.token != nil {
		errs = append(errs, a.token.Close())
	}
	return errors.Join(errs...)
}

// test says whether this hierarchy is for fictitious people.
func (a *authority) test() bool { return a.settings.Environment == "test" }

func (a *authority) issuers(ctx context.Context, certificates map[string]*x509.Certificate) (*hsm.Key, error) {
	issuer, key, err := hierarchy.Open(ctx, certificates, a.token, hierarchy.Cards)
	if err != nil {
		return nil, err
	}
	a.issuer, a.key = issuer, key
	a.technical, _, err = hierarchy.Open(ctx, certificates, a.token, hierarchy.Technical)
	if err != nil {
		return nil, err
	}
	facts, err := hierarchy.Facts(issuer, a.test())
	if err != nil {
		return nil, err
	}
	compiled, err := hierarchy.CardProfiles(facts, a.settings.Certificates)
	if err != nil {
		return nil, err
	}
	keys, err := keyRules(a.settings.CardKeys)
	if err != nil {
		return nil, err
	}
	a.issuing, err = ca.New(ca.Config{
		Directory: a.db, Ledger: a.db, Cards: issuer, Profiles: compiled,
		Gate: card.Gate(a.settings.Gate), Instance: byte(a.settings.Instance),
		Keys:    keys,
		Meter:   a.meter,
		Signers: max(a.settings.HSM.Sessions, runtime.NumCPU()),
	})
	return key, err
}

// keyRules reads which card keys are accepted.
func keyRules(c config.CardKeys) (ca.KeyRules, error) {
	rules := ca.KeyRules{RSA: c.RSA, Curves: c.Curves}
	if c.Blocked == "" {
		return rules, nil
	}
	file, err := os.Open(c.Blocked)
	if err != nil {
		return rules, fmt.Errorf("reading the blocked keys: %w", err)
	}
	defer file.Close()
	blocked, err := ca.ReadBlocklist(file)
	if err != nil {
		return rules, fmt.Errorf("reading the blocked keys of %s: %w", c.Blocked, err)
	}
	rules.Blocked = blocked
	return rules, nil
}

func (a *authority) lists(certificates map[string]*x509.Certificate, key *hsm.Key) error {
	issuer, err := crl.NewIssuer(a.issuer.Certificate(), key)
	if err != nil {
		return fmt.Errorf("preparing the lists: %w", err)
	}
	issuer.File = hierarchy.Cards + ".crl"
	l := a.settings.Lists
	a.publisher, err = crl.NewPublisher(crl.Config{
		Folder: l.Folder, Source: a.db, Numbers: a.db, Period: l.Period, Delay: l.Delay, Log: a.log, Meter: a.meter,
		Policy: crl.Policy{Lifetime: l.Validity, ListWaiting: l.Waiting},
	}, issuer)
	if err != nil {
		return fmt.Errorf("preparing the lists: %w", err)
	}
	a.names = make(map[card.KeyID]string, len(certificates))
	for name, certificate := range certificates {
		id, err := profiles.SubjectKeyID(certificate.RawSubjectPublicKeyInfo)
		if err != nil {
			return fmt.Errorf("computing the key id of %s: %w", name, err)
		}
		a.names[id] = name
	}
	return nil
}

// errBehind: the ledger is older than what the house has published.
var errBehind = errors.New("the ledger is older than the list that the house has published: an old copy was put in its place")

// notBehind holds the ledger against the published list, a signed witness
// outside it: a copy from before does not know the number of the list that is
// there, and would issue again what was issued since.
func (a *authority) notBehind(ctx context.Context) error {
	path := filepath.Join(a.settings.Lists.Folder, hierarchy.Cards+".crl")
	der, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was published yet
	}
	if err != nil {
		return fmt.Errorf("reading the published list: %w", err)
	}
	list, err := crl.Parse(der)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	known, err := a.db.Lists(ctx, a.issuer.KeyID(), 1)
	if err != nil {
		return err
	}
	if list.KeyID == a.issuer.KeyID() && (len(known) == 0 || known[0].Number < list.Number) {
		return fmt.Errorf("%w (%s has number %d)", errBehind, path, list.Number)
	}
	return nil
}

// open makes the doors.
func (a *authority) open(ctx context.Context) error {
	feedKey, err := a.token.Key(ctx, a.settings.FeedKey)
	if err != nil {
		return fmt.Errorf("opening the feed's key: %w", err)
	}
	responder, err := hierarchy.Responder(a.issuer, a.settings.Certificates, a.test())
	if err != nil {
		return err
	}
	technical := ca.Technical{Ledger: a.db, Instance: byte(a.settings.Instance), Now: time.Now}
	desk := lifecycle.New(lifecycle.Config{
		Register: a.db, Book: a.db, Bureau: a.settings.Bureau,
		Certifies: func(id registry.NationalID) bool { return id.Test() == a.test() },
	})
	a.doors, err = api.New(api.Config{
		Enrolments: a.db, Register: a.db, BeginImport: a.beginImport,
		Orders: a.db, Desk: desk, Workshop: desk, Issuing: a.issuing,
		Cards: a.db, Histories: a.db, Certificates: a.db,
		Issuers: issuers{a.db}, Lists: lists{a},
		Feed: a.db, HeadSigner: &heads{signer: feedKey},
		Responders: ca.Responders{Technical: technical, Issuers: []ca.Responder{responder}},
		Refusal:    refusal, Version: revision, Log: a.log, Meter: a.meter, Stopping: ctx.Done(),
	})
	return err
}
