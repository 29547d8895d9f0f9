package endtoend_test

import (
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"cpsca/card"
	"cpsca/client"
	"cpsca/testpki"
)

// How long a change may take to be seen, after its receipt.
const (
	visibleOCSP = 10 * time.Second
	visibleList = 60 * time.Second
)

func TestTheStatusNodeGoesOnWithoutTheAuthority(t *testing.T) {
	h := newHouse(t)
	h.startAuthority(t)
	h.startStatus(t)
	people := testpki.NewPopulation(81, 40)
	h.importRegister(t, people)
	pairs := sendAll(t, h.as(t, "bureau"), batch(t, testpki.NewNumbers(81), h.order(t, entitled(t, people, 3)))...)
	for _, pair := range pairs[:2] {
		issued(t, pair)
		h.must(t, "card", "activate", string(pair.Card))
	}
	issuer := h.issuer(t)
	h.seen(t, issuer, pairs[0], "good", visibleOCSP)
	h.seen(t, issuer, pairs[2], "held", visibleOCSP)
	h.loses(t, issuer, pairs[1])

	if code := h.authority.stop(t); code != 0 {
		t.Fatalf("the authority ended with %d", code)
	}
	number, _ := h.listed(t, issuer)
	stopped := h.asOf(t)
	if last := h.withoutAuthority(t, issuer, pairs); last.After(stopped) {
		t.Errorf("thisUpdate is %v, after the last word of the authority, %v", last, stopped)
	}
	if code := h.status.stop(t); code != 0 {
		t.Fatalf("the status node ended with %d", code)
	}
	h.startStatus(t)
	kept := h.asOf(t)
	if kept.After(stopped) || kept.Before(stopped.Add(-heartbeat)) {
		t.Errorf("from its own copy the node knows the time until %v, before the restart until %v", kept, stopped)
	}
	if last := h.withoutAuthority(t, issuer, pairs); !last.Equal(kept) {
		t.Errorf("thisUpdate is %v, want %v: nobody spoke to the authority since", last, kept)
	}
	after, _ := h.listed(t, issuer)
	if after == nil || after.Cmp(number) != 0 {
		t.Errorf("the list has the number %v, before the restart %v", after, number)
	}
	h.status.kill()
	h.startStatus(t)
	if last := h.withoutAuthority(t, issuer, pairs); !last.Equal(kept) {
		t.Errorf("after kill -9 thisUpdate is %v, want %v", last, kept)
	}

	h.startAuthority(t)
	until(t, 30*time.Second, "the node follows the authority again", func() bool { return h.asOf(t).After(stopped) })
	h.loses(t, issuer, pairs[0])
	a, err := h.ocsp(t, issuer, pairs[0].Certificates[0].Serial)
	if err != nil || !a.ThisUpdate.After(stopped) {
		t.Errorf("with the authority back, thisUpdate is %v (%v)", a.ThisUpdate, err)
	}
	h.verifyJournal(t)
}

// heartbeat is how often, at least, a node stores that nothing changed.
const heartbeat = time.Minute

// asOf asks the node until when it knows everything.
func (h *house) asOf(t *testing.T) time.Time {
	t.Helper()
	_, body := get(t, "http://"+h.addresses.statusManagement+"/v1/position")
	var position struct {
		AsOf time.Time `json:"as_of"`
	}
	unmarshal(t, string(body), &position)
	return position.AsOf
}

// withoutAuthority checks that every card has its verdict, and returns the
// latest thisUpdate of the answers.
func (h *house) withoutAuthority(t *testing.T, issuer *x509.Certificate, pairs []client.Answer) time.Time {
	t.Helper()
	var last time.Time
	for n, verdict := range []string{"good", "revoked", "held"} {
		for _, one := range pairs[n].Certificates {
			if !h.says(t, issuer, one.Serial, verdict) {
				t.Errorf("without the authority, OCSP does not say that a card is %s", verdict)
			}
			a, err := h.ocsp(t, issuer, one.Serial)
			if err != nil {
				t.Fatal(err)
			}
			if last.Before(a.ThisUpdate) {
				last = a.ThisUpdate
			}
		}
	}
	return last
}

// seen waits until OCSP has a verdict for both certificates of a card.
func (h *house) seen(t *testing.T, issuer *x509.Certificate, pair client.Answer, verdict string, within time.Duration) time.Duration {
	t.Helper()
	return until(t, within, "OCSP says "+verdict, func() bool {
		return h.says(t, issuer, pair.Certificates[0].Serial, verdict) && h.says(t, issuer, pair.Certificates[1].Serial, verdict)
	})
}

// loses reports a card lost and takes the time until the world knows.
func (h *house) loses(t *testing.T, issuer *x509.Certificate, pair client.Answer) {
	t.Helper()
	before, listed := h.listed(t, issuer)
	for _, one := range pair.Certificates {
		if listed[one.Serial] {
			t.Fatal("a card that nobody lost is on the list")
		}
	}
	var receipt client.LossAnswer
	h.ask(t, &receipt, "loss", "report", string(pair.Card), "--circumstance", "lost")
	if receipt.Card.State != card.Revoked {
		t.Fatalf("the receipt says %s", receipt.Card.State)
	}
	inOCSP := h.seen(t, issuer, pair, "revoked", visibleOCSP)
	var number *big.Int
	inList := until(t, visibleList-inOCSP, "the list has both certificates", func() bool {
		number, listed = h.listed(t, issuer)
		return listed[pair.Certificates[0].Serial] && listed[pair.Certificates[1].Serial]
	})
	if number.Cmp(before) <= 0 {
		t.Errorf("the list's number went from %v to %v", before, number)
	}
	t.Logf("after the receipt: OCSP %v, list %v", inOCSP.Round(time.Millisecond), (inOCSP + inList).Round(time.Millisecond))
}
