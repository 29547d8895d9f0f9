package bench

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"cpsca/cmd/internal/hierarchy"
	"cpsca/cmd/internal/token"
	"cpsca/config"
	"cpsca/hsm"
	"cpsca/profiles"

	"golang.org/x/sync/errgroup"
)

// Floor is what token and processors can do for a house, beside which its
// authority is measured.
type Floor struct {
	// Raw is how many signatures a second the issuer's key gives, and nothing
	// else is done.
	Raw float64 `json:"raw_per_s"`
	// Certificates is how many certificates a second there would be if each
	// cost one signature, one proof of possession and one verification, and
	// nothing else.
	Certificates float64 `json:"certificates_per_s"`
	// Busy is the share of all processors that this took: near one, or the
	// floor is not one.
	Busy float64 `json:"busy"`
	// RawWorkers and Workers are how many goroutines gave these rates.
	RawWorkers int `json:"raw_workers"`
	Workers    int `json:"workers"`
	// Single are the durations in milliseconds of what one application needs
	// and no more, one after the other; empty if not asked for.
	Single []float64 `json:"single_ms,omitempty"`
}

// proof is a signature by the key of a card over a request.
type proof struct {
	public    crypto.PublicKey
	digest    []byte
	signature []byte
}

// bottom is what the floors are measured with.
type bottom struct {
	key    *hsm.Key
	hash   crypto.Hash
	proofs []proof
	count  atomic.Uint64 // of digests
}

var errFloor = errors.New("a signature or a proof does not verify")

// measureFloor opens the token of a house whose authority does not run, with
// the settings that the authority has, and measures. The process is for this
// alone: SoftHSM knows one folder of tokens per process.
func measureFloor(ctx context.Context, h house, w floorWish) (f Floor, err error) {
	settings, err := config.ReadAuthority(h.configuration())
	if err != nil {
		return f, err
	}
	t, err := token.Open(ctx, settings.HSM)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	b := &bottom{}
	b.key, err = t.Key(ctx, hierarchy.Cards)
	if err != nil {
		return f, err
	}
	algorithm, err := profiles.AlgorithmFor(b.key.Public())
	if err != nil {
		return f, err
	}
	b.hash = algorithm.Hash()
	b.proofs, err = proofs(settings.CardKeys)
	if err != nil {
		return f, err
	}
	// The floor is the best that can be done: it is not to pay for a small heap.
	debug.SetGCPercent(800)
	raw, err := best(ctx, w.raw, w.seconds, b.sign)
	if err != nil {
		return f, err
	}
	certificates, err := best(ctx, w.workers, w.seconds, b.certificate)
	f.Raw, f.RawWorkers, f.Certificates, f.Workers, f.Busy = raw.rate, raw.workers, certificates.rate, certificates.workers, certificates.busy
	if err == nil && w.sequences > 0 {
		f.Single, err = b.sequences(ctx, w.file, w.sequences)
	}
	return f, err
}

// floorWish says what to measure: for how long, with how many goroutines (0:
// those that give the best rate), and how many applications in sequence, with
// their commits on a file.
type floorWish struct {
	seconds      float64
	raw, workers int
	sequences    int
	file         string
}

// proofs makes some requests' worth of keys and signatures.
func proofs(accepted config.CardKeys) ([]proof, error) {
	algorithm := hsm.P256
	if len(accepted.RSA) > 0 {
		algorithm = hsm.RSA2048
	}
	const cards = 64
	newCard, err := cardMaker(algorithm, cards)
	if err != nil {
		return nil, err
	}
	out := make([]proof, cards)
	for i := range out {
		c, err := newCard("2800000000")
		if err != nil {
			return nil, err
		}
		digest := sha256.Sum256([]byte{byte(i)})
		signature, err := c.Sign("authentication", digest[:])
		if err != nil {
			return nil, err
		}
		out[i] = proof{c.Key("authentication").Public(), digest[:], signature}
	}
	return out, nil
}

