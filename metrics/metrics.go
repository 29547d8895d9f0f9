// Package metrics counts what the authority does, for Prometheus: requests at
// the doors, the stages of issuance, signatures and the state of each place of
// the HSM, lists, and how the ledger stands.
//
// It fills the Meter that each room declares, and asks at each scrape for what
// only has a present: the HSM's places, the ledger. cpsca-authority serves it
// on its management port. No number names a person, a card or a client. What
// decides anything is not here: see the journal.
//
// Names and units follow the conventions of Prometheus: seconds, octets, _total
// for what only grows.
package metrics

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"cpsca/card"
	"cpsca/crl"
	"cpsca/hsm"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Config says what is asked at each scrape.
type Config struct {
	Version string
	// Places tells how the places of the HSM are; nil if there is none.
	Places func() []hsm.Health
	// Ledger tells how the ledger stands; nil if there is none. An error is
	// counted and leaves its figures out.
	Ledger func(context.Context) (card.Standing, error)
}

// Metrics is the Meter of every room of the authority. Its methods may be called
// concurrently.
type Metrics struct {
	issuance *issuance
	registry *prometheus.Registry

	requests   *prometheus.HistogramVec
	signatures *prometheus.HistogramVec
	lists      *prometheus.CounterVec
	listEnds   *prometheus.GaugeVec
	listSize   *prometheus.GaugeVec
}

// fine are bounds in seconds from a tenth of a millisecond to ten seconds.
var fine = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// New makes the figures, all at zero.
func New(config Config) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.issuance = newIssuance(m.registry)
	m.requests = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "cpsca_http_request_seconds", Help: "Requests at the doors, by route and status.", Buckets: fine,
	}, []string{"route", "status"})
	m.signatures = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "cpsca_hsm_signature_seconds", Help: "How long a session was occupied by a request, by place and outcome.", Buckets: fine,
	}, []string{"place", "outcome"})
	m.lists = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "cpsca_lists_total", Help: "Revocation lists by issuer and outcome.",
	}, []string{"issuer", "outcome"})
	m.listSize = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "cpsca_list_entries", Help: "Entries of the list that was published last.",
	}, []string{"issuer"})
	m.listEnds = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "cpsca_list_next_update_timestamp_seconds", Help: "nextUpdate of the list that was published last.",
	}, []string{"issuer"})
	built := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "cpsca_build_info", Help: "Always 1, with the version of the program.", ConstLabels: prometheus.Labels{"version": config.Version},
	})
	built.Set(1)
	m.registry.MustRegister(m.requests, m.signatures, m.lists, m.listEnds, m.listSize, built,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if config.Places != nil {
		m.registry.MustRegister(&places{config.Places})
	}
	if config.Ledger != nil {
		m.registry.MustRegister(&ledger{config.Ledger})
	}
	return m
}

// Handler serves the figures in the text format of Prometheus or OpenMetrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.InstrumentMetricHandler(m.registry, promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry}))
}

// Answered implements api.Meter.
func (m *Metrics) Answered(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Observe(took.Seconds())
}

// Signed implements hsm.Meter.
func (m *Metrics) Signed(place int, took time.Duration, err error) {
	outcome := "signed"
	if err != nil {
		outcome = "failed"
	}
	m.signatures.WithLabelValues(strconv.Itoa(place), outcome).Observe(took.Seconds())
}

// ListPublished implements crl.Meter.
func (m *Metrics) ListPublished(p crl.Published) {
	issuer := p.Issuer.String()
	m.lists.WithLabelValues(issuer, "published").Inc()
	m.listSize.WithLabelValues(issuer).Set(float64(p.Entries))
	m.listEnds.WithLabelValues(issuer).Set(float64(p.NextUpdate.Unix()))
}

// ListFailed implements crl.Meter.
func (m *Metrics) ListFailed(issuer card.KeyID, _ error) {
	m.lists.WithLabelValues(issuer.String(), "failed").Inc()
}
