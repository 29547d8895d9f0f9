package metrics

import (
	"time"

	"cpsca/ca"

	"github.com/prometheus/client_golang/prometheus"
)

// issuance counts for ca.
type issuance struct {
	stages       *prometheus.HistogramVec
	applications *prometheus.CounterVec
	certificates prometheus.Counter
	chunks       prometheus.Gauge
	waiting      prometheus.Gauge
}

func newIssuance(registry *prometheus.Registry) *issuance {
	i := &issuance{
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "cpsca_issue_stage_seconds", Help: "How long a chunk of applications took in each stage of issuance.", Buckets: fine,
		}, []string{"stage"}),
		applications: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cpsca_applications_total", Help: "Applications by what became of them.",
		}, []string{"outcome"}),
		certificates: prometheus.NewCounter(prometheus.CounterOpts{Name: "cpsca_certificates_total", Help: "Certificates issued to cards."}),
		chunks:       prometheus.NewGauge(prometheus.GaugeOpts{Name: "cpsca_issue_chunks", Help: "Chunks of applications under way."}),
		waiting:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "cpsca_issue_signatures_waiting", Help: "Signatures that wait for the HSM."}),
	}
	registry.MustRegister(i.stages, i.applications, i.certificates, i.chunks, i.waiting)
	return i
}

// StagePassed implements ca.Meter.
func (m *Metrics) StagePassed(stage ca.Stage, _ int, took time.Duration) {
	m.issuance.stages.WithLabelValues(string(stage)).Observe(took.Seconds())
}

// IssuingLoad implements ca.Meter.
func (m *Metrics) IssuingLoad(chunks, signatures int) {
	m.issuance.chunks.Set(float64(chunks))
	m.issuance.waiting.Set(float64(signatures))
}

// ApplicationsAnswered implements ca.Meter.
func (m *Metrics) ApplicationsAnswered(certified, replayed, refused, abandoned int) {
	m.issuance.certificates.Add(float64(2 * certified))
	for outcome, n := range map[string]int{"certified": certified, "replayed": replayed, "refused": refused, "abandoned": abandoned} {
		m.issuance.applications.WithLabelValues(outcome).Add(float64(n))
	}
}
