package registry

import (
	"errors"
	"fmt"
	"io"
	"net/mail"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	contactNationalID = iota
	contactRecipient
	contactComplement
	contactStreet
	contactLocality
	contactPostalCode
	contactCity
	contactCountry
	contactPhone
	contactEmail
	contactUpdated
)

const (
	// longestPostalLine is the length of a line of an address in characters (NF Z10-011).
	longestPostalLine = 38
	// longestForeignCode bounds postal codes outside France, in bytes.
	longestForeignCode = 12
	// longestEmail bounds an e-mail address in bytes (RFC 5321 §4.5.3.1.3, without the angle brackets).
	longestEmail = 254
)

// ErrIncompleteAddress means that a contact cannot be written to by mail; test with errors.Is.
var ErrIncompleteAddress = errors.New("delivery address is incomplete")

// Contact is how a holder is reached: where the card goes, and which phone and e-mail take part in an activation.
type Contact struct {
	ID NationalID `json:"id"`
	// The lines of the envelope, at most 38 characters each, postal code and city together.
	Recipient  string `json:"recipient,omitempty"`
	Complement string `json:"complement,omitempty"`
	Street     string `json:"street,omitempty"`
	// Locality is the lieu-dit or the distribution service.
	Locality   string `json:"locality,omitempty"`
	PostalCode string `json:"postal_code,omitempty"`
	City       string `json:"city,omitempty"`
	// Country is the ISO 3166-1 code of two letters; empty means France.
	Country string `json:"country,omitempty"`
	// Phone is in the form of E.164, for instance +33123456789.
	Phone string `json:"phone,omitempty"`
	Email string `json:"email,omitempty"`
	// Updated is the day of the last change according to the source, midnight UTC.
	Updated time.Time `json:"updated"`
}

// Complete returns nil when a letter can be sent, and otherwise ErrIncompleteAddress with the columns that are missing. Needed
// are a recipient, a street or a locality, a city and, in France, a postal code.
func (c Contact) Complete() error {
	var missing []string
	if c.Recipient == "" {
		missing = append(missing, contactLayout.columns[contactRecipient])
	}
	if c.Street == "" && c.Locality == "" {
		missing = append(missing, contactLayout.columns[contactStreet])
	}
	if c.PostalCode == "" && c.french() {
		missing = append(missing, contactLayout.columns[contactPostalCode])
	}
	if c.City == "" {
		missing = append(missing, contactLayout.columns[contactCity])
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: missing %s", ErrIncompleteAddress, strings.Join(missing, ", "))
	}
	return nil
}

func (c Contact) french() bool {
	return c.Country == "" || c.Country == "FR"
}

var contactLayout = &layout{
	name: "contacts",
	columns: []string{
		"Identification nationale PP", "Destinataire", "Complément", "Voie", "Lieu-dit", "Code postal", "Commune", "Pays",
		"Téléphone", "Adresse e-mail", "Date de mise à jour",
	},
	keys: []int{
		contactNationalID, contactRecipient, contactComplement, contactStreet, contactLocality, contactPostalCode, contactCity,
		contactCountry, contactPhone, contactEmail, contactUpdated,
	},
}

// ContactColumns returns the documented header of the contacts file, for programs that write one.
func ContactColumns() []string {
	return append([]string(nil), contactLayout.columns...)
}

// ReadContacts reads a file of contacts from r and hands each correct line to each, with its number counted from 1.
//
// The format is ours: the syntax of the persons file (see ReadPersons), UTF-8 recommended, and the header
//
//	Identification nationale PP|Destinataire|Complément|Voie|Lieu-dit|Code postal|Commune|Pays|Téléphone|Adresse e-mail|Date de mise à jour|
//	899700075122|DR CAROLE PHARMACH0007512||1 RUE DE L ESSAI||75001|PARIS||01 23 45 67 89|carole@exemple.example|2026-01-15|
//
// A line of the envelope (postal code and city are one) has at most 38 characters (NF Z10-011); a longer one is an error, since
// cutting an address is guessing. The country is an ISO 3166-1 code of two capitals, empty for France; there, overseas
// included, the postal code has 5 digits. Phone numbers are French national ones or international ones with + or 00, and come
// out in the form of E.164. The date of the last change, YYYY-MM-DD or DD/MM/YYYY, is required; every other column but the
// identifier may be empty, and Complete says whether a letter can be sent. Report and error are those of ReadPersons.
func ReadContacts(name string, r io.Reader, each func(line int, c Contact) error) (*Report, error) {
	return readTable(name, r, contactLayout, func(line int, record *record) error {
		contact := record.contact()
		if record.failure != nil {
			return nil
		}
		return each(line, contact)
	})
}

