package store

import (
	"context"
	"fmt"

	"cpsca/card"
	"cpsca/registry"
)

// Import is one file on its way into the register.
type Import struct {
	db    *DB
	id    int64
	actor string
}

// BeginImport announces a file. kind is what it holds ("persons", "events",
// "contacts"), file the name that its report goes by.
func (db *DB) BeginImport(ctx context.Context, actor, kind, file string) (*Import, error) {
	i := &Import{db: db, actor: actor}
	err := db.change(ctx, ordinary, func(t *transaction) error {
		err := t.row("SELECT COALESCE(MAX(id), 0) + 1 FROM imports").Scan(&i.id)
		if err != nil {
			return fmt.Errorf("numbering the import: %w", err)
		}
		t.about("import")
		err = t.insert(imports, i.id, kind, file, actor, t.at, nil, nil, nil, nil)
		if err != nil {
			return err
		}
		return t.decide(actor, "begin import of "+kind)
	})
	if err != nil {
		return nil, fmt.Errorf("beginning the import: %w", err)
	}
	return i, nil
}

// Persons commits a slice of rows. A person's rows may come in any order: the
// last one names the person, each adds its practice.
func (i *Import) Persons(ctx context.Context, rows []registry.PersonRow) error {
	return i.slice(ctx, func(t *transaction) error {
		for _, p := range rows {
			err := t.exec(`INSERT INTO persons (id, civility, exercise_civility, family_name, given_name, import_id) VALUES ($1, $2, $3, $4, $5, $6)
				ON CONFLICT (id) DO UPDATE SET civility = excluded.civility, exercise_civility = excluded.exercise_civility,
				family_name = excluded.family_name, given_name = excluded.given_name, import_id = excluded.import_id`,
				string(p.ID), p.Civility, p.ExerciseCivility, p.FamilyName, p.GivenName, i.id)
			if err != nil {
				return fmt.Errorf("saving a person: %w", err)
			}
			if p.Profession == 0 {
				continue
			}
			err = t.exec(`INSERT INTO practices (person, profession, category, import_id) VALUES ($1, $2, $3, $4)
				ON CONFLICT (person, profession, category) DO UPDATE SET import_id = excluded.import_id`,
				string(p.ID), int64(p.Profession), p.Category, i.id)
			if err != nil {
				return fmt.Errorf("saving a practice: %w", err)
			}
		}
		return nil
	})
}

// Events commits a slice of register events; one that is known stays.
func (i *Import) Events(ctx context.Context, events []registry.Event) error {
	return i.slice(ctx, func(t *transaction) error {
		for _, e := range events {
			err := t.exec(`INSERT INTO register_events (person, kind, date, source, import_id) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (person, kind, date) DO NOTHING`, string(e.ID), string(e.Kind), e.Date.UnixMilli(), e.Source, i.id)
			if err != nil {
				return fmt.Errorf("saving an event: %w", err)
			}
		}
		return nil
	})
}

// Contacts commits a slice of contacts; each replaces what was known.
func (i *Import) Contacts(ctx context.Context, contacts []registry.Contact) error {
	return i.slice(ctx, func(t *transaction) error {
		for _, c := range contacts {
			updated, err := columnValue(c.Updated)
			if err != nil {
				return fmt.Errorf("saving a contact: %w", err)
			}
			err = t.exec(`INSERT INTO contacts (person, recipient, complement, street, locality, postcode, city, country, phone, email, updated, import_id)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
				ON CONFLICT (person) DO UPDATE SET recipient = excluded.recipient, complement = excluded.complement, street = excluded.street,
				locality = excluded.locality, postcode = excluded.postcode, city = excluded.city, country = excluded.country,
				phone = excluded.phone, email = excluded.email, updated = excluded.updated, import_id = excluded.import_id`,
				string(c.ID), c.Recipient, c.Complement, c.Street, c.Locality, c.PostalCode, c.City, c.Country, c.Phone, c.Email, updated, i.id)
			if err != nil {
				return fmt.Errorf("saving a contact: %w", err)
			}
		}
		return nil
	})
}

// slice commits a part of the file. The register is not journalled row by row:
// the import's event names the file by its hash.
func (i *Import) slice(ctx context.Context, f func(t *transaction) error) error {
	err := i.db.change(ctx, ordinary, f)
	if err != nil {
		return fmt.Errorf("importing: %w", err)
	}
	return nil
}

// Finish closes the import with its report in the journal.
func (i *Import) Finish(ctx context.Context, report *registry.Report) error {
	return i.db.change(ctx, ordinary, func(t *transaction) error {
		t.about("import")
		n, err := t.update(imports, "finished = $1, sha256 = $2, accepted = $3, rejected = $4 WHERE id = $5 AND finished IS NULL",
			t.at, report.SHA256, report.Accepted, report.Rejected, i.id)
		if err != nil {
			return err
		}
		if n != 1 {
			return fmt.Errorf("%w: import %d was finished before", card.ErrStale, i.id)
		}
		return t.decide(i.actor, "finish import")
	})
}
