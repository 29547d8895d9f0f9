package status

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"cpsca/card"
	"cpsca/ocsp"
)

// from makes a request come from an address.
func from(address string, r *http.Request) *http.Request {
	r.RemoteAddr = address
	return r
}

// budgeted is a node that gives each client 2 signatures per second, 4 at once.
func budgeted(t *testing.T) *node {
	t.Helper()
	n := newNode(t, start)
	cfg := n.handler.cfg
	cfg.ClientRate, cfg.ClientBurst = 2, 4
	var err error
	n.handler, err = NewHandler(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAClientBeyondItsBudgetGetsWhatIsKept(t *testing.T) {
	n := budgeted(t)
	count := counted(n)
	const greedy, other = "192.0.2.1:1", "192.0.2.2:1"
	_ = n.read(t, n.serve(from(other, post(n.request(t, 1)))))
	for range 4 {
		_ = n.read(t, n.serve(from(greedy, post(n.request(t, 9)))))
	}
	count.made = 0
	for name, der := range map[string][]byte{
		"an unknown serial": n.request(t, 9), "an unknown serial with a nonce": dressed(t, dress{nonce: "n"}, n.request(t, 9)),
		"several": dressed(t, dress{}, n.request(t, 1), n.request(t, 1)),
	} {
		if got := refusal(t, n.serve(from(greedy, post(der)))); got != ocsp.Unauthorized {
			t.Errorf("%s: got %s", name, got)
		}
	}
	for name, d := range map[string]dress{"without a nonce": {}, "with a nonce": {nonce: "the nonce of a client"}} {
		r := n.serve(from(greedy, post(dressed(t, d, n.request(t, 1)))))
		body, _ := io.ReadAll(r.Body)
		got, err := xocsp.ParseResponse(body, n.certificate)
		if err != nil || got.Status != xocsp.Good || bytes.Contains(body, []byte("the nonce of a client")) || r.Header.Get("ETag") == "" {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	if count.made != 0 {
		t.Errorf("got %d answers made beyond the budget", count.made)
	}
	// The state of one certificate is told to everybody, without the nonce.
	for name, d := range map[string]dress{"without a nonce": {}, "with a nonce": {nonce: "the nonce of a client"}} {
		body, _ := io.ReadAll(n.serve(from(greedy, post(dressed(t, d, n.request(t, 2))))).Body)
		got, err := xocsp.ParseResponse(body, n.certificate)
		if err != nil || got.Status == xocsp.Unknown || bytes.Contains(body, []byte("the nonce of a client")) {
			t.Errorf("one that was not kept, %s: got %+v, %v", name, got, err)
		}
	}
	if count.made != 1 {
		t.Errorf("got %d answers made for one certificate, want 1", count.made)
	}
	// Others have their own budget, and nonces within it are answered.
	r := n.serve(from(other, post(dressed(t, dress{nonce: "the nonce of a client"}, n.request(t, 1)))))
	body, _ := io.ReadAll(r.Body)
	if !bytes.Contains(body, []byte("the nonce of a client")) || r.Header.Get("Cache-Control") != "no-store" {
		t.Error("the nonce of another client was not answered")
	}
}

func TestABudgetFillsWithTime(t *testing.T) {
	n := budgeted(t)
	unknown := n.request(t, 9)
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{0, 4}, {0, 0}, {499 * time.Millisecond, 0}, {time.Millisecond, 1}, {time.Second, 2}, {5 * time.Second, 4}, {-3 * time.Second, 0}, {time.Second, 2}} {
		n.clock.advance(c.after)
		n.change() // the image stays young, though it never goes back
		n.follow(t)
		got := 0
		for range 10 {
			body, _ := io.ReadAll(n.serve(post(unknown)).Body)
			if len(body) > 5 {
				got++
			}
		}
		if got != c.want {
			t.Errorf("after %s: got %d signatures, want %d", c.after, got, c.want)
		}
	}
}

func TestOnlySignaturesSpendABudget(t *testing.T) {
	n := budgeted(t)
	stranger := newAuthority(t, n.clock.now)
	foreign, err := xocsp.CreateRequest(&x509.Certificate{SerialNumber: n.certificate.SerialNumber}, stranger.certificate, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		for name, der := range map[string][]byte{"foreign": foreign, "an intent": n.request(t, 4)} {
			if got := refusal(t, n.serve(post(der))); got != ocsp.Unauthorized {
				t.Errorf("%s: got %s", name, got)
			}
		}
		_ = refusal(t, n.serve(post([]byte("garbage"))))
		_ = n.read(t, n.serve(post(n.request(t, 1))))
	}
	for i := range 4 {
		if got := n.read(t, n.serve(post(n.request(t, 9)))); got.Status != xocsp.Unknown {
			t.Errorf("unknown %d: got %d", i, got.Status)
		}
	}
	if got := refusal(t, n.serve(post(n.request(t, 9)))); got != ocsp.Unauthorized {
		t.Errorf("beyond the budget: got %s", got)
	}
}

func TestAHospitalBehindOneAddressIsServed(t *testing.T) {
	n := newNode(t, start)
	for number := range byte(150) {
		n.change(n.record(number+10, card.StatusGood))
	}
	n.follow(t)
	count := counted(n)
	for range 20 {
		for number := range byte(150) {
			if got := n.read(t, n.serve(post(n.request(t, number+10)))); got.Status != xocsp.Good {
				t.Fatalf("serial %d: got %d", number, got.Status)
			}
		}
		n.clock.advance(time.Second)
	}
	if count.made != 150 {
		t.Errorf("got %d answers made, want 150", count.made)
	}
}

func TestClientsAreAddressesOrSubnets(t *testing.T) {
	for name, c := range map[string]struct {
		one, two string
		same     bool
	}{
		"two ports":                     {"192.0.2.1:1", "192.0.2.1:2", true},
		"two addresses":                 {"192.0.2.1:1", "192.0.2.2:1", false},
		"IPv4 mapped into IPv6":         {"192.0.2.1:1", "[::ffff:192.0.2.1]:1", true},
		"two mapped addresses":          {"[::ffff:192.0.2.2]:1", "[::ffff:192.0.2.1]:1", false},
		"a subnet of IPv6":              {"[2001:db8::1]:1", "[2001:db8::ffff:0:0:2]:1", true},
		"two subnets of IPv6":           {"[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false},
		"two zones of a link":           {"[fe80::1%a]:1", "[fe80::1%b]:1", true},
		"two that have no address":      {"@", "", true},
		"one that has none and another": {"@", "192.0.2.1:1", false},
	} {
		if got := clientOf(c.one) == clientOf(c.two); got != c.same {
			t.Errorf("%s: the same client %v", name, got)
		}
	}
}

func TestTheTableOfClientsIsBounded(t *testing.T) {
	b := newBudgets(1, 2)
	regular := clientOf("[2001:db8:ffff::1]:1")
	for i := range knownClients + 1000 {
		if !b.take(clientOf(fmt.Sprintf("[2001:db8:%x:%x::1]:1", i>>16, i&0xffff)), start) {
			t.Fatalf("client %d has no budget", i)
		}
		if i%1000 == 0 {
			b.take(regular, start)
		}
	}
	if len(b.byClient) != knownClients || b.byUse.Len() != knownClients {
		t.Errorf("got %d clients and %d buckets", len(b.byClient), b.byUse.Len())
	}
	if b.take(regular, start) {
		t.Error("a client that goes on asking was forgotten, and began anew")
	}
}
