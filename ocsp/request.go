package ocsp

import (
	"crypto"
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Bounds of a request, far above what clients send.
const (
	// MaxRequestSize is the longest request that is read, in octets; a signed
	// request with its certificates fits.
	MaxRequestSize = 16 << 10
	// MaxCertIDs is how many certificates one request may ask for.
	MaxCertIDs = 16
	// maxNonce is the longest nonce (RFC 9654 §2.1), in octets.
	maxNonce = 128
	// maxSerial is the longest serial number as the content of an INTEGER: 20
	// octets and a leading zero (RFC 5280 §4.1.2.2).
	maxSerial = 21
)

// ErrMalformed: the octets are not an OCSP request in DER, or exceed a bound,
// or carry a critical extension that this responder does not know.
var ErrMalformed = errors.New("malformed OCSP request")

// Request is what a client asks.
type Request struct {
	CertIDs []CertID // 1 to MaxCertIDs, in the order of the request
	Nonce   []byte   // 1 to 128 octets; nil if the request has none
}

// CertID names one certificate (RFC 6960 §4.1.1).
type CertID struct {
	Raw            []byte      // DER, returned in the response as it came
	Hash           crypto.Hash // zero if the algorithm is not one of ours
	IssuerNameHash []byte
	IssuerKeyHash  []byte
	SerialNumber   []byte // content octets of the INTEGER, minimal, at most 21
}

// ParseRequest reads a request. Signature and requestor name are tolerated and
// ignored, as RFC 6960 §4.1.2 lets a responder do. Everything else that is not
// exactly DER returns ErrMalformed, wrapped with the element at fault.
//
//	OCSPRequest     ::= SEQUENCE {
//	   tbsRequest                  TBSRequest,
//	   optionalSignature   [0]     EXPLICIT Signature OPTIONAL }
//
//	TBSRequest      ::= SEQUENCE {
//	   version             [0]     EXPLICIT Version DEFAULT v1,
//	   requestorName       [1]     EXPLICIT GeneralName OPTIONAL,
//	   requestList                 SEQUENCE OF Request,
//	   requestExtensions   [2]     EXPLICIT Extensions OPTIONAL }
func ParseRequest(der []byte) (*Request, error) {
	if len(der) > MaxRequestSize {
		return nil, malformed("size")
	}
	input := cryptobyte.String(der)
	var outer, tbs, list cryptobyte.String
	if !input.ReadASN1(&outer, cbasn1.SEQUENCE) || !input.Empty() {
		return nil, malformed("OCSPRequest")
	}
	if !outer.ReadASN1(&tbs, cbasn1.SEQUENCE) {
		return nil, malformed("tbsRequest")
	}
	if !skipWrapped(&outer, 0) || !outer.Empty() {
		return nil, malformed("optionalSignature")
	}
	// The only version is v1, which DER leaves out.
	if tbs.PeekASN1Tag(contextTag(0)) {
		return nil, malformed("version")
	}
	if !skipWrapped(&tbs, 1) {
		return nil, malformed("requestorName")
	}
	if !tbs.ReadASN1(&list, cbasn1.SEQUENCE) || list.Empty() {
		return nil, malformed("requestList")
	}
	request := &Request{}
	for !list.Empty() {
		if len(request.CertIDs) == MaxCertIDs {
			return nil, malformed("requestList: too many")
		}
		id, err := parseSingle(&list)
		if err != nil {
			return nil, err
		}
		request.CertIDs = append(request.CertIDs, id)
	}
	err := parseExtensions(&tbs, 2, request)
	if err != nil {
		return nil, err
	}
	if !tbs.Empty() {
		return nil, malformed("tbsRequest: trailing octets")
	}
	return request, nil
}

func malformed(element string) error { return fmt.Errorf("%w: %s", ErrMalformed, element) }

func contextTag(n uint8) cbasn1.Tag { return cbasn1.Tag(n).Constructed().ContextSpecific() }

// skipWrapped skips an optional [n] EXPLICIT element, which must hold exactly
// one element.
func skipWrapped(s *cryptobyte.String, n uint8) bool {
	var wrapped, inner cryptobyte.String
	var present bool
	var tag cbasn1.Tag
	if !s.ReadOptionalASN1(&wrapped, &present, contextTag(n)) {
		return false
	}
	return !present || wrapped.ReadAnyASN1(&inner, &tag) && wrapped.Empty()
}

// parseSingle reads one Request and returns its CertID.
//
//	Request         ::= SEQUENCE {
//	   reqCert                     CertID,
//	   singleRequestExtensions     [0] EXPLICIT Extensions OPTIONAL }
//
//	CertID          ::= SEQUENCE {
//	   hashAlgorithm       AlgorithmIdentifier,
//	   issuerNameHash      OCTET STRING,
//	   issuerKeyHash       OCTET STRING,
//	   serialNumber        CertificateSerialNumber }
func parseSingle(list *cryptobyte.String) (CertID, error) {
	var single, element, fields, algorithm cryptobyte.String
	if !list.ReadASN1(&single, cbasn1.SEQUENCE) {
		return CertID{}, malformed("Request")
	}
	if !single.ReadASN1Element(&element, cbasn1.SEQUENCE) {
		return CertID{}, malformed("reqCert")
	}
	id := CertID{Raw: element}
	if !element.ReadASN1(&fields, cbasn1.SEQUENCE) || !fields.ReadASN1(&algorithm, cbasn1.SEQUENCE) {
		return CertID{}, malformed("hashAlgorithm")
	}
	err := parseHashAlgorithm(algorithm, &id)
	if err != nil {
		return CertID{}, err
	}
	var name, key, serial cryptobyte.String
	if !fields.ReadASN1(&name, cbasn1.OCTET_STRING) || id.Hash != 0 && len(name) != id.Hash.Size() {
		return CertID{}, malformed("issuerNameHash")
	}
	if !fields.ReadASN1(&key, cbasn1.OCTET_STRING) || id.Hash != 0 && len(key) != id.Hash.Size() {
		return CertID{}, malformed("issuerKeyHash")
	}
	if !fields.ReadASN1(&serial, cbasn1.INTEGER) || !minimalInteger(serial) || !fields.Empty() {
		return CertID{}, malformed("serialNumber")
	}
	id.IssuerNameHash, id.IssuerKeyHash, id.SerialNumber = name, key, serial
	err = parseExtensions(&single, 0, nil)
	if err != nil {
		return CertID{}, err
	}
	if !single.Empty() {
		return CertID{}, malformed("Request: trailing octets")
	}
	return id, nil
}

// parseHashAlgorithm reads an algorithm whose parameters are absent or NULL,
// both of which clients send (RFC 4055 §2.1). Of an algorithm that is not ours
// nothing more is known than that it has a name.
func parseHashAlgorithm(algorithm cryptobyte.String, id *CertID) error {
	var oid asn1.ObjectIdentifier
	if !algorithm.ReadASN1ObjectIdentifier(&oid) {
		return malformed("hashAlgorithm")
	}
	hash, known := certIDHash(oid)
	if !known {
		return nil
	}
	id.Hash = hash
	var parameters cryptobyte.String
	var present bool
	if !algorithm.ReadOptionalASN1(&parameters, &present, cbasn1.NULL) || len(parameters) != 0 || !algorithm.Empty() {
		return malformed("hashAlgorithm parameters")
	}
	return nil
}

func minimalInteger(content []byte) bool {
	if len(content) == 0 || len(content) > maxSerial {
		return false
	}
	if len(content) == 1 {
		return true
	}
	redundantZero := content[0] == 0 && content[1] < 0x80
	redundantSign := content[0] == 0xff && content[1] >= 0x80
	return !redundantZero && !redundantSign
}

// parseExtensions reads optional [n] EXPLICIT Extensions. Of a request
// (not nil) it takes the nonce; everything else is ignored unless critical.
//
//	Extension       ::= SEQUENCE {
//	   extnID              OBJECT IDENTIFIER,
//	   critical            BOOLEAN DEFAULT FALSE,
//	   extnValue           OCTET STRING }
func parseExtensions(s *cryptobyte.String, n uint8, request *Request) error {
	var wrapped, list cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&wrapped, &present, contextTag(n)) {
		return malformed("extensions")
	}
	if !present {
		return nil
	}
	if !wrapped.ReadASN1(&list, cbasn1.SEQUENCE) || !wrapped.Empty() || list.Empty() {
		return malformed("extensions")
	}
	for !list.Empty() {
		var extension, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !list.ReadASN1(&extension, cbasn1.SEQUENCE) || !extension.ReadASN1ObjectIdentifier(&oid) {
			return malformed("extnID")
		}
		critical := extension.PeekASN1Tag(cbasn1.BOOLEAN)
		var flag bool
		if critical && (!extension.ReadASN1Boolean(&flag) || !flag) {
			return malformed("critical")
		}
		if !extension.ReadASN1(&value, cbasn1.OCTET_STRING) || !extension.Empty() {
			return malformed("extnValue")
		}
		if request != nil && oid.Equal(idPKIXOCSPNonce) {
			err := parseNonce(value, request)
			if err != nil {
				return err
			}
		} else if critical {
			return malformed("critical extension")
		}
	}
	return nil
}

// parseNonce reads a nonce (RFC 9654 §2.1).
//
//	Nonce           ::= OCTET STRING(SIZE(1..128))
func parseNonce(value cryptobyte.String, request *Request) error {
	var nonce cryptobyte.String
	if request.Nonce != nil || !value.ReadASN1(&nonce, cbasn1.OCTET_STRING) || !value.Empty() {
		return malformed("nonce")
	}
	if len(nonce) == 0 || len(nonce) > maxNonce {
		return malformed("nonce length")
	}
	request.Nonce = nonce
	return nil
}
