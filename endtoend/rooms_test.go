package endtoend_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/crl"
	"cpsca/hsm"
	"cpsca/lifecycle"
	"cpsca/profiles"
	"cpsca/registry"
	"cpsca/store"
	"cpsca/testpki"
)

const (
	roomsBureau = "bureau-a"
	nurse       = registry.ProfessionCode(60)
)

// roomsStart is when the houses that live in the test process begin.
var roomsStart = time.Date(2026, time.March, 2, 9, 30, 15, 0, time.UTC)

var roomsHierarchy = sync.OnceValues(func() (*testpki.Hierarchy, error) {
	return testpki.NewHierarchy(testpki.Options{Root: hsm.P256, Issuing: hsm.P256, Keys: keptKey, Now: func() time.Time { return roomsStart }})
})

// keptKey makes a key once and keeps it in the workshop, for children.
func keptKey(label string, algorithm hsm.Algorithm) (crypto.Signer, error) {
	path := filepath.Join(workshop, label+".key")
	der, err := os.ReadFile(path)
	if err == nil {
		key, err := x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			return nil, err
		}
		return key.(crypto.Signer), nil
	}
	key, err := testpki.GenerateKey(algorithm)
	if err != nil {
		return nil, err
	}
	der, err = x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, os.WriteFile(path, der, 0o600)
}

// pen is a key in software that notes what it signs before it does, and in a
// child tells its parent first.
type pen struct {
	crypto.Signer
	tell   func(digest string) // may be nil
	mu     sync.Mutex
	signed map[string]int // guarded by mu
}

func (p *pen) Sign(random io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	p.mu.Lock()
	p.signed[hex.EncodeToString(digest)]++
	if p.tell != nil {
		p.tell(hex.EncodeToString(digest))
	}
	p.mu.Unlock()
	return p.Signer.Sign(random, digest, o)
}

func (p *pen) SignContext(_ context.Context, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	return p.Sign(rand.Reader, digest, o)
}

// rooms is an authority in the test process, where its disk may fail and its
// clock may jump: the same rooms as the program's, a key in software.
type rooms struct {
	*account
	pen       *pen
	now       func() time.Time
	folder    string // of ledger.db and lists
	db        *store.DB
	authority *ca.Authority
	publisher *crl.Publisher
	desk      *lifecycle.Desk
}

