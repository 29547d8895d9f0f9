package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"testing"

	"cpsca/card"
	"cpsca/client"
)

// What is read as an application says exactly that when it is written again,
// and nothing is read from a line that is too long.
func FuzzParseApplication(f *testing.F) {
	f.Add([]byte(line(1)))
	f.Add([]byte(`{"order":"a","card":"0123456789","authentication":{},"signature":{"csr":"MAA="}}`))
	f.Add([]byte(`{"order":"a","card":"0123456789","authentication":{"csr":"-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n"}}`))
	f.Add([]byte(`{"order":"a","card":"0123456789","authentication":{"public_key":"MAA=","proof":"MAA=","algorithm":"RSASSA-PSS"},"signature":{"csr":"MAA=","proof":"MAA="}}`))
	f.Add([]byte("null"))
	f.Add([]byte(`{"order":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := parseApplication(text)
		if err != nil {
			_, known := entryOf(err)
			if !known {
				t.Fatalf("the catalogue does not know %v", err)
			}
			return
		}
		_, err = card.ParseNumber(string(a.Number))
		if err != nil || a.Order == "" || len(a.Order) > maxOrder {
			t.Fatalf("accepted %+v", a)
		}
		again := client.Application{Order: a.Order, Card: a.Number, Authentication: sentAs(a.Proofs[0]), Signature: sentAs(a.Proofs[1])}
		written, err := json.Marshal(again)
		if err != nil {
			t.Fatal(err)
		}
		b, err := parseApplication(written)
		if err != nil || !reflect.DeepEqual(a, b) {
			t.Fatalf("got %+v, %v, want %+v", b, err, a)
		}
		for _, p := range a.Proofs {
			if max(len(p.Request), len(p.PublicKey), len(p.Signature)) > maxRequest {
				t.Fatalf("accepted %+v", a)
			}
		}
	})
}

// sentAs is a proof as it travels.
func sentAs(p card.Proof) client.Request {
	return client.Request{CSR: base64Of(p.Request), PublicKey: base64Of(p.PublicKey), Proof: base64Of(p.Signature), Algorithm: p.Algorithm}
}

// However a stream is cut into reads, its lines are those between the line
// feeds.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nb\r\n\nc"))
	f.Add(bytes.Repeat([]byte("x"), maxLine+3))
	f.Fuzz(func(t *testing.T, text []byte) {
		in := newLines(bytes.NewReader(text))
		var want [][]byte
		if len(text) > 0 {
			want = bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
		}
		for i, w := range want {
			got, err := in.next()
			w = bytes.TrimSuffix(w, []byte("\r"))
			switch {
			case len(w) > maxLine && !errors.Is(err, errLineSize):
				t.Fatalf("line %d of %d octets: got %v", i+1, len(w), err)
			case len(w) <= maxLine && (err != nil || !bytes.Equal(got, w)):
				t.Fatalf("line %d: got %q, %v, want %q", i+1, got, err, w)
			}
			if in.number != i+1 {
				t.Fatalf("got line %d, want %d", in.number, i+1)
			}
		}
		_, err := in.next()
		if !errors.Is(err, io.EOF) {
			t.Fatalf("got %v, want the end", err)
		}
	})
}
