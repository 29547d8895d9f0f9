package store

import (
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"cpsca/card"
)

// period is a stretch of UTC within which intents are counted.
type period struct {
	name   string
	length time.Duration
}

var periods = [...]period{{"hour", time.Hour}, {"day", 24 * time.Hour}}

func (p period) bound(q card.Quota) int {
	if p.name == "hour" {
		return q.Hour
	}
	return q.Day
}

// quota is what a bureau may have; a zero one where nothing is configured.
func (db *DB) quota(bureau string) card.Quota {
	if db.config.Quota == nil {
		return card.Quota{}
	}
	return db.config.Quota(bureau)
}

// opens counts the attempts that this change has opened for a bureau.
func (t *transaction) opens(bureau string) (n int) {
	for _, u := range t.opened {
		if u.bureau == bureau {
			n++
		}
	}
	return n
}

// charge counts the attempts of a chunk for their bureaux. A *card.QuotaError if
// one of them has had enough: then the chunk must not stand.
func (t *transaction) charge() error {
	opened := make(map[string]int)
	for _, u := range t.opened {
		opened[u.bureau]++
	}
	for _, bureau := range slices.Sorted(maps.Keys(opened)) {
		t.about("bureau " + bureau)
		for _, p := range periods {
			used, err := t.count(bureau, p, opened[bureau])
			if err != nil {
				return fmt.Errorf("counting what bureau %s was given: %w", bureau, err)
			}
			bound := p.bound(t.db.quota(bureau))
			if bound > 0 && used > int64(bound) {
				return p.exhausted(t.at)
			}
		}
	}
	return nil
}

// exhausted says when the period that now is in ends.
func (p period) exhausted(now time.Time) error {
	return &card.QuotaError{After: now.Truncate(p.length).Add(p.length).Sub(now)}
}

// count adds to what a bureau was given in the current period.
func (t *transaction) count(bureau string, p period, more int) (int64, error) {
	rows, err := t.query(`INSERT INTO quotas (bureau, period, start, used) VALUES ($1, $2, $3, $4)
		ON CONFLICT (bureau, period, start) DO UPDATE SET used = quotas.used + excluded.used RETURNING `+quotas.list,
		bureau, p.name, t.at.Truncate(p.length).UnixMilli(), int64(more))
	if err != nil {
		return 0, err
	}
	var used int64
	err = eachRow(rows, quotas.name, func(rows *sql.Rows) error {
		row, err := scanRow(rows, len(quotas.columns))
		if err != nil {
			return err
		}
		used, _ = row[quotas.at("used")].(int64)
		return t.commitTo(quotas, row)
	})
	return used, err
}

// allowance is what a bureau may still be given, nil where there is no bound.
type allowance struct {
	left      int
	exhausted error
}

// allowance reads what is left of the tightest bound of a bureau.
func (t *transaction) allowance(bureau string) (*allowance, error) {
	var tightest *allowance
	for _, p := range periods {
		bound := p.bound(t.db.quota(bureau))
		if bound == 0 {
			continue
		}
		var used int
		err := t.row("SELECT used FROM quotas WHERE bureau = $1 AND period = $2 AND start = $3", bureau, p.name, t.at.Truncate(p.length).UnixMilli()).Scan(&used)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("reading the quota of bureau %s: %w", bureau, err)
		}
		left := max(bound-used-t.opens(bureau), 0)
		if tightest == nil || left < tightest.left {
			tightest = &allowance{left, p.exhausted(t.at)}
		}
	}
	return tightest, nil
}
