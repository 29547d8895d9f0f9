package crl

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cpsca/card"
)

// world is a publisher with its ledger, its folder and its clock.
type world struct {
	t      *testing.T
	issuer *Issuer
	ledger *ledger
	now    time.Time
	sign   func(digest []byte, opts crypto.SignerOpts) ([]byte, error) // nil: as usual
	cfg    Config
	*Publisher
}

func newWorld(t *testing.T, policy Policy) *world {
	t.Helper()
	w := &world{t: t, ledger: &ledger{}, now: noon}
	w.issuer = testIssuer(t, p256Key())
	w.issuer.Signer = signerFunc{p256Key(), func(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
		if w.sign != nil {
			return w.sign(digest, opts)
		}
		return p256Key().Sign(rand.Reader, digest, opts)
	}}
	w.cfg = Config{Folder: t.TempDir(), Source: w.ledger, Numbers: w.ledger, Policy: policy, Now: func() time.Time { return w.now }}
	w.restart()
	return w
}

// restart forgets what the process knew.
func (w *world) restart() {
	w.t.Helper()
	p, err := NewPublisher(w.cfg, w.issuer)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Publisher = p
}

func (w *world) path() string { return filepath.Join(w.cfg.Folder, w.issuer.File) }

// publish expects a list and returns it as it lies in the folder.
func (w *world) publish(kind Kind) *List {
	w.t.Helper()
	done, err := w.Publish(context.Background(), w.issuer.KeyID, kind)
	if err != nil {
		w.t.Fatal(err)
	}
	der := must(os.ReadFile(w.path()))
	list := must(Parse(der))
	err = Check(list, w.issuer.Certificate, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	if done.Number != list.Number || done.SHA256 != sha256.Sum256(der) || done.Entries != list.Count || done.Size != len(der) ||
		!done.ThisUpdate.Equal(list.ThisUpdate) || done.Sequence != w.ledger.sequence || done.Path != w.path() {
		w.t.Fatalf("the answer %+v does not describe the list", done)
	}
	return list
}

// refuse expects an error, and the folder as it was.
func (w *world) refuse(want error) {
	w.t.Helper()
	before, _ := os.ReadFile(w.path())
	recorded := len(w.ledger.recorded)
	done, err := w.Publish(context.Background(), w.issuer.KeyID, Regular)
	if !errors.Is(err, want) || done != (Published{}) {
		w.t.Fatalf("got %+v, %v, want %v", done, err, want)
	}
	after, _ := os.ReadFile(w.path())
	if string(before) != string(after) || len(w.ledger.recorded) != recorded {
		w.t.Fatal("a refused list changed what is published")
	}
	if left, _ := filepath.Glob(filepath.Join(w.cfg.Folder, "*.new")); left != nil {
		w.t.Fatalf("left behind: %v", left)
	}
}

func serials(l *List) map[card.Serial]card.Reason {
	m := map[card.Serial]card.Reason{}
	for e := range l.Entries() {
		m[e.Serial] = e.Reason
	}
	return m
}

func (w *world) expect(l *List, want ...int) {
	w.t.Helper()
	got := serials(l)
	for _, n := range want {
		_, ok := got[serialOf(n)]
		if !ok {
			w.t.Fatalf("serial %d is not on list %d", n, l.Number)
		}
	}
	if len(got) != len(want) {
		w.t.Fatalf("list %d has %d entries, want %d", l.Number, len(got), len(want))
	}
}

func TestPublishedListTellsTheRevocationsInOrder(t *testing.T) {
	w := newWorld(t, Policy{})
	w.now = noon.Add(300 * time.Millisecond)
	late, early := revoked(w.issuer, 1), revoked(w.issuer, 2)
	early.Since = early.Since.Add(-time.Minute)
	w.ledger.add(late, revoked(w.issuer, 3), early)
	list := w.publish(Regular)
	var order []card.Serial
	for e := range list.Entries() {
		order = append(order, e.Serial)
	}
	if len(order) != 3 || order[0] != serialOf(2) || order[1] != serialOf(1) || order[2] != serialOf(3) {
		t.Fatalf("got order %v", order)
	}
	if !list.ThisUpdate.Equal(noon) || list.NextUpdate.Sub(list.ThisUpdate) != DefaultLifetime {
		t.Fatalf("got dates %s to %s", list.ThisUpdate, list.NextUpdate)
	}
	if w.publish(Regular).Number <= list.Number {
		t.Fatal("the number did not grow")
	}
}

func TestHoldsFollowPolicyAndRelease(t *testing.T) {
	held := func(w *world, n int, cause card.Cause) card.Revocation {
		r := revoked(w.issuer, n)
		r.Status, r.Reason, r.Cause = card.StatusHeld, card.CertificateHold, cause
		return r
	}
	w := newWorld(t, Policy{})
	w.ledger.add(held(w, 0, card.CauseGate), held(w, 1, card.CauseCard), held(w, 2, card.CauseCard))
	list := w.publish(Regular)
	w.expect(list, 1, 2)
	if serials(list)[serialOf(1)] != card.CertificateHold {
		t.Fatal("the hold does not say certificateHold")
	}
	w.ledger.change(1, func(r *card.Revocation) { r.Status = card.StatusGood })
	w.ledger.change(2, func(r *card.Revocation) { r.Status = card.StatusRevoked })
	w.ledger.change(0, func(r *card.Revocation) { r.Status = card.StatusRevoked })
	list = w.publish(Emergency)
	w.expect(list, 0, 2)
	if serials(list)[serialOf(2)] != card.Unspecified {
		t.Fatal("the revocation still says certificateHold")
	}

	w = newWorld(t, Policy{ListWaiting: true})
	w.ledger.add(held(w, 0, card.CauseGate))
	w.expect(w.publish(Regular), 0)
	w.cfg.Policy.ListWaiting = false
	w.restart()
	w.expect(w.publish(Regular))
}

func TestRevokedWaitingCardThatExpiredSinceTheLastListIsListed(t *testing.T) {
	w := newWorld(t, Policy{})
	r := revoked(w.issuer, 1)
	r.Status, r.Cause, r.NotAfter = card.StatusHeld, card.CauseGate, noon.Add(time.Hour)
	w.ledger.add(r)
	w.expect(w.publish(Regular))
	w.ledger.change(0, func(r *card.Revocation) { r.Status = card.StatusRevoked }) // keeps the date of the hold
	w.now = noon.Add(2 * time.Hour)
	w.expect(w.publish(Emergency), 1)
}

func TestExpiredEntryLeavesOnlyAfterARegularList(t *testing.T) {
	w := newWorld(t, Policy{})
	short, long := revoked(w.issuer, 1), revoked(w.issuer, 2)
	short.NotAfter = noon.Add(time.Hour)
	w.ledger.add(short, long)
	w.expect(w.publish(Regular), 1, 2)
	w.now = noon.Add(time.Hour)
	w.expect(w.publish(Regular), 1, 2) // notAfter is inclusive
	w.now = w.now.Add(time.Second)
	w.expect(w.publish(Emergency), 1, 2)
	w.expect(w.publish(Emergency), 1, 2) // emergency lists do not count
	w.expect(w.publish(Regular), 1, 2)   // the regular list after the expiry
	w.restart()
	w.expect(w.publish(Emergency), 1, 2) // whether the last one was regular is not known any more
	w.expect(w.publish(Regular), 1, 2)
	w.expect(w.publish(Emergency), 2)
	w.expect(w.publish(Regular), 2)
	w.restart()
	w.expect(w.publish(Regular), 2) // what left does not come back
	late := revoked(w.issuer, 3)
	late.NotAfter, late.Since = noon, w.now.Add(time.Second)
	w.ledger.add(late)
	w.now = w.now.Add(time.Minute)
	w.expect(w.publish(Emergency), 2, 3) // revoked after its expiry: listed once
	w.expect(w.publish(Regular), 2, 3)
	w.expect(w.publish(Regular), 2)
}

func TestPublishRefuses(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		spoil func(w *world)
		want  error
	}{
		"a source that fails":                  {func(w *world) { w.ledger.failSource = broken }, broken},
		"a ledger that reserves nothing":       {func(w *world) { w.ledger.failReserve = broken }, broken},
		"a number that was used":               {func(w *world) { w.ledger.number-- }, ErrNumber},
		"the number zero":                      {func(w *world) { w.ledger.number = -1 }, ErrNumber},
		"a clock that went back":               {func(w *world) { w.now = noon.Add(-time.Second) }, ErrBehind},
		"a source that went back":              {func(w *world) { w.ledger.sequence-- }, ErrBehind},
		"a revocation that vanished":           {func(w *world) { w.ledger.revocations = w.ledger.revocations[1:] }, ErrMissing},
		"a revocation that turned good":        {func(w *world) { w.ledger.change(0, func(r *card.Revocation) { r.Status = card.StatusGood }) }, ErrMissing},
		"a revocation that became a hold":      {func(w *world) { w.ledger.change(0, func(r *card.Revocation) { r.Status = card.StatusHeld }) }, ErrRevived},
		"a hold that vanished":                 {func(w *world) { w.ledger.revocations = w.ledger.revocations[:1] }, ErrMissing},
		"a revocation of another issuer":       {func(w *world) { w.ledger.change(0, func(r *card.Revocation) { r.Issuer[0] ^= 1 }) }, ErrEntry},
		"a status that it does not know":       {func(w *world) { w.ledger.change(0, func(r *card.Revocation) { r.Status = "lost" }) }, ErrEntry},
		"a serial twice":                       {func(w *world) { w.ledger.add(w.ledger.revocations[0]) }, ErrDuplicate},
		"a key that fails":                     {func(w *world) { w.sign = func([]byte, crypto.SignerOpts) ([]byte, error) { return nil, broken } }, broken},
		"a signature that does not verify":     {func(w *world) { w.sign = func([]byte, crypto.SignerOpts) ([]byte, error) { return []byte{1}, nil } }, ErrSignature},
		"a file that cannot be written":        {func(w *world) { must(0, os.MkdirAll(w.path()+".new/x", 0o755)) }, ErrWrite},
		"a folder that went away meanwhile":    {func(w *world) { w.sign = goneMeanwhile(w) }, ErrWrite},
		"a place that became a folder instead": {func(w *world) { w.sign = blockedMeanwhile(w) }, ErrWrite},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Policy{})
			hold := revoked(w.issuer, 2)
			hold.Status = card.StatusHeld
			w.ledger.add(revoked(w.issuer, 1), hold)
			w.publish(Regular)
			c.spoil(w)
			if c.want == ErrWrite {
				_, err := w.Publish(context.Background(), w.issuer.KeyID, Regular)
				if !errors.Is(err, ErrWrite) {
					t.Fatalf("got %v, want %v", err, ErrWrite)
				}
				return
			}
			w.refuse(c.want)
		})
	}
}

