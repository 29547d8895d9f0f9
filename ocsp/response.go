package ocsp

import (
	"encoding/asn1"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"cpsca/card"
)

// Status is an OCSPResponseStatus (RFC 6960 §4.2.1).
type Status byte

// The response statuses in use. All but Successful are unsigned.
const (
	Successful       Status = 0
	MalformedRequest Status = 1
	InternalError    Status = 2
	TryLater         Status = 3
	Unauthorized     Status = 6
)

// String returns the name that RFC 6960 gives the status.
func (s Status) String() string {
	switch s {
	case Successful:
		return "successful"
	case MalformedRequest:
		return "malformedRequest"
	case InternalError:
		return "internalError"
	case TryLater:
		return "tryLater"
	case Unauthorized:
		return "unauthorized"
	}
	return fmt.Sprintf("status %d", byte(s))
}

// Response is what is sent, with what HTTP must know of it.
type Response struct {
	DER    []byte
	Status Status
	// Below: zero unless Status is Successful.
	ProducedAt time.Time
	ThisUpdate time.Time
	NextUpdate time.Time
	Nonce      bool // echoes a nonce: for this client alone
	Unknown    bool // speaks of a serial that was never issued
	Stale      bool // the image is older than it should be
}

// Refusal returns the constant response of a status other than Successful.
func Refusal(s Status) Response {
	// OCSPResponse ::= SEQUENCE { responseStatus ENUMERATED }
	return Response{DER: []byte{0x30, 0x03, 0x0a, 0x01, byte(s)}, Status: s}
}

// certStatus is the CHOICE of RFC 6960 §4.2.1; the values are its tags.
type certStatus uint8

const (
	good    certStatus = 0
	revoked certStatus = 1
	unknown certStatus = 2
)

// single is a SingleResponse before it is written.
type single struct {
	certID        []byte
	status        certStatus
	revokedAt     time.Time
	reason        card.Reason // written unless Unspecified
	archiveCutoff time.Time   // written unless zero
}

// data is ResponseData before it is written.
type data struct {
	responderKey   []byte // SHA-1 of the responder's public key bits
	producedAt     time.Time
	thisUpdate     time.Time
	nextUpdate     time.Time
	singles        []single
	nonce          []byte
	extendedRevoke bool
}

// tbs writes the part that is signed.
//
//	ResponseData ::= SEQUENCE {
//	   version              [0] EXPLICIT Version DEFAULT v1,
//	   responderID              ResponderID,   -- byKey [2] KeyHash
//	   producedAt               GeneralizedTime,
//	   responses                SEQUENCE OF SingleResponse,
//	   responseExtensions   [1] EXPLICIT Extensions OPTIONAL }
func (d *data) tbs() ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, 512))
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(contextTag(2), func(b *cryptobyte.Builder) { b.AddASN1OctetString(d.responderKey) })
		b.AddASN1GeneralizedTime(d.producedAt)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for i := range d.singles {
				d.addSingle(b, &d.singles[i])
			}
		})
		if d.nonce == nil && !d.extendedRevoke {
			return
		}
		b.AddASN1(contextTag(1), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				if d.nonce != nil {
					addExtension(b, idPKIXOCSPNonce, func(b *cryptobyte.Builder) { b.AddASN1OctetString(d.nonce) })
				}
				if d.extendedRevoke {
					addExtension(b, idPKIXOCSPExtendedRevoke, func(b *cryptobyte.Builder) { b.AddASN1NULL() })
				}
			})
		})
	})
	return b.Bytes()
}

// addSingle writes one SingleResponse.
//
//	SingleResponse ::= SEQUENCE {
//	   certID                   CertID,
//	   certStatus               CertStatus,
//	   thisUpdate               GeneralizedTime,
//	   nextUpdate           [0] EXPLICIT GeneralizedTime OPTIONAL,
//	   singleExtensions     [1] EXPLICIT Extensions OPTIONAL }
//
//	CertStatus ::= CHOICE {
//	   good                 [0] IMPLICIT NULL,
//	   revoked              [1] IMPLICIT RevokedInfo,
//	   unknown              [2] IMPLICIT UnknownInfo }  -- NULL
//
//	RevokedInfo ::= SEQUENCE {
//	   revocationTime           GeneralizedTime,
//	   revocationReason     [0] EXPLICIT CRLReason OPTIONAL }
func (d *data) addSingle(b *cryptobyte.Builder, s *single) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(s.certID)
		if s.status == revoked {
			b.AddASN1(contextTag(uint8(revoked)), func(b *cryptobyte.Builder) {
				b.AddASN1GeneralizedTime(s.revokedAt)
				if s.reason != card.Unspecified {
					b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(s.reason)) })
				}
			})
		} else {
			b.AddASN1(cbasn1.Tag(s.status).ContextSpecific(), func(*cryptobyte.Builder) {})
		}
		b.AddASN1GeneralizedTime(d.thisUpdate)
		b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(d.nextUpdate) })
		if s.archiveCutoff.IsZero() {
			return
		}
		b.AddASN1(contextTag(1), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addExtension(b, idPKIXOCSPArchiveCutoff, func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(s.archiveCutoff) })
			})
		})
	})
}

// addExtension writes an Extension that is not critical.
func addExtension(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, value cryptobyte.BuilderContinuation) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddASN1(cbasn1.OCTET_STRING, value)
	})
}

// wrap writes the whole response around signed ResponseData.
//
//	OCSPResponse ::= SEQUENCE {
//	   responseStatus           OCSPResponseStatus,
//	   responseBytes        [0] EXPLICIT ResponseBytes OPTIONAL }
//
//	ResponseBytes ::= SEQUENCE {
//	   responseType             OBJECT IDENTIFIER,
//	   response                 OCTET STRING }  -- BasicOCSPResponse
//
//	BasicOCSPResponse ::= SEQUENCE {
//	   tbsResponseData          ResponseData,
//	   signatureAlgorithm       AlgorithmIdentifier,
//	   signature                BIT STRING,
//	   certs                [0] EXPLICIT SEQUENCE OF Certificate OPTIONAL }
func wrap(tbs, signature []byte, algorithm signatureAlgorithm, certificate []byte) ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, len(tbs)+len(signature)+len(certificate)+128))
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Enum(int64(Successful))
		b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(idPKIXOCSPBasic)
				b.AddASN1(cbasn1.OCTET_STRING, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddBytes(tbs)
						b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
							b.AddASN1ObjectIdentifier(algorithm.oid)
							if algorithm.null {
								b.AddASN1NULL()
							}
						})
						b.AddASN1BitString(signature)
						b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) {
							b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(certificate) })
						})
					})
				})
			})
		})
	})
	return b.Bytes()
}
