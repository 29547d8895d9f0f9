package store

import (
	"context"
	"fmt"

	"cpsca/card"
)

const certificateColumns = `i.issuer, i.serial, COALESCE(i.order_id, ''), COALESCE(k.number, ''), i.use, i.subject, i.profile,
	i.not_before, i.not_after, i.tbs, c.signature, COALESCE(r.status, 'good'), r.since, COALESCE(r.reason, 0)`

// certificates reads recorded certificates of which where holds (c the
// certificate, i its intent), in the order of card.Uses.
func certificates(ctx context.Context, q querier, where string, args ...any) ([]card.Certificate, error) {
	rows, err := q.QueryContext(ctx, "SELECT "+certificateColumns+` FROM certificates c
		JOIN intents i ON i.number = c.intent
		LEFT JOIN cards k ON k.id = c.card_id
		LEFT JOIN revocations r ON r.issuer = i.issuer AND r.serial = i.serial
		WHERE `+where+" ORDER BY c.recorded, i.use", args...)
	if err != nil {
		return nil, fmt.Errorf("reading certificates: %w", err)
	}
	defer rows.Close()
	var out []card.Certificate
	for rows.Next() {
		var c card.Certificate
		var notBefore, notAfter int64
		var since *int64
		err = rows.Scan(octets{c.Issuer[:]}, octets{c.Serial[:]}, &c.Order, &c.Card, &c.Use, &c.Subject, &c.Profile, &notBefore, &notAfter,
			&c.TBS, &c.Signature, &c.Status, &since, &c.Reason)
		if err != nil {
			return nil, fmt.Errorf("reading a certificate: %w", err)
		}
		c.NotBefore, c.NotAfter = moment(&notBefore), moment(&notAfter)
		if c.Status != card.StatusGood {
			c.Since = moment(since)
		} else {
			c.Reason = card.Unspecified
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// Certificate reads a recorded certificate; card.ErrNotFound if there is none.
func (db *DB) Certificate(ctx context.Context, issuer card.KeyID, serial card.Serial) (card.Certificate, error) {
	found, err := certificates(ctx, db.readers, "i.issuer = $1 AND i.serial = $2", issuer[:], serial[:])
	if err != nil {
		return card.Certificate{}, err
	}
	if len(found) == 0 {
		return card.Certificate{}, card.ErrNotFound
	}
	return found[0], nil
}

// CertificatesOf lists the certificates of a card.
func (db *DB) CertificatesOf(ctx context.Context, cardID int64) ([]card.Certificate, error) {
	return certificates(ctx, db.readers, "c.card_id = $1", cardID)
}
