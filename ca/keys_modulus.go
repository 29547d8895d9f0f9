package ca

import (
	"fmt"
	"math/big"
	"sync"
)

// smallFactors is the bound of the Baseline Requirements §6.1.6: a modulus has
// no factor below it.
const smallFactors = 752

// sieve is what every modulus is reduced by, and what its remainders must not
// be. It is made once and never changed.
type sieve struct {
	primes   []uint64 // odd, ascending below smallFactors, then as the powers need them
	products []product
	roca     []filter
	powers   []power
}

// product is a run of primes whose product fits a machine word, so that one
// long division serves them all.
type product struct {
	word        *big.Int
	first, next int // in sieve.primes
}

// filter is a set of remainders modulo one prime.
type filter struct {
	at  int      // in sieve.primes
	set *big.Int // bit r says that r is in it
}

func (f filter) has(remainders []uint64) bool { return f.set.Bit(int(remainders[f.at])) == 1 }

var sieved = sync.OnceValue(newSieve)

func newSieve() *sieve {
	s := &sieve{}
	for q := uint64(3); q < smallFactors; q += 2 {
		if isPrime(q) {
			s.primes = append(s.primes, q)
		}
	}
	s.addROCA()
	s.addPowers()
	for i := 0; i < len(s.primes); {
		p := product{first: i}
		word := uint64(1)
		for i < len(s.primes) && word < 1<<63/s.primes[i] {
			word *= s.primes[i]
			i++
		}
		p.word, p.next = new(big.Int).SetUint64(word), i
		s.products = append(s.products, p)
	}
	return s
}

func isPrime(q uint64) bool { return new(big.Int).SetUint64(q).ProbablyPrime(0) }

// remainders are those of n, in the order of the primes.
func (s *sieve) remainders(n *big.Int) []uint64 {
	out := make([]uint64, len(s.primes))
	var quotient, rest big.Int
	for _, p := range s.products {
		word := quotientRest(&quotient, &rest, n, p.word)
		for i := p.first; i < p.next; i++ {
			out[i] = word % s.primes[i]
		}
	}
	return out
}

func quotientRest(quotient, rest, n, divisor *big.Int) uint64 {
	quotient.QuoRem(n, divisor, rest)
	return rest.Uint64()
}

// checkModulus refuses a modulus with ErrKey and the reason, whatever its size:
// even or with a small factor (Baseline Requirements §6.1.6), of the form that
// ROCA breaks, of primes that are equal or close (§6.1.1.3), or a power of one
// number (§6.1.6).
func checkModulus(n *big.Int) error {
	if n.Sign() <= 0 || n.Bit(0) == 0 {
		return fmt.Errorf("%w: the modulus is even", ErrKey)
	}
	s := sieved()
	remainders := s.remainders(n)
	for i, q := range s.primes {
		if q > smallFactors {
			break
		}
		if remainders[i] == 0 {
			return fmt.Errorf("%w: the modulus has the factor %d", ErrKey, q)
		}
	}
	if s.isROCA(remainders) {
		return fmt.Errorf("%w: the modulus has the fingerprint of ROCA", ErrKey)
	}
	floor := new(big.Int).Sqrt(n)
	if isSquareOf(n, floor) {
		return fmt.Errorf("%w: the modulus is a square", ErrKey)
	}
	if round := fermat(n, floor); round != 0 {
		return fmt.Errorf("%w: the primes are close: round %d of Fermat's method finds them", ErrKey, round)
	}
	if k := s.powerOf(n, remainders); k != 0 {
		return fmt.Errorf("%w: the modulus is a power, of exponent %d", ErrKey, k)
	}
	return nil
}
