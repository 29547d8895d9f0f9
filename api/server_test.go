package api

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cpsca/card"
	"cpsca/client"
	"cpsca/officer"
)

// pathOf fills a pattern with values that exist in the fixture.
func pathOf(pattern string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	path = strings.NewReplacer("/orders/{id}", "/orders/o1", "{id}", string(ada), "{number}", string(number), "{issuer}", card.KeyID{1}.String(), "{serial}", card.Serial{1}.String()).Replace(path)
	if path == "/v1/cards" {
		path += "?holder=" + string(ada)
	}
	return method, path
}

func problemIn(t *testing.T, r *http.Response) client.Problem {
	t.Helper()
	defer r.Body.Close()
	var p client.Problem
	if r.Header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("status %d without a problem, but %q", r.StatusCode, r.Header.Get("Content-Type"))
	}
	err := json.NewDecoder(r.Body).Decode(&p)
	if err != nil {
		t.Fatal(err)
	}
	if p.Status != r.StatusCode {
		t.Fatalf("the problem says %d, the answer %d", p.Status, r.StatusCode)
	}
	return p
}

func TestEachDoorOpensToItsRolesAlone(t *testing.T) {
	s := newSite(t)
	s.cardsBy[number] = card.Card{Number: number, Bureau: "b1", Holder: ada}
	for _, role := range officer.Roles {
		c := s.plain(s.enrol(role))
		for pattern, roles := range matrix {
			t.Run(string(role)+" at "+pattern, func(t *testing.T) {
				method, path := pathOf(pattern)
				q, err := http.NewRequest(method, s.server.URL+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				r, err := c.Do(q)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, r.Body)
				_ = r.Body.Close()
				if open := r.StatusCode != http.StatusForbidden; open != slices.Contains(roles, role) {
					t.Fatalf("got status %d, and the matrix says %v", r.StatusCode, roles)
				}
				if r.StatusCode == http.StatusInternalServerError {
					t.Fatal("the door failed")
				}
			})
		}
	}
}

// The matrix said a second time, by what must never be.
func TestTheMatrixKeepsTheHouse(t *testing.T) {
	for pattern, roles := range matrix {
		method, path, _ := strings.Cut(pattern, " ")
		switch {
		case len(roles) == 0:
			t.Errorf("%s opens to nobody", pattern)
		case method != http.MethodGet && slices.Contains(roles, officer.Auditor):
			t.Errorf("%s lets an auditor change something", pattern)
		case strings.HasPrefix(path, "/v1/registry") && (slices.Contains(roles, officer.Bureau) || slices.Contains(roles, officer.StatusNode)):
			t.Errorf("%s shows the register to a bureau or a status node", pattern)
		case strings.HasSuffix(path, "/revoke") && !slices.Equal(roles, officers):
			t.Errorf("%s lets others than officers revoke", pattern)
		case path == "/v1/applications" && !slices.Equal(roles, bureaux):
			t.Errorf("%s lets others than bureaux apply", pattern)
		}
	}
}

func TestADoorWithoutARowIsNotOpened(t *testing.T) {
	s := &Server{mux: http.NewServeMux()}
	door := func(*transfer, *http.Request) error { return nil }
	err := s.open(map[string]handler{"GET /v1/secret": door}, map[string][]officer.Role{})
	if !errors.Is(err, ErrConfig) {
		t.Fatalf("got %v, want ErrConfig", err)
	}
	err = s.open(map[string]handler{}, map[string][]officer.Role{"GET /v1/secret": officers})
	if !errors.Is(err, ErrConfig) {
		t.Fatalf("a row without a door: got %v, want ErrConfig", err)
	}
}

func TestAConfigurationMustBeWhole(t *testing.T) {
	c := config(&house{})
	c.Issuing = nil
	_, err := New(c)
	if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "Issuing") {
		t.Fatalf("got %v, want ErrConfig naming Issuing", err)
	}
}

func TestACardOpensNoDoor(t *testing.T) {
	s := newSite(t)
	cards := newHierarchy(t, "cards")
	// Even a card that somebody enrolled by mistake fails the handshake: its
	// issuer is not of the technical hierarchy.
	own := cards.certify(t, "899700000013")
	s.enrolled[officer.FingerprintOf(own.Certificate[0])] = officer.Enrolment{Role: officer.SecurityOfficer, Person: "X"}
	_, err := s.plain(own).Get(s.server.URL + "/v1/version")
	if err == nil {
		t.Fatal("a card certificate passed the handshake")
	}
	// A server that verifies nothing, by mistake, still opens no door.
	loose := httptest.NewUnstartedServer(s.handler)
	loose.TLS = &tls.Config{Certificates: s.server.TLS.Certificates, ClientAuth: tls.RequireAnyClientCert}
	loose.StartTLS()
	defer loose.Close()
	r, err := s.plain(own).Get(loose.URL + "/v1/version")
	if err != nil {
		t.Fatal(err)
	}
	if p := problemIn(t, r); p.Code() != "certificate-required" || r.StatusCode != 401 {
		t.Fatalf("got %d %s, want 401 certificate-required", r.StatusCode, p.Code())
	}
}

