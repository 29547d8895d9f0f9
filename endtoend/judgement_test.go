package endtoend_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"cpsca/audit"
	"cpsca/card"
	"cpsca/crl"
	"cpsca/feed"
	"cpsca/profiles"
	"cpsca/registry"
	"cpsca/store"
)

// judgement is one reading of a ledger, and what is wrong with it.
type judgement struct {
	*account
	moment
	t       *testing.T
	db      *store.DB
	intents []intent
	revoked map[card.Serial]card.Revocation
	faults  []string
}

// checkAll says everything that is wrong with a ledger. Nothing that was
// acknowledged may be missing, nothing may be signed that was not intended.
func (a *account) checkAll(t *testing.T, m moment) []string {
	t.Helper()
	db, err := store.OpenReadOnly(store.Config{Path: m.ledger})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	j := &judgement{account: a, moment: m, t: t, db: db, intents: intentsIn(t, m.ledger)}
	if m.whole || len(m.orders) == 0 {
		j.orders = nil
		for order := range a.asked {
			j.orders = append(j.orders, order)
		}
	}
	j.journal()
	j.signatures()
	j.revocations()
	j.certificates()
	j.holders()
	j.image()
	j.list()
	return j.faults
}

func (j *judgement) wrong(format string, args ...any) {
	j.faults = append(j.faults, fmt.Sprintf(format, args...))
}

// must ends the test if the ledger cannot be read at all.
func (j *judgement) must(err error) {
	j.t.Helper()
	if err != nil {
		j.t.Fatal(err)
	}
}

// journal checks that the journal holds what it held, and, in a whole judgement,
// that every row agrees with it.
func (j *judgement) journal() {
	if j.head.Sequence > 0 {
		now, err := j.db.JournalHead(j.t.Context(), j.head.Sequence)
		if err != nil || now != j.head {
			j.wrong("the journal held %d:%s, now %d:%s (%v)", j.head.Sequence, j.head.Hash, now.Sequence, now.Hash, err)
		}
	}
	if j.whole {
		err := j.db.VerifySchema(j.t.Context())
		if err == nil {
			_, err = j.db.VerifyJournal(j.t.Context(), nil)
		}
		if err != nil {
			j.wrong("the journal: %v", err)
		}
	}
	for {
		next, err := j.db.JournalHead(j.t.Context(), j.head.Sequence+1)
		if errors.Is(err, audit.ErrHead) {
			return
		}
		j.must(err)
		j.head = next
	}
}

// signatures checks that nothing was signed that was not intended, and nothing
// twice. Lists are signed by the same key: what nobody saw of them must have a
// number in the register.
func (j *judgement) signatures() {
	intended := make(map[string]intent, len(j.intents))
	for _, i := range j.intents {
		intended[digest(i.tbs)] = i
		if j.serving && i.state == "intent" {
			j.wrong("the authority serves, and the intent %s of the process before it is open", i.serial)
		}
		if i.state == "recorded" && j.signed[digest(i.tbs)] != 1 {
			j.wrong("the recorded certificate %s was signed %d times", i.serial, j.signed[digest(i.tbs)])
		}
	}
	strangers := 0
	for octets, times := range j.signed {
		times -= j.before[octets]
		if times > 1 {
			j.wrong("%.16s… (%s) was signed %d times", octets, intended[octets].serial, times)
		}
		_, ours := intended[octets]
		if times > 0 && !ours && !j.lists[octets] {
			strangers++
		}
	}
	reserved, err := j.db.Lists(j.t.Context(), j.issuerID, 1<<20)
	j.must(err)
	j.unseen = max(j.unseen, strangers)
	if strangers > len(reserved)-len(j.lists) {
		j.wrong("%d signatures were asked for without an intent; only %d lists were not seen", strangers, len(reserved)-len(j.lists))
	}
	if len(reserved) > 0 && reserved[0].Number < j.number || len(reserved) == 0 && j.number > 0 {
		j.wrong("list %d was published, and the register does not know its number", j.number)
	}
}

