package status

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"cpsca/card"
	"cpsca/ocsp"
)

func get(target string) *http.Request { return httptest.NewRequest(http.MethodGet, target, nil) }

func post(body []byte) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/ocsp-request")
	return r
}

func pathOf(der []byte) string {
	return "/" + url.PathEscape(base64.StdEncoding.EncodeToString(der))
}

// read returns what an OCSP response says.
func (n *node) read(t testing.TB, r *http.Response) *xocsp.Response {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "application/ocsp-response" {
		t.Fatalf("got %d %s: %s", r.StatusCode, r.Header.Get("Content-Type"), body)
	}
	got, err := xocsp.ParseResponse(body, n.certificate)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// refusal returns the status of an OCSP response that is an error.
func refusal(t testing.TB, r *http.Response) ocsp.Status {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != http.StatusOK || len(body) != 5 || r.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d %x %v, want an OCSP error that is not stored", r.StatusCode, body, r.Header)
	}
	return ocsp.Status(body[4])
}

// awkward returns octets that begin like a request and whose base64 has
// everything that paths suffer from.
func awkward() []byte {
	for {
		der := make([]byte, 83)
		_, _ = rand.Read(der)
		der[0] = 0x30
		text := base64.StdEncoding.EncodeToString(der)
		if strings.Contains(text, "+") && strings.Contains(text, "//") && strings.HasSuffix(text, "=") {
			return der
		}
	}
}

func TestRequestsArriveThroughEveryFormOfPath(t *testing.T) {
	der := awkward()
	text := base64.StdEncoding.EncodeToString(der)
	escaped := strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D").Replace(text)
	for name, path := range map[string]string{
		"plain":                       "/" + text,
		"escaped":                     "/" + escaped,
		"escaped in lower case":       "/" + strings.ReplaceAll(strings.ReplaceAll(escaped, "%2B", "%2b"), "%2F", "%2f"),
		"only the plus signs escaped": "/" + strings.ReplaceAll(text, "+", "%2B"),
		"plus signs as spaces":        "/" + strings.ReplaceAll(text, "+", "%20"),
		"escaped twice":               "/" + strings.ReplaceAll(escaped, "%", "%25"),
		"without padding":             "/" + strings.TrimRight(text, "="),
		"after a second slash":        "//" + text,
		"in the folder":               "/ocsp/" + text,
		"in the folder after a slash": "/ocsp//" + escaped,
		"with the alphabet of URLs":   "/" + base64.URLEncoding.EncodeToString(der),
		"with a line feed":            "/" + text[:64] + "%0A" + text[64:],
	} {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + path + " HTTP/1.1\r\nHost: example\r\n\r\n")))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		arrived, _ := requestOfPath(r.URL.EscapedPath())
		if !bytes.Equal(arrived, der) {
			t.Errorf("%s: %s gave %x", name, path, arrived)
		}
	}
}

func TestGetAndPostGiveTheSameAnswers(t *testing.T) {
	n := newNode(t, start)
	for number, want := range map[byte]int{1: xocsp.Good, 2: xocsp.Revoked, 3: xocsp.Revoked, 9: xocsp.Unknown} {
		der := n.request(t, number)
		for _, r := range []*http.Request{get(pathOf(der)), get("/ocsp" + pathOf(der)), post(der)} {
			got := n.read(t, n.serve(r))
			if got.Status != want || got.ThisUpdate != start {
				t.Errorf("serial %d by %s: got %d as of %s", number, r.Method, got.Status, got.ThisUpdate)
			}
		}
	}
	if got := refusal(t, n.serve(get(pathOf(n.request(t, 4))))); got != ocsp.Unauthorized {
		t.Errorf("an intent: got %s", got)
	}
}

func TestHeadersLetCachesKeepFiveMinutesAtMost(t *testing.T) {
	n := newNode(t, start)
	n.clock.advance(10 * time.Second)
	r := n.serve(get(pathOf(n.request(t, 1))))
	for name, want := range map[string]string{
		"Cache-Control": "max-age=300, public, no-transform, must-revalidate",
		"Expires":       "Sun, 01 Mar 2026 12:05:10 GMT",
		"Last-Modified": "Sun, 01 Mar 2026 12:00:00 GMT",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	tag := r.Header.Get("ETag")
	for _, header := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
		again := get(pathOf(n.request(t, 1)))
		again.Header.Set("If-None-Match", header)
		got := n.serve(again)
		body, _ := io.ReadAll(got.Body)
		if got.StatusCode != http.StatusNotModified || len(body) != 0 || got.Header.Get("ETag") != tag {
			t.Errorf("If-None-Match %s: got %d", header, got.StatusCode)
		}
	}
	n.change(n.record(1, card.StatusRevoked))
	n.follow(t)
	again := get(pathOf(n.request(t, 1)))
	again.Header.Set("If-None-Match", tag)
	again.Header.Set("If-Modified-Since", r.Header.Get("Last-Modified"))
	if got := n.read(t, n.serve(again)); got.Status != xocsp.Revoked {
		t.Errorf("after the revocation: got %d", got.Status)
	}
}

