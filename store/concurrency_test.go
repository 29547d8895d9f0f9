package store

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"cpsca/card"
)

func TestManyAtOnceKeepTheLedgerWhole(t *testing.T) {
	db := newLedger(t)
	var all sync.WaitGroup
	for n := range 32 {
		all.Go(func() {
			source := rand.New(rand.NewPCG(uint64(n), 4))
			for range 4 {
				err := oneLife(t, db, source)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	checkAll(t, db)
}

// oneLife takes a card from its order to some end, reading all the while.
func oneLife(t *testing.T, db *DB, source *rand.Rand) error {
	ctx := t.Context()
	o := orderFor(newHolder(), card.First, "")
	err := db.Apply(ctx, card.Decision{Actor: "desk", Action: "order", At: dawn, Opens: []card.Order{o}})
	if err != nil {
		return err
	}
	dossiers, err := db.Dossiers(ctx, "bureau", []card.OrderID{o.ID})
	if err != nil {
		return err
	}
	chunk := []card.Attempt{{
		Order: o.ID, Card: dossiers[o.ID].Card.ID, Number: newNumber(), Requester: "bureau-client",
		Intents: []card.Intent{newIntent(o.ID, card.Authentication), newIntent(o.ID, card.Signature)},
	}}
	refusals, err := db.Intend(ctx, chunk)
	if err != nil || refusals[0] != nil {
		return errors.Join(err, refusals[0])
	}
	if source.IntN(4) == 0 {
		return db.Abandon(ctx, "authority", chunk)
	}
	err = db.Record(ctx, []card.Signed{sign(chunk[0])}, card.GateHold)
	if err != nil {
		return err
	}
	c, err := db.Card(ctx, chunk[0].Number)
	if err != nil {
		return err
	}
	for _, e := range []card.Event{card.Activate, card.Suspend, card.Revoke} {
		change, err := c.Step(e, dawn)
		if err != nil {
			return err
		}
		err = db.Apply(ctx, card.Decision{Actor: "desk", Action: string(e), At: dawn, Changes: []card.Change{change}})
		if err != nil {
			return err
		}
		c.State = change.To
		_, _, err = db.Revocations(ctx, testIssuer)
		if err != nil {
			return err
		}
	}
	if source.IntN(10) == 0 {
		_, err = db.VerifyJournal(ctx, nil)
	}
	return err
}

func TestOfManyRivalsOneWins(t *testing.T) {
	db := newLedger(t)
	o := ordered(t, db)
	rivals := make([]card.Attempt, 16)
	for i := range rivals {
		rivals[i] = attemptAt(t, db, o)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range rivals {
		all.Go(func() {
			refusals, err := db.Intend(t.Context(), rivals[i:i+1])
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case refusals[0] == nil:
				won++
			case !errors.Is(refusals[0], card.ErrInFlight) && !errors.Is(refusals[0], card.ErrOrderBound):
				t.Errorf("a rival was refused with %v", refusals[0])
			}
		})
	}
	all.Wait()
	if won != 1 {
		t.Fatalf("%d attempts at one order stand", won)
	}
	checkAll(t, db)
}
