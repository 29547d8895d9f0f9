package store

import (
	"errors"
	"slices"
	"testing"

	"cpsca/card"
)

// content counts what a refused attempt must not leave behind.
func content(t *testing.T, db *DB) [6]int {
	t.Helper()
	var out [6]int
	for i, table := range []string{"attempts", "intents", "keys", "feed", "journal", "journal_leaves"} {
		err := db.readers.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&out[i])
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// badAttempt is a way in which one attempt of a chunk is refused.
type badAttempt struct {
	make func(t *testing.T, db *DB) card.Attempt
	want error
}

var badAttempts = map[string]badAttempt{
	"a key that another card has": {func(t *testing.T, db *DB) card.Attempt {
		_, other := personalised(t, db, card.GateChip)
		a := attemptAt(t, db, ordered(t, db))
		a.Intents[1].Key = other.Intents[1].Key
		return a
	}, card.ErrKeyKnown},
	"one key for both uses": {func(t *testing.T, db *DB) card.Attempt {
		a := attemptAt(t, db, ordered(t, db))
		a.Intents[1].Key = a.Intents[0].Key
		return a
	}, card.ErrKeyKnown},
	"a key of the infrastructure": {func(t *testing.T, db *DB) card.Attempt {
		i := newIntent("", "tls-server")
		err := db.IntendInfrastructure(t.Context(), "init", i, false)
		if err != nil {
			t.Fatal(err)
		}
		a := attemptAt(t, db, ordered(t, db))
		a.Intents[1].Key = i.Key
		return a
	}, card.ErrKeyKnown},
	"a number that another card has": {func(t *testing.T, db *DB) card.Attempt {
		c, _ := personalised(t, db, card.GateChip)
		a := attemptAt(t, db, ordered(t, db))
		a.Number = c.Number
		return a
	}, card.ErrNumberTaken},
	"a serial that was used before": {func(t *testing.T, db *DB) card.Attempt {
		_, other := personalised(t, db, card.GateChip)
		a := attemptAt(t, db, ordered(t, db))
		a.Intents[1].Serial = other.Intents[0].Serial
		return a
	}, card.ErrSerialTaken},
	"one serial twice": {func(t *testing.T, db *DB) card.Attempt {
		a := attemptAt(t, db, ordered(t, db))
		a.Intents[1].Serial = a.Intents[0].Serial
		return a
	}, card.ErrSerialTaken},
	"an order that was cancelled": {func(t *testing.T, db *DB) card.Attempt {
		o := ordered(t, db)
		a := attemptAt(t, db, o)
		c := cardOf(t, db, o.ID)
		apply(t, db, card.Decision{Actor: "desk", Action: "cancel", At: dawn, Changes: []card.Change{step(t, c, card.Cancel, dawn)}})
		return a
	}, card.ErrOrderClosed},
	"an order that was fulfilled": {func(t *testing.T, db *DB) card.Attempt {
		c, _ := personalised(t, db, card.GateChip)
		return attemptAt(t, db, card.Order{ID: c.Order})
	}, card.ErrOrderClosed},
	"an attempt under way": {func(t *testing.T, db *DB) card.Attempt {
		return again(intend(t, db, attemptAt(t, db, ordered(t, db))))
	}, card.ErrInFlight},
	"another number than the abandoned attempt's": {func(t *testing.T, db *DB) card.Attempt {
		a := again(abandoned(t, db))
		a.Number = newNumber()
		return a
	}, card.ErrOrderBound},
	"another key than the abandoned attempt's": {func(t *testing.T, db *DB) card.Attempt {
		a := again(abandoned(t, db))
		a.Intents[1].Key = random[card.Fingerprint]()
		return a
	}, card.ErrOrderBound},
	"the two keys of the abandoned attempt exchanged": {func(t *testing.T, db *DB) card.Attempt {
		a := again(abandoned(t, db))
		a.Intents[0].Key, a.Intents[1].Key = a.Intents[1].Key, a.Intents[0].Key
		return a
	}, card.ErrKeyKnown},
	"the keys of the spoiled card": {func(t *testing.T, db *DB) card.Attempt {
		c, s := personalised(t, db, card.GateChip)
		moved(t, db, c.Number, card.Spoil, dawn)
		a := again(s.Attempt)
		a.Card, a.Number = cardOf(t, db, c.Order).ID, newNumber()
		return a
	}, card.ErrKeyKnown},
	"the number of the spoiled card": {func(t *testing.T, db *DB) card.Attempt {
		c, _ := personalised(t, db, card.GateChip)
		moved(t, db, c.Number, card.Spoil, dawn)
		a := attemptAt(t, db, card.Order{ID: c.Order})
		a.Number = c.Number
		return a
	}, card.ErrNumberTaken},
	"the spoiled card itself": {func(t *testing.T, db *DB) card.Attempt {
		c, _ := personalised(t, db, card.GateChip)
		a := attemptAt(t, db, card.Order{ID: c.Order})
		moved(t, db, c.Number, card.Spoil, dawn)
		return a
	}, card.ErrOrderClosed},
	"a card of another order": {func(t *testing.T, db *DB) card.Attempt {
		a := attemptAt(t, db, ordered(t, db))
		a.Order = ordered(t, db).ID
		return a
	}, card.ErrOrderUnknown},
	"an order that does not exist": {func(t *testing.T, db *DB) card.Attempt {
		a := attemptAt(t, db, ordered(t, db))
		a.Order = "nowhere"
		return a
	}, card.ErrOrderUnknown},
}

func abandoned(t *testing.T, db *DB) card.Attempt {
	t.Helper()
	a := intend(t, db, attemptAt(t, db, ordered(t, db)))
	err := db.Abandon(t.Context(), "authority", []card.Attempt{a})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestARefusedAttemptLeavesNothingAndTheOthersStand(t *testing.T) {
	for name, bad := range badAttempts {
		t.Run(name, func(t *testing.T) {
			db := newLedger(t)
			first, refused, last := attemptAt(t, db, ordered(t, db)), bad.make(t, db), attemptAt(t, db, ordered(t, db))
			before := content(t, db)
			chunk := []card.Attempt{first, refused, last}
			answers, err := db.Intend(t.Context(), chunk)
			if err != nil || answers[0] != nil || !errors.Is(answers[1], bad.want) || answers[2] != nil {
				t.Fatalf("got %v, %v, want only the second refused with %v", answers, err, bad.want)
			}
			after := content(t, db)
			for i, more := range []int{2, 4, 4, 4, 1, 4} {
				if after[i] != before[i]+more {
					t.Errorf("attempts, intents, keys, feed, journal, leaves: %v became %v", before, after)
				}
			}
			if bad.want != card.ErrSerialTaken { // there the serials are another's too
				for _, i := range refused.Intents {
					count(t, db, 0, "SELECT COUNT(*) FROM intents WHERE serial = $1", i.Serial[:])
					count(t, db, 0, "SELECT COUNT(*) FROM feed WHERE serial = $1", i.Serial[:])
				}
			}
			checkAll(t, db)
			record(t, db, chunk[0], card.GateChip)
			record(t, db, chunk[2], card.GateChip)
			checkAll(t, db)
		})
	}
}

func TestAChunkOfWhichNothingStandsLeavesNothing(t *testing.T) {
	db := newLedger(t)
	bad := again(intend(t, db, attemptAt(t, db, ordered(t, db))))
	before := content(t, db)
	answers, err := db.Intend(t.Context(), []card.Attempt{bad})
	if err != nil || !errors.Is(answers[0], card.ErrInFlight) || content(t, db) != before {
		t.Fatalf("got %v, %v", answers, err)
	}
	answers, err = db.Intend(t.Context(), nil)
	if err != nil || len(answers) != 0 || content(t, db) != before {
		t.Fatalf("an empty chunk: got %v, %v", answers, err)
	}
}

func TestAnErrorThatIsNoRefusalFailsTheWholeChunk(t *testing.T) {
	db := newLedger(t)
	good, bad := attemptAt(t, db, ordered(t, db)), attemptAt(t, db, ordered(t, db))
	bad.Intents[0].Profile.Name = "not utf-8 \xff"
	none := attemptAt(t, db, ordered(t, db))
	none.Intents = nil
	fraction := attemptAt(t, db, ordered(t, db))
	fraction.Intents[1].NotAfter = dawn.Add(1)
	before := content(t, db)
	for _, a := range []card.Attempt{bad, none, fraction} {
		answers, err := db.Intend(t.Context(), []card.Attempt{good, a})
		if err == nil && answers[1] == nil || content(t, db) != before {
			t.Errorf("got %v, %v", answers, err)
		}
	}
	checkAll(t, db)
}

func TestRecordOpensTheCertificatesByTheGate(t *testing.T) {
	for gate, want := range map[card.Gate]card.Status{card.GateChip: card.StatusGood, card.GateHold: card.StatusHeld} {
		t.Run(string(gate), func(t *testing.T) {
			db := newLedger(t)
			c, s := personalised(t, db, gate)
			if got := statuses(t, db, s); !slices.Equal(got, []card.Status{want, want}) {
				t.Fatalf("got %v, want %s", got, want)
			}
			if c.State != card.Personalised || !c.Expires.Equal(s.Intents[0].NotAfter) || c.Number != s.Number {
				t.Fatalf("the card: %+v", c)
			}
			list, _, err := db.Revocations(t.Context(), testIssuer)
			if err != nil {
				t.Fatal(err)
			}
			if gate == card.GateChip && len(list) != 0 {
				t.Fatalf("revocations of a good card: %v", list)
			}
			if gate == card.GateHold && (len(list) != 2 || list[0].Cause != card.CauseGate || list[0].Status != card.StatusHeld || list[0].Reason != card.CertificateHold) {
				t.Fatalf("revocations of a waiting card: %v", list)
			}
			o, err := db.Order(t.Context(), c.Order)
			if err != nil || o.State != card.OrderFulfilled {
				t.Fatalf("the order: %v, %v", o.State, err)
			}
			checkAll(t, db)
		})
	}
}

func TestRecordRefusesWhatIsNotAnOpenAttemptAsAWhole(t *testing.T) {
	cases := map[string]struct {
		change func(t *testing.T, db *DB, s *card.Signed)
		want   error // nil: any
	}{
		"recorded before": {func(t *testing.T, db *DB, s *card.Signed) {
			err := db.Record(t.Context(), []card.Signed{*s}, card.GateChip)
			if err != nil {
				t.Fatal(err)
			}
		}, card.ErrStale},
		"abandoned meanwhile": {func(t *testing.T, db *DB, s *card.Signed) {
			err := db.Abandon(t.Context(), "authority", []card.Attempt{s.Attempt})
			if err != nil {
				t.Fatal(err)
			}
		}, card.ErrStale},
		"other bytes than were intended": {func(_ *testing.T, _ *DB, s *card.Signed) {
			s.Intents[0].TBS = append([]byte{0}, s.Intents[0].TBS...)
		}, card.ErrStale},
		"another attempt":  {func(_ *testing.T, _ *DB, s *card.Signed) { s.Attempt.Attempt++ }, card.ErrStale},
		"another card row": {func(_ *testing.T, _ *DB, s *card.Signed) { s.Card++ }, card.ErrStale},
		"the card cancelled meanwhile": {func(t *testing.T, db *DB, s *card.Signed) {
			c := cardOf(t, db, s.Order)
			apply(t, db, card.Decision{Actor: "desk", Action: "cancel", At: dawn, Changes: []card.Change{step(t, c, card.Cancel, dawn)}})
		}, card.ErrStale},
		"the card spoiled meanwhile": {func(t *testing.T, db *DB, s *card.Signed) { moved(t, db, s.Number, card.Spoil, dawn) }, card.ErrStale},
		"half of the intents": {func(_ *testing.T, _ *DB, s *card.Signed) {
			s.Intents, s.Signatures = s.Intents[:1], s.Signatures[:1]
		}, card.ErrStale},
		"one intent twice": {func(_ *testing.T, _ *DB, s *card.Signed) { s.Intents[1] = s.Intents[0] }, nil},
		"an intent of another attempt": {func(t *testing.T, db *DB, s *card.Signed) {
			s.Intents[1] = intend(t, db, attemptAt(t, db, ordered(t, db))).Intents[1]
		}, card.ErrStale},
		"a serial without intent": {func(_ *testing.T, _ *DB, s *card.Signed) { s.Intents[1].Serial = random[card.Serial]() }, card.ErrStale},
		"an empty signature":      {func(_ *testing.T, _ *DB, s *card.Signed) { s.Signatures[1] = nil }, nil},
		"a signature missing":     {func(_ *testing.T, _ *DB, s *card.Signed) { s.Signatures = s.Signatures[:1] }, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			db := newLedger(t)
			good := sign(intend(t, db, attemptAt(t, db, ordered(t, db))))
			bad := sign(intend(t, db, attemptAt(t, db, ordered(t, db))))
			c.change(t, db, &bad)
			before := content(t, db)
			err := db.Record(t.Context(), []card.Signed{good, bad}, card.GateChip)
			if err == nil || c.want != nil && !errors.Is(err, c.want) || content(t, db) != before {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			checkAll(t, db)
			err = db.Record(t.Context(), []card.Signed{good}, card.GateChip)
			if err != nil {
				t.Fatalf("the good one alone: %v", err)
			}
			checkAll(t, db)
		})
	}
}

func TestRecordRefusesAnUnknownGate(t *testing.T) {
	db := newLedger(t)
	s := sign(intend(t, db, attemptAt(t, db, ordered(t, db))))
	err := db.Record(t.Context(), []card.Signed{s}, "")
	if err == nil {
		t.Fatal("certificates were recorded without a gate")
	}
	err = db.Record(t.Context(), nil, card.GateChip)
	if err != nil {
		t.Fatalf("nothing to record: %v", err)
	}
}

func TestAnAbandonedAttemptIsRevokedAndTheOrderCanBeTriedAgain(t *testing.T) {
	db := newLedger(t)
	first := abandoned(t, db)
	if got := statuses(t, db, card.Signed{Attempt: first}); !slices.Equal(got, []card.Status{card.StatusRevoked, card.StatusRevoked}) {
		t.Fatalf("got %v", got)
	}
	list, _, err := db.Revocations(t.Context(), testIssuer)
	if err != nil || len(list) != 2 || list[0].Reason != card.Unspecified || list[0].Cause != card.CauseAbandoned || !list[0].NotAfter.Equal(first.Intents[0].NotAfter) {
		t.Fatalf("revocations: %v, %v", list, err)
	}
	before := content(t, db)
	err = db.Abandon(t.Context(), "authority", []card.Attempt{first, {Order: "nowhere", Attempt: 1}})
	if err != nil || content(t, db) != before {
		t.Fatalf("abandoning again: %v", err)
	}
	d, err := db.Dossiers(t.Context(), "bureau", []card.OrderID{first.Order})
	if err != nil || d[first.Order].Card.Number != first.Number || d[first.Order].Keys[card.Signature] != first.Intents[1].Key || d[first.Order].Intent {
		t.Fatalf("the dossier: %+v, %v", d[first.Order], err)
	}
	second := intend(t, db, again(first))
	if second.Attempt != 2 {
		t.Fatalf("it is attempt %d, want 2", second.Attempt)
	}
	record(t, db, second, card.GateHold)
	checkAll(t, db)
}

func TestDossiersHoldWhatAReplayNeeds(t *testing.T) {
	db := newLedger(t)
	o := ordered(t, db)
	read := func() card.Dossier {
		found, err := db.Dossiers(t.Context(), "bureau", []card.OrderID{o.ID, "nowhere"})
		if err != nil || len(found) != 1 {
			t.Fatalf("got %d dossiers, %v", len(found), err)
		}
		return found[o.ID]
	}
	d := read()
	if d.Order.ID != o.ID || d.Order.Challenges[card.Signature] != "two" || d.Card.State != card.Ordered || d.Intent || len(d.Keys) != 0 || len(d.Issued) != 0 || d.Person.ID != "" {
		t.Fatalf("a new order: %+v", d)
	}
	a := intend(t, db, attemptAt(t, db, o))
	d = read()
	if !d.Intent || d.Card.Number != a.Number || d.Keys[card.Authentication] != a.Intents[0].Key {
		t.Fatalf("an order in flight: %+v", d)
	}
	s := record(t, db, a, card.GateChip)
	d = read()
	if d.Intent || len(d.Issued) != 2 || d.Order.State != card.OrderFulfilled {
		t.Fatalf("a fulfilled order: %+v", d)
	}
	for i, c := range d.Issued {
		intent := s.Intents[i]
		if c.Use != card.Uses[i] || c.Serial != intent.Serial || c.Issuer != intent.Issuer || !slices.Equal(c.TBS, intent.TBS) ||
			!slices.Equal(c.Signature, s.Signatures[i]) || c.Card != a.Number || c.Order != o.ID || c.Status != card.StatusGood || !c.NotAfter.Equal(intent.NotAfter) {
			t.Fatalf("certificate %d: %+v", i, c)
		}
	}
	other, err := db.Dossiers(t.Context(), "another bureau", []card.OrderID{o.ID})
	if err != nil || len(other) != 0 {
		t.Fatalf("another bureau sees %v, %v", other, err)
	}
}