func TestHeadHasTheHeadersOfGet(t *testing.T) {
	n := newNode(t, start)
	server := httptest.NewServer(n.handler)
	defer server.Close()
	path := server.URL + pathOf(n.request(t, 1))
	want, err := http.Get(path)
	if err != nil {
		t.Fatal(err)
	}
	_ = want.Body.Close()
	got, err := http.Head(path)
	if err != nil {
		t.Fatal(err)
	}
	_ = got.Body.Close()
	for _, name := range []string{"ETag", "Content-Length", "Cache-Control", "Content-Type"} {
		if got.Header.Get(name) == "" || got.Header.Get(name) != want.Header.Get(name) {
			t.Errorf("%s: got %q, want %q", name, got.Header.Get(name), want.Header.Get(name))
		}
	}
}

func TestWhatIsForOneClientIsNotStored(t *testing.T) {
	n := newNode(t, start)
	plain := n.request(t, 1)
	// [2] { SEQUENCE { SEQUENCE { id-pkix-ocsp-nonce, 04 03 { 04 01 07 } } } }
	nonce := []byte("\xa2\x14\x30\x12\x30\x10\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x02\x04\x03\x04\x01\x07")
	withNonce := append(append([]byte{}, plain...), nonce...)
	withNonce[1] += byte(len(nonce))
	withNonce[3] += byte(len(nonce))
	for name, der := range map[string][]byte{"unknown": n.request(t, 9), "with a nonce": withNonce} {
		r := n.serve(get(pathOf(der)))
		if got := r.Header.Get("Cache-Control"); got != "no-store" || r.Header.Get("ETag") != "" {
			t.Errorf("%s: got %q", name, got)
		}
		got := n.read(t, r)
		if name == "with a nonce" && got.Status != xocsp.Good {
			t.Errorf("%s: got %d", name, got.Status)
		}
	}
}