// goneMeanwhile signs while the folder is moved away.
func goneMeanwhile(w *world) func([]byte, crypto.SignerOpts) ([]byte, error) {
	return func(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
		must(0, os.RemoveAll(w.cfg.Folder))
		return p256Key().Sign(rand.Reader, digest, opts)
	}
}

// blockedMeanwhile signs while a folder takes the place of the list, so that
// the rename fails.
func blockedMeanwhile(w *world) func([]byte, crypto.SignerOpts) ([]byte, error) {
	return func(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
		must(0, os.Remove(w.path()))
		must(0, os.MkdirAll(filepath.Join(w.path(), "x"), 0o755))
		return p256Key().Sign(rand.Reader, digest, opts)
	}
}

func TestFailedRenameLeavesNoTemporaryFile(t *testing.T) {
	w := newWorld(t, Policy{})
	w.publish(Regular)
	w.sign = blockedMeanwhile(w)
	_, err := w.Publish(context.Background(), w.issuer.KeyID, Regular)
	if !errors.Is(err, ErrWrite) {
		t.Fatalf("got %v, want %v", err, ErrWrite)
	}
	left, _ := filepath.Glob(filepath.Join(w.cfg.Folder, "*.new"))
	if left != nil {
		t.Fatalf("left behind: %v", left)
	}
	w.sign = nil
	must(0, os.RemoveAll(w.path()))
	w.publish(Regular)
}

