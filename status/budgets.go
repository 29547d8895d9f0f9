package status

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// knownClients bounds the clients that are remembered.
const knownClients = 1 << 16

// budgets gives each client address so many signatures per second, in token
// buckets. Whoever was not heard of for longest is forgotten first, and begins
// anew with a full bucket.
type budgets struct {
	rate, burst float64

	mu       sync.Mutex // guards all below
	byClient map[netip.Prefix]*list.Element
	byUse    *list.List // of bucket, the one not used for longest in front
}

type bucket struct {
	client netip.Prefix
	tokens float64
	filled time.Time // when the tokens were right
}

func newBudgets(rate, burst int) *budgets {
	return &budgets{rate: float64(rate), burst: float64(burst), byClient: map[netip.Prefix]*list.Element{}, byUse: list.New()}
}

// clientOf returns who stands behind the address of a connection, host:port:
// an IPv4 address, or the /64 of an IPv6 one, the rest of which each host chooses
// for itself (RFC 4291 §2.5.4). All without such an address are one client, the
// zero Prefix.
func clientOf(address string) netip.Prefix {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		return netip.Prefix{}
	}
	ip := parsed.Addr().Unmap()
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	prefix, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}

// take takes one signature out of the client's budget, or returns false if it
// is spent.
func (b *budgets) take(client netip.Prefix, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	element := b.byClient[client]
	if element == nil {
		if b.byUse.Len() >= knownClients {
			oldest := b.byUse.Remove(b.byUse.Front()).(*bucket)
			delete(b.byClient, oldest.client)
		}
		element = b.byUse.PushBack(&bucket{client: client, tokens: b.burst, filled: now})
		b.byClient[client] = element
	}
	b.byUse.MoveToBack(element)
	k := element.Value.(*bucket)
	// A clock that was set back fills nothing and does not stop the filling.
	k.tokens = min(b.burst, k.tokens+b.rate*max(0, now.Sub(k.filled).Seconds()))
	k.filled = now
	if k.tokens < 1 {
		return false
	}
	k.tokens--
	return true
}

// giveBack returns a signature that was not made for the client after all.
func (b *budgets) giveBack(client netip.Prefix) {
	b.mu.Lock()
	defer b.mu.Unlock()
	element := b.byClient[client]
	if element == nil {
		return
	}
	k := element.Value.(*bucket)
	k.tokens = min(b.burst, k.tokens+1)
}
