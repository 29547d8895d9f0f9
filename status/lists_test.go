package status

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cpsca/crl"
)

func TestOnlyCheckedAndNewerListsReplaceTheServedOne(t *testing.T) {
	c := &clock{at: start}
	a := newAuthority(t, c.now)
	stranger := newAuthority(t, c.now)
	folder := t.TempDir()
	l, err := OpenLists(folder, []Issuer{{"issuer", a.certificate}}, c.now)
	if err != nil {
		t.Fatal(err)
	}
	second := a.list(2, start)
	err = l.Put("issuer", second)
	if err != nil {
		t.Fatal(err)
	}
	changed := a.list(3, start)
	changed[len(changed)-1] ^= 1
	for name, put := range map[string]struct {
		issuer string
		der    []byte
		want   error
	}{
		"an issuer that is not served":    {"other", a.list(3, start), ErrUnknownList},
		"garbage":                         {"issuer", []byte("list"), crl.ErrFormat},
		"a list of another issuer":        {"issuer", stranger.list(3, start), crl.ErrIssuer},
		"a changed list":                  {"issuer", changed, crl.ErrSignature},
		"a lower number":                  {"issuer", a.list(1, start), ErrListNumber},
		"another list of the same number": {"issuer", a.list(2, start.Add(time.Second)), ErrListNumber},
		"a greater number dated before":   {"issuer", a.list(3, start.Add(-time.Hour)), ErrListNumber},
		"a list that is out of date":      {"issuer", a.list(3, start.AddDate(0, 0, -7)), crl.ErrStale},
		"a list dated in the future":      {"issuer", a.list(3, start.Add(time.Hour)), crl.ErrNotYet},
	} {
		err = l.Put(put.issuer, put.der)
		if !errors.Is(err, put.want) {
			t.Errorf("%s: got %v, want %v", name, err, put.want)
		}
	}
	if got := l.positions()["issuer"]; got.Number != 2 {
		t.Fatalf("got list %d, want 2", got.Number)
	}
	err = l.Put("issuer", second)
	if err != nil {
		t.Errorf("the same list again: %v", err)
	}
	err = l.Put("issuer", a.list(4, start.Add(time.Minute)))
	if err != nil {
		t.Fatal(err)
	}
	names, err := os.ReadDir(folder)
	if err != nil || len(names) != 1 {
		t.Errorf("the folder holds %v, %v, want one file", names, err)
	}
}

func TestStoredListsAreCheckedAgainAtStart(t *testing.T) {
	c := &clock{at: start}
	a := newAuthority(t, c.now)
	folder := t.TempDir()
	path := filepath.Join(folder, "issuer.crl")
	issuers := []Issuer{{"issuer", a.certificate}}
	err := os.WriteFile(path, a.list(5, start), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for _, after := range []time.Duration{0, 30 * 24 * time.Hour} {
		c.advance(after)
		l, err := OpenLists(folder, issuers, c.now)
		if err != nil || l.positions()["issuer"].Number != 5 {
			t.Fatalf("after %s: %v", after, err)
		}
	}
	err = os.WriteFile(path, newAuthority(t, c.now).list(5, start), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = OpenLists(folder, issuers, c.now)
	if !errors.Is(err, crl.ErrIssuer) {
		t.Errorf("a foreign list: got %v", err)
	}
	_, err = OpenLists(folder, []Issuer{{"..", &x509.Certificate{}}}, c.now)
	if err == nil {
		t.Error("a name that leaves the folder was accepted")
	}
}

func TestAListThatCannotBeStoredIsNotServed(t *testing.T) {
	c := &clock{at: start}
	a := newAuthority(t, c.now)
	folder := t.TempDir()
	l, err := OpenLists(folder, []Issuer{{"issuer", a.certificate}}, c.now)
	if err != nil {
		t.Fatal(err)
	}
	err = os.RemoveAll(folder)
	if err != nil {
		t.Fatal(err)
	}
	err = l.Put("issuer", a.list(1, start))
	if err == nil || len(l.positions()) != 0 {
		t.Fatalf("got %v and %v", err, l.positions())
	}
}
