package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"cpsca/store"
	"cpsca/testpostgres"
)

// onPostgres measures the rate with the ledger on PostgreSQL beside that on
// SQLite.
func (b *bench) onPostgres(ctx context.Context) error {
	p, err := b.prepare(ctx, p256)
	if err != nil {
		return err
	}
	var there, ratios []float64
	for round := range b.rounds {
		part := p.work.part(round, b.rounds)
		rate, err := b.oncePostgres(ctx, part)
		if errors.Is(err, testpostgres.ErrNotInstalled) {
			return fmt.Errorf("%w: %w", errNotOffered, err)
		}
		if err != nil {
			return err
		}
		here, err := b.once(ctx, p.house, part, variant{program: b.program()})
		if err != nil {
			return err
		}
		there, ratios = append(there, rate), append(ratios, rate/here.rate)
	}
	b.figure("certs_postgres", median(there), perSec)
	b.figure("ratio_postgres", median(ratios), ratio)
	return nil
}

// oncePostgres sends one batch to an authority on a house of its own, which has
// the same people and orders as the one on SQLite.
func (b *bench) oncePostgres(ctx context.Context, s span) (rate float64, err error) {
	b.copies++
	h, end, err := b.postgres(ctx, filepath.Join(b.folder, fmt.Sprintf("postgres-%d", b.copies)), p256)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, end(), h.discard()) }()
	err = h.write(ctx, func(db *store.DB) error { return s.orderIn(ctx, db, func(int64) {}) })
	if err != nil {
		return 0, err
	}
	syscall.Sync() // all of it is on disk before a clock starts, as with a copy
	o, err := b.batch(ctx, h, s, variant{program: b.program()})
	return o.rate, err
}

// onCluster founds a house whose ledger is in a cluster of its own, in which every
// commit is on disk before it is answered. end stops the cluster and takes it away.
func (b *bench) onCluster(ctx context.Context, folder string, s suite) (h house, end func() error, err error) {
	cluster, err := testpostgres.Start(ctx, b.clusters())
	if err != nil {
		return house{}, nil, err
	}
	const database = "ledger"
	err = cluster.Create(ctx, database, "")
	if err == nil {
		h, err = foundElsewhere(ctx, folder, s, "--ledger", cluster.DSN(testpostgres.Authority, database), "--ledger-owner", cluster.DSN(testpostgres.Owner, database))
	}
	if err != nil {
		return house{}, nil, errors.Join(fmt.Errorf("founding on PostgreSQL: %w", err), cluster.Stop())
	}
	return h, cluster.Stop, nil
}

// forAll is a folder on disk that every user can enter.
const forAll = "/var/tmp"

// longest is how long the path of a folder with clusters may be, in octets: that
// of a socket in one is at most 107.
const longest = 70

// clusters is the folder in which clusters are made: that of the run, unless
// PostgreSQL's user cannot enter it.
func (b *bench) clusters() string {
	if os.Geteuid() != 0 && len(b.folder) <= longest {
		return b.folder
	}
	if !sameDisk(forAll, b.folder) {
		b.say("PostgreSQL writes in "+forAll+", on another disk than SQLite: their ratio is not one of databases",
			"PostgreSQL écrit dans "+forAll+", sur un autre disque que SQLite : leur rapport n'est pas celui des bases")
	}
	return forAll
}

func sameDisk(one, other string) bool {
	var a, b syscall.Stat_t
	err := errors.Join(syscall.Stat(one, &a), syscall.Stat(other, &b))
	return err == nil && a.Dev == b.Dev
}