// revocations checks that abandoned serials, and those of cards reported lost,
// are revoked, and that nothing else is but what the cards say.
func (j *judgement) revocations() {
	rows, _, err := j.db.Revocations(j.t.Context(), j.issuerID)
	j.must(err)
	j.revoked = make(map[card.Serial]card.Revocation, len(rows))
	for _, r := range rows {
		j.revoked[r.Serial] = r
	}
	for _, i := range j.intents {
		r, found := j.revoked[i.serial]
		switch {
		case i.state == "abandoned" && (r.Status != card.StatusRevoked || r.Cause != card.CauseAbandoned):
			j.wrong("the abandoned %s is %q because of %q", i.serial, r.Status, r.Cause)
		case i.state == "intent" && found:
			j.wrong("the open intent %s is %q", i.serial, r.Status)
		case i.state == "recorded" && r.Cause == card.CauseAbandoned:
			j.wrong("the recorded %s is revoked as abandoned", i.serial)
		}
		delete(j.revoked, i.serial)
	}
	for serial, r := range j.revoked {
		j.wrong("%s is %s and was never intended", serial, r.Status)
	}
	for _, r := range rows {
		j.revoked[r.Serial] = r
	}
}

// certificates checks that each order has no certificates or one pair, that of
// the card and keys asked for, and that what was told is recorded.
func (j *judgement) certificates() {
	intended := make(map[card.Serial]intent, len(j.intents))
	for _, i := range j.intents {
		intended[i.serial] = i
	}
	for _, order := range j.orders {
		recorded := make(pair)
		cards, err := j.db.CardsOfOrder(j.t.Context(), order)
		j.must(err)
		for _, c := range cards {
			certificates, err := j.db.CertificatesOf(j.t.Context(), c.ID)
			j.must(err)
			for _, one := range certificates {
				if recorded[one.Use] != nil {
					j.wrong("order %s has two certificates of %s", order, one.Use)
				}
				recorded[one.Use] = j.certificate(order, c, one, intended[one.Serial])
			}
			if j.lost[c.Number] && c.State != card.Revoked {
				j.wrong("card %s was reported lost, and is %s", c.Number, c.State)
			}
		}
		if len(recorded) != 0 && len(recorded) != len(card.Uses) {
			j.wrong("order %s has %d certificates", order, len(recorded))
		}
		for use, der := range j.told[order] {
			if !bytes.Equal(recorded[use], der) {
				j.wrong("order %s was answered by a certificate of %s that is not recorded", order, use)
			}
		}
	}
}

// certificate checks one recorded certificate and returns its DER.
func (j *judgement) certificate(order card.OrderID, c card.Card, one card.Certificate, i intent) []byte {
	want := j.asked[order]
	if i.state != "recorded" || i.order != order || i.use != one.Use || !bytes.Equal(i.tbs, one.TBS) {
		j.wrong("the certificate %s of order %s is not what was intended", one.Serial, order)
	}
	if one.Order != order || one.Card != want.number || c.Number != want.number || c.Holder != want.holder {
		j.wrong("the certificate %s of order %s is of card %s, holder and number asked for are others", one.Serial, order, one.Card)
	}
	wanted := card.StatusHeld
	if c.State == card.Revoked {
		wanted = card.StatusRevoked
	}
	if one.Status != wanted || j.revoked[one.Serial].Status != wanted {
		j.wrong("the certificate %s of a card that is %s is %q", one.Serial, c.State, one.Status)
	}
	der, err := profiles.Assemble(one.TBS, one.Signature)
	j.must(err)
	sum := sha256.Sum256(der)
	if j.sure[one.Serial] == sum {
		return der
	}
	parsed, err := x509.ParseCertificate(der)
	j.must(err)
	err = parsed.CheckSignatureFrom(j.issuing)
	if err != nil {
		j.wrong("the certificate %s: %v", one.Serial, err)
	}
	if !bytes.Equal(parsed.RawSubjectPublicKeyInfo, want.keys[one.Use]) {
		j.wrong("the certificate %s has another key than order %s asked for", one.Serial, order)
	}
	if !bytes.Equal(parsed.SerialNumber.FillBytes(make([]byte, len(one.Serial))), one.Serial[:]) {
		j.wrong("the certificate %s has the serial %x", one.Serial, parsed.SerialNumber)
	}
	j.sure[one.Serial] = sum
	return der
}