func TestACertificateThatIsNotEnrolledOpensNoDoor(t *testing.T) {
	s := newSite(t)
	_, err := s.with(s.technical.certify(t, "stranger"), "").Version(t.Context())
	wantProblem(t, err, "not-enrolled", 403)
}

func TestARevocationHoldsFromTheNextRequestOfTheSameConnection(t *testing.T) {
	s := newSite(t)
	certificate := s.enrol(officer.Auditor)
	c := s.with(certificate, "")
	_, err := c.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.end(certificate)
	_, err = c.Version(t.Context())
	wantProblem(t, err, "not-enrolled", 403)
}

func TestAnEnrolmentThatEndedOpensNothing(t *testing.T) {
	s := newSite(t)
	certificate := s.enrol(officer.Auditor)
	f := officer.FingerprintOf(certificate.Certificate[0])
	e := s.enrolled[f]
	e.Ended = noon
	s.enrolled[f] = e
	_, err := s.with(certificate, "").Version(t.Context())
	wantProblem(t, err, "not-enrolled", 403)
}

func TestACertificateEndsOnAnOpenConnection(t *testing.T) {
	s := newSite(t)
	var now atomic.Int64
	s.handler.config.Now = func() time.Time { return time.Unix(now.Load(), 0) }
	c := s.as(officer.Auditor)
	for _, at := range []struct {
		when  time.Time
		valid bool
	}{
		{begins, true}, {ends, true}, {begins.Add(-time.Second), false}, {ends.Add(time.Second), false}, {noon, true},
	} {
		now.Store(at.when.Unix())
		_, err := c.Version(t.Context())
		if at.valid && err != nil {
			t.Errorf("at %s: got %v", at.when, err)
		}
		if !at.valid {
			wantProblem(t, err, "certificate-validity", 401)
		}
	}
}

// The certificate that issued a caller's counts as much as his own.
func TestAnIssuerEndsOnAnOpenConnection(t *testing.T) {
	chain := func(ends ...time.Time) (out []*x509.Certificate) {
		for _, end := range ends {
			out = append(out, &x509.Certificate{NotBefore: begins, NotAfter: end})
		}
		return out
	}
	if valid(chain(ends, noon), noon.Add(time.Second)) || !valid(chain(ends, noon), noon) {
		t.Error("the issuer's end is passed over")
	}
}

func wantProblem(t *testing.T, err error, code string, status int) *client.Problem {
	t.Helper()
	var p *client.Problem
	if !errors.As(err, &p) {
		t.Fatalf("got %v, want problem %s", err, code)
	}
	if p.Code() != code || p.Status != status {
		t.Fatalf("got %d %s (%v), want %d %s", p.Status, p.Code(), err, status, code)
	}
	return p
}

