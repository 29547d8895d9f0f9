package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// Figure is one number that the bench prints.
type Figure struct {
	Name   string  `json:"name"`
	Number float64 `json:"number"`
	Unit   string  `json:"unit"`
}

// The units of figures, and how many decimals of each are worth printing.
const (
	ratio  = "ratio"
	perSec = "per_s"
	millis = "ms"
	mega   = "MB" // 10^6 octets
	count  = "count"
)

var decimals = map[string]int{ratio: 3, perSec: 0, millis: 2, mega: 1, count: 0}

func (f Figure) text() string { return strconv.FormatFloat(f.Number, 'f', decimals[f.Unit], 64) }

// Result is what a run found out.
type Result struct {
	Machine Machine           `json:"machine"`
	Began   time.Time         `json:"began"`
	Seconds float64           `json:"seconds"` // that the whole run took
	Figures []Figure          `json:"figures"`
	Left    map[string]string `json:"left_out,omitempty"` // sections that were not offered, and why
	// Rounds are those of the sections of rates, by suite.
	Rounds map[string][]Round `json:"rounds,omitempty"`
	// Latencies are those of single applications, in milliseconds, ascending.
	Latencies []float64 `json:"latencies_ms,omitempty"`
	// Took is how long each section took, in seconds.
	Took map[string]float64 `json:"took_s"`
}

// number finds a figure; ok is false if it was not measured.
func (r *Result) number(name string) (f Figure, ok bool) {
	for _, f := range r.Figures {
		if f.Name == name {
			return f, true
		}
	}
	return Figure{}, false
}

// bench is a run.
type bench struct {
	plan
	tools    Tools
	streams  streams
	result   Result
	founded  map[suite]house
	prepared map[suite]*prepared
	copies   int
	// postgres founds a house in a folder, with its ledger on PostgreSQL, and
	// returns what ends the cluster; testpostgres.ErrNotInstalled: there is none.
	postgres func(ctx context.Context, folder string, s suite) (house, func() error, error)
}

// section is a part of a run.
type section struct {
	name string
	run  func(*bench, context.Context) error
}

// sections stand in the order of their running.
func sections() []section {
	return []section{
		{rsa4096.name, func(b *bench, ctx context.Context) error { return b.rates(ctx, rsa4096) }},
		{p384.name, func(b *bench, ctx context.Context) error { return b.rates(ctx, p384) }},
		{p256.name, func(b *bench, ctx context.Context) error { return b.rates(ctx, p256) }},
		{"single", (*bench).single},
		{"memory", (*bench).memory},
		{"prices", (*bench).prices},
		{"postgres", (*bench).onPostgres},
		{"growth", (*bench).growth},
	}
}

func sectionNames() []string {
	var out []string
	for _, s := range sections() {
		out = append(out, s.name)
	}
	return out
}

// run carries a plan out.
func run(ctx context.Context, p plan, t Tools, s streams) (err error) {
	b := &bench{
		plan: p, tools: t, streams: s, founded: make(map[suite]house), prepared: make(map[suite]*prepared),
		result: Result{Began: time.Now().UTC().Truncate(time.Second), Left: make(map[string]string), Rounds: make(map[string][]Round), Took: make(map[string]float64)},
	}
	b.postgres = b.onCluster
	if p.folder != "" {
		err = os.MkdirAll(p.folder, 0o755)
		if err != nil {
			return err
		}
	}
	b.folder, err = os.MkdirTemp(p.folder, "cpsca-bench-")
	if err != nil {
		return err
	}
	b.folder, err = filepath.Abs(b.folder)
	if err != nil {
		return err
	}
	if p.keep {
		b.say("the folder is kept: "+b.folder, "le dossier est gardé : "+b.folder)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(b.folder)) }()
	}
	b.result.Machine = describe(b.folder)
	if b.result.Machine.memoryDisk() {
		b.say("the folder is in memory: commits cost nothing there; choose another with --folder",
			"le dossier est en mémoire : les écritures sûres n'y coûtent rien ; choisissez-en un autre par --folder")
	}
	err = b.all(ctx)
	if err != nil {
		return err
	}
	b.result.Seconds = time.Since(b.result.Began).Seconds()
	if !p.quick {
		b.tellMissed()
	}
	if p.report != "" {
		err = writeReport(p.report, &b.result)
	}
	if err == nil && s.json {
		encoder := json.NewEncoder(s.out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(b.result)
	}
	return err
}

// all runs the sections that were asked for.
func (b *bench) all(ctx context.Context) error {
	for _, s := range sections() {
		if len(b.only) > 0 && !slices.Contains(b.only, s.name) {
			continue
		}
		begin := time.Now()
		err := s.run(b, ctx)
		b.result.Took[s.name] = time.Since(begin).Seconds()
		if errors.Is(err, errNotOffered) {
			b.result.Left[s.name] = err.Error()
			b.say("section "+s.name+" is left out: "+err.Error(), "section "+s.name+" omise : "+err.Error())
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// tellMissed names the figures that are not what they must be.
func (b *bench) tellMissed() {
	for _, g := range goals {
		f, ok := b.result.number(g.figure)
		if ok && !g.met(f.Number) {
			b.say(fmt.Sprintf("%s is %s and must be %s", f.Name, f.text(), g), fmt.Sprintf("%s vaut %s et doit être %s", f.Name, f.text(), g))
		}
	}
}

// say tells a person what is going on.
func (b *bench) say(english, french string) { fmt.Fprintln(b.streams.err, "…", say(english, french)) }

// figure prints a number, and keeps it.
func (b *bench) figure(name string, number float64, unit string) {
	f := Figure{"issue." + name, number, unit}
	b.result.Figures = append(b.result.Figures, f)
	if !b.streams.json {
		fmt.Fprintf(b.streams.out, "figure %s %s %s\n", f.Name, f.text(), f.Unit)
	}
}

// program is the authority that is measured.
func (b *bench) program() string { return filepath.Join(b.programs, "cpsca-authority") }

// copy makes a house of its own for one measurement, all of it on disk before a
// clock starts.
func (b *bench) copy(h house) (house, error) {
	b.copies++
	c, err := h.copyTo(filepath.Join(b.folder, "copy-"+strconv.Itoa(b.copies)))
	syscall.Sync()
	return c, err
}

// discard takes away a house that is of no use any more.
func (h house) discard() error { return os.RemoveAll(h.folder) }

// median of some numbers, which stay as they are.
func median(numbers []float64) float64 {
	return quantile(slices.Sorted(slices.Values(numbers)), 0.5)
}

// quantile of ascending numbers: of an even number of them, for a half, the mean
// of the two in the middle.
func quantile(ascending []float64, q float64) float64 {
	if len(ascending) == 0 {
		return 0
	}
	place := q * float64(len(ascending)-1)
	below := int(place)
	above := min(below+1, len(ascending)-1)
	return ascending[below] + (place-float64(below))*(ascending[above]-ascending[below])
}
