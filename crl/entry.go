package crl

import (
	"fmt"
	"time"

	"cpsca/card"
)

// Entry is one revoked certificate of a list (RFC 5280 §5.1.2.6), encoded
// once: every list that carries it copies DER. Entries are made by
// Policy.Entry or read from a List and not changed afterwards.
type Entry struct {
	Serial     card.Serial
	Date       time.Time   // revocationDate, UTC, whole seconds
	Reason     card.Reason // as published; Unspecified if no reason is published
	Invalidity time.Time   // invalidityDate as published, else zero
	DER        []byte      // the whole SEQUENCE; shared, never written to
}

// entrySize is enough for an entry with all its extensions; it keeps every
// length inside an entry in the short form.
const entrySize = 80

// Entry encodes a held or revoked serial as the policy publishes it:
//
//	SEQUENCE {
//	  userCertificate    CertificateSerialNumber,
//	  revocationDate     Time,
//	  crlEntryExtensions Extensions OPTIONAL }
//
// A hold always says certificateHold, because without it a reader would take
// the hold for a final revocation (RFC 5280 §5.3.1). It returns ErrEntry for a
// serial that is not sixteen octets of a positive number, for a status that is
// not listed, and for a final revocation that would be published as a hold;
// ErrTime for years that X.509 cannot express; fractions of a second are cut off.
func (p Policy) Entry(r card.Revocation) (Entry, error) {
	return p.appendEntry(make([]byte, 0, entrySize), r)
}

// appendEntry encodes behind dst, which it does not change, using its spare
// room if there is enough.
func (p Policy) appendEntry(dst []byte, r card.Revocation) (Entry, error) {
	e := Entry{Serial: r.Serial, Date: r.Since.UTC().Truncate(time.Second)}
	// The first octet names the issuing instance and is never zero, so the
	// number is positive and its shortest form has sixteen octets.
	if r.Serial[0] < 0x01 || r.Serial[0] > 0x7f {
		return Entry{}, fmt.Errorf("listing serial %s: first octet out of 01 to 7f: %w", r.Serial, ErrEntry)
	}
	err := checkDate("revocation date", e.Date)
	if err != nil {
		return Entry{}, fmt.Errorf("listing serial %s: %w", r.Serial, err)
	}
	switch {
	case r.Status == card.StatusHeld:
		e.Reason = card.CertificateHold
	case r.Status != card.StatusRevoked:
		return Entry{}, fmt.Errorf("listing serial %s: status %q: %w", r.Serial, r.Status, ErrEntry)
	case p.Reasons == ReasonsAll:
		e.Reason = r.Reason
		if !publishable(r.Reason) || r.Reason == card.CertificateHold {
			return Entry{}, fmt.Errorf("listing serial %s: revoked for %s: %w", r.Serial, r.Reason, ErrEntry)
		}
	}
	if p.InvalidityDate && !r.Invalidity.IsZero() {
		e.Invalidity = r.Invalidity.UTC().Truncate(time.Second)
		err := checkDate("invalidity date", e.Invalidity)
		if err != nil {
			return Entry{}, fmt.Errorf("listing serial %s: %w", r.Serial, err)
		}
	}
	start := len(dst)
	dst = e.append(dst)
	e.DER = dst[start:len(dst):len(dst)]
	return e, nil
}

// publishable reports whether a reason may stand in a full list. Unspecified
// is allowed and published by saying nothing.
func publishable(r card.Reason) bool {
	return r >= 0 && r <= 10 && r != 7 && r != 8 // 7 is not used, 8 is removeFromCRL
}

func (e *Entry) append(dst []byte) []byte {
	extensions := 0
	if e.Reason != card.Unspecified {
		extensions += 12
	}
	if !e.Invalidity.IsZero() {
		extensions += 26
	}
	date := 15
	if e.Date.Year() >= 2050 {
		date = 17
	}
	size := 18 + date
	if extensions > 0 {
		size += 2 + extensions
	}
	dst = append(dst, tagSequence, byte(size), tagInteger, byte(len(e.Serial)))
	dst = append(dst, e.Serial[:]...)
	dst = appendTime(dst, e.Date)
	if extensions > 0 {
		dst = append(dst, tagSequence, byte(extensions))
	}
	if e.Reason != card.Unspecified {
		dst = append(dst, tagSequence, 10, tagObjectID, byte(len(oidReasonCode)))
		dst = append(dst, oidReasonCode...)
		dst = append(dst, tagOctetString, 3, tagEnumerated, 1, byte(e.Reason))
	}
	if !e.Invalidity.IsZero() {
		dst = append(dst, tagSequence, 24, tagObjectID, byte(len(oidInvalidityDate)))
		dst = append(dst, oidInvalidityDate...)
		dst = append(dst, tagOctetString, 17)
		dst = appendGeneralizedTime(dst, e.Invalidity)
	}
	return dst
}
