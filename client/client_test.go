package client

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cpsca/card"
	"cpsca/feed"
)

// files writes a self-signed certificate and its key.
func files(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(t.TempDir(), "c.pem"), filepath.Join(t.TempDir(), "k.pem")
	for path, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		err = os.WriteFile(path, pem.EncodeToMemory(block), 0o600)
		if err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

func TestAKeyFileThatOthersMayReadIsRefused(t *testing.T) {
	certificate, key := files(t)
	_, err := LoadCertificate(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o601} {
		err = os.Chmod(key, mode)
		if err != nil {
			t.Fatal(err)
		}
		_, err = LoadCertificate(certificate, key)
		if !errors.Is(err, ErrKeyMode) {
			t.Fatalf("mode %o: got %v, want ErrKeyMode", mode, err)
		}
	}
	_, err = LoadCertificate(certificate, key+"x")
	if !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("got %v", err)
	}
}

func TestAConfigurationMustBeWhole(t *testing.T) {
	certificate, key := files(t)
	pair, err := LoadCertificate(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := LoadRoots(certificate)
	if err != nil {
		t.Fatal(err)
	}
	_, err = LoadRoots(key)
	if !errors.Is(err, ErrConfig) {
		t.Fatalf("roots without a certificate: got %v", err)
	}
	for name, c := range map[string]Config{
		"plain HTTP":     {URL: "http://127.0.0.1", Certificate: pair, Roots: roots},
		"no host":        {URL: "https://", Certificate: pair, Roots: roots},
		"no URL":         {URL: "\x00", Certificate: pair, Roots: roots},
		"no roots":       {URL: "https://127.0.0.1", Certificate: pair},
		"no certificate": {URL: "https://127.0.0.1", Roots: roots},
	} {
		_, err = New(c)
		if !errors.Is(err, ErrConfig) {
			t.Errorf("%s: got %v, want ErrConfig", name, err)
		}
	}
}

// against makes a client of an authority that answers as h does.
func against(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	certificate, key := files(t)
	pair, err := LoadCertificate(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	c, err := New(Config{URL: server.URL + "/", Certificate: pair, Roots: roots, Language: "fr"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestARefusalIsAProblem(t *testing.T) {
	c := against(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Language") != "fr" || r.URL.Path != "/v1/cards/9900000001/activate" {
			t.Errorf("got %s in %q", r.URL.Path, r.Header.Get("Accept-Language"))
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"type":"/problems/transition","title":"T","status":409,"detail":"D"}`)
	})
	_, err := c.Activate(t.Context(), "9900000001")
	var p *Problem
	if !errors.As(err, &p) || p.Code() != "transition" || p.Status != 409 || err.Error() != "T: D" {
		t.Fatalf("got %v", err)
	}
}

func TestARefusalByAStrangerIsAProblemToo(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"an HTML page": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			http.Error(w, "<html>", http.StatusBadGateway)
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example/", http.StatusTemporaryRedirect)
		},
	} {
		_, err := against(t, h).Version(t.Context())
		var p *Problem
		if !errors.As(err, &p) || p.Status < 300 {
			t.Errorf("%s: got %v, want a problem", name, err)
		}
	}
}

func TestAnAnswerThatIsNoAnswerIsRefused(t *testing.T) {
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) }
	}
	_, err := against(t, text("<html>")).Version(t.Context())
	if !errors.Is(err, ErrAnswer) {
		t.Errorf("HTML: got %v", err)
	}
	_, _, err = against(t, text(`{"sequence":1,"status":"good"}`+"\n")).Feed(t.Context(), 0, 0)
	if !errors.Is(err, ErrAnswer) {
		t.Errorf("a feed without a head: got %v", err)
	}
	_, _, err = against(t, text(`{"problem":{"type":"/problems/internal","status":500}}`)).Feed(t.Context(), 0, 0)
	var p *Problem
	if !errors.As(err, &p) || p.Code() != "internal" {
		t.Errorf("a feed that failed: got %v", err)
	}
	one := func(yield func(Application, error) bool) { yield(Application{Order: "o"}, nil) }
	err = against(t, text("")).Applications(t.Context(), one, func(Answer) error { return nil })
	if !errors.Is(err, ErrAnswer) {
		t.Errorf("an application without an answer: got %v", err)
	}
	for _, err = range against(t, text(`{"order":"o1"}`+"\n"+`{"order":`)).ReadyOrders(t.Context(), "", 0) {
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a stream cut in a line: got %v", err)
	}
}

func TestAFeedOfSeveralPagesIsReadToItsHead(t *testing.T) {
	c := against(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("after") {
		case "0":
			if r.URL.Query().Get("wait") != "12" {
				t.Errorf("got wait %q", r.URL.Query().Get("wait"))
			}
			_, _ = io.WriteString(w, `{"sequence":1,"status":"good","issuer":"`+card.KeyID{1}.String()+`"}`+"\n"+`{"head":{"sequence":2}}`)
		default:
			_, _ = io.WriteString(w, `{"sequence":2,"status":"revoked","reason":1}`+"\n"+`{"head":{"sequence":2,"hash":"`+feed.Hash{7}.String()+`"}}`)
		}
	})
	records, head, err := c.Feed(t.Context(), 0, 12*time.Second)
	if err != nil || len(records) != 2 || records[0].Issuer != (card.KeyID{1}) || records[1].Reason != card.KeyCompromise || head.Hash != (feed.Hash{7}) {
		t.Fatalf("got %+v %+v %v", records, head, err)
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	arrived := make(chan struct{})
	c := against(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	_, err := c.Version(ctx)
	if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "/v1/") {
		t.Fatalf("got %v", err)
	}
}

func FuzzProblem(f *testing.F) {
	f.Add("application/problem+json", `{"type":"/problems/x","title":"T","status":400}`)
	f.Add("text/html", "<html>")
	f.Fuzz(func(t *testing.T, kind, body string) {
		err := problemOf(&http.Response{StatusCode: 418, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body))})
		var p *Problem
		switch {
		case errors.As(err, &p) && p.Status != 418:
			t.Fatalf("got status %d", p.Status)
		case !errors.As(err, &p) && !errors.Is(err, ErrAnswer):
			t.Fatalf("got %v", err)
		}
	})
}
