package ca

import (
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxRequest is the size of the largest certification request that is read: an
// RSA-4096 key, its signature and a short subject are half of it.
const maxRequest = 4096

// request is a certification request cut into its parts, which lie in its
// octets:
//
//	CertificationRequest ::= SEQUENCE {
//	    certificationRequestInfo CertificationRequestInfo,
//	    signatureAlgorithm       AlgorithmIdentifier,
//	    signature                BIT STRING }
//	CertificationRequestInfo ::= SEQUENCE {
//	    version       INTEGER { v1(0) },
//	    subject       Name,
//	    subjectPKInfo SubjectPublicKeyInfo,
//	    attributes    [0] Attributes }             -- RFC 2986 §4
type request struct {
	info       []byte // CertificationRequestInfo, with its header: what is signed
	spki       []byte
	attributes cryptobyte.String
	algorithm  []byte // AlgorithmIdentifier, with its header
	signature  []byte
}

// readRequest cuts a certification request. Nothing but the key and the
// challenge is taken from one, so that subject and other attributes are held to
// their outer form alone; crypto/x509 would read both whole, at five times the
// price.
func readRequest(der []byte) (request, error) {
	if len(der) > maxRequest {
		return request{}, fmt.Errorf("%w: %d octets are more than %d", ErrRequest, len(der), maxRequest)
	}
	input := cryptobyte.String(der)
	var r request
	var whole, info, inside, subject, spki, algorithm cryptobyte.String
	var version int
	if !input.ReadASN1(&whole, cbasn1.SEQUENCE) || !input.Empty() {
		return request{}, fmt.Errorf("%w: not one SEQUENCE", ErrRequest)
	}
	if !whole.ReadASN1Element(&info, cbasn1.SEQUENCE) || !whole.ReadASN1Element(&algorithm, cbasn1.SEQUENCE) ||
		!whole.ReadASN1BitStringAsBytes(&r.signature) || !whole.Empty() {
		return request{}, fmt.Errorf("%w: not a request, its algorithm and its signature", ErrRequest)
	}
	r.info, r.algorithm = info, algorithm
	if !info.ReadASN1(&inside, cbasn1.SEQUENCE) || !inside.ReadASN1Integer(&version) || version != 0 ||
		!inside.ReadASN1(&subject, cbasn1.SEQUENCE) || !isName(subject) {
		return request{}, fmt.Errorf("%w: version or subject", ErrRequest)
	}
	if !inside.ReadASN1Element(&spki, cbasn1.SEQUENCE) {
		return request{}, fmt.Errorf("%w: no subject public key", ErrRequest)
	}
	r.spki = spki
	if !inside.ReadASN1(&r.attributes, cbasn1.Tag(0).ContextSpecific().Constructed()) || !inside.Empty() {
		return request{}, fmt.Errorf("%w: no attributes", ErrRequest)
	}
	return r, nil
}

// isName says whether the content of a SEQUENCE has the form of an RDNSequence
// (RFC 5280 §4.1.2.4).
func isName(rdns cryptobyte.String) bool {
	for !rdns.Empty() {
		var rdn cryptobyte.String
		if !rdns.ReadASN1(&rdn, cbasn1.SET) || rdn.Empty() {
			return false
		}
		for !rdn.Empty() {
			var attribute, value cryptobyte.String
			var tag cbasn1.Tag
			if !rdn.ReadASN1(&attribute, cbasn1.SEQUENCE) || !attribute.SkipASN1(cbasn1.OBJECT_IDENTIFIER) ||
				!attribute.ReadAnyASN1(&value, &tag) || !attribute.Empty() {
				return false
			}
		}
	}
	return true
}

// oidChallengePassword is the content of the OBJECT IDENTIFIER
// 1.2.840.113549.1.9.7 (RFC 2985 §5.4.1).
var oidChallengePassword = contentOf(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 7})

func contentOf(id asn1.ObjectIdentifier) string {
	var b cryptobyte.Builder
	b.AddASN1ObjectIdentifier(id)
	der, _ := b.Bytes() // a constant identifier always encodes
	return string(der[2:])
}

// challenge reads the challengePassword attribute; absent, twice or with
// several values it is refused with ErrChallenge:
//
//	Attribute ::= SEQUENCE { type OBJECT IDENTIFIER, values SET OF DirectoryString }
func (r *request) challenge() ([]byte, error) {
	var found []byte
	attributes := r.attributes
	for !attributes.Empty() {
		var attribute, id, values cryptobyte.String
		if !attributes.ReadASN1(&attribute, cbasn1.SEQUENCE) || !attribute.ReadASN1(&id, cbasn1.OBJECT_IDENTIFIER) ||
			!attribute.ReadASN1(&values, cbasn1.SET) || !attribute.Empty() {
			return nil, fmt.Errorf("%w: attribute", ErrRequest)
		}
		if string(id) != oidChallengePassword {
			continue
		}
		var value cryptobyte.String
		var kind cbasn1.Tag
		if found != nil || !values.ReadAnyASN1(&value, &kind) || !values.Empty() || (kind != cbasn1.PrintableString && kind != cbasn1.UTF8String) {
			return nil, fmt.Errorf("%w: want one challengePassword in one text", ErrChallenge)
		}
		found = value
	}
	if found == nil {
		return nil, fmt.Errorf("%w: the request has none", ErrChallenge)
	}
	return found, nil
}
