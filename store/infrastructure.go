package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"cpsca/card"
	"cpsca/officer"
)

// Issuer is one CA key with its certificate, as the ledger knows it.
type Issuer struct {
	KeyID       card.KeyID
	Name        string // unique, short, for files and configuration
	Role        string // what it signs: "root", "cards", "technical-root", "technical"
	Certificate []byte // DER
	Since       time.Time
}

// AddIssuer registers an issuer. Its certificate stays as it is for ever.
func (db *DB) AddIssuer(ctx context.Context, actor string, i Issuer) error {
	return db.change(ctx, ordinary, func(t *transaction) error {
		t.about("issuer " + i.Name)
		err := t.insert(issuers, i.KeyID, i.Name, i.Role, i.Certificate, t.at)
		if err != nil {
			return err
		}
		return t.decide(actor, "add issuer")
	})
}

// Issuers lists every issuer, oldest first.
func (db *DB) Issuers(ctx context.Context) ([]Issuer, error) {
	rows, err := db.readers.QueryContext(ctx, "SELECT key_id, name, role, certificate, since FROM issuers ORDER BY since, name")
	if err != nil {
		return nil, fmt.Errorf("listing issuers: %w", err)
	}
	defer rows.Close()
	var out []Issuer
	for rows.Next() {
		var i Issuer
		var since int64
		err = rows.Scan(octets{i.KeyID[:]}, &i.Name, &i.Role, &i.Certificate, &since)
		if err != nil {
			return nil, fmt.Errorf("reading an issuer: %w", err)
		}
		i.Since = moment(&since)
		out = append(out, i)
	}
	return out, rows.Err()
}

// IntendInfrastructure records the intent of a certificate that belongs to no
// card: of an issuer, a responder, a server, a client, an officer. A key that
// was seen before gives card.ErrKeyKnown, unless renewal says that the same
// subject and use may keep its key.
func (db *DB) IntendInfrastructure(ctx context.Context, actor string, i card.Intent, renewal bool) error {
	return db.change(ctx, ordinary, func(t *transaction) error {
		t.about("certificate " + i.Serial.String())
		err := t.bindInfrastructureKey(i, renewal)
		if err != nil {
			return err
		}
		i.Order, i.Attempt = "", 0
		err = t.intent(&i)
		if err != nil {
			return err
		}
		return t.decide(actor, "intend "+string(i.Use))
	})
}

func (t *transaction) bindInfrastructureKey(i card.Intent, renewal bool) error {
	var known sql.NullInt64
	var use card.Use
	err := t.row("SELECT card_id, use FROM keys WHERE fingerprint = $1", i.Key[:]).Scan(&known, &use)
	if errors.Is(err, sql.ErrNoRows) {
		return t.insert(keys, i.Key, nil, i.Use, t.at)
	}
	if err != nil {
		return fmt.Errorf("looking a key up: %w", err)
	}
	if known.Valid || use != i.Use || !renewal {
		return card.ErrKeyKnown
	}
	var others int
	err = t.row("SELECT COUNT(*) FROM intents WHERE order_id IS NULL AND key_fingerprint = $1 AND subject <> $2", i.Key[:], i.Subject).Scan(&others)
	if err != nil {
		return fmt.Errorf("looking a key up: %w", err)
	}
	if others > 0 {
		return card.ErrKeyKnown
	}
	return nil
}

// RecordInfrastructure records the certificate of an infrastructure intent.
// card.ErrStale if it is not an open intent of this epoch.
func (db *DB) RecordInfrastructure(ctx context.Context, actor string, i card.Intent, signature []byte) error {
	return db.change(ctx, ordinary, func(t *transaction) error {
		t.about("certificate " + i.Serial.String())
		recorded, err := t.targets(`SELECT i.number, i.issuer, i.serial, i.not_after FROM intents i
			WHERE i.issuer = $1 AND i.serial = $2 AND i.order_id IS NULL AND i.epoch = $3`+stillOpen, i.Issuer[:], i.Serial[:], t.db.epoch)
		if err != nil {
			return err
		}
		if len(recorded) != 1 || i.Order != "" {
			return fmt.Errorf("%w: serial %s is not an open intent", card.ErrStale, i.Serial)
		}
		err = t.certify(recorded[0], nil, signature)
		if err != nil {
			return err
		}
		err = t.publish(recorded[0], card.StatusGood, t.at, card.Unspecified)
		if err != nil {
			return err
		}
		return t.decide(actor, "record "+string(i.Use))
	})
}

