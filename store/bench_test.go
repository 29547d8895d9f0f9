package store

import (
	"syscall"
	"testing"
	"time"

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
			var burnt time.Duration
			for range b.N {
				orders := make([]card.Order, chunk)
				ids := make([]card.OrderID, chunk)
				for i := range orders {
					orders[i] = orderFor(newHolder(), card.First, "")
					ids[i] = orders[i].ID
				}
				apply(b, db, card.Decision{Actor: "desk", Action: "order", At: dawn, Opens: orders})
				timed(b, &burnt, part == "Dossiers", func() error { _, err := db.Dossiers(b.Context(), "bureau", ids); return err })
				attempts := make([]card.Attempt, chunk)
				for i, o := range orders {
					attempts[i] = attemptAt(b, db, o)
				}
				timed(b, &burnt, part == "Intend", func() error { _, err := db.Intend(b.Context(), attempts); return err })
				signed := make([]card.Signed, chunk)
				for i := range attempts {
					signed[i] = sign(attempts[i])
				}
				timed(b, &burnt, part == "Record", func() error { return db.Record(b.Context(), signed, card.GateChip) })
			}
			b.ReportMetric(float64(burnt.Microseconds())/float64(b.N)/chunk, "cpu-µs/card")
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/chunk, "µs/card")
		})
	}
}

// timed runs f, with the benchmark's clock if it is what is measured, and adds
// the time of processors to burnt: on a busy machine that is the steadier one.
func timed(b *testing.B, burnt *time.Duration, measured bool, f func() error) {
	b.Helper()
	before := processor(b)
	if measured {
		b.StartTimer()
	}
	err := f()
	b.StopTimer()
	if measured {
		*burnt += processor(b) - before
	}
	if err != nil {
		b.Fatal(err)
	}
}

func processor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	if err != nil {
		b.Fatal(err)
	}
	burnt := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	if server != nil {
		there, err := server.Processor()
		if err != nil {
			b.Fatal(err)
		}
		burnt += there
	}
	return burnt
}
