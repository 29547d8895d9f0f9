// Package lifecycle moves cards through the states of package card: it orders
// them, cancels orders, activates cards, takes loss reports about them and
// hears from the bureau that one was spoiled.
//
// Each move reads the cards concerned, computes the steps from card's table and
// hands the store one decision, which it applies as a whole: cards,
// certificates, feed and journal in one transaction. A card that somebody
// else moved meanwhile is read again.
//
// Certificates are made by ca; what the register says of a person is decided
// by registry. Nothing here knows a database, an HSM or a door.
package lifecycle

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cpsca/card"
	"cpsca/registry"
)

// Register tells what is known of a person.
type Register interface {
	// Holder reads person, events and contact in one snapshot;
	// card.ErrUnknownHolder if the register has no such number.
	Holder(ctx context.Context, id registry.NationalID) (registry.Person, []registry.Event, registry.Contact, error)
}

// Book keeps the cards.
type Book interface {
	Card(ctx context.Context, number card.Number) (card.Card, error)
	CardsOf(ctx context.Context, holder registry.NationalID) ([]card.Card, error)
	// CardsOfOrder lists the cards made, or to be made, for an order, oldest
	// first: all but the last one failed. None if there is no such order.
	CardsOfOrder(ctx context.Context, id card.OrderID) ([]card.Card, error)
	// Apply carries a decision out as a whole, durably; card.ErrStale if a
	// card moved meanwhile.
	Apply(ctx context.Context, d card.Decision) error
}

// Config is what the life of cards needs.
type Config struct {
	Register Register
	Book     Book
	// Bureau gets the orders that no desk directed elsewhere.
	Bureau string
	// Certifies says whether the house's issuer certifies a person: a test
	// house fictitious ones alone, a production house none of them. Nil means
	// everybody.
	Certifies func(registry.NationalID) bool
	// Now is business time; nil means time.Now.
	Now func() time.Time
}

// Desk is where decisions about cards are taken. It may be used by several
// goroutines.
type Desk struct {
	config Config
}

// New makes a desk.
func New(config Config) *Desk {
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Desk{config}
}

// Refusals of a move, beside those of card and registry.
var (
	// ErrWhy: the reason of the order is not one of card's, or needs what it
	// does not have.
	ErrWhy = errors.New("an order is first, renewal or replacement")
	// ErrEnvironment: the house does not certify this person: fictitious
	// numbers belong to test houses, real ones to production.
	ErrEnvironment = errors.New("test and production do not mix")
	// ErrProfession: the holder exercises several professions, or none; the
	// order must say which.
	ErrProfession = errors.New("the order must name one profession of the holder")
	// ErrCircumstance: not one of card.Circumstances.
	ErrCircumstance = errors.New("no such circumstance of a loss")
	// ErrHappened: the declared moment of a loss lies in the future.
	ErrHappened = errors.New("a loss cannot happen after it is reported")
	// ErrBureau: the card is another bureau's.
	ErrBureau = errors.New("the card is another bureau's")
)

// attempts is how often a move is computed again when a card moved meanwhile.
const attempts = 5

// move reads, computes and applies until nobody else was faster.
func move(decide func() error) error {
	var err error
	for range attempts {
		err = decide()
		if !errors.Is(err, card.ErrStale) {
			return err
		}
	}
	return err
}

func (d *Desk) now() time.Time { return d.config.Now().UTC().Truncate(time.Millisecond) }

// newOrder draws an order's name and challenges. A name begins with the second
// in which it was drawn, so that what a ledger files by order lies together as it
// came; what follows is random, and enough that no two are alike.
func newOrder(o card.Order) card.Order {
	var name [15]byte
	_, _ = rand.Read(name[:]) // never fails: crypto/rand ends the process instead
	binary.BigEndian.PutUint32(name[:4], uint32(o.Created.Unix()))
	o.ID = card.OrderID(strings.ToLower(base32.HexEncoding.EncodeToString(name[:])))
	o.State = card.OrderOpen
	o.Challenges = make(map[card.Use]string, len(card.Uses))
	for _, use := range card.Uses {
		var challenge [16]byte
		_, _ = rand.Read(challenge[:])
		o.Challenges[use] = hex.EncodeToString(challenge[:])
	}
	return o
}

