package testpki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"math/big"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"cpsca/card"
	"cpsca/hsm"
)

const publicExponent = 65537

// GenerateKey makes a key in the memory of the process. RSA-4096 takes seconds; the smaller sizes are for tests.
func GenerateKey(algorithm hsm.Algorithm) (crypto.Signer, error) {
	switch algorithm {
	case hsm.RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case hsm.RSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case hsm.RSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	case hsm.P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case hsm.P384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	}
	return nil, fmt.Errorf("generating a key: %s is not used here", algorithm)
}

// KeyPool makes many RSA-2048 keys quickly: k primes give k(k-1)/2 different moduli. Such keys are for tests and
// benchmarks alone: two moduli that share a prime are factored by their greatest common divisor, so that whoever sees
// a few hundred of the certificates has the private keys. A KeyPool may be used by several goroutines.
type KeyPool struct {
	mutex  sync.Mutex
	primes []*big.Int
	// The next key is of primes i and j, i < j.
	i, j int
}

// NewKeyPool makes that many primes in advance on all processors, some tens of milliseconds each; 0 is a good number for a
// few keys, since the pool makes another prime whenever all pairs are spent.
func NewKeyPool(primes int) (*KeyPool, error) {
	pool := &KeyPool{j: 1, primes: make([]*big.Int, max(0, primes))}
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range pool.primes {
		group.Go(func() (err error) {
			pool.primes[i], err = newPrime()
			return err
		})
	}
	err := group.Wait()
	if err != nil {
		return nil, err
	}
	return pool, nil
}

// newPrime returns a prime of 1024 bits, the two highest set, that fits the public exponent.
func newPrime() (*big.Int, error) {
	for {
		prime, err := rand.Prime(rand.Reader, 1024)
		if err != nil {
			return nil, fmt.Errorf("making a prime: %w", err)
		}
		if new(big.Int).Mod(prime, big.NewInt(publicExponent)).Int64() != 1 {
			return prime, nil
		}
	}
}

// Key returns a key that this pool did not return before.
func (k *KeyPool) Key() (*rsa.PrivateKey, error) {
	p, q, err := k.pair()
	if err != nil {
		return nil, err
	}
	return keyOf(p, q, publicExponent)
}

func (k *KeyPool) pair() (p, q *big.Int, err error) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	for len(k.primes) <= k.j {
		prime, err := newPrime()
		if err != nil {
			return nil, nil, err
		}
		k.primes = append(k.primes, prime)
	}
	p, q = k.primes[k.i], k.primes[k.j]
	k.i++
	if k.i == k.j {
		k.i, k.j = 0, k.j+1
	}
	return p, q, nil
}

// keyOf makes the key of two primes (RFC 8017 §3.2), its d the smallest.
func keyOf(p, q *big.Int, exponent int) (*rsa.PrivateKey, error) {
	one := big.NewInt(1)
	p1, q1 := new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)
	lambda := new(big.Int).Mul(p1, q1)
	lambda.Div(lambda, new(big.Int).GCD(nil, nil, p1, q1))
	d := new(big.Int).ModInverse(big.NewInt(int64(exponent)), lambda)
	if d == nil || p.Cmp(q) == 0 {
		return nil, fmt.Errorf("making a key: these primes do not go with exponent %d", exponent)
	}
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: exponent}, D: d, Primes: []*big.Int{p, q},
	}
	key.Precompute()
	err := key.Validate()
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return key, nil
}

// Card makes a card with two keys of the pool.
func (k *KeyPool) Card(number card.Number) (*Card, error) {
	return newCard(number, func() (crypto.Signer, error) { return k.Key() })
}

const (
	allNumbers = 10_000_000_000
	numberStep = 7_368_787_133 // without a common divisor with 10^10
)

// Numbers gives card numbers, each once in ten thousand million, in an order that follows the seed. It may be used by
// several goroutines.
type Numbers struct {
	first uint64
	given atomic.Uint64
}

// NewNumbers begins the sequence of a seed.
func NewNumbers(seed uint64) *Numbers { return &Numbers{first: seed % allNumbers} }

// Next returns the next number.
func (n *Numbers) Next() card.Number {
	i := n.given.Add(1) - 1
	// 10^10 numbers times a step below 2^33 would overflow beyond 2^31 of them, hence the remainder in halves.
	at := (i%100_000*numberStep + i/100_000%100_000*(100_000*numberStep%allNumbers)) % allNumbers
	return card.Number(fmt.Sprintf("%010d", (n.first+at)%allNumbers))
}
