package api

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/client"
	"cpsca/officer"
)

func TestAStatusNodeGetsTenResponderCertificatesAnHour(t *testing.T) {
	s := newSite(t)
	var after atomic.Int64
	s.handler.config.Now = func() time.Time { return noon.Add(time.Duration(after.Load())) }
	request := client.ResponderRequest{Issuer: card.KeyID{1}, CSR: base64Of([]byte{0x30, 0})}
	node := s.as(officer.StatusNode)
	s.fail = ca.ErrProof
	for range 20 { // what is refused costs nothing
		_, err := node.Responder(t.Context(), request)
		wantProblem(t, err, "proof", 422)
	}
	s.fail = nil
	for n := range respondersPerHour {
		after.Store(int64(n) * int64(time.Minute))
		_, err := node.Responder(t.Context(), request)
		if err != nil {
			t.Fatalf("certificate %d: %v", n+1, err)
		}
	}
	_, err := node.Responder(t.Context(), request)
	p := wantProblem(t, err, "quota", 429)
	if p.RetryAfter != 51*60 {
		t.Errorf("it says to come back after %d s, want 51 minutes", p.RetryAfter)
	}
	_, err = s.as(officer.StatusNode).Responder(t.Context(), request)
	if err != nil {
		t.Errorf("another node: %v", err)
	}
	after.Store(int64(time.Hour) - 1)
	_, err = node.Responder(t.Context(), request)
	wantProblem(t, err, "quota", 429)
	after.Store(int64(time.Hour))
	_, err = node.Responder(t.Context(), request)
	if err != nil {
		t.Errorf("after an hour: %v", err)
	}
	_, err = node.Responder(t.Context(), request)
	wantProblem(t, err, "quota", 429)
}

func TestAQuotaHoldsForManyAtOnce(t *testing.T) {
	var q quota
	var taken atomic.Int32
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			err := q.take(officer.Fingerprint{1}, noon)
			if err == nil {
				taken.Add(1)
			} else if !errors.Is(err, card.ErrQuota) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if taken.Load() != respondersPerHour {
		t.Errorf("%d were given", taken.Load())
	}
}