func TestWhatIsNoDoorIsAProblemToo(t *testing.T) {
	s := newSite(t)
	c := s.plain(s.enrol(officer.SecurityOfficer))
	cases := map[string]struct {
		method, path, kind, body string
		header                   map[string]string
		status                   int
		code                     string
	}{
		"an unknown path":                      {method: "GET", path: "/v1/secrets", status: 404, code: "no-such-path"},
		"the root":                             {method: "GET", path: "/", status: 404, code: "no-such-path"},
		"a method that the path lacks":         {method: "DELETE", path: "/v1/cards/9900000001", status: 405, code: "method"},
		"a card number of nine digits":         {method: "GET", path: "/v1/cards/990000001", status: 400, code: "card-number"},
		"an issuer that is no key id":          {method: "GET", path: "/v1/lists/zz", status: 400, code: "parameter"},
		"a serial that is none":                {method: "GET", path: "/v1/certificates/" + card.KeyID{1}.String() + "/12", status: 400, code: "parameter"},
		"a limit beyond bounds":                {method: "GET", path: "/v1/orders?limit=1001", status: 400, code: "parameter"},
		"a state of no order":                  {method: "GET", path: "/v1/orders?state=lost", status: 400, code: "parameter"},
		"cards of nobody":                      {method: "GET", path: "/v1/cards", status: 400, code: "id-empty"},
		"a wrong Luhn key":                     {method: "GET", path: "/v1/registry/persons/899700000014", status: 400, code: "rpps-key"},
		"somebody whom the register lacks":     {method: "GET", path: "/v1/registry/persons/899700075122", status: 404, code: "holder-unknown"},
		"a card that does not exist":           {method: "GET", path: "/v1/cards/0000000000", status: 404, code: "not-found"},
		"a body that is no JSON":               {method: "POST", path: "/v1/orders", kind: "application/json", body: "holder", status: 400, code: "body"},
		"a body of another type":               {method: "POST", path: "/v1/orders", kind: "text/plain", body: "{}", status: 415, code: "media-type"},
		"an unknown field":                     {method: "POST", path: "/v1/orders", kind: "application/json", body: `{"holder":"899700000013","name":"x"}`, status: 400, code: "body"},
		"something behind the object":          {method: "POST", path: "/v1/orders", kind: "application/json", body: `{"holder":"899700000013"} {}`, status: 400, code: "body"},
		"a body beyond 64 KiB":                 {method: "POST", path: "/v1/orders", kind: "application/json", body: `{"holder":"` + strings.Repeat("8", 70_000) + `"}`, status: 413, code: "body-size"},
		"a hold of the infrastructure":         {method: "POST", path: "/v1/certificates/" + card.KeyID{1}.String() + "/" + card.Serial{1}.String() + "/revoke", kind: "application/json", body: `{"reason":6}`, status: 400, code: "body"},
		"a form of another site":               {method: "POST", path: "/v1/cards/9900000001/activate", header: map[string]string{"Sec-Fetch-Site": "cross-site"}, status: 403, code: "cross-origin"},
		"a file name with a line break":        {method: "POST", path: "/v1/registry/persons?file=a%0Ab", status: 400, code: "parameter"},
		"a register file of another format":    {method: "POST", path: "/v1/registry/persons", body: "a;b;c\n1;2;3\n", status: 422, code: "foreign-file"},
		"a register file that has not a byte":  {method: "POST", path: "/v1/registry/events", body: "", status: 422, code: "foreign-file"},
		"a responder request that is no DER":   {method: "POST", path: "/v1/responders", kind: "application/json", body: `{}`, status: 403, code: "role"},
		"a list of an issuer that has no list": {method: "GET", path: "/v1/lists/" + card.KeyID{2}.String(), status: 404, code: "not-found"},
	}
	for name, x := range cases {
		t.Run(name, func(t *testing.T) {
			q, err := http.NewRequest(x.method, s.server.URL+x.path, strings.NewReader(x.body))
			if err != nil {
				t.Fatal(err)
			}
			q.Header.Set("Content-Type", x.kind)
			for k, v := range x.header {
				q.Header.Set(k, v)
			}
			r, err := c.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			p := problemIn(t, r)
			if r.StatusCode != x.status || p.Code() != x.code {
				t.Fatalf("got %d %s %q, want %d %s", r.StatusCode, p.Code(), p.Reason, x.status, x.code)
			}
			if x.status == 405 && r.Header.Get("Allow") == "" {
				t.Fatal("no Allow header")
			}
		})
	}
	if h := s.handler; h == nil || s.kind != "" {
		t.Fatalf("a foreign file left an import of %s", s.kind)
	}
}

func TestAFailureGetsANumberAndTellsNothing(t *testing.T) {
	s := newSite(t)
	c := s.as(officer.Desk)
	s.fail = errors.New("disk /var/lib/x is on fire near 899700000013")
	_, err := c.Person(t.Context(), string(ada))
	p := wantProblem(t, err, "internal", 500)
	if p.Incident == "" || strings.Contains(err.Error(), "fire") {
		t.Fatalf("got %v, want an incident number and no cause", err)
	}
	log := s.logged()
	if !strings.Contains(log, p.Incident) || !strings.Contains(log, "on fire") {
		t.Fatalf("the log does not explain incident %s:\n%s", p.Incident, log)
	}
}

func TestTheLogNamesNobody(t *testing.T) {
	s := newSite(t)
	s.cardsBy[number] = card.Card{Number: number, Holder: ada}
	c := s.as(officer.Desk)
	_, _ = c.Person(t.Context(), string(ada))
	_, _ = c.Person(t.Context(), "99700000001")
	_, _ = c.CardsOf(t.Context(), ada)
	s.fail = errors.New("reading 899700000013")
	_, _ = c.CardsOf(t.Context(), ada)
	log := s.logged()
	if !strings.Contains(log, "/v1/registry/persons/{id}") {
		t.Fatalf("no line names the door:\n%s", log)
	}
	for _, secret := range []string{string(ada[1:]), "99700000001", "LOVELACE", "P. desk"} {
		if strings.Contains(log, secret) {
			t.Fatalf("%q is in the log:\n%s", secret, log)
		}
	}
}

func TestTheClientsErrorsNameNoPath(t *testing.T) {
	s := newSite(t)
	c := s.as(officer.Desk)
	s.server.Close()
	_, err := c.Person(t.Context(), string(ada))
	if err == nil || strings.Contains(err.Error(), string(ada)) {
		t.Fatalf("got %v, want an error without the number", err)
	}
}
