package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"cpsca/card"
	"cpsca/client"
	"cpsca/profiles"
	"cpsca/store"
)

// room is what a stored certificate takes on disk, in octets, with its indexes,
// feed, journal and log.
const room = 8 << 10

// growth measures the rate with many certificates stored beside that with none.
func (b *bench) growth(ctx context.Context) error {
	left, err := free(b.folder)
	if err != nil {
		return err
	}
	if b.storedHouse != "" {
		left /= 2 // the kept one and its copy
	}
	if left/room < int64(b.stored) {
		return fmt.Errorf("%w: the disk has room for %d certificates, not for %d", errNotOffered, left/room, b.stored)
	}
	p, err := b.prepare(ctx, p256)
	if err != nil {
		return err
	}
	// The first batch tells what a certificate looks like, too.
	first, err := b.once(ctx, p.house, p.work.part(0, b.rounds), variant{program: b.program()})
	if err != nil {
		return err
	}
	full, err := b.full(ctx, first.sample)
	if err != nil {
		return err
	}
	set, finish := b.tools.Progress(say("register and orders", "registre et commandes"), int64(p.work.all().applications()))
	err = full.write(ctx, func(db *store.DB) error { return p.work.orderIn(ctx, db, set) })
	finish()
	if err != nil {
		return err
	}
	var ratios []float64
	for round := range b.rounds {
		part := p.work.part(round, b.rounds)
		empty, err := b.once(ctx, p.house, part, variant{program: b.program()})
		if err != nil {
			return err
		}
		o, err := b.batch(ctx, full, part, variant{program: b.program()})
		if err != nil {
			return err
		}
		ratios = append(ratios, o.rate/empty.rate)
	}
	b.figure("stored", float64(b.stored), count)
	b.figure("growth", median(ratios), ratio)
	return full.discard()
}

// stored is the file that says how many certificates a kept house holds.
const stored = "stored"

// full is a house whose ledger holds many certificates already. Storing them
// takes its time, so that such a house may be kept: then a copy is used.
func (b *bench) full(ctx context.Context, sample []client.Answer) (house, error) {
	if b.storedHouse == "" {
		return b.store(ctx, filepath.Join(b.folder, "full"), sample)
	}
	folder, err := filepath.Abs(b.storedHouse)
	if err != nil {
		return house{}, err
	}
	text, err := os.ReadFile(filepath.Join(folder, stored))
	if errors.Is(err, fs.ErrNotExist) {
		return b.keep(ctx, folder, sample)
	}
	if err != nil {
		return house{}, err
	}
	held := strings.TrimSpace(string(text))
	if held != strconv.Itoa(b.stored) {
		return house{}, fmt.Errorf(say("%s holds %s certificates, not %d: name another folder", "%s contient %s certificats et non %d : nommez un autre dossier"), folder, held, b.stored)
	}
	kept, err := at(folder)
	if err != nil {
		return house{}, err
	}
	return b.copy(kept)
}

// keep stores certificates in a house that outlives the run.
func (b *bench) keep(ctx context.Context, folder string, sample []client.Answer) (house, error) {
	err := os.MkdirAll(filepath.Dir(folder), 0o755)
	if err != nil {
		return house{}, err
	}
	kept, err := b.store(ctx, folder, sample)
	if err != nil {
		return house{}, err
	}
	err = os.WriteFile(filepath.Join(folder, stored), []byte(strconv.Itoa(b.stored)+"\n"), 0o644)
	if err != nil {
		return house{}, err
	}
	return b.copy(kept)
}

// store founds a house and stores certificates in its ledger, after the pattern
// of one that was issued.
func (b *bench) store(ctx context.Context, folder string, sample []client.Answer) (house, error) {
	if len(sample) == 0 || len(sample[0].Certificates) != len(card.Uses) {
		return house{}, errAnswers
	}
	full, err := foundElsewhere(ctx, folder, p256)
	if err != nil {
		return house{}, err
	}
	issuer, err := full.issuer()
	if err != nil {
		return house{}, err
	}
	id, err := profiles.SubjectKeyID(issuer.RawSubjectPublicKeyInfo)
	if err != nil {
		return house{}, fmt.Errorf("computing the issuer's key id: %w", err)
	}
	after, err := newPattern(sample[0].Certificates[0].Certificate, id)
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
