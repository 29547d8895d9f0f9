package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"cpsca/card"
	"cpsca/feed"
	"cpsca/officer"
)

// feedEnd is the last link of the status feed.
type feedEnd struct {
	sequence uint64
	hash     feed.Hash
}

// publish appends one record to the feed. The journal commits to the feed by
// its end (decide), whose hash covers every record before. Times of the feed are whole seconds.
func (t *transaction) publish(s target, status card.Status, at time.Time, reason card.Reason) error {
	r := feed.Record{
		Sequence: t.feed.sequence + 1, Issuer: s.issuer, Serial: s.serial,
		NotAfter: s.notAfter, Status: status, At: at.Truncate(time.Second), Reason: reason,
	}
	err := r.Validate()
	if err != nil {
		return fmt.Errorf("writing the feed: %w", err)
	}
	hash := r.Hash(t.feed.hash)
	err = t.stage(feedTable, int64(r.Sequence), s.issuer, s.serial, s.notAfter, status, r.At, reason, [32]byte(hash))
	if err != nil {
		return err
	}
	t.feed = feedEnd{r.Sequence, hash}
	t.fed = true
	return nil
}

// revocationOf reads what is known of a serial; ok is false for nothing.
func (t *transaction) revocationOf(s target) (status card.Status, since int64, ok bool, err error) {
	err = t.row("SELECT status, since FROM revocations WHERE issuer = $1 AND serial = $2", s.issuer[:], s.serial[:]).Scan(&status, &since)
	if errors.Is(err, sql.ErrNoRows) {
		return "", 0, false, nil
	}
	if err != nil {
		return "", 0, false, fmt.Errorf("reading a revocation: %w", err)
	}
	return status, since, true, nil
}

