package bench

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"cpsca/store"
)

// protections are those that a bench may do without, as CPSCA_WITHOUT names
// them in programs built for it.
var protections = []string{"verification", "journal", "keys", "durability"}

// prices measures the rate without one protection at a time, beside the rate
// with all of them.
func (b *bench) prices(ctx context.Context) error {
	program := filepath.Join(b.unprotected, "cpsca-authority")
	built, err := buildinfo.ReadFile(program)
	if err != nil {
		return fmt.Errorf("%w: %w", errNotOffered, err)
	}
	if !tagged(built, "unprotected") {
		return fmt.Errorf("%w: %s was not built with the tag unprotected", errNotOffered, program)
	}
	p, err := b.prepare(ctx, p256)
	if err != nil {
		return err
	}
	rates := make(map[string][]float64)
	for round := range b.rounds {
		part := p.work.part(round, b.rounds)
		o, err := b.once(ctx, p.house, part, variant{program: b.program()})
		if err != nil {
			return err
		}
		rates[""] = append(rates[""], o.rate)
		for _, protection := range protections {
			o, err := b.once(ctx, p.house, part, variant{program, []string{"CPSCA_WITHOUT=" + protection}})
			if err != nil {
				return fmt.Errorf("without %s: %w", protection, err)
			}
			rates[protection] = append(rates[protection], o.rate)
		}
	}
	b.figure("with_all", median(rates[""]), perSec)
	for _, protection := range protections {
		b.figure("without_"+protection, median(rates[protection]), perSec)
	}
	return nil
}

func tagged(built *buildinfo.BuildInfo, tag string) bool {
	for _, s := range built.Settings {
		if s.Key == "-tags" && slices.Contains(strings.Split(s.Value, ","), tag) {
			return true
		}
	}
	return false
}

// onPostgres measures the rate with the ledger on PostgreSQL beside that on
// SQLite.
func (b *bench) onPostgres(ctx context.Context) error {
	if b.postgres == nil {
		return fmt.Errorf("%w: no ledger on PostgreSQL in this build", errNotOffered)
	}
	p, err := b.prepare(ctx, p256)
	if err != nil {
		return err
	}
	var there, ratios []float64
	for round := range b.rounds {
		part := p.work.part(round, b.rounds)
		here, err := b.once(ctx, p.house, part, variant{program: b.program()})
		if err != nil {
			return err
		}
		rate, err := b.oncePostgres(ctx, part)
		if err != nil {
			return err
		}
		there, ratios = append(there, rate), append(ratios, rate/here.rate)
	}
	b.figure("certs_postgres", median(there), perSec)
	b.figure("ratio_postgres", median(ratios), ratio)
	return nil
}

func (b *bench) oncePostgres(ctx context.Context, s span) (rate float64, err error) {
	b.copies++
	h, end, err := b.postgres(ctx, filepath.Join(b.folder, fmt.Sprintf("postgres-%d", b.copies)), p256)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, end(), h.discard()) }()
	err = h.write(ctx, func(db *store.DB) error {
		return fill(ctx, db, s.holders[s.from:s.to], s.orders[s.from:s.to], func(int64) {})
	})
	if err != nil {
		return 0, err
	}
	o, err := b.batch(ctx, h, s, variant{program: b.program()})
	return o.rate, err
}
