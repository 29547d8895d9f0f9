package bench

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
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
