// Package founding makes a house from nothing: tokens, keys, both hierarchies,
// the ledger with its first officers, and the configurations of the three
// commands. `cpsca init` calls it, once for each folder.
//
// It makes test houses on SoftHSM. A folder that exists is never touched, and
// what was begun and failed is taken away again.
package founding

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"cpsca/ca"
	"cpsca/hsm"
	"cpsca/officer"
	"cpsca/store"
)

// Plan is everything that is decided before a house is made.
type Plan struct {
	Folder string // must not exist
	// Preset is IGCSante or Elliptic.
	Preset Preset
	// Organisation is in every name of the hierarchy, at most 64 characters.
	Organisation string
	// Officers are the first security officers, at least two distinct
	// persons, printable ASCII.
	Officers []string
	// Authority, Management, Status and StatusManagement are the addresses
	// that the services listen on, host:port.
	Authority, Management, Status, StatusManagement string
	// Ledger is the URL of the PostgreSQL database that the authority will write,
	// as its own role; empty: a SQLite file in the folder. LedgerOwner is the same
	// database as the role that will own its tables, of which it has none so far;
	// it is written nowhere. Tables that were made stay when a founding fails.
	Ledger, LedgerOwner string
	// Module is the path of the SoftHSM library; empty: looked for where
	// distributions install it.
	Module string
	// CreateToken makes the token of the status node in its own SoftHSM
	// folder: SoftHSM reads one configuration per process, so that a second
	// process must do it.
	CreateToken func(ctx context.Context, softhsm, label, pinFile string) error
	// Progress is told of each step; nil: nobody is.
	Progress func(step string)
	Now      func() time.Time
}

// Preset is a choice of algorithms and of the gate.
type Preset struct {
	Name    string
	Root    hsm.Algorithm
	Issuer  hsm.Algorithm
	RSA     []int    // accepted card keys
	Curves  []string // accepted card keys
	Gate    string
	Waiting bool          // cards that nobody activated are on the lists
	Period  time.Duration // between two regular lists
	Life    time.Duration // of a list
	Delay   time.Duration // between a revocation and its list
}

// The presets. IGCSante is the shape of the hierarchy in service: RSA
// everywhere, certificates good when recorded. Elliptic is the modern one:
// certificates on hold until the holder activates the card.
var (
	IGCSante = Preset{
		Name: "igc-sante", Root: hsm.RSA4096, Issuer: hsm.RSA4096, RSA: []int{2048}, Gate: "chip",
		Period: 24 * time.Hour, Life: 144 * time.Hour, Delay: time.Second,
	}
	Elliptic = Preset{
		Name: "elliptic", Root: hsm.P384, Issuer: hsm.P256, Curves: []string{"P-256"}, Gate: "hold", Waiting: true,
		Period: 6 * time.Hour, Life: 24 * time.Hour, Delay: time.Second,
	}
)

// PresetNamed finds a preset; ok is false if there is none of that name.
func PresetNamed(name string) (p Preset, ok bool) {
	for _, p := range []Preset{IGCSante, Elliptic} {
		if p.Name == name {
			return p, true
		}
	}
	return Preset{}, false
}

// Refusals of a plan.
var (
	// ErrExists: the folder is there already.
	ErrExists = errors.New("the folder exists already and is left as it is")
	// ErrOwner: one of Ledger and LedgerOwner is missing, or is no URL.
	ErrOwner = errors.New("a ledger on PostgreSQL needs the URLs of two roles: the authority's and its owner's")
	// ErrOfficers: fewer than two distinct persons.
	ErrOfficers = errors.New("at least two different persons must be the first officers")
)

// Found carries a plan out.
func Found(ctx context.Context, plan Plan) error {
	err := plan.complete()
	if err != nil {
		return err
	}
	err = os.Mkdir(plan.Folder, 0o700)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("founding %s: %w", plan.Folder, ErrExists)
	}
	if err != nil {
		return fmt.Errorf("founding: %w", err)
	}
	f := founder{plan: plan, authorities: make(map[string]*authority)}
	err = f.found(ctx)
	err = errors.Join(err, f.close())
	if err != nil {
		return errors.Join(fmt.Errorf("founding %s: %w", plan.Folder, err), os.RemoveAll(plan.Folder))
	}
	return nil
}

func (p *Plan) complete() error {
	distinct := make(map[string]bool)
	for _, person := range p.Officers {
		err := officer.Enrolment{Person: person, Role: officer.SecurityOfficer}.Validate()
		if err != nil {
			return fmt.Errorf("naming officer %q: %w", person, err)
		}
		distinct[person] = true
	}
	if len(distinct) < 2 || len(distinct) != len(p.Officers) {
		return ErrOfficers
	}
	for _, url := range []string{p.Ledger, p.LedgerOwner} {
		if (p.Ledger != "" || p.LedgerOwner != "") && store.At(url).DSN == "" {
			return ErrOwner
		}
	}
	absolute, err := filepath.Abs(p.Folder)
	if err != nil {
		return fmt.Errorf("finding the folder: %w", err)
	}
	p.Folder = absolute
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.Progress == nil {
		p.Progress = func(string) {}
	}
	return nil
}

// authority is one CA of the house in the making.
type authority struct {
	name        string
	key         *hsm.Key
	issuer      *ca.Issuer
	certificate *x509.Certificate
}

// founder carries a plan out, step by step.
type founder struct {
	plan        Plan
	module      string
	rootToken   *hsm.Token
	rootFiles   []string // folders of the root's token, while it is beside the authority's
	token       *hsm.Token
	db          *store.DB
	technical   ca.Technical
	authorities map[string]*authority
}

func (f *founder) found(ctx context.Context) error {
	for _, step := range []struct {
		say string
		do  func(context.Context) error
	}{
		{"tokens", f.tokens},
		{"keys", f.keys},
		{"ledger", f.ledger},
		{"hierarchies", f.hierarchies},
		{"first people and services", f.people},
		{"lists of the roots", f.rootLists},
		{"root off line", f.takeRootAway},
		{"configurations", f.configurations},
	} {
		f.plan.Progress(step.say)
		err := step.do(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", step.say, err)
		}
	}
	return nil
}

func (f *founder) close() error {
	var errs []error
	if f.db != nil {
		errs = append(errs, f.db.Close())
	}
	for _, t := range []*hsm.Token{f.rootToken, f.token} {
		if t != nil {
			errs = append(errs, t.Close())
		}
	}
	return errors.Join(errs...)
}

func (f *founder) path(elements ...string) string {
	return filepath.Join(append([]string{f.plan.Folder}, elements...)...)
}

// actor is who the journal names for the acts of the founding: the first
// officers, together.
func (f *founder) actor() string { return "founding by " + f.plan.Officers[0] + " and others" }
