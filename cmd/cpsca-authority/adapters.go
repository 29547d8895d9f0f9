package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cpsca/api"
	"cpsca/card"
	"cpsca/client"
	"cpsca/crl"
	"cpsca/feed"
	"cpsca/profiles"
	"cpsca/store"
)

func (a *authority) beginImport(ctx context.Context, actor, kind, file string) (api.Import, error) {
	i, err := a.db.BeginImport(ctx, actor, kind, file)
	if err != nil {
		return nil, err // not a nil *store.Import in a full interface
	}
	return i, nil
}

// refusal lets the doors tell why a profile refused: its texts name fields and
// rules, never values.
func refusal(err error) (string, bool) {
	var r *profiles.Refusal
	if errors.As(err, &r) {
		return r.Error(), true
	}
	return "", false
}

// revision is the source that this program was built from; set by the linker.
var revision = "unknown"

// issuers shows the ledger's issuers at the doors.
type issuers struct{ db *store.DB }

func (i issuers) Issuers(ctx context.Context) ([]client.Issuer, error) {
	all, err := i.db.Issuers(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]client.Issuer, len(all))
	for n, one := range all {
		out[n] = client.Issuer{Name: one.Name, Role: one.Role, KeyID: one.KeyID, Since: one.Since, Certificate: one.Certificate}
	}
	return out, nil
}

// lists shows the published lists at the doors: the register of their numbers
// in the ledger, their octets in the folder.
type lists struct{ a *authority }

// shownLists is how many numbers of each issuer the register shows.
const shownLists = 10

func (l lists) Lists(ctx context.Context) ([]client.List, error) {
	var out []client.List
	for id := range l.a.names {
		some, err := l.a.db.Lists(ctx, id, shownLists)
		if err != nil {
			return nil, err
		}
		for _, one := range some {
			out = append(out, client.List{Issuer: one.Issuer, Number: one.Number, ThisUpdate: one.ThisUpdate, NextUpdate: one.NextUpdate, Published: one.Published})
		}
	}
	return out, nil
}

func (l lists) List(_ context.Context, issuer card.KeyID) ([]byte, error) {
	name, ok := l.a.names[issuer]
	if !ok {
		return nil, card.ErrNotFound
	}
	der, err := os.ReadFile(filepath.Join(l.a.settings.Lists.Folder, name+".crl"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, card.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("reading a list: %w", err)
	}
	return der, nil
}

func (l lists) Publish(ctx context.Context, _ string, issuer card.KeyID) (client.List, error) {
	p, err := l.a.publisher.Publish(ctx, issuer, crl.Emergency)
	if errors.Is(err, crl.ErrUnknownIssuer) {
		return client.List{}, card.ErrNotFound
	}
	if err != nil {
		return client.List{}, err
	}
	return client.List{Issuer: p.Issuer, Number: p.Number, ThisUpdate: p.ThisUpdate, NextUpdate: p.NextUpdate, Published: p.ThisUpdate}, nil
}

// heads signs the end of the feed, and gives the same head out again while it
// is less than a second old: many nodes cost one signature.
type heads struct {
	signer crypto.Signer

	mu   sync.Mutex // guards last; held across the signature, which is short
	last feed.Head
}

// headLife is how long a head is given out again.
const headLife = time.Second

func (h *heads) SignHead(_ context.Context, sequence uint64, hash feed.Hash, asOf time.Time) (feed.Head, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last.Sequence == sequence && h.last.Hash == hash && len(h.last.Signature) > 0 && asOf.Sub(h.last.AsOf) < headLife {
		return h.last, nil
	}
	head, err := feed.Sign(h.signer, sequence, hash, asOf)
	if err != nil {
		return feed.Head{}, err
	}
	h.last = head
	return head, nil
}

// quota is what the configuration gives a bureau.
func (a *authority) quota(bureau string) card.Quota {
	q := a.settings.QuotaOf(bureau)
	return card.Quota{Hour: q.Hour, Day: q.Day}
}
