package status

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	xocsp "golang.org/x/crypto/ocsp"

	"cpsca/ocsp"
)

// dress is what a request has besides its CertIDs; all of it optional.
type dress struct {
	name, signature string
	extension       string // a non-critical one that means nothing here
	nonce           string
	bare            bool // hash algorithms without NULL parameters
}

// dressed writes a request that asks what others ask.
func dressed(t testing.TB, d dress, others ...[]byte) []byte {
	t.Helper()
	tag := func(n uint8) cbasn1.Tag { return cbasn1.Tag(n).Constructed().ContextSpecific() }
	extension := func(b *cryptobyte.Builder, oid []byte, value string) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes(oid) })
			b.AddASN1(cbasn1.OCTET_STRING, func(b *cryptobyte.Builder) { b.AddASN1OctetString([]byte(value)) })
		})
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if d.name != "" {
				b.AddASN1(tag(1), func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.Tag(2).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes([]byte(d.name)) })
				})
			}
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, der := range others {
					request, err := ocsp.ParseRequest(der)
					if err != nil {
						t.Fatal(err)
					}
					raw := request.CertIDs[0].Raw
					if d.bare { // SEQUENCE { SEQUENCE { OID sha1, NULL } ...
						raw = bytes.Replace(raw, []byte("\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00"), []byte("\x30\x07\x06\x05\x2b\x0e\x03\x02\x1a"), 1)
						raw[1] -= 2
					}
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(raw) })
				}
			})
			if d.extension+d.nonce == "" {
				return
			}
			b.AddASN1(tag(2), func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					if d.extension != "" {
						extension(b, []byte("\x2a\x03\x04"), d.extension)
					}
					if d.nonce != "" {
						extension(b, []byte("\x2b\x06\x01\x05\x05\x07\x30\x01\x02"), d.nonce)
					}
				})
			})
		})
		if d.signature != "" {
			b.AddASN1(tag(0), func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes([]byte(d.signature)) })
			})
		}
	})
	der, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// counted lets a node count the answers that it makes.
func counted(n *node) *counter {
	count := &counter{Responder: n.responder}
	n.handler.cfg.Responder = count
	return count
}

func TestWhatDoesNotChangeTheAnswerCausesNoSignature(t *testing.T) {
	n := newNode(t, start)
	count := counted(n)
	one := n.request(t, 1)
	for i := range 50 {
		text := fmt.Sprint("x", i)
		for name, d := range map[string]dress{
			"plain":        {},
			"a name":       {name: text},
			"a signature":  {signature: text},
			"an extension": {extension: text},
			"all of them":  {name: text, signature: text, extension: text},
		} {
			if got := n.read(t, n.serve(post(dressed(t, d, one)))); got.Status != xocsp.Good {
				t.Errorf("%s: got %d", name, got.Status)
			}
		}
	}
	if count.made != 1 || n.handler.answers.one.byAge.Len() != 1 {
		t.Errorf("got %d answers made and %d kept, want 1", count.made, n.handler.answers.one.byAge.Len())
	}
}

func TestTheOrderOfCertIDsAndTheirSpellingAreAnswered(t *testing.T) {
	n := newNode(t, start)
	count := counted(n)
	one, two := n.request(t, 1), n.request(t, 2)
	for name, der := range map[string][]byte{
		"one and two": dressed(t, dress{}, one, two), "two and one": dressed(t, dress{}, two, one), "one": one, "two": two,
		"one twice": dressed(t, dress{}, one, one), "one without NULL": dressed(t, dress{bare: true}, one),
	} {
		asked, err := ocsp.ParseRequest(der)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			body, _ := io.ReadAll(n.serve(post(der)).Body)
			for _, id := range asked.CertIDs {
				at := bytes.Index(body, id.Raw)
				if at < 0 {
					t.Fatalf("%s: a CertID is not repeated, or not in its place", name)
				}
				body = body[at+len(id.Raw):]
			}
		}
	}
	if count.made != 6 {
		t.Errorf("got %d answers made, want 6", count.made)
	}
}

// fill keeps answers of a thousand octets about serials that are counted up.
func fill(t testing.TB, a *answers, sequence uint64, count, certificates int) (requests []*ocsp.Request) {
	t.Helper()
	for i := range count {
		request := &ocsp.Request{}
		for j := range certificates {
			request.CertIDs = append(request.CertIDs, ocsp.CertID{Raw: []byte(fmt.Sprintf("certificate %d of %07d", j, i))})
		}
		a.keep(request, sequence, ocsp.Response{DER: make([]byte, 1000), ProducedAt: start, NextUpdate: start.Add(time.Hour)})
		requests = append(requests, request)
	}
	return requests
}

func found(a *answers, sequence uint64, requests []*ocsp.Request) (count int) {
	for _, r := range requests {
		if _, ok := a.find(r, sequence, start); ok {
			count++
		}
	}
	return count
}

func TestAFullMemoryLosesTheOldestOnly(t *testing.T) {
	a := newAnswers(1 << 20)
	requests := fill(t, a, 1, 5000, 1)
	if a.one.octets > a.one.most || a.one.byAge.Len() != len(a.one.byKey) {
		t.Fatalf("got %d octets of %d, %d answers under %d keys", a.one.octets, a.one.most, a.one.byAge.Len(), len(a.one.byKey))
	}
	fits := a.one.byAge.Len()
	if a.one.octets < a.one.most-2000 || found(a, 1, requests[len(requests)-fits:]) != fits || found(a, 1, requests) != fits {
		t.Errorf("of the %d newest answers %d are found", fits, found(a, 1, requests[len(requests)-fits:]))
	}
	// The same again replaces and takes no room.
	newest := requests[len(requests)-1:]
	for range 5000 {
		a.keep(newest[0], 1, ocsp.Response{DER: make([]byte, 1000), ProducedAt: start, NextUpdate: start.Add(time.Hour)})
	}
	if got := found(a, 1, requests); got != fits {
		t.Errorf("after one answer was renewed %d are found, want %d", got, fits)
	}
	fill(t, a, 2, 1, 1)
	if got := found(a, 1, requests); got != 0 || a.one.byAge.Len() != 1 {
		t.Errorf("after a change of the image %d answers are found", got)
	}
}

func TestAnswersAboutSeveralHaveASmallShare(t *testing.T) {
	a := newAnswers(1 << 20)
	ones := fill(t, a, 1, 500, 1)
	several := fill(t, a, 1, 5000, 2)
	if got := found(a, 1, ones); got != len(ones) {
		t.Errorf("%d of %d answers about one certificate are left", got, len(ones))
	}
	if got := found(a, 1, several); got == 0 || a.several.octets > 1<<20/severalShare {
		t.Errorf("%d answers about several take %d octets", got, a.several.octets)
	}
}

func TestAnAnswerLargerThanTheMemoryIsNotKept(t *testing.T) {
	a := newAnswers(1000)
	fill(t, a, 1, 3, 1)
	if a.one.octets != 0 || a.one.byAge.Len() != 0 {
		t.Errorf("got %d octets", a.one.octets)
	}
}