func (r *record) contact() Contact {
	contact := Contact{
		ID:         r.nationalID(contactNationalID),
		Recipient:  r.textUpTo(contactRecipient, longestPostalLine),
		Complement: r.textUpTo(contactComplement, longestPostalLine),
		Street:     r.textUpTo(contactStreet, longestPostalLine),
		Locality:   r.textUpTo(contactLocality, longestPostalLine),
		PostalCode: r.text(contactPostalCode),
		City:       r.textUpTo(contactCity, longestPostalLine),
		Country:    r.text(contactCountry),
		Phone:      r.text(contactPhone),
		Email:      r.text(contactEmail),
		Updated:    r.date(contactUpdated),
	}
	if r.failure != nil {
		return Contact{}
	}
	r.checkPostal(contact)
	if contact.Phone != "" {
		phone, ok := internationalPhone(contact.Phone, contact.french())
		if !ok {
			r.fail(contactPhone, "is not a phone number, French or international with +")
		}
		contact.Phone = phone
	}
	if contact.Email != "" && !plausibleEmail(contact.Email) {
		r.fail(contactEmail, "is not an e-mail address")
	}
	return contact
}

func (r *record) checkPostal(c Contact) {
	if c.Country != "" && (len(c.Country) != 2 || c.Country[0] < 'A' || c.Country[0] > 'Z' || c.Country[1] < 'A' || c.Country[1] > 'Z') {
		r.fail(contactCountry, "is not an ISO 3166-1 code of two capitals")
		return
	}
	if c.PostalCode != "" {
		switch {
		case c.french() && !frenchPostalCode(c.PostalCode):
			r.fail(contactPostalCode, "is not a French postal code of 5 digits")
		case !c.french() && !foreignPostalCode(c.PostalCode):
			r.fail(contactPostalCode, "is not a postal code of at most 12 letters, digits, spaces and hyphens")
		}
	}
	if utf8.RuneCountInString(c.PostalCode)+1+utf8.RuneCountInString(c.City) > longestPostalLine {
		r.fail(contactCity, fmt.Sprintf("is longer than %d characters together with the postal code", longestPostalLine))
	}
}

// frenchPostalCode accepts the departments 01 to 98, overseas included, and 00 for the armed forces.
func frenchPostalCode(code string) bool {
	return len(code) == 5 && allDigits(code) && code != "00000" && code[:2] != "99"
}

func foreignPostalCode(code string) bool {
	if len(code) > longestForeignCode {
		return false
	}
	for i := 0; i < len(code); i++ {
		c := code[i]
		letter := c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		digit := c >= '0' && c <= '9'
		if !letter && !digit && c != ' ' && c != '-' {
			return false
		}
	}
	return true
}

// overseasCodes gives the country code of national numbers that are not reached under 33 (French numbering plan).
var overseasCodes = map[string]string{
	"0262": "262", "0263": "262", "0269": "262", "0639": "262", "0692": "262", "0693": "262",
	"0590": "590", "0690": "590", "0691": "590",
	"0594": "594", "0694": "594",
	"0596": "596", "0696": "596", "0697": "596",
}

// internationalPhone brings a number to + and 7 to 15 digits (ITU-T E.164 §6). National numbers are understood for France only.
func internationalPhone(text string, french bool) (string, bool) {
	if strings.HasPrefix(text, "+") || strings.HasPrefix(text, "00") {
		text = strings.Replace(text, "(0)", "", 1)
	}
	text = strings.NewReplacer(" ", "", "\u00a0", "", "\u202f", "", ".", "", "-", "", "/", "", "(", "", ")", "").Replace(text)
	var digits string
	switch {
	case strings.HasPrefix(text, "+"):
		digits = text[1:]
	case strings.HasPrefix(text, "00"):
		digits = text[2:]
	case french && len(text) == 10 && text[0] == '0':
		digits = nationalDigits(text)
	default:
		return "", false
	}
	if len(digits) < 7 || len(digits) > 15 || !allDigits(digits) || digits[0] == '0' {
		return "", false
	}
	if strings.HasPrefix(digits, "33") && (len(digits) != 11 || digits[2] == '0') {
		return "", false
	}
	return "+" + digits, true
}

func nationalDigits(text string) string {
	code, overseas := overseasCodes[text[:4]]
	if !overseas {
		code = "33"
	}
	return code + text[1:]
}

// plausibleEmail accepts a bare address (RFC 5322 §3.4.1) in ASCII, without quotes or comments, whose domain is a name with a dot.
func plausibleEmail(text string) bool {
	if len(text) > longestEmail || !ascii([]byte(text)) || strings.Contains(text, "[") {
		return false
	}
	address, err := mail.ParseAddress(text)
	if err != nil || address.Address != text {
		return false
	}
	_, domain, _ := strings.Cut(text, "@")
	return strings.Contains(strings.Trim(domain, "."), ".") && !strings.HasSuffix(domain, ".")
}
