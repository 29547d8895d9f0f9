package api

import (
	"slices"
	"sync"
	"time"

	"cpsca/card"
	"cpsca/officer"
)

// respondersPerHour is how many responder certificates one enrolled certificate
// gets: some per issuer and day are needed, and each costs a signature of the
// CA's key.
const (
	respondersPerHour = 10
	quotaPeriod       = time.Hour
)

// quota counts what each enrolled certificate was given within the last hour of
// business time. It forgets when the process ends. It may be used by several
// goroutines.
type quota struct {
	mu    sync.Mutex
	given map[officer.Fingerprint][]time.Time
}

// take counts one more; a *card.QuotaError if there were enough.
func (q *quota) take(f officer.Fingerprint, now time.Time) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	given := slices.DeleteFunc(q.given[f], func(at time.Time) bool { return !now.Before(at.Add(quotaPeriod)) })
	if q.given == nil {
		q.given = make(map[officer.Fingerprint][]time.Time)
	}
	q.given[f] = given
	if len(given) >= respondersPerHour {
		return &card.QuotaError{After: slices.MinFunc(given, time.Time.Compare).Add(quotaPeriod).Sub(now)}
	}
	q.given[f] = append(given, now)
	return nil
}

// giveBack undoes a take whose certificate was refused.
func (q *quota) giveBack(f officer.Fingerprint, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := slices.IndexFunc(q.given[f], at.Equal)
	if n >= 0 {
		q.given[f] = slices.Delete(q.given[f], n, n+1)
	}
}