func TestUnreliablePublishedListIsRefusedAfterARestart(t *testing.T) {
	_, foreign := listOf(t, Policy{}, 1)
	otherIssuer := testIssuer(t, p384Key())
	other := must(Build(otherIssuer, contentAt(1, noon), nil))
	flipped := append([]byte(nil), foreign...)
	flipped[len(flipped)-1] ^= 1
	for name, content := range map[string][]byte{
		"cut": foreign[:100], "empty": {}, "of another issuer": other, "with a broken signature": flipped,
	} {
		w := newWorld(t, Policy{})
		w.publish(Regular)
		must(0, os.WriteFile(w.path(), content, 0o644))
		w.restart()
		t.Run(name, func(t *testing.T) { w.refuse(ErrPrevious) })
	}
}

func TestPublishedListIsComparedAfterARestart(t *testing.T) {
	w := newWorld(t, Policy{})
	w.ledger.add(revoked(w.issuer, 1), revoked(w.issuer, 2))
	w.publish(Regular)
	w.ledger.revocations = w.ledger.revocations[1:]
	w.restart()
	w.refuse(ErrMissing)
}

func TestDamagedFileIsReplacedByTheNextList(t *testing.T) {
	w := newWorld(t, Policy{})
	w.publish(Regular)
	must(0, os.WriteFile(w.path(), []byte("junk"), 0o644))
	w.publish(Regular)
}