// hold puts a serial on hold. What is revoked stays revoked.
func (t *transaction) hold(s target, at time.Time, cause card.Cause) error {
	at = at.Truncate(time.Second)
	status, _, known, err := t.revocationOf(s)
	if err != nil {
		return err
	}
	switch {
	case !known:
		err = t.insert(revoked, s.issuer, s.serial, card.StatusHeld, at, card.CertificateHold, nil, s.notAfter, cause)
	case status == card.StatusGood:
		_, err = t.update(revoked, "status = $1, since = $2, reason = $3, cause = $4 WHERE issuer = $5 AND serial = $6",
			card.StatusHeld, at, card.CertificateHold, cause, s.issuer, s.serial)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	return t.publish(s, card.StatusHeld, at, card.CertificateHold)
}

// holdNew puts a serial on hold of which nothing was known so far.
func (t *transaction) holdNew(s target, at time.Time, cause card.Cause) error {
	at = at.Truncate(time.Second)
	err := t.add(revoked, s.issuer, s.serial, card.StatusHeld, at, card.CertificateHold, nil, s.notAfter, cause)
	if err != nil {
		return err
	}
	return t.publish(s, card.StatusHeld, at, card.CertificateHold)
}

// release ends a hold. What is not held stays as it is.
func (t *transaction) release(s target, at time.Time) error {
	n, err := t.update(revoked, "status = $1 WHERE issuer = $2 AND serial = $3 AND status = $4", card.StatusGood, s.issuer, s.serial, card.StatusHeld)
	if err != nil || n == 0 {
		return err
	}
	return t.publish(s, card.StatusGood, at, card.Unspecified)
}

// revoke revokes a serial for ever. A hold that becomes a revocation keeps its
// date; a second revocation changes nothing.
func (t *transaction) revoke(s target, at time.Time, reason card.Reason, invalidity time.Time, cause card.Cause) error {
	at = at.Truncate(time.Second)
	invalidity = invalidity.Truncate(time.Second)
	status, since, known, err := t.revocationOf(s)
	if err != nil {
		return err
	}
	switch {
	case !known:
		err = t.insert(revoked, s.issuer, s.serial, card.StatusRevoked, at, reason, invalidity, s.notAfter, cause)
	case status == card.StatusRevoked:
		return nil
	default:
		if status == card.StatusHeld {
			at = time.UnixMilli(since).UTC()
		}
		_, err = t.update(revoked, "status = $1, since = $2, reason = $3, invalidity = $4, cause = $5 WHERE issuer = $6 AND serial = $7",
			card.StatusRevoked, at, reason, invalidity, cause, s.issuer, s.serial)
	}
	if err != nil {
		return err
	}
	return t.publish(s, card.StatusRevoked, at, reason)
}

// RevokeInfrastructure revokes a certificate of the infrastructure (TLS,
// officer, responder) for ever. Certificates of cards are revoked by steps of
// their card, those of issuers by the root in a ceremony: they, and serials that
// were never recorded, give card.ErrNotFound. The last certificate of a security
// officer gives officer.ErrLast.
func (db *DB) RevokeInfrastructure(ctx context.Context, actor string, issuer card.KeyID, serial card.Serial, reason card.Reason) error {
	return db.change(ctx, urgent, func(t *transaction) error {
		s := target{issuer: issuer, serial: serial}
		var notAfter int64
		err := t.row(`SELECT i.not_after FROM certificates c JOIN intents i ON i.number = c.intent
			WHERE i.issuer = $1 AND i.serial = $2 AND c.card_id IS NULL
			AND i.subject NOT IN (SELECT name FROM issuers)`, issuer[:], serial[:]).Scan(&notAfter)
		if errors.Is(err, sql.ErrNoRows) {
			return card.ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("reading the certificate: %w", err)
		}
		s.notAfter = moment(&notAfter)
		t.about("certificate " + serial.String())
		err = t.revoke(s, t.at, reason, time.Time{}, card.CauseCard)
		if err != nil {
			return err
		}
		err = t.officersLeft(s)
		if err != nil {
			return err
		}
		if len(t.leaves[0].rows) == 0 {
			t.leaves = nil // it was revoked before: the decision is journalled all the same
		}
		return t.decide(actor, "revoke certificate")
	})
}

// officersLeft refuses the revocation of an officer's certificate after which
// no security officer could act.
func (t *transaction) officersLeft(s target) error {
	var this, left int
	err := t.row(`SELECT COUNT(CASE WHEN e.issuer = $1 AND e.serial = $2 THEN 1 END),
		COUNT(CASE WHEN NOT EXISTS (SELECT 1 FROM revocations r WHERE r.issuer = e.issuer AND r.serial = e.serial AND r.status <> 'good') THEN 1 END)
		FROM enrolments e WHERE e.role = $3 AND e.ended IS NULL`,
		s.issuer[:], s.serial[:], string(officer.SecurityOfficer)).Scan(&this, &left)
	if err != nil {
		return fmt.Errorf("counting officers: %w", err)
	}
	if this > 0 && left == 0 {
		return officer.ErrLast
	}
	return nil
}

// Revocations lists every serial of an issuer that is, or while it was on hold
// was, not good, oldest first. sequence is the feed's when it was read.
func (db *DB) Revocations(ctx context.Context, issuer card.KeyID) (list []card.Revocation, sequence uint64, err error) {
	tx, err := db.readers.BeginTx(ctx, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("reading revocations: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	err = tx.QueryRowContext(ctx, "SELECT COALESCE(MAX(sequence), 0) FROM feed").Scan(&sequence)
	if err != nil {
		return nil, 0, fmt.Errorf("reading the feed's end: %w", err)
	}
	rows, err := tx.QueryContext(ctx, `SELECT serial, status, since, reason, invalidity, not_after, cause FROM revocations
		WHERE issuer = $1 ORDER BY since, serial`, issuer[:])
	if err != nil {
		return nil, 0, fmt.Errorf("reading revocations: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		r := card.Revocation{Issuer: issuer}
		var since, notAfter int64
		var invalidity *int64
		err = rows.Scan(octets{r.Serial[:]}, &r.Status, &since, &r.Reason, &invalidity, &notAfter, &r.Cause)
		if err != nil {
			return nil, 0, fmt.Errorf("reading a revocation: %w", err)
		}
		r.Since, r.Invalidity, r.NotAfter = moment(&since), moment(invalidity), moment(&notAfter)
		list = append(list, r)
	}
	return list, sequence, rows.Err()
}

// Records lists the feed after a sequence number, at most limit records, with
// the position and hash of the feed's end in the same snapshot, which may lie
// beyond the last record returned.
func (db *DB) Records(ctx context.Context, after uint64, limit int) (records []feed.Record, end uint64, hash feed.Hash, err error) {
	tx, err := db.readers.BeginTx(ctx, nil)
	if err != nil {
		return nil, 0, hash, fmt.Errorf("reading the feed: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	rows, err := tx.QueryContext(ctx, "SELECT sequence, issuer, serial, not_after, status, at, reason FROM feed WHERE sequence > $1 ORDER BY sequence LIMIT $2", int64(after), limit)
	if err != nil {
		return nil, 0, hash, fmt.Errorf("reading the feed: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r feed.Record
		var notAfter, at int64
		err = rows.Scan(&r.Sequence, octets{r.Issuer[:]}, octets{r.Serial[:]}, &notAfter, &r.Status, &at, &r.Reason)
		if err != nil {
			return nil, 0, hash, fmt.Errorf("reading a record: %w", err)
		}
		r.NotAfter, r.At = moment(&notAfter), moment(&at)
		records = append(records, r)
	}
	err = rows.Err()
	if err != nil {
		return nil, 0, hash, fmt.Errorf("reading the feed: %w", err)
	}
	err = tx.QueryRowContext(ctx, "SELECT sequence, hash FROM feed ORDER BY sequence DESC LIMIT 1").Scan(&end, octets{hash[:]})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, 0, hash, nil
	}
	if err != nil {
		return nil, 0, hash, fmt.Errorf("reading the feed's end: %w", err)
	}
	return records, end, hash, nil
}
