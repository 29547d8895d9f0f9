package store

import (
	"context"
	"fmt"
	"time"

	"cpsca/card"
)

// ReserveNumber reserves the next CRL number of an issuer, on disk before it
// is signed with and never given twice.
func (db *DB) ReserveNumber(ctx context.Context, issuer card.KeyID, thisUpdate, nextUpdate time.Time) (int64, error) {
	var number int64
	err := db.change(ctx, urgent, func(t *transaction) error {
		err := t.row("SELECT COALESCE(MAX(number), 0) + 1 FROM crls WHERE issuer = $1", issuer[:]).Scan(&number)
		if err != nil {
			return fmt.Errorf("reading the last number: %w", err)
		}
		t.about("list " + issuer.String())
		err = t.insert(crls, issuer, number, thisUpdate, nextUpdate, nil, nil, nil)
		if err != nil {
			return err
		}
		return t.decide("authority", "reserve list number")
	})
	if err != nil {
		return 0, fmt.Errorf("reserving a list number: %w", err)
	}
	return number, nil
}

// Published records that the list of a reserved number was published: its
// hash, and the feed's sequence when its entries were read.
func (db *DB) Published(ctx context.Context, issuer card.KeyID, number int64, sha256 [32]byte, sequence uint64) error {
	return db.change(ctx, urgent, func(t *transaction) error {
		t.about("list " + issuer.String())
		n, err := t.update(crls, "feed_sequence = $1, sha256 = $2, published = $3 WHERE issuer = $4 AND number = $5 AND published IS NULL",
			int64(sequence), sha256, t.at, issuer, number)
		if err != nil {
			return err
		}
		if n != 1 {
			return fmt.Errorf("%w: list %d was not reserved, or was published before", card.ErrNotFound, number)
		}
		return t.decide("authority", "publish list")
	})
}

// List is one line of the register of lists.
type List struct {
	Issuer     card.KeyID
	Number     int64
	ThisUpdate time.Time
	NextUpdate time.Time
	Published  time.Time // zero if the list was reserved and never published
}

// Lists lists the last numbers of every issuer's lists, newest first, at most
// limit for each.
func (db *DB) Lists(ctx context.Context, issuer card.KeyID, limit int) ([]List, error) {
	rows, err := db.readers.QueryContext(ctx, "SELECT number, this_update, next_update, published FROM crls WHERE issuer = $1 ORDER BY number DESC LIMIT $2", issuer[:], limit)
	if err != nil {
		return nil, fmt.Errorf("listing lists: %w", err)
	}
	defer rows.Close()
	var out []List
	for rows.Next() {
		l := List{Issuer: issuer}
		var thisUpdate, nextUpdate int64
		var published *int64
		err = rows.Scan(&l.Number, &thisUpdate, &nextUpdate, &published)
		if err != nil {
			return nil, fmt.Errorf("reading a list: %w", err)
		}
		l.ThisUpdate, l.NextUpdate, l.Published = moment(&thisUpdate), moment(&nextUpdate), moment(published)
		out = append(out, l)
	}
	return out, rows.Err()
}
