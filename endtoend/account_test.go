package endtoend_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"testing"

	"cpsca/audit"
	"cpsca/card"
	"cpsca/client"
	"cpsca/profiles"
	"cpsca/registry"
)

// account is what the world outside a ledger knows of it: what was asked for,
// what was answered, what the token was asked to sign. The ledger is held against
// it after every mishap. One goroutine at a time may use it.
type account struct {
	issuing  *x509.Certificate
	issuerID card.KeyID
	asked    map[card.OrderID]asked
	told     map[card.OrderID]pair
	lost     map[card.Number]bool // reported lost, with a receipt
	lists    map[string]bool      // what was signed of the lists that were seen
	number   int64                // of the newest list that was seen or acknowledged
	head     audit.Head           // where the journal stood when it was last read at rest
	before   map[string]int       // signed before the account was opened
	sure     map[card.Serial][sha256.Size]byte
	unseen   int // most signatures at a time that can only be those of lists that nobody saw
}

// asked is what a bureau asked for: this card, with these keys, for this holder.
type asked struct {
	number card.Number
	holder registry.NationalID
	keys   map[card.Use][]byte // SubjectPublicKeyInfo
}

// pair is the certificates of a card, in DER.
type pair map[card.Use][]byte

func newAccount(t *testing.T, issuer *x509.Certificate, signed map[string]int) *account {
	t.Helper()
	id, err := profiles.SubjectKeyID(issuer.RawSubjectPublicKeyInfo)
	if err != nil {
		t.Fatal(err)
	}
	return &account{
		issuing: issuer, issuerID: id, before: signed, asked: make(map[card.OrderID]asked), told: make(map[card.OrderID]pair),
		lost: make(map[card.Number]bool), lists: make(map[string]bool), sure: make(map[card.Serial][sha256.Size]byte),
	}
}

// asks remembers an application that is about to be sent.
func (a *account) asks(t *testing.T, application client.Application, holder registry.NationalID) {
	t.Helper()
	one := asked{number: application.Card, holder: holder, keys: make(map[card.Use][]byte)}
	for use, request := range map[card.Use]client.Request{card.Authentication: application.Authentication, card.Signature: application.Signature} {
		der, err := base64.StdEncoding.DecodeString(request.CSR)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := x509.ParseCertificateRequest(der)
		if err != nil {
			t.Fatal(err)
		}
		one.keys[use] = parsed.RawSubjectPublicKeyInfo
	}
	a.asked[application.Order] = one
}

// hears remembers the certificates of an answer; whoever was told before must be
// told the same.
func (a *account) hears(order card.OrderID, told pair) []string {
	before, again := a.told[order]
	if !again {
		a.told[order] = told
		return nil
	}
	for _, use := range card.Uses {
		if !bytes.Equal(before[use], told[use]) {
			return []string{fmt.Sprintf("order %s has another certificate of %s than was told before", order, use)}
		}
	}
	return nil
}

// moment is where a ledger is judged, and what the witness and the folder of lists
// say beside it.
type moment struct {
	ledger  string         // path
	signed  map[string]int // by the token, how often
	folder  string         // where the list cards.crl is, if it is
	serving bool           // a process runs that has settled what the one before it left
	idle    bool           // nothing was sent since the last list: it must say what the ledger says
	whole   bool           // every order, and the whole journal
	orders  []card.OrderID // those that are looked at, unless all are
}
