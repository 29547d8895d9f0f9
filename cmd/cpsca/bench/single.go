package bench

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"time"

	"cpsca/client"

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
	floor := median(append(before.Single, after.Single...))
	b.figure("single_floor_ms", floor, millis)
	b.figure("single_p50_floors", quantile(latencies, 0.50)/floor, ratio)
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
	o, err := b.batch(ctx, h, w.all(), variant{program: b.program()})
	if err != nil {
		return err
	}
	b.figure("rss_mb", float64(o.memory)/1e6, mega)
	b.figure("rss_lines", float64(w.all().applications()), count)
	b.figure("rss_certs", o.rate, perSec)
	return h.discard()
}
