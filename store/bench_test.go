package store

import (
	"testing"

	"cpsca/card"
)

// BenchmarkIssue is what the ledger does for a full chunk of applications
// between the bureau and its answer: dossiers, intents, certificates.
func BenchmarkIssue(b *testing.B) {
	const chunk = 256
	for _, part := range []string{"Dossiers", "Intend", "Record"} {
		b.Run(part, func(b *testing.B) {
			db := newLedger(b)
			b.StopTimer()
			for range b.N {
				orders := make([]card.Order, chunk)
				ids := make([]card.OrderID, chunk)
				for i := range orders {
					orders[i] = orderFor(newHolder(), card.First, "")
					ids[i] = orders[i].ID
				}
				apply(b, db, card.Decision{Actor: "desk", Action: "order", At: dawn, Opens: orders})
				timed(b, part == "Dossiers", func() error { _, err := db.Dossiers(b.Context(), "bureau", ids); return err })
				attempts := make([]card.Attempt, chunk)
				for i, o := range orders {
					attempts[i] = attemptAt(b, db, o)
				}
				timed(b, part == "Intend", func() error { _, err := db.Intend(b.Context(), attempts); return err })
				signed := make([]card.Signed, chunk)
				for i := range attempts {
					signed[i] = sign(attempts[i])
				}
				timed(b, part == "Record", func() error { return db.Record(b.Context(), signed, card.GateChip) })
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/chunk, "µs/card")
		})
	}
}

// timed runs f, with the benchmark's clock if it is what is measured.
func timed(b *testing.B, measured bool, f func() error) {
	b.Helper()
	if measured {
		b.StartTimer()
	}
	err := f()
	b.StopTimer()
	if err != nil {
		b.Fatal(err)
	}
}
