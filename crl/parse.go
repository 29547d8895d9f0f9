package crl

import (
	"crypto/x509"
	"fmt"
	"iter"
	"time"

	"cpsca/card"
)

// List is a list as it was read. Its slices point into the bytes it was read
// from, which must not be changed. A List is not trusted before Check.
type List struct {
	DER        []byte
	TBS        []byte // the signed bytes
	Signature  []byte
	Algorithm  x509.SignatureAlgorithm
	Issuer     []byte // DER of the Name
	KeyID      card.KeyID
	Number     int64
	ThisUpdate time.Time
	NextUpdate time.Time
	Count      int    // number of entries
	body       []byte // the entries, one after the other
}

// Parse reads a list in the shape that this authority writes: version 2, one
// of its three algorithms, nextUpdate, authorityKeyIdentifier with a key
// identifier of 20 octets and cRLNumber present, serials of sixteen octets,
// none twice. Extensions that it does not know are passed over, unless they
// are critical: that gives ErrCritical. Everything else that it refuses gives
// ErrFormat or ErrDuplicate. It accepts nothing that crypto/x509 refuses, but
// for the issuer's Name, which it does not look into: Check compares it with
// the subject of the issuer.
func Parse(der []byte) (*List, error) {
	outer := reader(der)
	inside, ok := outer.take(tagSequence)
	if !ok || len(outer) != 0 {
		return nil, malformed("CertificateList")
	}
	l := &List{DER: der}
	r := reader(inside)
	tag, tbs, content, ok := r.element()
	if !ok || tag != tagSequence {
		return nil, malformed("tbsCertList")
	}
	l.TBS = tbs
	_, identifier, _, ok := r.element()
	if !ok {
		return nil, malformed("signatureAlgorithm")
	}
	signature, ok := r.take(tagBitString)
	if !ok || len(signature) < 2 || signature[0] != 0 || len(r) != 0 {
		return nil, malformed("signatureValue")
	}
	l.Signature = signature[1:]
	for _, a := range algorithms {
		if string(identifier) == a.identifier {
			l.Algorithm = a.name
		}
	}
	if l.Algorithm == x509.UnknownSignatureAlgorithm {
		return nil, malformed("signatureAlgorithm")
	}
	err := l.readTBS(content, string(identifier))
	if err != nil {
		return nil, err
	}
	return l, nil
}

func malformed(field string) error { return fmt.Errorf("reading %s: %w", field, ErrFormat) }

func (l *List) readTBS(content []byte, identifier string) error {
	r := reader(content)
	version, ok := r.take(tagInteger)
	if !ok || len(version) != 1 || version[0] != versionV2 {
		return malformed("version")
	}
	_, inner, _, ok := r.element()
	if !ok || string(inner) != identifier {
		return malformed("signature")
	}
	tag, name, _, ok := r.element()
	if !ok || tag != tagSequence {
		return malformed("issuer")
	}
	l.Issuer = name
	l.ThisUpdate, ok = r.time()
	if !ok {
		return malformed("thisUpdate")
	}
	l.NextUpdate, ok = r.time()
	if !ok {
		return malformed("nextUpdate")
	}
	if r.next(tagSequence) {
		l.body, ok = r.take(tagSequence)
		if !ok || len(l.body) == 0 {
			return malformed("revokedCertificates")
		}
		err := l.checkBody()
		if err != nil {
			return err
		}
	}
	explicit, ok := r.take(tagExplicit0)
	if !ok || len(r) != 0 {
		return malformed("crlExtensions")
	}
	return l.readExtensions(explicit)
}

// checkBody reads every entry once, so that Entries cannot fail later.
func (l *List) checkBody() error {
	// Half of what the shortest entries would make, lest a list of junk
	// reserves much.
	seen := make(map[card.Serial]struct{}, len(l.body)/entrySize)
	for r := reader(l.body); len(r) > 0; l.Count++ {
		e, err := readEntry(&r)
		if err != nil {
			return fmt.Errorf("entry %d: %w", l.Count+1, err)
		}
		seen[e.Serial] = struct{}{}
		if len(seen) != l.Count+1 {
			return fmt.Errorf("serial %s: %w", e.Serial, ErrDuplicate)
		}
	}
	return nil
}

// Entries yields the entries in the order of the list.
func (l *List) Entries() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for r := reader(l.body); len(r) > 0; {
			e, err := readEntry(&r)
			if err != nil || !yield(e) {
				return
			}
		}
	}
}

