package metrics

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/crl"
	"cpsca/hsm"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func scraped(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestAScrapeTellsWhatTheRoomsDo(t *testing.T) {
	now := time.Unix(1767600000, 0)
	m := New(Config{
		Version: "v1",
		Places: func() []hsm.Health {
			return []hsm.Health{{Token: "one", Up: true, Since: now, Sessions: 4, Busy: 1, Waiting: 3}, {Token: "two", Since: now, Stuck: 2, Outages: 1, Entered: 5}}
		},
		Ledger: func(context.Context) (card.Standing, error) {
			return card.Standing{Journal: 7, Feed: 8, Open: 2, File: 4096, Log: 100, Free: 9000, Issuing: true,
				Quotas: []card.QuotaUse{{Bureau: "east", Period: "hour", Used: 3, Bound: 5}, {Bureau: "west", Period: "day", Used: 1}}}, nil
		},
	})
	m.Answered("POST /v1/applications", 200, 20*time.Millisecond)
	m.Signed(1, time.Millisecond, nil)
	m.Signed(1, time.Millisecond, errors.New("gone"))
	m.ListPublished(crl.Published{Issuer: card.KeyID{1}, Entries: 6, NextUpdate: now})
	m.ListFailed(card.KeyID{1}, errors.New("no room"))
	m.StagePassed(ca.Sign, 256, 30*time.Millisecond)
	m.IssuingLoad(3, 512)
	m.ApplicationsAnswered(5, 1, 2, 3)
	text := scraped(t, m)
	for _, line := range []string{
		`cpsca_build_info{version="v1"} 1`,
		`cpsca_http_request_seconds_count{route="POST /v1/applications",status="200"} 1`,
		`cpsca_hsm_signature_seconds_count{outcome="failed",place="1"} 1`,
		`cpsca_hsm_signature_seconds_count{outcome="signed",place="1"} 1`,
		`cpsca_issue_stage_seconds_count{stage="sign"} 1`, `cpsca_issue_chunks 3`, `cpsca_issue_signatures_waiting 512`,
		`cpsca_certificates_total 10`, `cpsca_applications_total{outcome="abandoned"} 3`, `cpsca_applications_total{outcome="replayed"} 1`,
		`cpsca_hsm_up{place="0",token="one"} 1`,
		`cpsca_hsm_up{place="1",token="two"} 0`,
		`cpsca_hsm_sessions{place="0",state="idle",token="one"} 3`,
		`cpsca_hsm_sessions{place="1",state="stuck",token="two"} 2`,
		`cpsca_hsm_waiting{place="0",token="one"} 3`,
		`cpsca_hsm_outages_total{place="1",token="two"} 1`,
		`cpsca_hsm_lost_signatures_total{place="1",token="two"} 5`,
		`cpsca_lists_total{issuer="0100000000000000000000000000000000000000",outcome="published"} 1`,
		`cpsca_lists_total{issuer="0100000000000000000000000000000000000000",outcome="failed"} 1`,
		`cpsca_list_entries{issuer="0100000000000000000000000000000000000000"} 6`,
		`cpsca_list_next_update_timestamp_seconds{issuer="0100000000000000000000000000000000000000"} 1.7676e+09`,
		`cpsca_ledger_up 1`, `cpsca_journal_events_total 7`, `cpsca_feed_records_total 8`, `cpsca_intents_open 2`,
		`cpsca_ledger_bytes{what="free"} 9000`, `cpsca_ledger_issuing 1`,
		`cpsca_quota_used{bureau="west",period="day"} 1`, `cpsca_quota_bound{bureau="east",period="hour"} 5`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("missing %s", line)
		}
	}
	if strings.Contains(text, `cpsca_quota_bound{bureau="west"`) {
		t.Error("a bound was told that nobody set")
	}
}

func TestALedgerThatDoesNotAnswerLeavesTheRest(t *testing.T) {
	m := New(Config{Ledger: func(context.Context) (card.Standing, error) { return card.Standing{}, errors.New("locked") }})
	text := scraped(t, m)
	if !strings.Contains(text, "cpsca_ledger_up 0\n") || strings.Contains(text, "cpsca_intents_open") || !strings.Contains(text, "go_goroutines") {
		t.Errorf("got %s", text)
	}
}

func TestTheFiguresAreNamedByTheConventions(t *testing.T) {
	m := New(Config{Places: func() []hsm.Health { return []hsm.Health{{}} }, Ledger: func(context.Context) (card.Standing, error) { return card.Standing{}, nil }})
	m.Answered("x", 200, time.Second)
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
