package store

import (
	"errors"
	"sync"
	"testing"

	"cpsca/card"
	"cpsca/officer"
)

func TestAnInfrastructureCertificateGoesThroughIntentAndRecord(t *testing.T) {
	db := newLedger(t)
	i := newIntent("", "ocsp")
	i.Subject = "responder 1"
	err := db.IntendInfrastructure(t.Context(), "init", i, false)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Certificate(t.Context(), i.Issuer, i.Serial)
	if !errors.Is(err, card.ErrNotFound) {
		t.Fatalf("an intent is read as a certificate: %v", err)
	}
	err = db.RevokeInfrastructure(t.Context(), "officer", i.Issuer, i.Serial, card.KeyCompromise)
	if !errors.Is(err, card.ErrNotFound) {
		t.Fatalf("revoking an intent: got %v", err)
	}
	err = db.RecordInfrastructure(t.Context(), "init", i, []byte("signature"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := db.Certificate(t.Context(), i.Issuer, i.Serial)
	if err != nil || c.Subject != "responder 1" || c.Status != card.StatusGood || c.Card != "" || c.Order != "" {
		t.Fatalf("got %+v, %v", c, err)
	}
	err = db.RecordInfrastructure(t.Context(), "init", i, []byte("signature"))
	if !errors.Is(err, card.ErrStale) {
		t.Fatalf("recorded twice: got %v", err)
	}
	before := content(t, db)
	err = db.AbandonInfrastructure(t.Context(), "init", i)
	if err != nil || content(t, db) != before {
		t.Fatalf("abandoning what was recorded: got %v, and the ledger changed", err)
	}
	checkAll(t, db)
}

func TestAnAbandonedInfrastructureIntentIsRevoked(t *testing.T) {
	db := newLedger(t)
	i := newIntent("", "ocsp")
	err := errors.Join(db.IntendInfrastructure(t.Context(), "init", i, false), db.AbandonInfrastructure(t.Context(), "init", i))
	if err != nil {
		t.Fatal(err)
	}
	err = db.RecordInfrastructure(t.Context(), "init", i, []byte("signature"))
	if !errors.Is(err, card.ErrStale) {
		t.Fatalf("got %v", err)
	}
	checkAll(t, db)
}

func TestCertificatesOfCardsAreNotInfrastructure(t *testing.T) {
	db := newLedger(t)
	open := intend(t, db, attemptAt(t, db, ordered(t, db)))
	_, s := personalised(t, db, card.GateChip)
	recorded := s.Intents[0]
	err := db.RevokeInfrastructure(t.Context(), "officer", recorded.Issuer, recorded.Serial, card.KeyCompromise)
	if !errors.Is(err, card.ErrNotFound) {
		t.Errorf("revoking: got %v", err)
	}
	err = db.RecordInfrastructure(t.Context(), "init", open.Intents[0], []byte("signature"))
	if !errors.Is(err, card.ErrStale) {
		t.Errorf("recording: got %v", err)
	}
	before := content(t, db)
	err = db.AbandonInfrastructure(t.Context(), "init", open.Intents[0])
	if err != nil || content(t, db) != before {
		t.Errorf("abandoning: got %v", err)
	}
	checkAll(t, db)
}

func TestAKeyIsRenewedOnlyForItsSubjectAndUse(t *testing.T) {
	db := newLedger(t)
	_, s := personalised(t, db, card.GateChip)
	first := newIntent("", "ocsp")
	first.Subject = "responder 1"
	err := db.IntendInfrastructure(t.Context(), "init", first, false)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		subject string
		use     card.Use
		key     card.Fingerprint
		renewal bool
		want    error
	}{
		"the same key, not as a renewal": {"responder 1", "ocsp", first.Key, false, card.ErrKeyKnown},
		"the key of another subject":     {"responder 2", "ocsp", first.Key, true, card.ErrKeyKnown},
		"the key of another use":         {"responder 1", "tls-server", first.Key, true, card.ErrKeyKnown},
		"the key of a card":              {"", card.Authentication, s.Intents[0].Key, true, card.ErrKeyKnown},
		"a renewal":                      {"responder 1", "ocsp", first.Key, true, nil},
		"a renewal with a new key":       {"responder 1", "ocsp", random[card.Fingerprint](), true, nil},
	}
	for name, c := range cases {
		i := newIntent("", c.use)
		i.Subject, i.Key = c.subject, c.key
		err := db.IntendInfrastructure(t.Context(), "init", i, c.renewal)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	taken := newIntent("", "ocsp")
	taken.Serial = first.Serial
	err = db.IntendInfrastructure(t.Context(), "init", taken, false)
	if !errors.Is(err, card.ErrSerialTaken) {
		t.Errorf("a serial used before: got %v", err)
	}
	checkAll(t, db)
}

func TestAnEnrolmentEndsWithItsCertificate(t *testing.T) {
	db := newLedger(t)
	i := newIntent("", "officer")
	e := officer.Enrolment{Fingerprint: officer.Fingerprint{9}, Person: "Zoe", Role: officer.Desk, Issuer: i.Issuer, Serial: i.Serial}
	err := errors.Join(db.IntendInfrastructure(t.Context(), "init", i, false), db.RecordInfrastructure(t.Context(), "init", i, []byte{1}), db.Enrol(t.Context(), "init", e))
	if err != nil {
		t.Fatal(err)
	}
	got, err := db.Enrolled(t.Context(), e.Fingerprint)
	if err != nil || got.Person != "Zoe" || got.Role != officer.Desk || got.Serial != i.Serial || got.Since.IsZero() {
		t.Fatalf("got %+v, %v", got, err)
	}
	err = db.Enrol(t.Context(), "init", e)
	if !errors.Is(err, officer.ErrEnrolled) {
		t.Fatalf("enrolled twice: got %v", err)
	}
	_, err = db.Enrolled(t.Context(), officer.Fingerprint{8})
	if !errors.Is(err, card.ErrNotFound) {
		t.Fatalf("a stranger: got %v", err)
	}
	err = db.RevokeInfrastructure(t.Context(), "officer", i.Issuer, i.Serial, card.KeyCompromise)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Enrolled(t.Context(), e.Fingerprint)
	if !errors.Is(err, card.ErrNotFound) {
		t.Fatalf("a revoked certificate: got %v", err)
	}
	checkAll(t, db)
}

// recorded puts one certificate of the infrastructure into the ledger.
func recorded(t *testing.T, db *DB, subject string, use card.Use) card.Intent {
	t.Helper()
	i := newIntent("", use)
	i.Subject = subject
	err := errors.Join(db.IntendInfrastructure(t.Context(), "init", i, false), db.RecordInfrastructure(t.Context(), "init", i, []byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestTheLastSecurityOfficerCannotBeShutOut(t *testing.T) {
	db := newLedger(t)
	var officers []card.Intent
	for n, person := range []string{"Alice", "Bruno"} {
		i := recorded(t, db, person, "officer")
		err := db.Enrol(t.Context(), "init", officer.Enrolment{Fingerprint: officer.Fingerprint{byte(n)}, Person: person, Role: officer.SecurityOfficer, Issuer: i.Issuer, Serial: i.Serial})
		if err != nil {
			t.Fatal(err)
		}
		officers = append(officers, i)
	}
	err := db.RevokeInfrastructure(t.Context(), "Bruno", officers[0].Issuer, officers[0].Serial, card.KeyCompromise)
	if err != nil {
		t.Fatal(err)
	}
	err = db.RevokeInfrastructure(t.Context(), "Bruno", officers[1].Issuer, officers[1].Serial, card.KeyCompromise)
	if !errors.Is(err, officer.ErrLast) {
		t.Fatalf("the last officer: got %v", err)
	}
	_, err = db.Enrolled(t.Context(), officer.Fingerprint{1})
	if err != nil {
		t.Fatalf("the last officer is still one: %v", err)
	}
	checkAll(t, db)
}

func TestACertificateOfAnIssuerIsNotRevokedAtTheDoor(t *testing.T) {
	db := newLedger(t)
	i := recorded(t, db, "cards", "issuing")
	err := db.AddIssuer(t.Context(), "init", Issuer{KeyID: card.KeyID{7}, Name: "cards", Role: "cards", Certificate: []byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	err = db.RevokeInfrastructure(t.Context(), "Alice", i.Issuer, i.Serial, card.KeyCompromise)
	if !errors.Is(err, card.ErrNotFound) {
		t.Fatalf("got %v, want card.ErrNotFound: the root revokes issuers in a ceremony", err)
	}
	checkAll(t, db)
}

func TestConcurrentEnrolmentsKeepTheAuditorApart(t *testing.T) {
	db := newLedger(t)
	var all sync.WaitGroup
	for n := range 16 {
		role := officer.Auditor
		if n%2 == 0 {
			role = officer.Desk
		}
		all.Go(func() {
			err := db.Enrol(t.Context(), "init", officer.Enrolment{Fingerprint: officer.Fingerprint{byte(n)}, Person: "Zoe", Role: role})
			if err != nil && !errors.Is(err, officer.ErrExclusive) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	count(t, db, 1, "SELECT COUNT(DISTINCT role) FROM enrolments")
	count(t, db, 8, "SELECT COUNT(*) FROM enrolments")
	checkAll(t, db)
}

func TestListNumbersAreReservedOnceAndPublishedOnce(t *testing.T) {
	db := newLedger(t)
	var all sync.WaitGroup
	var mu sync.Mutex
	given := map[int64]bool{}
	for range 8 {
		all.Go(func() {
			n, err := db.ReserveNumber(t.Context(), testIssuer, dawn, dawn.AddDate(0, 0, 1))
			mu.Lock()
			defer mu.Unlock()
			if err != nil || given[n] {
				t.Errorf("number %d, %v", n, err)
			}
			given[n] = true
		})
	}
	all.Wait()
	other, err := db.ReserveNumber(t.Context(), card.KeyID{2}, dawn, dawn)
	if err != nil || other != 1 {
		t.Fatalf("another issuer's first number is %d, %v", other, err)
	}
	err = db.Published(t.Context(), testIssuer, 3, [32]byte{1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int64{3, 99} {
		err = db.Published(t.Context(), testIssuer, n, [32]byte{1}, 0)
		if !errors.Is(err, card.ErrNotFound) {
			t.Errorf("publishing %d: got %v", n, err)
		}
	}
	lists, err := db.Lists(t.Context(), testIssuer, 6)
	if err != nil || len(lists) != 6 || lists[0].Number != 8 || lists[5].Number != 3 || lists[5].Published.IsZero() || !lists[4].Published.IsZero() {
		t.Fatalf("got %+v, %v", lists, err)
	}
	checkAll(t, db)
}
