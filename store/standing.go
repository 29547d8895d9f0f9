package store

import (
	"database/sql"
	"fmt"

	"cpsca/card"
)

// standing is what the ledger holds with which the attempts of a chunk could
// collide, and what those of the chunk that were admitted add to it.
type standing struct {
	cards   map[int64]*standingCard
	numbers map[card.Number]bool
	keys    map[card.Fingerprint]bond
	bonds   map[bond]bool // which cards have their key for a use
	serials map[name]bool
	opened  map[string]int        // attempts admitted, by bureau
	left    map[string]*allowance // what its quota leaves each bureau, nil for no bound
}

type standingCard struct {
	row        []any // as in the ledger
	bureau     string
	order      card.OrderID
	number     card.Number
	state      card.State
	orderState card.OrderState
	attempts   int  // how many there were
	open       bool // whether one is under way
}

// bond is what a key serves; card 0 is the infrastructure.
type bond struct {
	card int64
	use  card.Use
}

// name is what no two certificates have in common.
type name struct {
	issuer card.KeyID
	serial card.Serial
}

// admit refuses an attempt that collides with what stands.
func (k *standing) admit(a *card.Attempt) error {
	c, ok := k.cards[a.Card]
	switch {
	case !ok || c.order != a.Order:
		return card.ErrOrderUnknown
	case c.orderState != card.OrderOpen || c.state != card.Ordered:
		return card.ErrOrderClosed
	case c.number != "" && c.number != a.Number:
		return card.ErrOrderBound
	case c.open:
		return card.ErrInFlight
	case c.number == "" && k.numbers[a.Number]:
		return card.ErrNumberTaken
	}
	for i := range a.Intents {
		intent := &a.Intents[i]
		owner := bond{a.Card, intent.Use}
		known, bound := k.keys[intent.Key]
		if bound && known != owner {
			return card.ErrKeyKnown
		}
		if !bound && k.bonds[owner] {
			return card.ErrOrderBound
		}
		if k.serials[name{intent.Issuer, intent.Serial}] {
			return card.ErrSerialTaken
		}
		for _, earlier := range a.Intents[:i] {
			if earlier.Key == intent.Key {
				return card.ErrKeyKnown
			}
			if earlier.Issuer == intent.Issuer && earlier.Serial == intent.Serial {
				return card.ErrSerialTaken
			}
		}
	}
	allowed := k.left[c.bureau]
	if allowed != nil && k.opened[c.bureau] >= allowed.left {
		return allowed.exhausted
	}
	return nil
}

// add notes an attempt that was admitted and opened.
func (k *standing) add(a *card.Attempt) {
	c := k.cards[a.Card]
	c.attempts, c.open, c.number = a.Attempt, true, a.Number
	k.opened[c.bureau]++
	k.numbers[a.Number] = true
	for i := range a.Intents {
		intent := &a.Intents[i]
		owner := bond{a.Card, intent.Use}
		k.keys[intent.Key], k.bonds[owner] = owner, true
		k.serials[name{intent.Issuer, intent.Serial}] = true
	}
}

// standing asks a few questions about the whole chunk.
func (t *transaction) standing(chunk []card.Attempt) (*standing, error) {
	k := &standing{
		cards: make(map[int64]*standingCard, len(chunk)), numbers: make(map[card.Number]bool, len(chunk)),
		keys: make(map[card.Fingerprint]bond, 2*len(chunk)), bonds: make(map[bond]bool, 2*len(chunk)), serials: make(map[name]bool, 2*len(chunk)),
		opened: make(map[string]int), left: make(map[string]*allowance),
	}
	for _, question := range []func(*transaction, []card.Attempt) error{k.askCards, k.askQuotas, k.askAttempts, k.askNumbers, k.askKeys, k.askSerials} {
		err := question(t, chunk)
		if err != nil {
			return nil, err
		}
	}
	return k, nil
}

