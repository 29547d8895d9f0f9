package status

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"cpsca/card"
	"cpsca/feed"
	"cpsca/ocsp"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// authority is everything that stands behind a status node: an issuer, the
// feed that it writes, its lists and its responder certificates.
type authority struct {
	t           testing.TB
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	id          card.KeyID
	feedKey     *ecdsa.PrivateKey

	mu       sync.Mutex // guards all below
	now      func() time.Time
	records  []feed.Record
	head     feed.Head
	page     int
	down     error
	lists    map[string][]byte
	life     time.Duration // of responder certificates
	requests int           // for certificates
}

func newAuthority(t testing.TB, now func() time.Time) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t), feedKey: newKey(t), now: now, page: 1000, lists: map[string][]byte{}, life: 7 * 24 * time.Hour}
	point, err := a.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	a.id = sha1.Sum(point)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Issuer"}, IsCA: true, BasicConstraintsValid: true, SubjectKeyId: a.id[:],
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotBefore: now().AddDate(-1, 0, 0), NotAfter: now().AddDate(9, 0, 0),
	}
	a.certificate = a.certify(template, template, a.key.Public())
	a.change()
	return a
}

func (a *authority) certify(template, parent *x509.Certificate, public crypto.PublicKey) *x509.Certificate {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return certificate
}

func serial(n byte) card.Serial { return card.Serial{0: 0x10, 15: n} }

func (a *authority) record(n byte, status card.Status) feed.Record {
	at := a.now().UTC().Truncate(time.Second)
	r := feed.Record{Issuer: a.id, Serial: serial(n), NotAfter: at.AddDate(3, 0, 0), Status: status, At: at}
	if status == card.StatusHeld {
		r.Reason = card.CertificateHold
	}
	return r
}

// change appends records to the feed and signs its head as of now.
func (a *authority) change(records ...feed.Record) {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	hash := a.head.Hash
	for _, r := range records {
		r.Sequence = uint64(len(a.records) + 1)
		hash = r.Hash(hash)
		a.records = append(a.records, r)
	}
	head, err := feed.Sign(a.feedKey, uint64(len(a.records)), hash, a.now())
	if err != nil {
		a.t.Fatal(err)
	}
	a.head = head
}

// Records makes an authority a Source.
func (a *authority) Records(_ context.Context, after uint64) ([]feed.Record, feed.Head, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down != nil {
		return nil, feed.Head{}, a.down
	}
	records := a.records[min(after, uint64(len(a.records))):]
	return records[:min(a.page, len(records))], a.head, nil
}

func (a *authority) Lists(context.Context) (map[string][]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lists, a.down
}

func (a *authority) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = err
}

// publish puts a list under the name.
func (a *authority) publish(name string, der []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lists = map[string][]byte{name: der}
}

// list makes a revocation list without entries.
func (a *authority) list(number int64, at time.Time) []byte {
	a.t.Helper()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(number), ThisUpdate: at, NextUpdate: at.Add(6 * 24 * time.Hour),
	}, a.certificate, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

// Certify makes an authority a Certifier.
func (a *authority) Certify(_ context.Context, issuer card.KeyID, request []byte) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down != nil {
		return nil, a.down
	}
	parsed, err := x509.ParseCertificateRequest(request)
	if err != nil {
		return nil, err
	}
	err = parsed.CheckSignature()
	if err != nil {
		return nil, err
	}
	if issuer != a.id {
		return nil, card.ErrNotFound
	}
	a.requests++
	nocheck := pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: []byte{5, 0}}
	return a.certify(&x509.Certificate{
		SerialNumber: big.NewInt(int64(100 + a.requests)), Subject: pkix.Name{CommonName: "Responder"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, NotBefore: a.now(), NotAfter: a.now().Add(a.life),
		ExtraExtensions: []pkix.Extension{nocheck},
	}, a.certificate, parsed.PublicKey).Raw, nil
}

// node is a whole status node in front of an authority.
type node struct {
	*authority
	image     *feed.Image
	responder *ocsp.Responder
	lists     *Lists
	follower  *Follower
	enrolment *Enrolment
	handler   *Handler
	log       *bytes.Buffer
	clock     *clock
}

// clock is a time that the test sets.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// newNode makes a node that has followed the feed once; serial 1 is good, 2
// held, 3 revoked, 4 intended.
func newNode(t testing.TB, at time.Time) *node {
	t.Helper()
	c := &clock{at: at}
	n := &node{authority: newAuthority(t, c.now), log: &bytes.Buffer{}, clock: c}
	n.change(n.record(1, card.StatusGood), n.record(2, card.StatusHeld), n.record(3, card.StatusRevoked), n.record(4, card.StatusIntended))
	n.publish("issuer", n.list(1, at))
	n.image = feed.NewImage(n.feedKey.Public())
	log := slog.New(slog.NewTextHandler(n.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	issuers := []Issuer{{Name: "issuer", Certificate: n.certificate}}
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	var err error
	n.responder, err = ocsp.New(ocsp.Config{Image: n.image, Issuers: []*x509.Certificate{n.certificate}, Now: c.now})
	must(err)
	n.authority.lists["other"] = []byte("not for this node")
	n.lists, err = OpenLists(t.TempDir(), issuers, c.now)
	must(err)
	n.follower, err = NewFollower(FollowerConfig{Source: n.authority, Image: n.image, Lists: n.lists, Log: log, Now: c.now})
	must(err)
	n.enrolment, err = NewEnrolment(EnrolmentConfig{
		Keys: []Key{{n.id, newKey(t)}}, Certifier: n.authority, Installer: n.responder, Folder: t.TempDir(), Log: log, Now: c.now,
	})
	must(err)
	n.handler, err = NewHandler(Config{Responder: n.responder, Image: n.image, Lists: n.lists, Issuers: issuers, Log: log, Now: c.now})
	must(err)
	n.follow(t)
	must(n.enrolment.renew(t.Context(), n.enrolment.cfg.Keys[0]))
	return n
}

// follow looks at the authority once, as Run does again and again.
func (n *node) follow(t testing.TB) {
	t.Helper()
	n.follower.setFeed(n.follower.followFeed(t.Context()))
	n.follower.setLists(n.follower.followLists(t.Context()))
}

func (n *node) request(t testing.TB, number byte) []byte {
	t.Helper()
	s := serial(number)
	der, err := xocsp.CreateRequest(&x509.Certificate{SerialNumber: new(big.Int).SetBytes(s[:])}, n.certificate, nil)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (n *node) serve(r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	n.handler.ServeHTTP(w, r)
	return w.Result()
}

// pass lets virtual time go by inside a synctest bubble until all is quiet.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