// found makes an empty ledger, and a folder of lists, in a folder.
func foundRooms(t *testing.T, folder string) {
	t.Helper()
	h, err := roomsHierarchy()
	if err != nil {
		t.Fatal(err)
	}
	err = store.Create(t.Context(), filepath.Join(folder, "ledger.db"))
	if err == nil {
		err = os.Mkdir(filepath.Join(folder, "lists"), 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := newRooms(t, folder)
	err = r.open(t.Context(), nil)
	if err == nil {
		err = r.db.AddIssuer(t.Context(), "founder", store.Issuer{KeyID: r.issuerID, Name: "cards", Role: "cards", Certificate: h.Issuing.Certificate.Raw, Since: roomsStart})
	}
	if err == nil {
		err = r.db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func newRooms(t *testing.T, folder string) *rooms {
	t.Helper()
	h, err := roomsHierarchy()
	if err != nil {
		t.Fatal(err)
	}
	r := roomsOf(h, folder)
	r.account = newAccount(t, h.Issuing.Certificate, nil)
	return r
}

// roomsOf is newRooms without an account of what the world knows, for a child.
func roomsOf(h *testpki.Hierarchy, folder string) *rooms {
	id, _ := profiles.SubjectKeyID(h.Issuing.Certificate.RawSubjectPublicKeyInfo) // fails in open, with words
	return &rooms{
		account: &account{issuerID: id}, folder: folder, now: func() time.Time { return roomsStart },
		pen: &pen{Signer: h.Issuing.Signer, signed: make(map[string]int)},
	}
}

// open puts the rooms together as the program does.
func (r *rooms) open(ctx context.Context, fatal func(error)) error {
	h, err := roomsHierarchy()
	if err != nil {
		return err
	}
	r.db, err = store.Open(ctx, store.Config{Path: filepath.Join(r.folder, "ledger.db"), Now: r.now, Fatal: fatal, Space: store.Space{Reserve: 4 << 10}})
	if err != nil {
		return err
	}
	_, err = r.db.AbandonEarlier(ctx)
	if err != nil {
		return err
	}
	issuer, err := ca.NewIssuer(h.Issuing.Certificate, r.pen)
	if err != nil {
		return err
	}
	var compiled []*profiles.Profile
	for _, name := range []profiles.Name{profiles.CPSAuthentication, profiles.CPSSignature} {
		p, err := profiles.Compile(name, h.Issuing.Issuer, h.Issuing.Settings)
		if err != nil {
			return err
		}
		compiled = append(compiled, p)
	}
	r.authority, err = ca.New(ca.Config{
		Directory: r.db, Ledger: r.db, Cards: issuer, Profiles: compiled, Gate: card.GateHold, Instance: 0x10,
		Keys: ca.KeyRules{Curves: []string{"P-256"}}, Now: r.now,
	})
	if err != nil {
		return err
	}
	lists, err := crl.NewIssuer(h.Issuing.Certificate, r.pen)
	if err != nil {
		return err
	}
	lists.File = "cards.crl"
	r.publisher, err = crl.NewPublisher(crl.Config{
		Folder: filepath.Join(r.folder, "lists"), Source: r.db, Numbers: r.db, Policy: crl.Policy{ListWaiting: true}, Now: r.now,
	}, lists)
	r.desk = lifecycle.New(lifecycle.Config{Register: r.db, Book: r.db, Bureau: roomsBureau, Now: r.now})
	return err
}

// close closes what open opened, whatever its disk says.
func (r *rooms) close() {
	if r.db != nil {
		_ = r.db.Close()
		r.db = nil
	}
}

// applications brings people into the register and orders a card for each.
func (r *rooms) applications(t *testing.T, seed uint64, n int) []card.Application {
	t.Helper()
	i, err := r.db.BeginImport(t.Context(), "desk", "persons", "test")
	if err != nil {
		t.Fatal(err)
	}
	numbers := testpki.NewNumbers(seed)
	out := make([]card.Application, n)
	for k := range out {
		digits := fmt.Sprintf("997%07d", seed*1000+uint64(k))
		key, err := registry.LuhnKey(digits)
		if err != nil {
			t.Fatal(err)
		}
		id := registry.RPPS(digits + string(key)).NationalID()
		err = errors.Join(
			i.Persons(t.Context(), []registry.PersonRow{{ID: id, FamilyName: "ESSAI", GivenName: "Camille", Practice: registry.Practice{Profession: nurse, Category: registry.CategoryCivil}}}),
			i.Contacts(t.Context(), []registry.Contact{{ID: id, Recipient: "CAMILLE ESSAI", Street: "1 RUE DE L ESSAI", PostalCode: "75001", City: "PARIS"}}),
		)
		if err != nil {
			t.Fatal(err)
		}
		o, err := r.desk.Order(t.Context(), "desk", lifecycle.OrderRequest{Holder: id})
		if err != nil {
			t.Fatal(err)
		}
		chip := newCard(t, numbers)
		out[k], err = chip.Application(o.ID, o.Challenges)
		if err != nil {
			t.Fatal(err)
		}
		one := asked{number: chip.Number(), holder: id, keys: make(map[card.Use][]byte)}
		for _, use := range card.Uses {
			one.keys[use], err = chip.SPKI(use)
			if err != nil {
				t.Fatal(err)
			}
		}
		r.asked[o.ID] = one
	}
	return out
}

// issue sends applications as a bureau does.
func (r *rooms) issue(ctx context.Context, applications []card.Application) ([]ca.Answer, error) {
	return r.authority.Issue(ctx, "workshop", roomsBureau, applications)
}

// hear remembers certificates, and says what is wrong with them.
func (r *rooms) hear(answers []ca.Answer) []string {
	var faults []string
	for _, a := range answers {
		if a.Err != nil {
			continue
		}
		told := make(pair)
		for _, one := range a.Certificates {
			told[one.Use] = one.DER
		}
		faults = append(faults, r.hears(a.Order, told)...)
	}
	return faults
}

// witnessed is what was signed until now.
func (r *rooms) witnessed() map[string]int {
	r.pen.mu.Lock()
	defer r.pen.mu.Unlock()
	out := make(map[string]int, len(r.pen.signed))
	for octets, times := range r.pen.signed {
		out[octets] = times
	}
	return out
}
