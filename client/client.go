package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strconv"
)

// Config says which authority to speak to, and as whom.
type Config struct {
	// URL of the authority, https, without the /v1, for example
	// "https://127.0.0.1:8443".
	URL string
	// Certificate is the enrolled certificate with its key.
	Certificate tls.Certificate
	// Roots are those of the technical hierarchy; the system's are never
	// used.
	Roots *x509.CertPool
	// Language of problems, as in Accept-Language (RFC 9110 §12.5.4); empty
	// means English.
	Language string
}

// ErrConfig is returned by New for a configuration that cannot connect.
var ErrConfig = errors.New("the client's configuration")

// ErrKeyMode is returned by LoadCertificate for a key file that others may
// read.
var ErrKeyMode = errors.New("the key file is open to others: chmod 600 it")

// ErrAnswer means that what came back is not what the authority answers.
var ErrAnswer = errors.New("the answer is not the authority's")

// Client speaks to one authority. It may be used by several goroutines. Its
// methods return a *Problem where the authority refused, and wait no longer
// than their context.
type Client struct {
	base     *url.URL
	language string
	http     *http.Client
}

// LoadCertificate reads an enrolled certificate, its chain and its key from PEM
// files. The key file must be its owner's alone: ErrKeyMode.
func LoadCertificate(certificateFile, keyFile string) (tls.Certificate, error) {
	info, err := os.Stat(keyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("reading the client key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return tls.Certificate{}, fmt.Errorf("reading %s: %w", keyFile, ErrKeyMode)
	}
	certificate, err := tls.LoadX509KeyPair(certificateFile, keyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("reading the client certificate: %w", err)
	}
	return certificate, nil
}

// LoadRoots reads the roots of the technical hierarchy from a PEM file.
func LoadRoots(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the technical roots: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%w: %s holds no certificate", ErrConfig, file)
	}
	return roots, nil
}

// New makes a client; it connects when it is first used. ErrConfig says what
// is missing.
func New(config Config) (*Client, error) {
	base, err := url.Parse(config.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	case base.Scheme != "https" || base.Host == "":
		return nil, fmt.Errorf("%w: the URL is https://host:port", ErrConfig)
	case config.Roots == nil:
		return nil, fmt.Errorf("%w: the technical roots are missing", ErrConfig)
	case len(config.Certificate.Certificate) == 0:
		return nil, fmt.Errorf("%w: the certificate is missing", ErrConfig)
	}
	return &Client{
		base: base, language: config.Language,
		http: &http.Client{
			// HTTP/1.1, one connection a stream: a stream that stands
			// still holds no other up.
			Transport: &http.Transport{
				TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: config.Roots, Certificates: []tls.Certificate{config.Certificate}},
				MaxIdleConnsPerHost: 8,
				// A chunk of lines, or of answers, in one system call.
				WriteBufferSize: 64 << 10,
				ReadBufferSize:  64 << 10,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Close closes the connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// request is one request to a door.
type request struct {
	method string
	path   []string // escaped, below /v1
	query  url.Values
	kind   string // media type of the body
	body   io.Reader
}

// send returns the answer to a request if it is no refusal. The caller closes
// its body.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	address := c.base.JoinPath("v1").JoinPath(r.path...)
	address.RawQuery = r.query.Encode()
	q, err := http.NewRequestWithContext(ctx, r.method, address.String(), r.body)
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	if r.kind != "" {
		q.Header.Set("Content-Type", r.kind)
	}
	if c.language != "" {
		q.Header.Set("Accept-Language", c.language)
	}
	answer, err := c.http.Do(q)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) { // its text holds the path, and that a register number
			err = failed.Err
		}
		return nil, fmt.Errorf("asking the authority: %w", err)
	}
	if answer.StatusCode/100 == 2 {
		return answer, nil
	}
	defer answer.Body.Close()
	return nil, problemOf(answer)
}

// maxAnswer bounds an answer that is read whole, in octets: a list of 800,000
// revocations has 30 MB.
const maxAnswer = 1 << 30

// problemOf reads a refusal.
func problemOf(answer *http.Response) error {
	p := &Problem{Title: http.StatusText(answer.StatusCode)}
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if kind == "application/problem+json" {
		err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(p)
		if err != nil {
			return fmt.Errorf("%w: reading a problem: %w", ErrAnswer, err)
		}
	}
	p.Status = answer.StatusCode
	if p.RetryAfter == 0 {
		p.RetryAfter, _ = strconv.Atoi(answer.Header.Get("Retry-After"))
	}
	return p
}

// call sends a JSON object, or nothing, and reads one.
func call[T any](ctx context.Context, c *Client, method string, path []string, query url.Values, in any) (T, error) {
	var out T
	r := request{method: method, path: path, query: query}
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return out, fmt.Errorf("encoding a request: %w", err)
		}
		r.kind, r.body = "application/json", bytes.NewReader(body)
	}
	answer, err := c.send(ctx, r)
	if err != nil {
		return out, err
	}
	defer answer.Body.Close()
	err = json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&out)
	if err != nil {
		return out, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 512)) // the connection serves again
	return out, nil
}

// octets asks for something that is not JSON.
func (c *Client) octets(ctx context.Context, path ...string) ([]byte, error) {
	answer, err := c.send(ctx, request{method: http.MethodGet, path: path})
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("reading an answer: %w", err)
	}
	return b, nil
}
