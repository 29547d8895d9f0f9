package status

import (
	"context"
	"crypto/x509"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cpsca/card"
	"cpsca/ocsp"
)

func TestCertificatesAreGotAtOnceAndRenewedAtHalfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, time.Now())
		n.authority.now, n.follower.cfg.Now = time.Now, time.Now
		responder, err := ocsp.New(ocsp.Config{Image: n.image, Issuers: []*x509.Certificate{n.certificate}})
		if err != nil {
			t.Fatal(err)
		}
		e, err := NewEnrolment(EnrolmentConfig{Keys: n.enrolment.cfg.Keys, Certifier: n.authority, Installer: responder, Folder: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		synctest.Wait()
		first := responder.Delegate(n.id)
		if first == nil {
			t.Fatal("no certificate at once")
		}
		pass(n.life/2 - time.Minute)
		if responder.Delegate(n.id) != first {
			t.Error("renewed before half of its life was over")
		}
		pass(2 * time.Minute)
		second := responder.Delegate(n.id)
		if second == first || !second.NotBefore.Before(first.NotAfter) {
			t.Error("not renewed, or without overlap")
		}
		n.fail(errAway)
		pass(n.life - 24*time.Hour)
		health := Examine(n.follower, e)
		if responder.Delegate(n.id) != second || !strings.Contains(strings.Join(health.Alarms, "\n"), "ends in") {
			t.Errorf("without the authority: %v", health.Alarms)
		}
		n.fail(nil)
		pass(time.Minute)
		if responder.Delegate(n.id) == second {
			t.Error("not renewed when the authority came back")
		}
		cancel()
		<-done
	})
}

func TestStoredCertificatesServeAfterARestart(t *testing.T) {
	n := newNode(t, start)
	cfg := n.enrolment.cfg
	for name, c := range map[string]struct {
		after time.Duration
		key   bool
		want  bool
	}{
		"while they are valid":    {time.Hour, false, true},
		"but not for another key": {0, true, false},
		"nor when they expired":   {8 * 24 * time.Hour, false, false},
	} {
		at := &clock{at: start.Add(c.after)}
		responder, err := ocsp.New(ocsp.Config{Image: n.image, Issuers: []*x509.Certificate{n.certificate}, Now: at.now})
		if err != nil {
			t.Fatal(err)
		}
		again := cfg
		again.Installer, again.Now = responder, at.now
		if c.key {
			again.Keys = []Key{{n.id, newKey(t)}}
		}
		e, err := NewEnrolment(again)
		if err != nil {
			t.Fatal(err)
		}
		if got := responder.Delegate(n.id) != nil; got != c.want || e.due(n.id) == c.want {
			t.Errorf("%s: installed is %v", name, got)
		}
		if health := Examine(n.follower, e); health.Serving != c.want {
			t.Errorf("%s: got %+v", name, health)
		}
	}
}

// wrong certifies a key of its own.
type wrong struct{ *authority }

func (w wrong) Certify(ctx context.Context, issuer card.KeyID, _ []byte) ([]byte, error) {
	request, err := x509.CreateCertificateRequest(nil, &x509.CertificateRequest{}, w.key)
	if err != nil {
		return nil, err
	}
	return w.authority.Certify(ctx, issuer, request)
}

func TestCertificatesForOtherKeysAreRefused(t *testing.T) {
	n := newNode(t, start)
	before := n.responder.Delegate(n.id)
	n.enrolment.cfg.Certifier = wrong{n.authority}
	err := n.enrolment.renew(t.Context(), n.enrolment.cfg.Keys[0])
	n.enrolment.note(n.id, err)
	if err == nil || n.responder.Delegate(n.id) != before || len(Examine(n.follower, n.enrolment).Alarms) != 1 {
		t.Fatalf("got %v", err)
	}
}

func TestEnrolmentSettingsAreChecked(t *testing.T) {
	n := newNode(t, start)
	for name, change := range map[string]func(*EnrolmentConfig){
		"no keys":      func(c *EnrolmentConfig) { c.Keys = nil },
		"a key twice":  func(c *EnrolmentConfig) { c.Keys = append(c.Keys, c.Keys...) },
		"an empty key": func(c *EnrolmentConfig) { c.Keys = []Key{{}} },
		"no folder":    func(c *EnrolmentConfig) { c.Folder = "" },
		"no certifier": func(c *EnrolmentConfig) { c.Certifier = nil },
		"no installer": func(c *EnrolmentConfig) { c.Installer = nil },
	} {
		cfg := n.enrolment.cfg
		change(&cfg)
		if _, err := NewEnrolment(cfg); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
