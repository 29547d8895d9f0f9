package bench

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"iter"
	"time"

	"cpsca/card"
	"cpsca/store"
	"cpsca/testpki"
)

// batch is how many cards are stored in one transaction: larger than those of
// the authority, which waits for nobody here.
const batch = 2000

// pattern is a real certificate of the house, after which the synthetic ones of
// the preload are made: each has its own serial and its own key.
type pattern struct {
	issuer    card.KeyID
	profiles  map[card.Use]card.ProfileRef
	tbs       []byte
	serial    int // where it stands in tbs
	signature []byte
	notBefore time.Time
	notAfter  time.Time
}

var errNumbering = errors.New("the ledger did not number the cards of a decision one after the other")

var errPattern = errors.New("the certificate does not hold its serial number where it belongs")

func newPattern(der []byte, issuer card.KeyID) (*pattern, error) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading a certificate back: %w", err)
	}
	serial := c.SerialNumber.FillBytes(make([]byte, len(card.Serial{})))
	at := bytes.Index(c.RawTBSCertificate, serial)
	if at < 0 {
		return nil, errPattern
	}
	p := &pattern{issuer: issuer, tbs: c.RawTBSCertificate, serial: at, signature: c.Signature, notBefore: c.NotBefore, notAfter: c.NotAfter,
		profiles: make(map[card.Use]card.ProfileRef)}
	for _, use := range card.Uses {
		p.profiles[use] = card.ProfileRef{Name: "cps-" + string(use), Version: 1}
	}
	return p, nil
}

// intent is that of one synthetic certificate.
func (p *pattern) intent(order card.OrderID, use card.Use) card.Intent {
	i := card.Intent{
		Issuer: p.issuer, Serial: testpki.NewSerial(), Order: order, Use: use, Profile: p.profiles[use],
		Key: card.Fingerprint(random(len(card.Fingerprint{}))), NotBefore: p.notBefore, NotAfter: p.notAfter, TBS: bytes.Clone(p.tbs),
	}
	copy(i.TBS[p.serial:], i.Serial[:])
	return i
}

// lot is what one round of the preload stores.
type lot struct {
	orders   []card.Order
	attempts []card.Attempt // their cards are not known yet
}

// lots makes what is to be stored, for a number of cards.
func (p *pattern) lots(ctx context.Context, cards int) <-chan lot {
	out := make(chan lot, 1)
	go func() {
		defer close(out)
		next, stop := iter.Pull(entitled(earlier))
		defer stop()
		for made := 0; made < cards; {
			var l lot
			for _, one := range take(next, min(batch, cards-made)) {
				o := newOrder(one)
				a := card.Attempt{Order: o.ID, Number: card.Number(fmt.Sprintf("%s%08d", ofEarlier, made)), Requester: actor, Grounds: []byte(`{}`)}
				for _, use := range card.Uses {
					a.Intents = append(a.Intents, p.intent(o.ID, use))
				}
				l.orders, l.attempts = append(l.orders, o), append(l.attempts, a)
				made++
			}
			select {
			case out <- l:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// preload stores certificates, two for each card, through the statements that
// the authority uses: register, orders, intents, certificates, feed and journal
// are those of an authority that issued them.
func preload(ctx context.Context, db *store.DB, p *pattern, certificates int, done func(int64)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	stored := 0
	for l := range p.lots(ctx, certificates/len(card.Uses)) {
		err := p.store(ctx, db, l)
		if err != nil {
			return fmt.Errorf("storing certificates: %w", err)
		}
		stored += len(l.attempts) * len(card.Uses)
		done(int64(stored))
	}
	return context.Cause(ctx)
}

func (p *pattern) store(ctx context.Context, db *store.DB, l lot) error {
	err := db.Apply(ctx, card.Decision{Actor: actor, Action: "order", At: time.Now(), Opens: l.orders})
	if err == nil {
		err = number(ctx, db, l)
	}
	if err != nil {
		return err
	}
	refusals, err := db.Intend(ctx, l.attempts)
	if err != nil {
		return err
	}
	signed := make([]card.Signed, len(l.attempts))
	for i, a := range l.attempts {
		if refusals[i] != nil {
			return refusals[i]
		}
		signed[i] = card.Signed{Attempt: a, Signatures: [][]byte{random(71), random(71)}}
	}
	return db.Record(ctx, signed, card.GateChip)
}

// number finds the cards that wait for the orders of a lot: the ledger numbers
// those of one decision one after the other.
func number(ctx context.Context, db *store.DB, l lot) error {
	var ends [2]int64
	for n, o := range []card.Order{l.orders[0], l.orders[len(l.orders)-1]} {
		cards, err := db.CardsOfOrder(ctx, o.ID)
		if err != nil {
			return err
		}
		if len(cards) != 1 {
			return errNumbering
		}
		ends[n] = cards[0].ID
	}
	if ends[1]-ends[0] != int64(len(l.orders)-1) {
		return errNumbering
	}
	for i := range l.attempts {
		l.attempts[i].Card = ends[0] + int64(i)
	}
	return nil
}
