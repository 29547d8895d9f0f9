package store

import (
	"bytes"
	"database/sql"
	"fmt"

	"cpsca/card"
	"cpsca/feed"
)

// compareFeed recomputes the chain of the feed and holds its end against the
// one that the journal last committed to.
func (v *verification) compareFeed() error {
	var end feedEnd
	err := each(v.ctx, v.tx, "the feed", "SELECT "+feedTable.list+" FROM feed ORDER BY sequence", nil, func(rows *sql.Rows) error {
		var stored feed.Hash
		r, err := scanRecord(rows, &stored)
		if err != nil {
			return err
		}
		if r.Sequence != end.sequence+1 {
			return fmt.Errorf("%w: record %d of the feed follows record %d", ErrRow, r.Sequence, end.sequence)
		}
		end = feedEnd{r.Sequence, r.Hash(end.hash)}
		if end.hash != stored {
			return fmt.Errorf("%w: record %d of the feed was changed outside the journal", ErrRow, r.Sequence)
		}
		v.report.Rows++
		return nil
	})
	if err != nil {
		return err
	}
	if end.sequence == 0 && v.feedEnd == nil {
		return nil
	}
	text, err := feedEnds.canonical([]any{int64(end.sequence), end.hash[:]})
	if err != nil {
		return err
	}
	if !bytes.Equal(text, v.feedEnd) {
		return fmt.Errorf("%w: the feed ends with record %d, the journal says otherwise", ErrRow, end.sequence)
	}
	return nil
}

// scanRecord reads a record as it was written and in no other form.
func scanRecord(rows *sql.Rows, hash *feed.Hash) (feed.Record, error) {
	var r feed.Record
	var sequence, notAfter, at, reason int64
	var status string
	err := rows.Scan(exact[int64]{&sequence}, octets{r.Issuer[:]}, octets{r.Serial[:]}, exact[int64]{&notAfter}, exact[string]{&status},
		exact[int64]{&at}, exact[int64]{&reason}, octets{hash[:]})
	if err != nil {
		return r, fmt.Errorf("%w: %w", ErrRow, err)
	}
	r.Sequence, r.Status, r.Reason = uint64(sequence), card.Status(status), card.Reason(reason)
	r.NotAfter, r.At = moment(&notAfter), moment(&at)
	err = r.Validate()
	if err != nil {
		return r, fmt.Errorf("%w: %w", ErrRow, err)
	}
	return r, nil
}
