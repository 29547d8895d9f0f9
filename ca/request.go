package ca

import (
	"bytes"
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"cpsca/card"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxRequest is the size of the largest certification request that is read: an
// RSA-4096 key, its signature and a short subject are half of it.
const maxRequest = 4096

var oidChallengePassword = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 7} // RFC 2985 §5.4.1

// proven is a public key whose holder proved possession of the private key for
// one order and use.
type proven struct {
	spki        []byte
	fingerprint card.Fingerprint
}

// requestKey reads the key of a certification request (RFC 2986 §4) and checks
// it against the rules. Nothing but the key and the challenge is taken from a
// request.
func requestKey(der []byte, rules KeyRules) (*x509.CertificateRequest, proven, error) {
	if len(der) > maxRequest {
		return nil, proven{}, fmt.Errorf("%w: %d octets are more than %d", ErrRequest, len(der), maxRequest)
	}
	spki, err := requestSPKI(der)
	if err != nil {
		return nil, proven{}, err
	}
	key, err := rules.admit(spki)
	if err != nil {
		return nil, proven{}, err
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, proven{}, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return request, key, nil
}

// requestSPKI cuts the SubjectPublicKeyInfo out of a request as it stands, so
// that a key is judged by its own bytes:
//
//	CertificationRequestInfo ::= SEQUENCE {
//	    version INTEGER { v1(0) }, subject Name,
//	    subjectPKInfo SubjectPublicKeyInfo, attributes [0] Attributes }
func requestSPKI(der []byte) ([]byte, error) {
	input := cryptobyte.String(der)
	var request, info, spki cryptobyte.String
	if !input.ReadASN1(&request, cbasn1.SEQUENCE) || !input.Empty() {
		return nil, fmt.Errorf("%w: not one SEQUENCE", ErrRequest)
	}
	if !request.ReadASN1(&info, cbasn1.SEQUENCE) || !info.SkipASN1(cbasn1.INTEGER) || !info.SkipASN1(cbasn1.SEQUENCE) ||
		!info.ReadASN1Element(&spki, cbasn1.SEQUENCE) {
		return nil, fmt.Errorf("%w: no subject public key", ErrRequest)
	}
	return spki, nil
}

// prove checks that the request was signed by its own key, for this challenge.
func prove(request *x509.CertificateRequest, challenge string) error {
	switch request.SignatureAlgorithm {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA, x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
	default:
		return fmt.Errorf("%w: signature algorithm %v", ErrProof, request.SignatureAlgorithm)
	}
	err := request.CheckSignature()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	carried, err := challengeOf(request.RawTBSCertificateRequest)
	if err != nil {
		return err
	}
	if challenge == "" { // an order without a challenge proves nothing
		return ErrChallenge
	}
	if subtle.ConstantTimeCompare(carried, []byte(challenge)) != 1 {
		return ErrChallenge
	}
	return nil
}

// challengeOf reads the challengePassword attribute; absent, twice or with
// several values it is refused with ErrChallenge:
//
//	Attribute ::= SEQUENCE { type OBJECT IDENTIFIER, values SET OF DirectoryString }
func challengeOf(info []byte) ([]byte, error) {
	input := cryptobyte.String(info)
	var body, attributes cryptobyte.String
	tag := cbasn1.Tag(0).ContextSpecific().Constructed()
	if !input.ReadASN1(&body, cbasn1.SEQUENCE) || !body.SkipASN1(cbasn1.INTEGER) || !body.SkipASN1(cbasn1.SEQUENCE) ||
		!body.SkipASN1(cbasn1.SEQUENCE) || !body.ReadASN1(&attributes, tag) {
		return nil, fmt.Errorf("%w: no attributes", ErrRequest)
	}
	var found []byte
	for !attributes.Empty() {
		var attribute, values cryptobyte.String
		var id asn1.ObjectIdentifier
		if !attributes.ReadASN1(&attribute, cbasn1.SEQUENCE) || !attribute.ReadASN1ObjectIdentifier(&id) || !attribute.ReadASN1(&values, cbasn1.SET) {
			return nil, fmt.Errorf("%w: attribute", ErrRequest)
		}
		if !id.Equal(oidChallengePassword) {
			continue
		}
		var value cryptobyte.String
		var kind cbasn1.Tag
		if found != nil || !values.ReadAnyASN1(&value, &kind) || !values.Empty() || (kind != cbasn1.PrintableString && kind != cbasn1.UTF8String) {
			return nil, fmt.Errorf("%w: want one challengePassword in one text", ErrChallenge)
		}
		found = bytes.Clone(value)
	}
	if found == nil {
		return nil, fmt.Errorf("%w: the request has none", ErrChallenge)
	}
	return found, nil
}