// holders checks the law: one live card and one waiting card at most.
func (j *judgement) holders() {
	live := []card.State{card.Active, card.Held}
	waiting := []card.State{card.Ordered, card.Personalised, card.Dispatched}
	type place struct {
		profession registry.ProfessionCode
		form       card.Form
		live       bool
	}
	for _, order := range j.orders {
		cards, err := j.db.CardsOf(j.t.Context(), j.asked[order].holder)
		j.must(err)
		taken := make(map[place]int)
		for _, c := range cards {
			if slices.Contains(live, c.State) || slices.Contains(waiting, c.State) {
				at := place{c.Profession, c.Form, slices.Contains(live, c.State)}
				taken[at]++
				if taken[at] > 1 {
					j.wrong("the holder of order %s has two cards at a time", order)
				}
			}
		}
	}
}

// image checks that the feed, from which OCSP answers, ends where the revocations
// are, by an unbroken chain.
func (j *judgement) image() {
	last := make(map[card.Serial]card.Status)
	var chain feed.Hash
	after := uint64(0)
	for {
		records, end, hash, err := j.db.Records(j.t.Context(), after, 5000)
		j.must(err)
		for _, r := range records {
			if r.Sequence != after+1 {
				j.wrong("the feed jumps from %d to %d", after, r.Sequence)
			}
			after, chain = r.Sequence, r.Hash(chain)
			if r.Issuer == j.issuerID {
				last[r.Serial] = r.Status
			}
		}
		if after >= end || len(records) == 0 {
			if after != end || chain != hash {
				j.wrong("the feed ends at %d, and its chain does not lead there", end)
			}
			break
		}
	}
	for _, i := range j.intents {
		want := card.StatusGood
		r, found := j.revoked[i.serial]
		if found {
			want = r.Status
		}
		switch status := last[i.serial]; {
		case i.state == "intent" && (status == card.StatusGood || found):
			j.wrong("the feed says %s of the open intent %s", status, i.serial)
		case i.state != "intent" && status != want:
			j.wrong("the feed says %q of %s, which is %s", status, i.serial, want)
		}
	}
}

// list checks that the published list is whole and says nothing but what the
// ledger says.
func (j *judgement) list() {
	if j.folder == "" {
		return
	}
	der, err := os.ReadFile(j.folder + "/cards.crl")
	if errors.Is(err, os.ErrNotExist) && j.number == 0 {
		return
	}
	if err != nil {
		j.wrong("the list: %v", err)
		return
	}
	list, err := crl.Parse(der)
	if err != nil {
		j.wrong("the published list: %v", err)
		return
	}
	stranger, err := x509.ParseRevocationList(der)
	if err == nil {
		err = stranger.CheckSignatureFrom(j.issuing)
	}
	if err != nil {
		j.wrong("the published list: %v", err)
	}
	j.lists[digest(list.TBS)] = true
	if list.Number < j.number {
		j.wrong("list %d is published after list %d", list.Number, j.number)
	}
	j.number = max(j.number, list.Number)
	listed := 0
	for e := range list.Entries() {
		r, found := j.revoked[e.Serial]
		if !found || r.Status == card.StatusGood {
			j.wrong("the list has %s, which is %q", e.Serial, r.Status)
		}
		listed++
	}
	revoked := 0
	for _, r := range j.revoked {
		if r.Status != card.StatusGood {
			revoked++
		}
	}
	if j.idle && listed != revoked {
		j.wrong("the list has %d entries, the ledger %d", listed, revoked)
	}
}