func TestGarbageAndBoundsHaveTheirAnswers(t *testing.T) {
	n := newNode(t, start)
	good := n.request(t, 1)
	with := func(r *http.Request, name, value string) *http.Request {
		r.Header.Set(name, value)
		return r
	}
	for name, c := range map[string]struct {
		request *http.Request
		code    int
	}{
		"another content type":  {with(post(good), "Content-Type", "application/json"), http.StatusUnsupportedMediaType},
		"no content type":       {httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(good)), http.StatusUnsupportedMediaType},
		"a content encoding":    {with(post(good), "Content-Encoding", "gzip"), http.StatusUnsupportedMediaType},
		"a body too large":      {post(make([]byte, ocsp.MaxRequestSize+1)), http.StatusRequestEntityTooLarge},
		"PUT":                   {httptest.NewRequest(http.MethodPut, "/", nil), http.StatusMethodNotAllowed},
		"POST to a list":        {httptest.NewRequest(http.MethodPost, "/crl/issuer.crl", nil), http.StatusMethodNotAllowed},
		"the root":              {get("/"), http.StatusNotFound},
		"another path":          {get("/admin"), http.StatusNotFound},
		"a path too long":       {get("/" + strings.Repeat("M", 5*ocsp.MaxRequestSize)), http.StatusNotFound},
		"an unknown list":       {get("/crl/other.crl"), http.StatusNotFound},
		"a list up the folders": {get("/crl/../issuer.crl"), http.StatusNotFound},
		"an unknown issuer":     {get("/ca/other.cer"), http.StatusNotFound},
	} {
		r := n.serve(c.request)
		if r.StatusCode != c.code || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %d %q, want %d", name, r.StatusCode, r.Header.Get("Cache-Control"), c.code)
		}
	}
	for name, r := range map[string]*http.Request{
		"an empty body":         post(nil),
		"text":                  post([]byte("is 1 good?")),
		"half a request":        post(good[:30]),
		"half a request by GET": get(pathOf(good[:30])),
		"no base64":             get("/ocsp/%FF"),
	} {
		if got := refusal(t, n.serve(r)); got != ocsp.MalformedRequest {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

func TestWithoutTheAuthorityThisUpdateIsFrozenThenTryLater(t *testing.T) {
	n := newNode(t, start)
	n.fail(errors.New("the authority is away"))
	for _, c := range []struct {
		after  time.Duration
		answer bool
	}{{10 * time.Minute, true}, {time.Hour, true}, {71 * time.Hour, true}, {73 * time.Hour, false}} {
		n.clock.advance(start.Add(c.after).Sub(n.clock.now()))
		n.follow(t)
		r := n.serve(get(pathOf(n.request(t, 1))))
		if !c.answer {
			if got := refusal(t, r); got != ocsp.TryLater {
				t.Errorf("after %s: got %s", c.after, got)
			}
			continue
		}
		if got := n.read(t, r); got.Status != xocsp.Good || got.ThisUpdate != start || !got.NextUpdate.After(n.clock.now()) {
			t.Errorf("after %s: got %+v", c.after, got)
		}
	}
	health := Examine(n.follower, n.enrolment)
	if health.Serving || len(health.Alarms) == 0 {
		t.Errorf("got %+v", health)
	}
}

// counter counts the answers made and can hold them up.
type counter struct {
	Responder
	made  int
	enter chan struct{}
	leave chan struct{}
	err   error
}

func (c *counter) Respond(request *ocsp.Request) (ocsp.Response, error) {
	c.made++
	if c.enter != nil {
		c.enter <- struct{}{}
		<-c.leave
	}
	if c.err != nil {
		return ocsp.Refusal(ocsp.InternalError), c.err
	}
	return c.Responder.Respond(request)
}

func TestAnswersAreMadeOnceUntilSomethingChanges(t *testing.T) {
	n := newNode(t, start)
	count := &counter{Responder: n.responder}
	n.handler.cfg.Responder = count
	path := pathOf(n.request(t, 1))
	ask := func(want int) {
		t.Helper()
		_ = n.read(t, n.serve(get(path)))
		if count.made != want {
			t.Fatalf("got %d answers made, want %d", count.made, want)
		}
	}
	ask(1)
	ask(1)
	n.clock.advance(59 * time.Second)
	ask(1)
	n.clock.advance(time.Second)
	ask(2)
	n.change(n.record(7, card.StatusGood))
	n.follow(t)
	ask(3)
	ask(3)
}

func TestThoseWhoAskAtTheSameTimeShareOneSignature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, start)
		count := &counter{Responder: n.responder, enter: make(chan struct{}), leave: make(chan struct{})}
		n.handler.cfg.Responder = count
		answers := make(chan *http.Response, 5)
		for range cap(answers) {
			go func() { answers <- n.serve(get(pathOf(n.request(t, 1)))) }()
		}
		<-count.enter
		synctest.Wait() // all others wait for the first
		close(count.leave)
		for range cap(answers) {
			if got := n.read(t, <-answers); got.Status != xocsp.Good {
				t.Errorf("got %d", got.Status)
			}
		}
		if count.made != 1 {
			t.Errorf("got %d answers made, want 1", count.made)
		}
		if n.handler.budgets.byUse.Len() != 0 {
			t.Error("the state of one certificate was charged to somebody's budget")
		}
	})
}

func TestBeyondTheBoundTheAnswerIsTryLater(t *testing.T) {
	n := newNode(t, start)
	count := &counter{Responder: n.responder, enter: make(chan struct{}), leave: make(chan struct{})}
	n.handler.cfg.Responder, n.handler.slots = count, make(chan struct{}, 1)
	first := make(chan *http.Response)
	go func() { first <- n.serve(get(pathOf(n.request(t, 1)))) }()
	<-count.enter
	if got := refusal(t, n.serve(get(pathOf(n.request(t, 3))))); got != ocsp.TryLater {
		t.Errorf("got %s", got)
	}
	close(count.leave)
	if got := n.read(t, <-first); got.Status != xocsp.Good {
		t.Errorf("got %d", got.Status)
	}
}

func TestTheLogSaysNothingOfWhoAskedForWhat(t *testing.T) {
	n := newNode(t, start)
	n.log.Reset()
	count := &counter{Responder: n.responder, err: errors.New("the token is gone")}
	n.handler.cfg.Responder = count
	for range 3 {
		if got := refusal(t, n.serve(get(pathOf(n.request(t, 1))))); got != ocsp.InternalError {
			t.Fatalf("got %s", got)
		}
	}
	count.err = nil
	_ = n.serve(post(n.request(t, 1)))
	_ = n.serve(post([]byte("garbage")))
	log := n.log.String()
	if strings.Count(log, "\n") != 2 || !strings.Contains(log, "the token is gone") {
		t.Errorf("want one line when it fails and one when it works again, got:\n%s", log)
	}
	for _, secret := range []string{serial(1).String(), "192.0.2.1", n.id.String()} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %s:\n%s", secret, log)
		}
	}
}

