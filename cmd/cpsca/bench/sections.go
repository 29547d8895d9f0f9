package bench

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cpsca/card"
	"cpsca/client"
	"cpsca/profiles"
	"cpsca/store"

	"golang.org/x/sync/errgroup"
)

// rate20 is how many single applications come in a second.
const rate20 = 20

// warm is how many applications open the connections before single ones count.
const warm = 8

// single measures how long one application takes when twenty come each second,
// whatever became of those before: each is a request of its own, on a connection
// that stays.
func (b *bench) single(ctx context.Context) error {
	p, err := b.prepare(ctx, p256)
	if err != nil {
		return err
	}
	n := min(int(b.singles*rate20), p.work.all().applications()-warm)
	wish := floorWish{seconds: b.seconds / 16, raw: p.floor.RawWorkers, workers: p.floor.Workers, sequences: max(10, n/4), file: filepath.Join(b.folder, "commits")}
	before, err := p.house.floor(ctx, wish)
	if err != nil {
		return err
	}
	latencies, err := b.singly(ctx, p, n)
	if err != nil {
		return err
	}
	after, err := p.house.floor(ctx, wish)
	if err != nil {
		return err
	}
	slices.Sort(latencies)
	b.result.Latencies = latencies
	b.figure("single_p50_ms", quantile(latencies, 0.50), millis)
	b.figure("single_p99_ms", quantile(latencies, 0.99), millis)
	b.figure("single_floor_ms", median(append(before.Single, after.Single...)), millis)
	return nil
}

// singly sends single applications to a copy of a house and returns how long
// each took, in milliseconds, from the moment at which it was due.
func (b *bench) singly(ctx context.Context, p *prepared, n int) (out []float64, err error) {
	c, err := b.copy(p.house)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.discard()) }()
	a, err := c.start(ctx, b.program())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.stop()) }()
	bureau, err := c.bureau()
	if err != nil {
		return nil, err
	}
	defer bureau.Close()
	for i := range warm {
		err = one(ctx, bureau, p.work, i)
		if err != nil {
			return nil, err
		}
	}
	set, finish := b.tools.Progress(say("single applications", "demandes isolées"), int64(n))
	defer finish()
	out = make([]float64, n)
	g, ctx := errgroup.WithContext(ctx)
	begin := time.Now()
	for i := range n {
		due := begin.Add(time.Duration(i) * time.Second / rate20)
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
			return nil, errors.Join(g.Wait(), context.Cause(ctx))
		}
		g.Go(func() error {
			err := one(ctx, bureau, p.work, warm+i)
			out[i] = milliseconds(time.Since(due))
			return err
		})
		set(int64(i))
	}
	return out, g.Wait()
}

// one sends a single application.
func one(ctx context.Context, bureau *client.Client, w *work, i int) error {
	lines, file, err := span{w, i, i + 1}.open()
	if err != nil {
		return err
	}
	defer file.Close()
	text, err := io.ReadAll(lines)
	if err != nil {
		return err
	}
	answered, err := bureau.ApplicationLines(ctx, bytes.NewReader(text), func(a client.Answer) error {
		if a.Status != client.Issued {
			return unexpected(a)
		}
		return nil
	})
	if err == nil && answered != 1 {
		err = errAnswers
	}
	return err
}

// memory measures how much of it the authority takes for a long batch.
func (b *bench) memory(ctx context.Context) error {
	bare, err := b.house(ctx, p256)
	if err != nil {
		return err
	}
	h, w, err := b.fill(ctx, bare, p256, b.lines)
	if err != nil {
		return err
	}
	rate, _, memory, err := b.batch(ctx, h, w.all(), variant{program: b.program()})
	if err != nil {
		return err
	}
	b.figure("rss_mb", float64(memory)/1e6, mega)
	b.figure("rss_lines", float64(w.all().applications()), count)
	b.figure("rss_certs", rate, perSec)
	return h.discard()
}

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
		rate, _, err := b.once(ctx, p.house, part, variant{program: b.program()})
		if err != nil {
			return err
		}
		rates[""] = append(rates[""], rate)
		for _, protection := range protections {
			rate, _, err := b.once(ctx, p.house, part, variant{program, []string{"CPSCA_WITHOUT=" + protection}})
			if err != nil {
				return fmt.Errorf("without %s: %w", protection, err)
			}
			rates[protection] = append(rates[protection], rate)
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
		here, _, err := b.once(ctx, p.house, part, variant{program: b.program()})
		if err != nil {
			return err
		}
		rate, err := b.oncePostgres(ctx, part)
		if err != nil {
			return err
		}
		there, ratios = append(there, rate), append(ratios, rate/here)
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
	rate, _, _, err = b.batch(ctx, h, s, variant{program: b.program()})
	return rate, err
}

// growth measures the rate with many certificates stored beside that with none.
func (b *bench) growth(ctx context.Context) error {
	p, err := b.prepare(ctx, p256)
	if err != nil {
		return err
	}
	// The first batch tells what a certificate looks like, too.
	_, sample, err := b.once(ctx, p.house, p.work.part(0, b.rounds), variant{program: b.program()})
	if err != nil {
		return err
	}
	full, err := b.full(ctx, p, sample)
	if err != nil {
		return err
	}
	var ratios []float64
	for round := range b.rounds {
		part := p.work.part(round, b.rounds)
		empty, _, err := b.once(ctx, p.house, part, variant{program: b.program()})
		if err != nil {
			return err
		}
		rate, _, _, err := b.batch(ctx, full, part, variant{program: b.program()})
		if err != nil {
			return err
		}
		ratios = append(ratios, rate/empty)
	}
	b.figure("stored", float64(b.stored), count)
	b.figure("growth", median(ratios), ratio)
	return full.discard()
}

// full is a copy of a house whose ledger holds many certificates already.
func (b *bench) full(ctx context.Context, p *prepared, sample []client.Answer) (house, error) {
	issuer, err := p.issuer()
	if err != nil {
		return house{}, err
	}
	id, err := profiles.SubjectKeyID(issuer.RawSubjectPublicKeyInfo)
	if err != nil {
		return house{}, fmt.Errorf("computing the issuer's key id: %w", err)
	}
	if len(sample) == 0 || len(sample[0].Certificates) != len(card.Uses) {
		return house{}, errAnswers
	}
	after, err := newPattern(sample[0].Certificates[0].Certificate, id)
	if err != nil {
		return house{}, err
	}
	full, err := b.copy(p.house)
	if err != nil {
		return house{}, err
	}
	set, finish := b.tools.Progress(say("certificates stored", "certificats présents"), int64(b.stored))
	defer finish()
	begin := time.Now()
	err = full.write(ctx, func(db *store.DB) error { return preload(ctx, db, after, b.stored, set) })
	if err == nil {
		b.figure("preload", float64(b.stored)/time.Since(begin).Seconds(), perSec)
	}
	return full, err
}
