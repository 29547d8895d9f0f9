package profiles

import (
	"bytes"
	"time"

	"cpsca/card"
	"cpsca/registry"
)

// countryFR is the first RDN of every card.
var countryFR = []byte{tagSet, 11, tagSequence, 9, 0x06, 3, 0x55, 4, 6, tagPrintableString, 2, 'F', 'R'}

// titleStaff is the title of the staff of a structure.
const titleStaff = "Personnel santé ou social"

// Holder is whom a card names, as the register knows the person.
type Holder struct {
	// ID becomes the commonName; the kinds of professionals for a CPS, those
	// of staff for a CPE.
	ID         registry.NationalID
	FamilyName string
	GivenName  string
	// Profession gives title and private extension of a CPS; 0 for a CPE.
	Profession registry.ProfessionCode
	// Structure is where the holder of a CPE works; zero for a CPS.
	Structure Structure
}

// Structure is the establishment that a CPE names.
type Structure struct {
	Name string
	// ID is the type digit of code list G07 and the number; it must be the
	// structure of the holder's national identifier.
	ID string
	// Department is a label and a number, as in "Paris (75)".
	Department string
}

// Leaf is all that is said of one card certificate.
type Leaf struct {
	Serial    card.Serial
	NotBefore time.Time // truncated to the second
	SPKI      []byte    // SubjectPublicKeyInfo, canonical DER, taken verbatim
	Key       *Key      // in place of SPKI, where it was read already
	Holder    Holder
	Number    card.Number
}

// subjectTexts are the texts of a card's subject after the rules of
// docs/PROFILES.md §4.
type subjectTexts struct {
	id, familyName, givenName, title             string
	department, organization, organizationalUnit string // CPE
}

// Check validates the facts of a card certificate, builds it and reads it
// back. It returns a *Refusal for a fact that is not acceptable, wrapping
// ErrEnvironment, ErrValidity, ErrNotCanonical or ErrUnsupportedKey where that
// is the reason, and ErrEncoding if the bytes are not what was asked.
func (p *Profile) Check(leaf Leaf) (*Checked, error) {
	if p.shape.kind != kindCard {
		return nil, refuse("profile", ruleKinds, "is not one of cards")
	}
	_, err := card.ParseNumber(string(leaf.Number))
	if err != nil {
		return nil, refuseAs(err, "number", ruleNumber, "is not ten digits")
	}
	texts, err := p.subjectTexts(&leaf.Holder)
	if err != nil {
		return nil, err
	}
	c := certificate{
		serial: leaf.Serial, notBefore: leaf.NotBefore, spki: leaf.SPKI, key: leaf.Key,
		subject: texts.appendTo(make([]byte, 0, 512)),
		number:  leaf.Number, profession: leaf.Holder.Profession,
		principal: texts.id,
	}
	return p.check(&c)
}

// subjectTexts applies the rules on the holder.
func (p *Profile) subjectTexts(h *Holder) (*subjectTexts, error) {
	id, err := registry.ParseNationalID(string(h.ID))
	if err != nil {
		return nil, refuseAs(err, "id", ruleSubject, "is not a national identifier")
	}
	if id.Test() != p.issuer.Test {
		return nil, refuseAs(ErrEnvironment, "id", ruleEnvironment, "is fictitious before a production issuer, or real before a test issuer")
	}
	texts := &subjectTexts{id: string(id)}
	texts.familyName, err = familyName(h.FamilyName)
	if err != nil {
		return nil, err
	}
	texts.givenName, err = givenName(h.GivenName)
	if err != nil {
		return nil, err
	}
	if p.shape.cardType == card.CPS {
		return texts, texts.professional(id, h)
	}
	return texts, texts.staff(id, h)
}

func (t *subjectTexts) professional(id registry.NationalID, h *Holder) error {
	if !id.Professional() {
		return refuse("id", ruleSubject, "does not name a professional")
	}
	if h.Structure != (Structure{}) {
		return refuse("structure", ruleSubject, "has no place in a CPS")
	}
	entry, ok := registry.Profession(h.Profession)
	if !ok || h.Profession <= 0 {
		return refuse("profession", ruleTitle, "is not in code list G15")
	}
	t.title = entry.Label
	return nil
}

func (t *subjectTexts) staff(id registry.NationalID, h *Holder) error {
	structure, ok := id.Structure()
	if !ok {
		return refuse("id", ruleSubject, "does not name the staff of a structure")
	}
	if h.Profession != 0 {
		return refuse("profession", ruleTitle, "has no place in a CPE")
	}
	if h.Structure.ID != structure {
		return refuse("structure.id", ruleSubject, "is not the structure of the national identifier")
	}
	var err error
	t.department, err = department(h.Structure.Department)
	if err != nil {
		return err
	}
	t.organization, err = organization(h.Structure.Name)
	if err != nil {
		return err
	}
	t.organizationalUnit, t.title = structure, titleStaff
	return nil
}

// appendTo writes the subject: countryName, for staff the structure, title,
// and the person in one RDN.
func (t *subjectTexts) appendTo(b []byte) []byte {
	start := len(b)
	b = append(b, countryFR...)
	if t.organization != "" {
		b = appendRDN(b, derStateOrProvinceName, t.department)
		b = appendRDN(b, derOrganizationName, t.organization)
		b = appendRDN(b, derOrganizationalUnitName, t.organizationalUnit)
	}
	b = appendRDN(b, derTitle, t.title)
	b = t.appendPerson(b)
	return enclose(b, start, tagSequence)
}

// appendPerson writes the multi-valued RDN, its attributes in the order of
// their encodings (DER SET OF, X.690 §11.6). No encoding is the beginning of
// another, so that comparing octets needs no padding.
func (t *subjectTexts) appendPerson(b []byte) []byte {
	var scratch [512]byte
	person := appendAttribute(scratch[:0], derGivenName, t.givenName)
	first := len(person)
	person = appendAttribute(person, derCommonName, t.id)
	second := len(person)
	person = appendAttribute(person, derSurname, t.familyName)
	sorted := [3][]byte{person[:first], person[first:second], person[second:]}
	for _, pair := range [3][2]int{{0, 1}, {1, 2}, {0, 1}} {
		if bytes.Compare(sorted[pair[0]], sorted[pair[1]]) > 0 {
			sorted[pair[0]], sorted[pair[1]] = sorted[pair[1]], sorted[pair[0]]
		}
	}
	start := len(b)
	for _, attribute := range sorted {
		b = append(b, attribute...)
	}
	return enclose(b, start, tagSet)
}

func appendRDN(b, id []byte, text string) []byte {
	start := len(b)
	b = appendAttribute(b, id, text)
	return enclose(b, start, tagSet)
}

func appendAttribute(b, id []byte, text string) []byte {
	start := len(b)
	b = append(b, id...)
	b = appendText(b, tagUTF8String, text)
	return enclose(b, start, tagSequence)
}
