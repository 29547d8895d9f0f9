package ocsp

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"encoding/asn1"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	xocsp "golang.org/x/crypto/ocsp"
)

// buildRequest writes a request without signature or requestor name.
func buildRequest(t testing.TB, ids []CertID, nonce []byte) []byte {
	t.Helper()
	return buildRequestWith(t, ids, func(b *cryptobyte.Builder) {
		if nonce != nil {
			addExtension(b, idPKIXOCSPNonce, func(b *cryptobyte.Builder) { b.AddASN1OctetString(nonce) })
		}
	}, nonce != nil)
}

func buildRequestWith(t testing.TB, ids []CertID, extensions cryptobyte.BuilderContinuation, present bool) []byte {
	t.Helper()
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, id := range ids {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { addCertID(b, id) })
				}
			})
			if present {
				b.AddASN1(contextTag(2), func(b *cryptobyte.Builder) { b.AddASN1(cbasn1.SEQUENCE, extensions) })
			}
		})
	})
	der, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func addCertID(b *cryptobyte.Builder, id CertID) {
	oid := asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 5} // MD5, of all things
	for _, known := range certIDHashes {
		if known.hash == id.Hash {
			oid = known.oid
		}
	}
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oid)
			b.AddASN1NULL()
		})
		b.AddASN1OctetString(id.IssuerNameHash)
		b.AddASN1OctetString(id.IssuerKeyHash)
		b.AddASN1(cbasn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(id.SerialNumber) })
	})
}

func sampleID() CertID {
	return CertID{Hash: crypto.SHA1, IssuerNameHash: make([]byte, 20), IssuerKeyHash: make([]byte, 20), SerialNumber: []byte{0x10, 1}}
}

func TestRequestsOfOpensslAreRead(t *testing.T) {
	for name, want := range map[string]struct {
		ids   int
		hash  crypto.Hash
		nonce int
	}{
		"request-sha1-nonce.der": {1, crypto.SHA1, 16},
		"request-sha256-two.der": {2, crypto.SHA256, 0},
		"request-signed.der":     {1, crypto.SHA1, 16},
	} {
		der, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseRequest(der)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(got.CertIDs) != want.ids || len(got.Nonce) != want.nonce || got.CertIDs[0].Hash != want.hash {
			t.Errorf("%s: got %+v", name, got)
		}
		for i, id := range got.CertIDs {
			if s := serial(byte(2 + i)); !bytes.Equal(id.SerialNumber, s[:]) {
				t.Errorf("%s: got serial %x", name, id.SerialNumber)
			}
		}
	}
}

func TestHashParametersMayBeAbsentOrNull(t *testing.T) {
	with := buildRequest(t, []CertID{sampleID()}, nil)
	without := shorten(t, with, []byte{5, 0})
	for _, der := range [][]byte{with, without} {
		got, err := ParseRequest(der)
		if err != nil || got.CertIDs[0].Hash != crypto.SHA1 {
			t.Fatalf("%x: got %+v, %v", der, got, err)
		}
		if !bytes.Contains(der, got.CertIDs[0].Raw) {
			t.Fatal("Raw is not the CertID as it came")
		}
	}
}

// shorten removes a part that lies within the first five nested elements.
func shorten(t *testing.T, der, part []byte) []byte {
	t.Helper()
	at := bytes.Index(der, part)
	out := append(append([]byte(nil), der[:at]...), der[at+len(part):]...)
	for i := range 6 { // OCSPRequest, tbsRequest, requestList, Request, CertID, algorithm
		out[2*i+1] -= byte(len(part))
	}
	return out
}

func TestNonceLengthsOfRFC9654(t *testing.T) {
	for length, ok := range map[int]bool{0: false, 1: true, 16: true, 32: true, 128: true, 129: false} {
		nonce := make([]byte, length)
		_, _ = rand.Read(nonce)
		got, err := ParseRequest(buildRequest(t, []CertID{sampleID()}, nonce))
		if ok != (err == nil) || ok && !bytes.Equal(got.Nonce, nonce) || !ok && !errors.Is(err, ErrMalformed) {
			t.Errorf("%d octets: got %v", length, err)
		}
	}
}