func readEntry(r *reader) (Entry, error) {
	tag, whole, content, ok := r.element()
	if !ok || tag != tagSequence {
		return Entry{}, malformed("revokedCertificates")
	}
	e := Entry{DER: whole}
	inside := reader(content)
	serial, ok := inside.take(tagInteger)
	if !ok || len(serial) != len(e.Serial) || serial[0] < 0x01 || serial[0] > 0x7f {
		return Entry{}, malformed("userCertificate")
	}
	e.Serial = card.Serial(serial)
	e.Date, ok = inside.time()
	if !ok {
		return Entry{}, malformed("revocationDate")
	}
	if len(inside) == 0 {
		return e, nil
	}
	extensions, ok := inside.take(tagSequence)
	if !ok || len(extensions) == 0 || len(inside) != 0 {
		return Entry{}, malformed("crlEntryExtensions")
	}
	return e, e.readExtensions(extensions)
}

func (e *Entry) readExtensions(extensions []byte) error {
	for r := reader(extensions); len(r) > 0; {
		x, ok := readExtension(&r)
		if !ok {
			return malformed("crlEntryExtensions")
		}
		value := reader(x.value)
		switch x.oid {
		case oidReasonCode:
			code, ok := value.take(tagEnumerated)
			if !ok || len(value) != 0 || len(code) != 1 || code[0] == 0 || code[0] > 0x7f ||
				!publishable(card.Reason(code[0])) || e.Reason != card.Unspecified {
				return malformed("reasonCode")
			}
			e.Reason = card.Reason(code[0])
		case oidInvalidityDate:
			date, ok := value.generalizedTime()
			if !ok || len(value) != 0 || !e.Invalidity.IsZero() {
				return malformed("invalidityDate")
			}
			e.Invalidity = date
		default:
			if x.critical {
				return fmt.Errorf("reading crlEntryExtensions: %w", ErrCritical)
			}
		}
	}
	return nil
}

func (l *List) readExtensions(explicit []byte) error {
	outer := reader(explicit)
	extensions, ok := outer.take(tagSequence)
	if !ok || len(outer) != 0 {
		return malformed("crlExtensions")
	}
	identified := false
	for r := reader(extensions); len(r) > 0; {
		x, ok := readExtension(&r)
		if !ok {
			return malformed("crlExtensions")
		}
		value := reader(x.value)
		switch x.oid {
		case oidAuthorityKeyIdentifier:
			keyID, ok := readKeyID(value)
			if !ok || x.critical || identified {
				return malformed("authorityKeyIdentifier")
			}
			l.KeyID, identified = keyID, true
		case oidCRLNumber:
			number, ok := readNumber(value)
			if !ok || x.critical || l.Number != 0 {
				return malformed("cRLNumber")
			}
			l.Number = number
		default:
			if x.critical {
				return fmt.Errorf("reading crlExtensions: %w", ErrCritical)
			}
		}
	}
	if !identified || l.Number == 0 {
		return fmt.Errorf("authorityKeyIdentifier or cRLNumber is absent: %w", ErrFormat)
	}
	return nil
}

func readKeyID(value reader) (card.KeyID, bool) {
	content, ok := value.take(tagSequence)
	inside := reader(content)
	keyID, also := inside.take(tagKeyIdentifier)
	if !ok || !also || len(value) != 0 || len(inside) != 0 || len(keyID) != len(card.KeyID{}) {
		return card.KeyID{}, false
	}
	return card.KeyID(keyID), true
}

// readNumber reads a positive INTEGER of at most eight octets in its shortest
// form.
func readNumber(value reader) (int64, bool) {
	content, ok := value.take(tagInteger)
	if !ok || len(value) != 0 || len(content) == 0 || len(content) > 8 || content[0] > 0x7f {
		return 0, false
	}
	if len(content) > 1 && content[0] == 0 && content[1] < 0x80 {
		return 0, false
	}
	number := int64(0)
	for _, b := range content {
		number = number<<8 | int64(b)
	}
	return number, number > 0
}

// extension is
//
//	Extension ::= SEQUENCE {
//	  extnID     OBJECT IDENTIFIER,
//	  critical   BOOLEAN DEFAULT FALSE,
//	  extnValue  OCTET STRING }
type extension struct {
	oid      string
	critical bool
	value    []byte
}

func readExtension(r *reader) (extension, bool) {
	content, ok := r.take(tagSequence)
	inside := reader(content)
	oid, also := inside.take(tagObjectID)
	if !ok || !also || !validObjectID(oid) {
		return extension{}, false
	}
	x := extension{oid: string(oid)}
	if inside.next(tagBoolean) {
		critical, ok := inside.take(tagBoolean)
		if !ok || len(critical) != 1 || critical[0] != 0xff {
			return extension{}, false
		}
		x.critical = true
	}
	x.value, ok = inside.take(tagOctetString)
	return x, ok && len(inside) == 0
}