func TestListsAndCertificatesAreServed(t *testing.T) {
	n := newNode(t, start)
	for path, want := range map[string]struct {
		media string
		body  []byte
	}{
		"/crl/issuer.crl": {"application/pkix-crl", n.authority.lists["issuer"]},
		"/ca/issuer.cer":  {"application/pkix-cert", n.certificate.Raw},
	} {
		r := n.serve(get(path))
		body, _ := io.ReadAll(r.Body)
		if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != want.media || !bytes.Equal(body, want.body) {
			t.Errorf("%s: got %d %s", path, r.StatusCode, r.Header.Get("Content-Type"))
		}
		again := get(path)
		again.Header.Set("If-None-Match", r.Header.Get("ETag"))
		if got := n.serve(again); got.StatusCode != http.StatusNotModified {
			t.Errorf("%s again: got %d", path, got.StatusCode)
		}
	}
}

func TestHandlerSettingsAreChecked(t *testing.T) {
	n := newNode(t, start)
	for name, change := range map[string]func(*Config){
		"no responder":                  func(c *Config) { c.Responder = nil },
		"no image":                      func(c *Config) { c.Image = nil },
		"no lists":                      func(c *Config) { c.Lists = nil },
		"too many at once":              func(c *Config) { c.Concurrent = 1 << 20 },
		"a memory for nothing":          func(c *Config) { c.KeptOctets = 1000 },
		"a memory beyond all bounds":    func(c *Config) { c.KeptOctets = 1<<30 + 1 },
		"a budget below nothing":        func(c *Config) { c.ClientRate = -1 },
		"a budget beyond all bounds":    func(c *Config) { c.ClientRate, c.ClientBurst = 1<<20+1, 2<<20 },
		"a burst smaller than the rate": func(c *Config) { c.ClientRate, c.ClientBurst = 50, 49 },
		"a burst beyond all bounds":     func(c *Config) { c.ClientBurst = 1 << 30 },
		"a name with a slash": func(c *Config) {
			c.Issuers = []Issuer{{Name: "a/b", Certificate: n.certificate}}
		},
		"a name twice": func(c *Config) {
			c.Issuers = []Issuer{{Name: "a", Certificate: n.certificate}, {Name: "a", Certificate: n.certificate}}
		},
	} {
		cfg := n.handler.cfg
		change(&cfg)
		if _, err := NewHandler(cfg); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestOpensslAsksALiveServer(t *testing.T) {
	// openssl compares with the true time.
	n := newNode(t, time.Now())
	server := httptest.NewUnstartedServer(nil)
	server.Config = Server(n.handler, n.handler.cfg.Log)
	server.Start()
	defer server.Close()
	issuer := filepath.Join(t.TempDir(), "issuer.pem")
	err := os.WriteFile(issuer, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: n.certificate.Raw}), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/ocsp"} {
		for number, want := range map[byte]string{1: ": good", 2: "certificateHold", 3: ": revoked", 9: ": unknown"} {
			out, err := exec.Command("openssl", "ocsp", "-url", server.URL+path, "-issuer", issuer, "-CAfile", issuer,
				"-serial", fmt.Sprintf("0x%s", serial(number))).CombinedOutput()
			if err != nil || !strings.Contains(string(out), want) || !strings.Contains(string(out), "Response verify OK") {
				t.Errorf("%s serial %d: %v\n%s", path, number, err, out)
			}
		}
	}
}

func FuzzRequestOfPath(f *testing.F) {
	f.Add("/MEUw", []byte{0x30, 1})
	f.Add("/ocsp//M%2520", awkward())
	f.Fuzz(func(t *testing.T, path string, der []byte) {
		got, ok := requestOfPath(path)
		if ok && (len(got) == 0 || got[0]>>2 != 0x30>>2) {
			t.Fatalf("%q gave %x, which begins no request", path, got)
		}
		if len(der) == 0 || len(der) > ocsp.MaxRequestSize || der[0] != 0x30 {
			return
		}
		for _, form := range []string{base64.StdEncoding.EncodeToString(der), url.PathEscape(base64.StdEncoding.EncodeToString(der)), url.QueryEscape(base64.StdEncoding.EncodeToString(der))} {
			for _, folder := range []string{"/", "//", "/ocsp/"} {
				got, ok = requestOfPath(folder + form)
				if !ok || !bytes.Equal(got, der) {
					t.Fatalf("%s%s gave %x", folder, form, got)
				}
			}
		}
	})
}
