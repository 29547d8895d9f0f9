package api

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cpsca/card"
	"cpsca/officer"
)

// patience is how long a test waits for an answer, and for the end behind it.
const patience = 5 * time.Second

// announced is a request that promises a body and sends none.
type announced struct {
	role         officer.Role // empty: not enrolled
	method, path string
	header       string
	status       int
}

var announcements = map[string]announced{
	"a door that the role may not pass":   {officer.Bureau, "POST", "/v1/orders", "Content-Length: 1000", 403},
	"a certificate that is not enrolled":  {"", "POST", "/v1/orders", "Content-Length: 1000", 403},
	"no such path":                        {officer.Desk, "POST", "/v1/secrets", "Content-Length: 1000", 404},
	"a door that reads the body":          {officer.Desk, "POST", "/v1/orders", "Content-Length: 1000", 400},
	"a door that reads the body in parts": {officer.Desk, "POST", "/v1/orders", "Transfer-Encoding: chunked", 400},
	"a refusal in parts":                  {officer.Bureau, "POST", "/v1/orders", "Transfer-Encoding: chunked", 403},
	"a door that takes no body":           {officer.Desk, "POST", "/v1/cards/9900000001/activate", "Content-Length: 1000", 200},
	"a door that streams":                 {officer.Bureau, "GET", "/v1/orders/ready", "Content-Length: 1000", 200},
	"applications":                        {officer.Bureau, "POST", "/v1/applications", "Content-Length: 1000", 400},
	"applications by a desk":              {officer.Desk, "POST", "/v1/applications", "Content-Length: 1000", 403},
	"a register file":                     {officer.SecurityOfficer, "POST", "/v1/registry/persons", "Content-Length: 1000", 400},
}

func (s *site) certificateFor(role officer.Role) tls.Certificate {
	if role == "" {
		return s.technical.certify(s.t, "stranger")
	}
	return s.enrol(role)
}

// Who announces a body and sends none is answered, and his connection ends.
func TestABodyThatNeverComesHoldsNoConnection(t *testing.T) {
	s := newSite(t)
	s.handler.config.Idle = 50 * time.Millisecond
	s.cardsBy[number] = card.Card{Number: number, Bureau: "b1", Holder: ada}
	for name, a := range announcements {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connection, err := tls.Dial("tcp", s.server.Listener.Addr().String(), &tls.Config{
				RootCAs: s.technical.pool(), Certificates: []tls.Certificate{s.certificateFor(a.role)}, ServerName: "127.0.0.1",
			})
			if err != nil {
				t.Fatal(err)
			}
			defer connection.Close()
			_ = connection.SetDeadline(time.Now().Add(patience))
			_, err = fmt.Fprintf(connection, "%s %s HTTP/1.1\r\nHost: authority\r\nContent-Type: application/json\r\n%s\r\n\r\n", a.method, a.path, a.header)
			if err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(connection)
			r, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatalf("no answer: %v", err)
			}
			if r.StatusCode != a.status {
				t.Errorf("got status %d, want %d", r.StatusCode, a.status)
			}
			text, err := io.ReadAll(r.Body)
			if err != nil {
				t.Errorf("the answer does not end: %v", err)
			}
			if r.StatusCode == http.StatusBadRequest && !strings.Contains(string(text), "nothing came for too long") || strings.Contains(string(text), "tcp") {
				t.Errorf("got %s, want a plain sentence", text)
			}
			if !r.Close {
				t.Error("the answer does not say that it is the last")
			}
			_, err = in.ReadByte()
			var late net.Error
			if err == nil || errors.As(err, &late) && late.Timeout() {
				t.Errorf("the connection stays open: %v", err)
			}
		})
	}
}

func TestABodyThatNeverComesHoldsNoStreamOfHTTP2(t *testing.T) {
	s := newSite(t)
	s.handler.config.Idle = 50 * time.Millisecond
	server := httptest.NewUnstartedServer(s.handler)
	server.EnableHTTP2 = true
	server.TLS = s.server.TLS.Clone()
	server.TLS.NextProtos = nil
	server.StartTLS()
	t.Cleanup(server.Close)
	for name, a := range announcements {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{
				RootCAs: s.technical.pool(), Certificates: []tls.Certificate{s.certificateFor(a.role)},
			}}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: patience}
			for range 2 { // the connection serves on
				body, never := io.Pipe()
				q, err := http.NewRequest(a.method, server.URL+a.path, body)
				if err != nil {
					t.Fatal(err)
				}
				q.Header.Set("Content-Type", "application/json")
				r, err := client.Do(q)
				if err != nil {
					t.Fatalf("no answer: %v", err)
				}
				_, err = io.Copy(io.Discard, r.Body)
				_ = r.Body.Close()
				_ = never.Close()
				if err != nil || r.StatusCode != a.status || r.ProtoMajor != 2 {
					t.Errorf("got %s %d, %v, want %d", r.Proto, r.StatusCode, err, a.status)
				}
			}
		})
	}
}

// The caller hears no socket, the log does.
func TestTheCauseOfABrokenBodyIsForTheLog(t *testing.T) {
	s := newSite(t)
	s.handler.config.Idle = 50 * time.Millisecond
	body, never := io.Pipe()
	defer never.Close()
	q, err := http.NewRequest(http.MethodPost, s.server.URL+"/v1/orders", body)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Content-Type", "application/json")
	r, err := s.plain(s.enrol(officer.Desk)).Do(q)
	if err != nil {
		t.Fatal(err)
	}
	p := problemIn(t, r)
	if p.Code() != "body-ended" || p.Reason != "nothing came for too long" {
		t.Errorf("got %+v", p)
	}
	if !strings.Contains(s.logged(), "i/o timeout") {
		t.Errorf("the log does not say why:\n%s", s.logged())
	}
	if got := (&bodyEnd{12, io.ErrUnexpectedEOF}).Error(); got != "the body ended early after 12 lines" {
		t.Errorf("got %q", got)
	}
}

// A stream of applications that breaks off after its first answer ends with its
// connection: what comes late is not taken for a request.
func TestWhatComesAfterABrokenStreamIsNoRequest(t *testing.T) {
	s := newSite(t)
	s.handler.config.Idle = 50 * time.Millisecond
	connection, err := tls.Dial("tcp", s.server.Listener.Addr().String(), &tls.Config{
		RootCAs: s.technical.pool(), Certificates: []tls.Certificate{s.enrol(officer.Bureau)}, ServerName: "127.0.0.1",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(patience))
	_, err = fmt.Fprintf(connection, "POST /v1/applications HTTP/1.1\r\nHost: authority\r\nContent-Length: 100000\r\n\r\n%s\n", line(1))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(connection)
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		t.Errorf("the connection stays open")
	}
	if !strings.Contains(string(got), `"issued"`) || !strings.Contains(string(got), "body-ended") || strings.Contains(string(got), "\r\n0\r\n\r\n") {
		t.Errorf("got %s", got)
	}
}
