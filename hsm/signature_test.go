package hsm

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"testing"

	"github.com/miekg/pkcs11"
)

type ecdsaSigValue struct{ R, S *big.Int }

func TestECDSASignaturesThatAreRefused(t *testing.T) {
	one := append(make([]byte, 31), 1)
	for name, raw := range map[string][]byte{
		"an empty one":    {},
		"one too short":   make([]byte, 63),
		"one too long":    make([]byte, 65),
		"one of P-384":    make([]byte, 96),
		"r is zero":       append(make([]byte, 32), one...),
		"s is zero":       append(one[:32:32], make([]byte, 32)...),
		"both are zero":   make([]byte, 64),
		"DER in disguise": {0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01},
	} {
		_, ok := encodeECDSA(raw, 32)
		if ok {
			t.Errorf("%s was accepted", name)
		}
	}
}

// encoding/asn1 is the oracle.
func FuzzEncodeECDSA(f *testing.F) {
	f.Add(bytes.Repeat([]byte{0x80}, 64))
	f.Add(bytes.Repeat([]byte{0xff}, 96))
	f.Add(append(make([]byte, 30), bytes.Repeat([]byte{0x7f}, 34)...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, size := range []int{32, 48} {
			der, ok := encodeECDSA(raw, size)
			if len(raw) != 2*size {
				if ok {
					t.Errorf("%x was accepted", raw)
				}
				continue
			}
			r, s := new(big.Int).SetBytes(raw[:size]), new(big.Int).SetBytes(raw[size:])
			if ok != (r.Sign() > 0 && s.Sign() > 0) {
				t.Errorf("%x: accepted is %t", raw, ok)
			}
			want, err := asn1.Marshal(ecdsaSigValue{r, s})
			if ok && (err != nil || !bytes.Equal(der, want)) {
				t.Errorf("%x: got %x, want %x, %v", raw, der, want, err)
			}
		}
	})
}

// Whatever a token states as a point is either on the named curve or refused, without a panic.
func FuzzParsePoint(f *testing.F) {
	f.Add(algorithms[P256].oid, append([]byte{0x04, 0x41, 0x04}, make([]byte, 64)...))
	f.Add(algorithms[P384].oid, []byte{0x04, 0x01, 0x00})
	f.Add(algorithms[Ed25519].oid, append([]byte{0x04, 0x20}, make([]byte, 32)...))
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, curve, point []byte) {
		public, err := parsePoint(curve, point)
		if err != nil {
			return
		}
		if public, ok := public.(*ecdsa.PublicKey); ok {
			_, err = public.ECDH()
			if err != nil {
				t.Errorf("%x: %v", point, err)
			}
		}
		_, err = algorithmOf(public)
		if err != nil {
			t.Errorf("%x: %v", curve, err)
		}
	})
}

func TestNoErrorAboutAPINIsEverRetried(t *testing.T) {
	for code := uint(pkcs11.CKR_PIN_INCORRECT); code <= pkcs11.CKR_PIN_LOCKED; code++ {
		if remedyFor(&Error{Op: "C_Login", Code: code}) != remedyNever {
			t.Errorf("%v is not classified as never to be retried", pkcs11.Error(code))
		}
	}
	for _, err := range []error{ErrPIN, ErrPINSource, fmt.Errorf("%w: %w", ErrPIN, &Error{Code: pkcs11.CKR_DEVICE_ERROR}),
		&Error{Code: pkcs11.CKR_USER_PIN_NOT_INITIALIZED}, &Error{Code: pkcs11.CKR_VENDOR_DEFINED + 1}, &Error{Code: pkcs11.CKR_ARGUMENTS_BAD}} {
		if remedyFor(err).outage() {
			t.Errorf("%v is taken for an outage", err)
		}
	}
}

func TestCSignIsEnteredAtMostOnce(t *testing.T) {
	lost := &Error{Op: "C_SignInit", Code: pkcs11.CKR_SESSION_HANDLE_INVALID}
	late := &Error{Op: "C_Sign", Code: pkcs11.CKR_SESSION_HANDLE_INVALID, Entered: true}
	ours := &Error{Op: "C_SignInit", Code: pkcs11.CKR_MECHANISM_INVALID}
	for name, c := range map[string]struct {
		answers      []error
		tries, drops int
	}{
		"a signature":                                {[]error{nil}, 1, 0},
		"a session lost before C_Sign":               {[]error{lost, nil}, 2, 1},
		"a session lost twice before C_Sign":         {[]error{lost, lost}, 2, 2},
		"a session lost before, then during C_Sign":  {[]error{lost, late}, 2, 2},
		"a session lost during C_Sign":               {[]error{late}, 1, 1},
		"a mistake of ours":                          {[]error{ours}, 1, 0},
		"a wrong PIN":                                {[]error{ErrPIN}, 1, 0},
		"a session lost, then a wrong PIN":           {[]error{lost, ErrPIN}, 2, 1},
		"a request that was given up":                {[]error{context.Canceled}, 1, 0},
		"a session lost, then given up":              {[]error{lost, context.Canceled}, 2, 1},
		"a key that is gone, as it is without login": {[]error{ErrKeyNotFound, nil}, 2, 1},
	} {
		tries, drops := 0, 0
		err := enterOnce(func() error { tries++; return c.answers[tries-1] }, func() { drops++ })
		if err != c.answers[len(c.answers)-1] || tries != c.tries || drops != c.drops {
			t.Errorf("%s: got %v after %d tries and %d drops, want %d and %d", name, err, tries, drops, c.tries, c.drops)
		}
	}
}

func TestErrorsKeepTheirNumberAndPhase(t *testing.T) {
	err := fmt.Errorf("signing: %w", &Error{Op: "C_Sign", Code: pkcs11.CKR_DEVICE_ERROR, Entered: true})
	var byShape interface{ SignEntered() bool }
	if !errors.As(err, &byShape) || !byShape.SignEntered() || !entered(err) {
		t.Errorf("%v does not tell that C_Sign was entered", err)
	}
	if entered(opError("C_SignInit", pkcs11.Error(pkcs11.CKR_DEVICE_ERROR))) || entered(ErrBusy) {
		t.Error("an error from before C_Sign tells that it was entered")
	}
	want := "C_Sign: pkcs11: 0x30: CKR_DEVICE_ERROR"
	got := errors.Unwrap(err).Error()
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAlgorithmNames(t *testing.T) {
	for alg, want := range map[Algorithm]string{RSA2048: "rsa-2048", RSA3072: "rsa-3072", RSA4096: "rsa-4096", P256: "p-256", P384: "p-384", Ed25519: "ed25519", 0: "algorithm 0"} {
		if alg.String() != want {
			t.Errorf("got %q, want %q", alg.String(), want)
		}
	}
}
