package endtoend_test

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"

	"cpsca/testpki"

	"golang.org/x/crypto/ocsp"
)

func TestGarbageToTheResponderIsAnsweredAndHarmsNobody(t *testing.T) {
	h := newHouse(t)
	h.startAuthority(t)
	h.startStatus(t)
	people := testpki.NewPopulation(13, 30)
	h.importRegister(t, people)
	pair := sendAll(t, h.as(t, "bureau"), batch(t, testpki.NewNumbers(13), h.order(t, entitled(t, people, 1)))...)[0]
	issued(t, pair)
	issuer := h.issuer(t)
	until(t, visibleOCSP, "OCSP holds the new certificate", func() bool { return h.says(t, issuer, pair.Certificates[0].Serial, "held") })
	whole, err := ocsp.CreateRequest(&x509.Certificate{SerialNumber: big.NewInt(1)}, issuer, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, octets := range map[string][]byte{
		"nothing": {}, "text": []byte("GET / HTTP/1.1"), "zeros": make([]byte, 1000), "half a request": whole[:len(whole)/2],
		"a request and an octet": append(slices.Clone(whole), 0), "an endless length": {0x30, 0x84, 0xff, 0xff, 0xff, 0xff},
	} {
		code, body := h.postOCSP(t, octets)
		if code != http.StatusOK {
			t.Errorf("%s: status %d", name, code)
		}
		_, err := ocsp.ParseResponse(body, issuer)
		var refused ocsp.ResponseError
		if !errors.As(err, &refused) || refused.Status != ocsp.Malformed {
			t.Errorf("%s: got %v, want malformedRequest", name, err)
		}
	}
	code, _ := h.postOCSP(t, make([]byte, 1<<20))
	if code != http.StatusRequestEntityTooLarge {
		t.Errorf("a megabyte: status %d", code)
	}
	for _, path := range []string{"%%%", "////", "MIIB", base64.StdEncoding.EncodeToString([]byte("garbage")), strings.Repeat("A", 10000)} {
		code, body := get(t, "http://"+h.addresses.status+"/ocsp/"+path)
		if code == http.StatusOK && !malformed(body) || code >= http.StatusInternalServerError {
			t.Errorf("GET %.20s…: status %d, %x", path, code, body)
		}
	}
	if !h.says(t, issuer, pair.Certificates[1].Serial, "held") {
		t.Error("after the garbage, an honest question gets no answer")
	}
	if !h.status.alive() {
		t.Error("the status service ended")
	}
}

// malformed says whether a body is the response malformedRequest (RFC 6960
// §4.2.1).
func malformed(der []byte) bool {
	var response struct{ Status asn1.Enumerated }
	rest, err := asn1.Unmarshal(der, &response)
	return err == nil && len(rest) == 0 && fmt.Sprint(response.Status) == "1"
}
