package store

import (
	"context"
	"database/sql"
	"fmt"

	"cpsca/card"
	"cpsca/registry"
)

// holderFacts is what the register knows of one person.
type holderFacts struct {
	person  registry.Person
	events  []registry.Event
	contact registry.Contact
}

// Holder reads what the register knows of a person; card.ErrUnknownHolder if
// nothing. A person without a contact has the zero Contact.
func (db *DB) Holder(ctx context.Context, id registry.NationalID) (registry.Person, []registry.Event, registry.Contact, error) {
	tx, err := db.readers.BeginTx(ctx, nil)
	if err != nil {
		return registry.Person{}, nil, registry.Contact{}, fmt.Errorf("reading the register: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	known, err := holders(ctx, tx, []registry.NationalID{id})
	if err != nil {
		return registry.Person{}, nil, registry.Contact{}, err
	}
	h, ok := known[id]
	if !ok {
		return registry.Person{}, nil, registry.Contact{}, card.ErrUnknownHolder
	}
	return h.person, h.events, h.contact, nil
}

// currentPractices reads the practices that the last import of a person gave.
// While that import is under way, or was broken off, the earlier ones count
// too: the rows of a person are not adjacent.
const currentPractices = `SELECT r.person, r.profession, r.category FROM practices r JOIN persons p ON p.id = r.person
	WHERE (r.import_id = p.import_id OR EXISTS (SELECT 1 FROM imports i WHERE i.id = p.import_id AND i.finished IS NULL)) AND r.person `

// holders reads what the register knows of some people; who is not in the
// answer is not in the register.
func holders(ctx context.Context, q querier, ids []registry.NationalID) (map[registry.NationalID]*holderFacts, error) {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = string(id)
	}
	list, args := in(nil, texts)
	out := make(map[registry.NationalID]*holderFacts, len(ids))
	err := each(ctx, q, "persons", "SELECT id, civility, exercise_civility, family_name, given_name FROM persons WHERE id "+list, args, func(rows *sql.Rows) error {
		var p registry.Person
		err := rows.Scan(&p.ID, &p.Civility, &p.ExerciseCivility, &p.FamilyName, &p.GivenName)
		out[p.ID] = &holderFacts{person: p}
		return err
	})
	if err != nil || len(out) == 0 {
		return out, err
	}
	// Events and contacts may be known of somebody before the person is.
	of := func(id registry.NationalID) *holderFacts {
		h, ok := out[id]
		if !ok {
			return &holderFacts{}
		}
		return h
	}
	err = each(ctx, q, "practices", currentPractices+list+" ORDER BY r.person, r.profession, r.category", args, func(rows *sql.Rows) error {
		var id registry.NationalID
		var p registry.Practice
		err := rows.Scan(&id, &p.Profession, &p.Category)
		of(id).person.Practices = append(of(id).person.Practices, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, q, "register events", "SELECT person, kind, date, source FROM register_events WHERE person "+list+" ORDER BY person, date, kind", args, func(rows *sql.Rows) error {
		var e registry.Event
		var date int64
		err := rows.Scan(&e.ID, &e.Kind, &date, &e.Source)
		e.Date = moment(&date)
		of(e.ID).events = append(of(e.ID).events, e)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, q, "contacts", `SELECT person, recipient, complement, street, locality, postcode, city, country, phone, email, updated
		FROM contacts WHERE person `+list, args, func(rows *sql.Rows) error {
		var c registry.Contact
		var updated *int64
		err := rows.Scan(&c.ID, &c.Recipient, &c.Complement, &c.Street, &c.Locality, &c.PostalCode, &c.City, &c.Country, &c.Phone, &c.Email, &updated)
		c.Updated = moment(updated)
		of(c.ID).contact = c
		return err
	})
	return out, err
}
