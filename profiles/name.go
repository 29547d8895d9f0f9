package profiles

import (
	"bytes"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Attribute is one part of a distinguished name, alone in its RDN.
type Attribute struct {
	Type  AttributeType
	Value string
}

// AttributeType is a type of attribute that names of the infrastructure have
// (X.520, RFC 5280 appendix A.1).
type AttributeType int

// The types, with the names of the standard. A country is two capital letters
// in a PrintableString; all others are UTF8String of at most 64 characters
// (128 for localityName and stateOrProvinceName).
const (
	CountryName AttributeType = iota + 1
	StateOrProvinceName
	LocalityName
	OrganizationName
	OrganizationalUnitName
	Title
	GivenName
	Surname
	CommonName
)

var attributeTypes = map[AttributeType]struct {
	name string
	id   oid
	max  int
}{
	CountryName:            {"countryName", oidCountryName, 2},
	StateOrProvinceName:    {"stateOrProvinceName", oidStateOrProvinceName, 128},
	LocalityName:           {"localityName", oidLocalityName, 128},
	OrganizationName:       {"organizationName", oidOrganizationName, 64},
	OrganizationalUnitName: {"organizationalUnitName", oidOrganizationalUnitName, 64},
	Title:                  {"title", oidTitle, 64},
	GivenName:              {"givenName", oidGivenName, 64},
	Surname:                {"surname", oidSurname, 64},
	CommonName:             {"commonName", oidCommonName, 64},
}

// DistinguishedName encodes a name of the hierarchy or of a technical
// certificate: one attribute per RDN, in the order given. Values are
// normalised; a *Refusal names the attribute that is empty, too long or not a
// text, and a second countryName or commonName.
func DistinguishedName(attributes ...Attribute) ([]byte, error) {
	if len(attributes) == 0 {
		return nil, refuse("name", ruleDistinguish, "is empty")
	}
	var b cryptobyte.Builder
	seen := map[AttributeType]bool{}
	var failure error
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, attribute := range attributes {
			err := addAttribute(b, attribute)
			if err == nil && seen[attribute.Type] && (attribute.Type == CountryName || attribute.Type == CommonName) {
				err = refuse(attributeTypes[attribute.Type].name, ruleNames, "is there twice")
			}
			if err != nil && failure == nil {
				failure = err
			}
			seen[attribute.Type] = true
		}
	})
	if failure != nil {
		return nil, failure
	}
	return b.Bytes()
}

func addAttribute(b *cryptobyte.Builder, attribute Attribute) error {
	known, ok := attributeTypes[attribute.Type]
	if !ok {
		return refuse("name", ruleNames, "has an attribute of unknown type")
	}
	value, err := normaliseRequired(known.name, attribute.Value)
	if err != nil {
		return err
	}
	if utf8.RuneCountInString(value) > known.max {
		return refuse(known.name, ruleNames, "is too long")
	}
	tag := asn1.UTF8String
	if attribute.Type == CountryName {
		tag = asn1.PrintableString
		if len(value) != 2 || value[0] < 'A' || value[0] > 'Z' || value[1] < 'A' || value[1] > 'Z' {
			return refuse(known.name, ruleNames, "is not two capital letters")
		}
	}
	b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(known.id)
			b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(value)) })
		})
	})
	return nil
}

// checkName accepts a DER Name that is not empty (RFC 5280 §4.1.2.6) and
// whose texts are PrintableString or UTF8String as normalise leaves them.
// With a subject of ours it also asks for exactly one commonName.
func checkName(field, rule string, name []byte, subject bool) error {
	input := cryptobyte.String(name)
	var rdns cryptobyte.String
	if !input.ReadASN1(&rdns, asn1.SEQUENCE) || !input.Empty() {
		return refuse(field, rule, "is not one DER Name")
	}
	if rdns.Empty() {
		return refuse(field, rule, "is empty")
	}
	commonNames := 0
	for !rdns.Empty() {
		var rdn cryptobyte.String
		if !rdns.ReadASN1(&rdn, asn1.SET) || rdn.Empty() {
			return refuse(field, rule, "is not one DER Name")
		}
		for !rdn.Empty() {
			id, err := checkAttribute(field, rule, &rdn)
			if err != nil {
				return err
			}
			if bytes.Equal(id, derCommonName) {
				commonNames++
			}
		}
	}
	if subject && commonNames != 1 {
		return refuse(field, rule, "does not have exactly one commonName")
	}
	return nil
}

// checkAttribute reads one AttributeTypeAndValue off rdn and returns its type
// in DER.
func checkAttribute(field, rule string, rdn *cryptobyte.String) ([]byte, error) {
	var attribute, id, value cryptobyte.String
	var tag asn1.Tag
	if !rdn.ReadASN1(&attribute, asn1.SEQUENCE) ||
		!attribute.ReadASN1Element(&id, asn1.OBJECT_IDENTIFIER) ||
		!attribute.ReadAnyASN1(&value, &tag) || !attribute.Empty() {
		return nil, refuse(field, rule, "is not one DER Name")
	}
	if tag != asn1.UTF8String && tag != asn1.PrintableString {
		return nil, refuse(field, rule, "holds a text that is neither UTF8String nor PrintableString")
	}
	text, err := normaliseRequired(field, string(value))
	if err != nil {
		return nil, err
	}
	if text != string(value) {
		return nil, refuse(field, ruleCharacters, "holds a text that is not normalised")
	}
	return id, nil
}
