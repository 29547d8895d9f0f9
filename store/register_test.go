package store

import (
	"errors"
	"slices"
	"testing"
	"time"

	"cpsca/card"
	"cpsca/registry"
)

func row(id registry.NationalID, family string, profession registry.ProfessionCode, category string) registry.PersonRow {
	var r registry.PersonRow
	r.ID, r.FamilyName, r.GivenName, r.Profession, r.Category = id, family, "Zoé", profession, category
	return r
}

func TestAnImportMergesRowsThatAreNotAdjacent(t *testing.T) {
	db := newLedger(t)
	one, two := newHolder(), newHolder()
	file, err := db.BeginImport(t.Context(), "officer", "persons", "persons.txt")
	if err != nil {
		t.Fatal(err)
	}
	parts := [][]registry.PersonRow{
		{row(one, "Old", 10, "C"), row(two, "Other", 21, "C"), row(one, "Old", 21, "C")},
		{row(one, "New", 10, "C"), row(one, "New", 10, "M"), row(two, "Other", 0, "")},
	}
	for _, rows := range parts {
		err = file.Persons(t.Context(), rows)
		if err != nil {
			t.Fatal(err)
		}
	}
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	events := []registry.Event{{ID: one, Kind: registry.Suspended, Date: day, Source: "Ordre"}, {ID: one, Kind: registry.Reinstated, Date: day.AddDate(0, 1, 0)}}
	for range 2 { // the same file twice
		err = file.Events(t.Context(), events)
		if err != nil {
			t.Fatal(err)
		}
	}
	contact := registry.Contact{ID: one, Recipient: "DR ZOE NEW", Street: "1 RUE", PostalCode: "75001", City: "PARIS", Phone: "+33123456789", Updated: day}
	moved := contact
	moved.Street, moved.Phone, moved.Updated = "2 RUE", "", day.AddDate(0, 0, 1)
	err = errors.Join(file.Contacts(t.Context(), []registry.Contact{contact}), file.Contacts(t.Context(), []registry.Contact{moved}),
		file.Finish(t.Context(), &registry.Report{SHA256: "00", Accepted: 6}))
	if err != nil {
		t.Fatal(err)
	}
	person, gotEvents, gotContact, err := db.Holder(t.Context(), one)
	if err != nil {
		t.Fatal(err)
	}
	var practices []registry.Practice
	for _, p := range []struct {
		profession registry.ProfessionCode
		category   string
	}{{10, "C"}, {10, "M"}, {21, "C"}} {
		practices = append(practices, registry.Practice{Profession: p.profession, Category: p.category})
	}
	if person.FamilyName != "New" || person.GivenName != "Zoé" || !slices.Equal(person.Practices, practices) {
		t.Errorf("the person: %+v", person)
	}
	if !slices.Equal(gotEvents, events) {
		t.Errorf("the events: %+v", gotEvents)
	}
	if gotContact != moved {
		t.Errorf("the contact: %+v", gotContact)
	}
	other, none, noContact, err := db.Holder(t.Context(), two)
	if err != nil || other.FamilyName != "Other" || len(other.Practices) != 1 || len(none) != 0 || noContact != (registry.Contact{}) {
		t.Errorf("the other person: %+v, %v, %+v, %v", other, none, noContact, err)
	}
	_, _, _, err = db.Holder(t.Context(), newHolder())
	if !errors.Is(err, card.ErrUnknownHolder) {
		t.Errorf("a stranger: got %v", err)
	}
	err = file.Finish(t.Context(), &registry.Report{SHA256: "11"})
	if !errors.Is(err, card.ErrStale) {
		t.Errorf("finished twice: got %v", err)
	}
	checkAll(t, db)
}

func TestAnUndatedContactComesBackUndated(t *testing.T) {
	db := newLedger(t)
	id := newHolder()
	file, err := db.BeginImport(t.Context(), "officer", "contacts", "contacts.txt")
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(file.Persons(t.Context(), []registry.PersonRow{row(id, "Name", 10, "C")}), file.Contacts(t.Context(), []registry.Contact{{ID: id, City: "PARIS"}}))
	if err != nil {
		t.Fatal(err)
	}
	_, _, contact, err := db.Holder(t.Context(), id)
	if err != nil || !contact.Updated.IsZero() {
		t.Fatalf("got %+v, %v", contact, err)
	}
	count(t, db, 1, "SELECT COUNT(*) FROM contacts WHERE updated IS NULL")
}

func TestAFailedSliceLeavesNothing(t *testing.T) {
	db := newLedger(t)
	file, err := db.BeginImport(t.Context(), "officer", "persons", "persons.txt")
	if err != nil {
		t.Fatal(err)
	}
	openLedger(t, place(db)) // fences the first
	err = file.Persons(t.Context(), []registry.PersonRow{row(newHolder(), "Name", 10, "C")})
	if !errors.Is(err, card.ErrFenced) {
		t.Fatalf("got %v", err)
	}
	count(t, db, 0, "SELECT COUNT(*) FROM persons")
}