// AbandonInfrastructure gives up an infrastructure intent that was not signed,
// or whose signature did not verify. One that is not open is passed over.
func (db *DB) AbandonInfrastructure(ctx context.Context, actor string, i card.Intent) error {
	err := db.change(ctx, urgent, func(t *transaction) error {
		t.about("certificate " + i.Serial.String())
		n, err := t.abandonIntents("i.issuer = $1 AND i.serial = $2 AND i.order_id IS NULL"+stillOpen, i.Issuer[:], i.Serial[:])
		if err != nil {
			return err
		}
		if n == 0 {
			return errNothing
		}
		return t.decide(actor, "abandon "+string(i.Use))
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}

// Enrol gives a certificate a role. officer.ErrEnrolled if it has one;
// officer.ErrExclusive if the person is an auditor and would be more.
func (db *DB) Enrol(ctx context.Context, actor string, e officer.Enrolment) error {
	err := e.Validate()
	if err != nil {
		return fmt.Errorf("enrolling: %w", err)
	}
	return db.change(ctx, ordinary, func(t *transaction) error {
		existing, err := listEnrolments(ctx, t.w.conn)
		if err != nil {
			return err
		}
		for _, x := range existing {
			if x.Fingerprint == e.Fingerprint {
				return officer.ErrEnrolled
			}
		}
		err = officer.Admits(existing, e)
		if err != nil {
			return err
		}
		t.about("enrolment " + e.Fingerprint.String())
		err = t.insert(enrolments, e.Fingerprint, e.Person, string(e.Role), e.Bureau, e.Issuer, e.Serial, t.at, nil)
		if err != nil {
			return err
		}
		return t.decide(actor, "enrol "+string(e.Role))
	})
}

const enrolmentColumns = "fingerprint, person, role, bureau, issuer, serial, since, ended"

func scanEnrolment(row scanner) (officer.Enrolment, error) {
	var e officer.Enrolment
	var since int64
	var ended *int64
	err := row.Scan(octets{e.Fingerprint[:]}, &e.Person, &e.Role, &e.Bureau, octets{e.Issuer[:]}, octets{e.Serial[:]}, &since, &ended)
	if errors.Is(err, sql.ErrNoRows) {
		return e, card.ErrNotFound
	}
	if err != nil {
		return e, fmt.Errorf("reading an enrolment: %w", err)
	}
	e.Since, e.Ended = moment(&since), moment(ended)
	return e, nil
}

// Enrolments lists every enrolment, ended ones included, oldest first.
func (db *DB) Enrolments(ctx context.Context) ([]officer.Enrolment, error) {
	return listEnrolments(ctx, db.readers)
}

func listEnrolments(ctx context.Context, q querier) ([]officer.Enrolment, error) {
	rows, err := q.QueryContext(ctx, "SELECT "+enrolmentColumns+" FROM enrolments ORDER BY since, fingerprint")
	if err != nil {
		return nil, fmt.Errorf("listing enrolments: %w", err)
	}
	defer rows.Close()
	var out []officer.Enrolment
	for rows.Next() {
		e, err := scanEnrolment(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// Enrolled finds who may use a certificate. card.ErrNotFound if it is not
// enrolled, its enrolment ended, or the certificate is held or revoked.
func (db *DB) Enrolled(ctx context.Context, f officer.Fingerprint) (officer.Enrolment, error) {
	e, err := scanEnrolment(db.readers.QueryRowContext(ctx, "SELECT "+enrolmentColumns+" FROM enrolments WHERE fingerprint = $1 AND ended IS NULL", f[:]))
	if err != nil {
		return e, err
	}
	var bad int
	err = db.readers.QueryRowContext(ctx, "SELECT COUNT(*) FROM revocations WHERE issuer = $1 AND serial = $2 AND status <> 'good'", e.Issuer[:], e.Serial[:]).Scan(&bad)
	if err != nil {
		return e, fmt.Errorf("reading the status of a certificate: %w", err)
	}
	if bad > 0 {
		return e, card.ErrNotFound
	}
	return e, nil
}