func TestListThatWasNotRecordedIsInPlaceAndSaidSo(t *testing.T) {
	w := newWorld(t, Policy{})
	w.ledger.failRecord = errors.New("the ledger is away")
	done, err := w.Publish(context.Background(), w.issuer.KeyID, Regular)
	if !errors.Is(err, ErrRecord) || !errors.Is(err, w.ledger.failRecord) {
		t.Fatalf("got %v, want %v", err, ErrRecord)
	}
	list := must(Parse(must(os.ReadFile(w.path()))))
	if done.Number != 1 || list.Number != 1 {
		t.Fatalf("got %+v and list %d in place", done, list.Number)
	}
	w.ledger.failRecord = nil
	if w.publish(Regular).Number != 2 {
		t.Fatal("the next list has not the next number")
	}
}

func TestReadBackRefusesAnotherList(t *testing.T) {
	issuer, der := listOf(t, Policy{}, 2)
	entries := entriesOf(t, Policy{}, revoked(issuer, 0), revoked(issuer, 1))
	content := contentAt(7, noon)
	_, err := readBack(issuer, content, entries, der)
	if err != nil {
		t.Fatal(err)
	}
	renamed, rekeyed := *issuer, *issuer
	renamed.Name, rekeyed.KeyID = element(tagSequence), card.KeyID{1}
	changed := append([]Entry(nil), entries...)
	changed[1].Date = noon
	flipped := append([]byte(nil), der...)
	flipped[len(flipped)-1] ^= 1
	for name, c := range map[string]struct {
		content Content
		entries []Entry
		der     []byte
	}{
		"one entry less":         {content, entries[:1], der},
		"another entry":          {content, changed, der},
		"another number":         {contentAt(8, noon), entries, der},
		"another thisUpdate":     {Content{7, noon.Add(time.Second), content.NextUpdate}, entries, der},
		"another nextUpdate":     {Content{7, noon, noon.Add(time.Hour)}, entries, der},
		"a broken signature":     {content, entries, flipped},
		"bytes that are no list": {content, entries, der[:50]},
		"another issuer name":    {content, entries, must(Build(&renamed, content, entries))},
		"another key identifier": {content, entries, must(Build(&rekeyed, content, entries))},
	} {
		_, err := readBack(issuer, c.content, c.entries, c.der)
		if !errors.Is(err, ErrReadBack) {
			t.Errorf("%s: got %v, want %v", name, err, ErrReadBack)
		}
	}
}

