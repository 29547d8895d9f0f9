package bench

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"runtime"

	"cpsca/card"
	"cpsca/client"
	"cpsca/hsm"
	"cpsca/store"
	"cpsca/testpki"

	"golang.org/x/sync/errgroup"
)

// work is a batch of applications, made before the clock starts: the orders
// that a ledger is filled with, and the lines that the bureau sends.
type work struct {
	holders []testpki.Professional
	orders  []card.Order
	path    string  // of the file with the lines
	ends    []int64 // where each line ends in the file
}

// newWork makes keys, requests and lines for some applications.
func newWork(ctx context.Context, path string, algorithm hsm.Algorithm, applications int, done func(int64)) (*work, error) {
	w := &work{path: path, ends: make([]int64, 0, applications)}
	next, stop := iter.Pull(entitled(0))
	w.holders = take(next, applications)
	stop()
	for _, one := range w.holders {
		w.orders = append(w.orders, newOrder(one))
	}
	make, err := cardMaker(algorithm, applications)
	if err != nil {
		return nil, fmt.Errorf("making keys: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("writing applications: %w", err)
	}
	err = w.write(ctx, file, make, done)
	err = errors.Join(err, file.Close())
	if err != nil {
		return nil, fmt.Errorf("writing applications: %w", err)
	}
	return w, nil
}

// cardMaker makes cards with keys of their own; RSA keys come from a pool of
// primes, of which there must be enough for two keys a card.
func cardMaker(algorithm hsm.Algorithm, cards int) (func(card.Number) (*testpki.Card, error), error) {
	if algorithm != hsm.RSA2048 {
		return func(n card.Number) (*testpki.Card, error) { return testpki.NewCard(n, algorithm) }, nil
	}
	primes := 2
	for primes*(primes-1)/2 < len(card.Uses)*cards {
		primes++
	}
	pool, err := testpki.NewKeyPool(primes)
	if err != nil {
		return nil, err
	}
	return pool.Card, nil
}

func (w *work) write(ctx context.Context, file io.Writer, make func(card.Number) (*testpki.Card, error), done func(int64)) error {
	out := bufio.NewWriterSize(file, 1<<20)
	end := int64(0)
	var lines [slice][]byte
	for from := 0; from < len(w.orders); from += slice {
		to := min(from+slice, len(w.orders))
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(runtime.GOMAXPROCS(0))
		for i := from; i < to; i++ {
			g.Go(func() (err error) {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				lines[i-from], err = line(w.orders[i], card.Number(fmt.Sprintf("%s%08d", ofBatch, i)), make)
				return err
			})
		}
		err := g.Wait()
		if err != nil {
			return err
		}
		for _, text := range lines[:to-from] {
			_, _ = out.Write(text) // Flush tells
			end += int64(len(text))
			w.ends = append(w.ends, end)
		}
		done(int64(to))
	}
	return out.Flush()
}

// line is the application of one card, as the bureau sends it.
func line(o card.Order, number card.Number, make func(card.Number) (*testpki.Card, error)) ([]byte, error) {
	one, err := make(number)
	if err != nil {
		return nil, err
	}
	a := client.Application{Order: o.ID, Card: number}
	for use, into := range map[card.Use]*client.Request{card.Authentication: &a.Authentication, card.Signature: &a.Signature} {
		der, err := one.Request(use, o.Challenges[use])
		if err != nil {
			return nil, err
		}
		into.CSR = base64.StdEncoding.EncodeToString(der)
	}
	text, err := json.Marshal(a)
	return append(text, '\n'), err
}

// orderIn opens the orders in a ledger, with their holders in its register.
func (w *work) orderIn(ctx context.Context, db *store.DB, done func(int64)) error {
	return fill(ctx, db, w.holders, w.orders, done)
}

// part is one of several equal parts of the work, from 0 to of-1.
func (w *work) part(n, of int) span {
	return span{w, len(w.orders) * n / of, len(w.orders) * (n + 1) / of}
}

func (w *work) all() span { return w.part(0, 1) }

// span is the lines from one, to another that is not part of it.
type span struct {
	*work
	from, to int
}

func (s span) applications() int { return s.to - s.from }

// open opens the lines for reading.
func (s span) open() (io.Reader, io.Closer, error) {
	file, err := os.Open(s.path)
	if err != nil {
		return nil, nil, fmt.Errorf("reading applications: %w", err)
	}
	start := int64(0)
	if s.from > 0 {
		start = s.ends[s.from-1]
	}
	end := start
	if s.to > s.from {
		end = s.ends[s.to-1]
	}
	return io.NewSectionReader(file, start, end-start), file, nil
}
