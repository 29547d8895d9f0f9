package ca

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"
	"sync"
	"testing"

	"cpsca/card"
	"cpsca/hsm"
	"cpsca/profiles"
	"cpsca/testpki"
)

// BenchmarkKeyRules is the whole gate, from the octets of a key to its
// fingerprint, beside the proof of possession that it is measured by.
func BenchmarkKeyRules(b *testing.B) {
	for _, algorithm := range []hsm.Algorithm{hsm.RSA2048, hsm.P256} {
		rules := KeyRules{RSA: []int{2048}, Curves: []string{"P-256"}, Blocked: blocklistOf(b, 300_000)}
		var keys, requests [][]byte
		for range 32 {
			chip := must(newChip(algorithm))(b)
			keys = append(keys, must(chip.SPKI(card.Signature))(b))
			requests = append(requests, must(chip.Request(card.Signature, "a challenge"))(b))
		}
		b.Run(algorithm.String()+"/gate", func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				_, err := rules.admit(keys[i%len(keys)])
				if err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(algorithm.String()+"/parse and fingerprint alone", func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				spki := keys[i%len(keys)]
				must(profiles.ParseSPKI(spki))(b)
				must(profiles.KeyFingerprint(spki))(b)
			}
		})
		b.Run(algorithm.String()+"/request", func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				q := must(readRequest(requests[i%len(requests)]))(b)
				must(q.challenge())(b)
			}
		})
		b.Run(algorithm.String()+"/request by crypto/x509", func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				must(x509.ParseCertificateRequest(requests[i%len(requests)]))(b)
			}
		})
		b.Run(algorithm.String()+"/proof", func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				request := must(x509.ParseCertificateRequest(requests[i%len(requests)]))(b)
				err := request.CheckSignature()
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// benchKeys are enough for an average: what a filter lets through by chance
// costs a root.
var benchKeys = sync.OnceValues(func() (*testpki.KeyPool, error) { return testpki.NewKeyPool(12) })

func newChip(algorithm hsm.Algorithm) (*testpki.Card, error) {
	if algorithm != hsm.RSA2048 {
		return testpki.NewCard("2800636234", algorithm)
	}
	pool, err := benchKeys()
	if err != nil {
		return nil, err
	}
	return pool.Card("2800636234")
}

// blocklistOf is a list of keys that nobody has.
func blocklistOf(t testing.TB, keys int) *Blocklist {
	t.Helper()
	var text strings.Builder
	for i := range keys {
		fmt.Fprintf(&text, "%x\n", sha256.Sum256([]byte{byte(i), byte(i >> 8), byte(i >> 16)}))
	}
	return must(ReadBlocklist(strings.NewReader(text.String())))(t)
}

func must[T any](value T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}
