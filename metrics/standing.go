package metrics

import (
	"context"
	"strconv"
	"time"

	"cpsca/card"
	"cpsca/hsm"

	"github.com/prometheus/client_golang/prometheus"
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// places asks the HSM at each scrape.
type places struct{ ask func() []hsm.Health }

var (
	placeUp       = describe("cpsca_hsm_up", "Whether the place signs.", "place", "token")
	placeSince    = describe("cpsca_hsm_since_timestamp_seconds", "When the place came up or went down.", "place", "token")
	placeSessions = describe("cpsca_hsm_sessions", "Sessions of the place by what they do; stuck ones were given up in a call that has not returned.", "place", "token", "state")
	placeWaiting  = describe("cpsca_hsm_waiting", "Requests that wait for a session or have one.", "place", "token")
	placeOutages  = describe("cpsca_hsm_outages_total", "How often the place went down.", "place", "token")
	placeLost     = describe("cpsca_hsm_lost_signatures_total", "Requests that failed after C_Sign was entered: their attempts are abandoned.", "place", "token")
)

// Describe implements prometheus.Collector.
func (p *places) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{placeUp, placeSince, placeSessions, placeWaiting, placeOutages, placeLost} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (p *places) Collect(out chan<- prometheus.Metric) {
	for i, h := range p.ask() {
		names := []string{strconv.Itoa(i), h.Token}
		gauge := func(d *prometheus.Desc, v float64, more ...string) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append(names[:2:2], more...)...)
		}
		gauge(placeUp, truth(h.Up))
		gauge(placeSince, float64(h.Since.Unix()))
		gauge(placeSessions, float64(h.Busy), "busy")
		gauge(placeSessions, float64(h.Sessions-h.Busy), "idle")
		gauge(placeSessions, float64(h.Stuck), "stuck")
		gauge(placeWaiting, float64(h.Waiting))
		out <- prometheus.MustNewConstMetric(placeOutages, prometheus.CounterValue, float64(h.Outages), names...)
		out <- prometheus.MustNewConstMetric(placeLost, prometheus.CounterValue, float64(h.Entered), names...)
	}
}

func truth(v bool) float64 {
	if v {
		return 1
	}
	return 0
}

// ledger asks the ledger at each scrape.
type ledger struct {
	ask func(context.Context) (card.Standing, error)
}

// patience is how long a scrape waits for the ledger.
const patience = 3 * time.Second

var (
	ledgerUp      = describe("cpsca_ledger_up", "Whether the ledger answered this scrape.")
	ledgerJournal = describe("cpsca_journal_events_total", "Events in the journal.")
	ledgerFeed    = describe("cpsca_feed_records_total", "Records in the status feed.")
	ledgerCommits = describe("cpsca_ledger_commits_total", "Transactions that the ledger's disk was waited for; one may hold several decisions.")
	ledgerOpen    = describe("cpsca_intents_open", "Attempts whose intents are recorded and whose certificates are not yet.")
	ledgerOctets  = describe("cpsca_ledger_bytes", "Octets of the ledger's file and of its write-ahead log, and free octets on their disk.", "what")
	ledgerIssuing = describe("cpsca_ledger_issuing", "0: too little is free on the disk for new certificates.")
	quotaUsed     = describe("cpsca_quota_used", "Attempts given to a bureau in the current hour or day of UTC.", "bureau", "period")
	quotaBound    = describe("cpsca_quota_bound", "How many it may be given, where a bound is set.", "bureau", "period")
)

// Describe implements prometheus.Collector.
func (l *ledger) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{ledgerUp, ledgerJournal, ledgerFeed, ledgerCommits, ledgerOpen, ledgerOctets, ledgerIssuing, quotaUsed, quotaBound} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (l *ledger) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := l.ask(ctx)
	gauge(ledgerUp, truth(err == nil))
	if err != nil {
		return
	}
	out <- prometheus.MustNewConstMetric(ledgerJournal, prometheus.CounterValue, float64(s.Journal))
	out <- prometheus.MustNewConstMetric(ledgerFeed, prometheus.CounterValue, float64(s.Feed))
	out <- prometheus.MustNewConstMetric(ledgerCommits, prometheus.CounterValue, float64(s.Commits))
	gauge(ledgerOpen, float64(s.Open))
	gauge(ledgerOctets, float64(s.File), "file")
	gauge(ledgerOctets, float64(s.Log), "log")
	if s.Free >= 0 {
		gauge(ledgerOctets, float64(s.Free), "free")
	}
	gauge(ledgerIssuing, truth(s.Issuing))
	for _, q := range s.Quotas {
		gauge(quotaUsed, float64(q.Used), q.Bureau, q.Period)
		if q.Bound > 0 {
			gauge(quotaBound, float64(q.Bound), q.Bureau, q.Period)
		}
	}
}