func (k *standing) askCards(t *transaction, chunk []card.Attempt) error {
	ids := make([]int64, len(chunk))
	orderIDs := make([]string, len(chunk))
	for i, a := range chunk {
		ids[i], orderIDs[i] = a.Card, string(a.Order)
	}
	states := make(map[card.OrderID]card.OrderState, len(chunk))
	err := among(t, "orders", "SELECT id, state FROM orders WHERE id ", orderIDs, func(rows *sql.Rows) error {
		var id card.OrderID
		var state card.OrderState
		err := rows.Scan(&id, &state)
		states[id] = state
		return err
	})
	if err != nil {
		return err
	}
	return among(t, "cards", "SELECT "+cards.list+" FROM cards WHERE id ", ids, func(rows *sql.Rows) error {
		row, err := scanRow(rows, len(cards.columns))
		if err != nil {
			return err
		}
		id, _ := row[cards.at("id")].(int64)
		order, _ := row[cards.at("order_id")].(string)
		number, _ := row[cards.at("number")].(string)
		state, _ := row[cards.at("state")].(string)
		orderID := card.OrderID(order)
		k.cards[id] = &standingCard{row: row, bureau: textOf(row, cards, "bureau"), order: orderID, number: card.Number(number), state: card.State(state), orderState: states[orderID]}
		return nil
	})
}

func (k *standing) askQuotas(t *transaction, _ []card.Attempt) error {
	for _, c := range k.cards {
		_, known := k.left[c.bureau]
		if known {
			continue
		}
		left, err := t.allowance(c.bureau)
		if err != nil {
			return err
		}
		k.left[c.bureau] = left
	}
	return nil
}

func (k *standing) askAttempts(t *transaction, chunk []card.Attempt) error {
	byOrder := make(map[card.OrderID]*standingCard, len(chunk))
	ids := make([]string, len(chunk))
	for i, a := range chunk {
		ids[i] = string(a.Order)
	}
	for _, c := range k.cards {
		byOrder[c.order] = c
	}
	return among(t, "attempts", "SELECT order_id, attempt, state FROM attempts WHERE order_id ", ids, func(rows *sql.Rows) error {
		var id card.OrderID
		var attempt int
		var state string
		err := rows.Scan(&id, &attempt, &state)
		if err != nil {
			return err
		}
		c, ok := byOrder[id]
		if ok {
			c.attempts = max(c.attempts, attempt)
			c.open = c.open || state == "intent" || state == "recorded"
		}
		return nil
	})
}

func (k *standing) askNumbers(t *transaction, chunk []card.Attempt) error {
	numbers := make([]string, len(chunk))
	for i, a := range chunk {
		numbers[i] = string(a.Number)
	}
	return among(t, "numbers", "SELECT number FROM cards WHERE number ", numbers, func(rows *sql.Rows) error {
		var number card.Number
		err := rows.Scan(&number)
		k.numbers[number] = true
		return err
	})
}

func (k *standing) askKeys(t *transaction, chunk []card.Attempt) error {
	var ids []int64
	var fingerprints [][]byte
	for _, a := range chunk {
		ids = append(ids, a.Card)
		for _, i := range a.Intents {
			fingerprints = append(fingerprints, i.Key[:])
		}
	}
	note := func(rows *sql.Rows) error {
		var key card.Fingerprint
		var owner sql.NullInt64
		var use card.Use
		err := rows.Scan(octets{key[:]}, &owner, &use)
		k.keys[key], k.bonds[bond{owner.Int64, use}] = bond{owner.Int64, use}, true
		return err
	}
	err := among(t, "keys", "SELECT fingerprint, card_id, use FROM keys WHERE fingerprint ", fingerprints, note)
	if err != nil {
		return err
	}
	return among(t, "keys", "SELECT fingerprint, card_id, use FROM keys WHERE card_id ", ids, note)
}

func (k *standing) askSerials(t *transaction, chunk []card.Attempt) error {
	serials := make(map[card.KeyID][][]byte)
	for _, a := range chunk {
		for _, i := range a.Intents {
			serials[i.Issuer] = append(serials[i.Issuer], i.Serial[:])
		}
	}
	for issuer, those := range serials {
		list, args := in([]any{issuer[:]}, those)
		rows, err := t.query("SELECT serial FROM intents WHERE issuer = $1 AND serial "+list, args...)
		if err != nil {
			return fmt.Errorf("reading serials: %w", err)
		}
		err = eachRow(rows, "serials", func(rows *sql.Rows) error {
			n := name{issuer: issuer}
			err := rows.Scan(octets{n.serial[:]})
			k.serials[n] = true
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