// digest is one that was not signed before.
func (b *bottom) digest() (uint64, []byte) {
	n := b.count.Add(1)
	h := b.hash.New()
	h.Write(binary.BigEndian.AppendUint64(nil, n))
	return n, h.Sum(nil)
}

// sign is one signature and nothing else.
func (b *bottom) sign(ctx context.Context) error {
	_, digest := b.digest()
	_, err := b.key.SignContext(ctx, digest, b.hash)
	return err
}

// certificate is the cryptography of one certificate and nothing else.
func (b *bottom) certificate(ctx context.Context) error {
	n, digest := b.digest()
	p := b.proofs[n%uint64(len(b.proofs))]
	if !verifies(p.public, crypto.SHA256, p.digest, p.signature) {
		return errFloor
	}
	signature, err := b.key.SignContext(ctx, digest, b.hash)
	if err != nil {
		return err
	}
	if !verifies(b.key.Public(), b.hash, digest, signature) {
		return errFloor
	}
	return nil
}

func verifies(public crypto.PublicKey, hash crypto.Hash, digest, signature []byte) bool {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, hash, digest, signature) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, signature)
	}
	return false
}

// pace is how fast an act was repeated.
type pace struct {
	rate    float64 // a second
	busy    float64 // share of all processors
	workers int
}

// best is the pace of an act that a number of goroutines do. For 0 it tries
// several numbers for a moment and takes that with the best rate.
func best(ctx context.Context, workers int, seconds float64, act func(context.Context) error) (pace, error) {
	if workers == 0 {
		most := 0.0
		for n := 1; n <= 8; n *= 2 {
			trial, err := measure(ctx, n*runtime.GOMAXPROCS(0), seconds/4, act)
			if err != nil {
				return pace{}, err
			}
			if trial.rate > most {
				most, workers = trial.rate, trial.workers
			}
		}
	}
	return measure(ctx, workers, seconds, act)
}

// measure lets goroutines act for some seconds.
func measure(ctx context.Context, workers int, seconds float64, act func(context.Context) error) (pace, error) {
	var acts atomic.Int64
	usedBefore, err := usedHere()
	if err != nil {
		return pace{}, err
	}
	g, ctx := errgroup.WithContext(ctx)
	begin := time.Now()
	end := begin.Add(time.Duration(seconds * float64(time.Second)))
	for range workers {
		g.Go(func() error {
			for ctx.Err() == nil && time.Now().Before(end) {
				err := act(ctx)
				if err != nil {
					return err
				}
				acts.Add(1)
			}
			return context.Cause(ctx)
		})
	}
	err = g.Wait()
	if err != nil {
		return pace{}, fmt.Errorf("measuring the floor: %w", err)
	}
	took := time.Since(begin).Seconds()
	used, err := usedHere()
	return pace{
		rate: float64(acts.Load()) / took, busy: (used - usedBefore).Seconds() / took / float64(runtime.GOMAXPROCS(0)), workers: workers,
	}, err
}

// page is what a commit writes at least, in octets.
const page = 4096

// sequences does what one application with two certificates needs, again and
// again, alone: two appends to a file that are on the disk when they return,
// two proofs, two signatures, two verifications.
func (b *bottom) sequences(ctx context.Context, path string, n int) ([]float64, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("measuring the floor: %w", err)
	}
	defer file.Close()
	content := make([]byte, page)
	_, _ = rand.Read(content) // never fails: crypto/rand ends the process instead
	out := make([]float64, 0, n)
	for range n {
		begin := time.Now()
		for range 2 {
			err = b.certificate(ctx)
			if err != nil {
				return nil, err
			}
			_, err = file.Write(content)
			if err == nil {
				err = file.Sync()
			}
			if err != nil {
				return nil, fmt.Errorf("measuring the floor: %w", err)
			}
		}
		out = append(out, milliseconds(time.Since(begin)))
	}
	return out, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