func TestRequestsThatAreNotDEROrOutOfBoundsAreRefused(t *testing.T) {
	plain := buildRequest(t, []CertID{sampleID()}, nil)
	long := sampleID()
	long.SerialNumber = append([]byte{1}, make([]byte, 21)...)
	padded := sampleID()
	padded.SerialNumber = []byte{0, 1}
	short := sampleID()
	short.IssuerKeyHash = short.IssuerKeyHash[:19]
	many := make([]CertID, MaxCertIDs+1)
	for i := range many {
		many[i] = sampleID()
	}
	value := func(b *cryptobyte.Builder) { b.AddASN1OctetString([]byte{1}) }
	extension := func(oid asn1.ObjectIdentifier, critical byte) []byte {
		return buildRequestWith(t, []CertID{sampleID()}, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oid)
				b.AddASN1(cbasn1.BOOLEAN, func(b *cryptobyte.Builder) { b.AddUint8(critical) })
				b.AddASN1(cbasn1.OCTET_STRING, value)
			})
		}, true)
	}
	twice := buildRequestWith(t, []CertID{sampleID()}, func(b *cryptobyte.Builder) {
		addExtension(b, idPKIXOCSPNonce, value)
		addExtension(b, idPKIXOCSPNonce, value)
	}, true)
	bareNonce := buildRequestWith(t, []CertID{sampleID()}, func(b *cryptobyte.Builder) {
		addExtension(b, idPKIXOCSPNonce, func(b *cryptobyte.Builder) { b.AddBytes([]byte("raw")) })
	}, true)
	versioned := append([]byte{0x30, plain[1] + 5, 0x30, plain[3] + 5, 0xa0, 3, 2, 1, 0}, plain[4:]...)
	for name, der := range map[string][]byte{
		"nothing":                  {},
		"trailing octets":          append(bytes.Clone(plain), 0),
		"half":                     plain[:len(plain)/2],
		"a long length":            append([]byte{0x30, 0x81, plain[1]}, plain[2:]...),
		"an explicit version":      versioned,
		"no certificates":          buildRequest(t, nil, nil),
		"too many certificates":    buildRequest(t, many, nil),
		"a serial too long":        buildRequest(t, []CertID{long}, nil),
		"a padded serial":          buildRequest(t, []CertID{padded}, nil),
		"a hash of another length": buildRequest(t, []CertID{short}, nil),
		"an unknown critical":      extension(asn1.ObjectIdentifier{1, 2, 3}, 0xff),
		"critical FALSE":           extension(asn1.ObjectIdentifier{1, 2, 3}, 0),
		"two nonces":               twice,
		"a nonce not wrapped":      bareNonce,
		"too large":                make([]byte, MaxRequestSize+1),
		"a certificate":            []byte("-----BEGIN CERTIFICATE-----"),
	} {
		_, err := ParseRequest(der)
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v, want ErrMalformed", name, err)
		}
	}
	got, err := ParseRequest(extension(idPKIXOCSPNonce, 0xff))
	if err != nil || len(got.Nonce) != 1 {
		t.Errorf("a critical nonce: got %v", err)
	}
}

func FuzzParseRequest(f *testing.F) {
	names, err := filepath.Glob("testdata/request-*.der")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		der, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	f.Add(buildRequest(f, []CertID{sampleID(), sampleID()}, []byte{1}))
	f.Fuzz(func(t *testing.T, der []byte) {
		request, err := ParseRequest(der)
		if err != nil {
			return
		}
		rest := der
		for _, id := range request.CertIDs {
			at := bytes.Index(rest, id.Raw)
			if at < 0 {
				t.Fatal("a CertID that the request does not contain in this order")
			}
			rest = rest[at+len(id.Raw):]
			again, err := ParseRequest(buildRequest(t, []CertID{id}, request.Nonce))
			if err != nil && id.Hash != 0 {
				t.Fatalf("a CertID that does not survive writing: %v", err)
			}
			if err == nil && !bytes.Equal(again.CertIDs[0].SerialNumber, id.SerialNumber) {
				t.Fatal("the serial changed in writing")
			}
		}
		theirs, err := xocsp.ParseRequest(der)
		if err != nil {
			return
		}
		ours := request.CertIDs[0]
		first := new(cryptobyte.Builder)
		first.AddASN1BigInt(theirs.SerialNumber)
		want := first.BytesOrPanic()
		if !bytes.Equal(want[2:], ours.SerialNumber) || !bytes.Equal(theirs.IssuerKeyHash, ours.IssuerKeyHash) ||
			!bytes.Equal(theirs.IssuerNameHash, ours.IssuerNameHash) || theirs.HashAlgorithm != ours.Hash {
			t.Fatalf("x/crypto/ocsp reads %+v, we read %+v", theirs, ours)
		}
	})
}