// OrderRequest asks for one card. Identity and address come from the register,
// never from here.
type OrderRequest struct {
	Holder     registry.NationalID
	Profession registry.ProfessionCode // 0 if the holder exercises one
	Why        card.Why                // empty means first
	Bureau     string                  // empty means Config.Bureau
}

// Order opens an order for a professional's card, on disk when it returns.
// Refusals: card.ErrUnknownHolder, those of registry.Eligible,
// card.ErrLiveCard, card.ErrWaitingCard, card.ErrNoLiveCard, ErrWhy,
// ErrProfession.
func (d *Desk) Order(ctx context.Context, actor string, r OrderRequest) (card.Order, error) {
	id, err := registry.ParseNationalID(string(r.Holder))
	if err != nil {
		return card.Order{}, fmt.Errorf("reading the holder's number: %w", err)
	}
	if d.config.Certifies != nil && !d.config.Certifies(id) {
		return card.Order{}, ErrEnvironment
	}
	var o card.Order
	err = move(func() error {
		o, err = d.order(ctx, actor, id, r)
		return err
	})
	return o, err
}

func (d *Desk) order(ctx context.Context, actor string, holder registry.NationalID, r OrderRequest) (card.Order, error) {
	person, events, _, err := d.config.Register.Holder(ctx, holder)
	if err != nil {
		return card.Order{}, err
	}
	now := d.now()
	profession, err := professionOf(person, r.Profession)
	if err != nil {
		return card.Order{}, err
	}
	err = registry.Eligible(person, profession, events, now)
	if err != nil {
		return card.Order{}, err
	}
	o := newOrder(card.Order{Holder: holder, Profession: profession, Type: card.CPS, Form: card.FormCard, Why: r.Why, Bureau: r.Bureau, Created: now})
	if o.Why == "" {
		o.Why = card.First
	}
	if o.Bureau == "" {
		o.Bureau = d.config.Bureau
	}
	cards, err := d.config.Book.CardsOf(ctx, holder)
	if err != nil {
		return card.Order{}, fmt.Errorf("reading the holder's cards: %w", err)
	}
	o.Replaces, err = follows(o, cards)
	if err != nil {
		return card.Order{}, err
	}
	err = d.config.Book.Apply(ctx, card.Decision{Actor: actor, Action: "order", At: now, Opens: []card.Order{o}})
	if err != nil {
		return card.Order{}, err
	}
	return o, nil
}

// professionOf settles which of a person's professions a card is for.
func professionOf(p registry.Person, wanted registry.ProfessionCode) (registry.ProfessionCode, error) {
	if wanted != 0 {
		return wanted, nil
	}
	var held []registry.ProfessionCode
	for _, practice := range p.Practices {
		if !slices.Contains(held, practice.Profession) {
			held = append(held, practice.Profession)
		}
	}
	if len(held) != 1 {
		return 0, fmt.Errorf("%w: the register has %d", ErrProfession, len(held))
	}
	return held[0], nil
}

// follows applies the law to a new order and names the card that it follows.
func follows(o card.Order, cards []card.Card) (card.Number, error) {
	var live, last card.Number
	for _, c := range cards {
		if c.Profession != o.Profession || c.Form != o.Form {
			continue
		}
		switch {
		case c.State.Waiting():
			return "", card.ErrWaitingCard
		case c.State.Live():
			live = c.Number
		case c.Number != "" && c.State != card.Spoiled && c.State != card.Cancelled: // those never reached anybody
			last = c.Number
		}
	}
	switch o.Why {
	case card.First:
		if live != "" {
			return "", card.ErrLiveCard
		}
		return "", nil
	case card.Renewal:
		if live == "" {
			return "", card.ErrNoLiveCard
		}
		return live, nil
	case card.Replacement:
		if live != "" {
			return "", fmt.Errorf("%w: report its loss, or order a renewal", card.ErrLiveCard)
		}
		if last == "" {
			return "", fmt.Errorf("%w: there is no card to replace", ErrWhy)
		}
		return last, nil
	}
	return "", fmt.Errorf("%w, not %q", ErrWhy, o.Why)
}
