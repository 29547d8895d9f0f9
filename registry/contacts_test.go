package registry

import (
	"bytes"
	"errors"
	"maps"
	"strings"
	"testing"
)

func contactHeader() string { return strings.Join(ContactColumns(), "|") + "|\n" }

func contactLine(changes map[int]string) string {
	fields := []string{
		"899700075122", "DR CAROLE PHARMACH0007512", "BATIMENT B", "1 RUE DE L ESSAI", "LE BOURG", "75001", "PARIS", "",
		"01 23 45 67 89", "carole@exemple.example", "2026-01-15",
	}
	for column, value := range changes {
		fields[column] = value
	}
	return strings.Join(fields, "|") + "|\n"
}

func readAllContacts(t *testing.T, text string) ([]Contact, *Report) {
	t.Helper()
	var contacts []Contact
	report, err := ReadContacts("contacts.txt", strings.NewReader(text), func(_ int, c Contact) error {
		contacts = append(contacts, c)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return contacts, report
}

func TestReadContactsReadsItsDocumentedFormat(t *testing.T) {
	header := "Identification nationale PP|Destinataire|Complément|Voie|Lieu-dit|Code postal|Commune|Pays|Téléphone|" +
		"Adresse e-mail|Date de mise à jour|\n"
	contacts, report := readAllContacts(t, header+contactLine(nil))
	want := Contact{
		ID: "899700075122", Recipient: "DR CAROLE PHARMACH0007512", Complement: "BATIMENT B", Street: "1 RUE DE L ESSAI",
		Locality: "LE BOURG", PostalCode: "75001", City: "PARIS", Phone: "+33123456789", Email: "carole@exemple.example",
		Updated: day("2026-01-15"),
	}
	if len(contacts) != 1 || contacts[0] != want || contacts[0].Complete() != nil {
		t.Fatalf("got %+v, report %+v", contacts, report)
	}
}

func TestReadContactsBringsPhonesToOneForm(t *testing.T) {
	for text, want := range map[string]string{
		"0123456789": "+33123456789", "01.23.45.67.89": "+33123456789", "01-23-45-67-89": "+33123456789",
		"+33 1 23 45 67 89": "+33123456789", "+33 (0)1 23 45 67 89": "+33123456789", "0033123456789": "+33123456789",
		"01\u00a023\u00a045\u00a067\u00a089": "+33123456789", "0690 12 34 56": "+590690123456",
		"0262 12 34 56": "+262262123456", "+32 2 123 45 67": "+3221234567", "": "",
	} {
		contacts, report := readAllContacts(t, contactHeader()+contactLine(map[int]string{contactPhone: text}))
		if len(contacts) != 1 || contacts[0].Phone != want {
			t.Errorf("%q gives %+v, want %s; %+v", text, contacts, want, report.Errors)
		}
	}
}

func TestReadContactsRefusesALineAndGoesOn(t *testing.T) {
	long := strings.Repeat("É", 39)
	for name, test := range map[string]struct {
		changes map[int]string
		column  int
	}{
		"a wrong Luhn key":                 {map[int]string{contactNationalID: "810107582544"}, 1},
		"a recipient of 39 characters":     {map[int]string{contactRecipient: long}, 2},
		"a complement of 39 characters":    {map[int]string{contactComplement: long}, 3},
		"a street of 39 characters":        {map[int]string{contactStreet: long}, 4},
		"a locality of 39 characters":      {map[int]string{contactLocality: long}, 5},
		"a postal code of 4 digits":        {map[int]string{contactPostalCode: "7500"}, 6},
		"a postal code of department 99":   {map[int]string{contactPostalCode: "99123"}, 6},
		"a foreign code without a country": {map[int]string{contactPostalCode: "B-1000"}, 6},
		"a foreign code for FR":            {map[int]string{contactPostalCode: "B-1000", contactCountry: "FR"}, 6},
		"a code abroad with other signs":   {map[int]string{contactPostalCode: "1000!", contactCountry: "BE"}, 6},
		"postal code and city of 39":       {map[int]string{contactCity: strings.Repeat("A", 33)}, 7},
		"a country by its name":            {map[int]string{contactCountry: "FRANCE"}, 8},
		"a country in small letters":       {map[int]string{contactCountry: "fr"}, 8},
		"a phone number too short":         {map[int]string{contactPhone: "012345678"}, 9},
		"a phone number with letters":      {map[int]string{contactPhone: "01 23 45 67 8O"}, 9},
		"a national number from abroad":    {map[int]string{contactPhone: "0123456789", contactCountry: "BE"}, 9},
		"an international number of 16":    {map[int]string{contactPhone: "+1234567890123456"}, 9},
		"a +33 number with its zero":       {map[int]string{contactPhone: "+33 01 23 45 67 89"}, 9},
		"a +33 number that starts with 0":  {map[int]string{contactPhone: "+33 0 12 34 56 78"}, 9},
		"an address with a name":           {map[int]string{contactEmail: "Carole <carole@exemple.example>"}, 10},
		"an address without a domain":      {map[int]string{contactEmail: "carole"}, 10},
		"a domain without a dot":           {map[int]string{contactEmail: "carole@localhost"}, 10},
		"an address by its number":         {map[int]string{contactEmail: "carole@[192.0.2.1]"}, 10},
		"an address in quotes":             {map[int]string{contactEmail: "\"carole\"@exemple.example"}, 10},
		"an address with a comment":        {map[int]string{contactEmail: "carole(moi)@exemple.example"}, 10},
		"two addresses":                    {map[int]string{contactEmail: "a@b.example,c@d.example"}, 10},
		"no date":                          {map[int]string{contactUpdated: ""}, 11},
		"a date that does not exist":       {map[int]string{contactUpdated: "31/02/2026"}, 11},
	} {
		t.Run(name, func(t *testing.T) {
			text := contactHeader() + contactLine(nil) + contactLine(test.changes) + contactLine(nil)
			contacts, report := readAllContacts(t, text)
			if len(contacts) != 2 || len(report.Errors) != 1 {
				t.Fatalf("%d contacts, report %+v", len(contacts), report)
			}
			failure := report.Errors[0]
			if failure.Line != 3 || failure.Column != test.column || failure.ColumnName != ContactColumns()[test.column-1] {
				t.Fatalf("got %+v, want column %d", failure, test.column)
			}
		})
	}
}

func TestReadContactsAcceptsLinesAtTheirBound(t *testing.T) {
	bound := strings.Repeat("É", 38)
	contacts, report := readAllContacts(t, contactHeader()+contactLine(map[int]string{
		contactRecipient: bound, contactComplement: bound, contactStreet: bound, contactLocality: bound,
		contactCity: strings.Repeat("É", 32),
	})+contactLine(map[int]string{contactPostalCode: "97133"})+contactLine(map[int]string{contactPostalCode: "00200"})+
		contactLine(map[int]string{contactPostalCode: "SW1A 1AA", contactCountry: "GB", contactPhone: "+442079460000"}))
	if len(contacts) != 4 {
		t.Fatalf("report %+v", report)
	}
}

func TestCompleteNamesWhatIsMissing(t *testing.T) {
	for name, test := range map[string]struct {
		changes map[int]string
		missing []string
	}{
		"everything":                    {nil, nil},
		"a locality in place of street": {map[int]string{contactStreet: ""}, nil},
		"no postal code abroad":         {map[int]string{contactPostalCode: "", contactCountry: "IE", contactPhone: ""}, nil},
		"an e-mail address alone": {map[int]string{
			contactRecipient: "", contactStreet: "", contactLocality: "", contactPostalCode: "", contactCity: "",
		}, []string{"Destinataire", "Voie", "Code postal", "Commune"}},
		"no postal code in France": {map[int]string{contactPostalCode: "", contactCountry: "FR"}, []string{"Code postal"}},
	} {
		t.Run(name, func(t *testing.T) {
			contacts, report := readAllContacts(t, contactHeader()+contactLine(test.changes))
			if len(contacts) != 1 {
				t.Fatalf("report %+v", report)
			}
			err := contacts[0].Complete()
			if (err == nil) != (test.missing == nil) || err != nil && !errors.Is(err, ErrIncompleteAddress) {
				t.Fatalf("got %v", err)
			}
			for _, column := range test.missing {
				if !strings.Contains(err.Error(), column) {
					t.Fatalf("%v does not name %s", err, column)
				}
			}
		})
	}
}

func FuzzReadContacts(f *testing.F) {
	f.Add([]byte(contactLine(nil)))
	seed := map[int]string{contactPhone: "+33 (0)1 23", contactCountry: "BE"}
	maps.Copy(seed, map[int]string{contactEmail: "\"a b\"@c.example"})
	f.Add([]byte(contactLine(seed) + "||||||||||||"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, text := range [][]byte{data, append([]byte(contactHeader()), data...)} {
			rows := 0
			report, err := ReadContacts("f", bytes.NewReader(text), func(_ int, c Contact) error {
				rows++
				_, err := ParseNationalID(string(c.ID))
				if err != nil || c.Updated.IsZero() {
					t.Fatalf("accepted %+v", c)
				}
				phone, ok := internationalPhone(c.Phone, false)
				if c.Phone != "" && (!ok || phone != c.Phone) {
					t.Fatalf("phone %q is not in its final form", c.Phone)
				}
				return nil
			})
			checkReport(t, report, err, rows)
		}
	})
}