func TestNewPublisherRefuses(t *testing.T) {
	issuer := testIssuer(t, p256Key())
	other := testIssuer(t, p384Key())
	file := filepath.Join(t.TempDir(), "file")
	must(0, os.WriteFile(file, nil, 0o644))
	named := func(name string) []*Issuer {
		i := *issuer
		i.File = name
		return []*Issuer{&i}
	}
	other.File = issuer.File
	for name, c := range map[string]struct {
		change  func(*Config)
		issuers []*Issuer
	}{
		"a file instead of a folder":         {func(c *Config) { c.Folder = file }, nil},
		"a folder that does not exist":       {func(c *Config) { c.Folder = file + "/x" }, nil},
		"no source":                          {func(c *Config) { c.Source = nil }, nil},
		"no ledger":                          {func(c *Config) { c.Numbers = nil }, nil},
		"a lifetime of two years":            {func(c *Config) { c.Policy.Lifetime = 2 * maximumLifetime }, nil},
		"a lifetime of a second":             {func(c *Config) { c.Policy.Lifetime = time.Second }, nil},
		"a negative lifetime":                {func(c *Config) { c.Policy.Lifetime = -time.Hour }, nil},
		"a lifetime with a fraction":         {func(c *Config) { c.Policy.Lifetime = time.Hour + 1 }, nil},
		"reasons that do not exist":          {func(c *Config) { c.Policy.Reasons = 2 }, nil},
		"a period over half the lifetime":    {func(c *Config) { c.Period = 73 * time.Hour }, nil},
		"a period of a second":               {func(c *Config) { c.Period = time.Second }, nil},
		"a delay of a minute":                {func(c *Config) { c.Delay = time.Minute }, nil},
		"a negative delay":                   {func(c *Config) { c.Delay = -1 }, nil},
		"a retry of an hour":                 {func(c *Config) { c.Retry = time.Hour }, nil},
		"a file name that leaves its folder": {nil, named("../x.crl")},
		"a file name with a folder":          {nil, named("a/x.crl")},
		"an empty file name":                 {nil, named("")},
		"an issuer twice":                    {nil, []*Issuer{issuer, named("x.crl")[0]}},
		"a file twice":                       {nil, []*Issuer{issuer, other}},
	} {
		cfg := Config{Folder: t.TempDir(), Source: &ledger{}, Numbers: &ledger{}}
		if c.change != nil {
			c.change(&cfg)
		}
		_, err := NewPublisher(cfg, c.issuers...)
		if !errors.Is(err, ErrConfig) {
			t.Errorf("%s: got %v, want %v", name, err, ErrConfig)
		}
	}
	w := newWorld(t, Policy{})
	_, err := w.Publish(context.Background(), card.KeyID{}, Regular)
	if !errors.Is(err, ErrUnknownIssuer) {
		t.Errorf("got %v, want %v", err, ErrUnknownIssuer)
	}
}

func TestPublishWaitsForItsTurnNoLongerThanItsContext(t *testing.T) {
	w := newWorld(t, Policy{})
	w.lines[0].turn <- struct{}{}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := w.Publish(ctx, w.issuer.KeyID, Regular)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want %v", err, context.Canceled)
	}
}

func TestListInPlaceIsRecordedThoughTheCallerGaveUp(t *testing.T) {
	w := newWorld(t, Policy{})
	ctx, cancel := context.WithCancel(context.Background())
	w.sign = func(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
		cancel()
		return p256Key().Sign(rand.Reader, digest, opts)
	}
	_, err := w.Publish(ctx, w.issuer.KeyID, Regular)
	if err != nil || len(w.ledger.recorded) != 1 {
		t.Fatalf("got %v, recorded %v", err, w.ledger.recorded)
	}
}
