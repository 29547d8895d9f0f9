package ca

import (
	"math"
	"math/big"
)

// A modulus of at most 4096 bits without a factor below 752, which has ten bits,
// is no power of a higher exponent than 455.
const (
	largestModulus = 4096
	bitsOfBase     = 9
)

// rarity is how seldom a number that is no power is taken for one by its
// remainders alone.
const rarity = 100

// power tells most numbers that are no power of exponent k: modulo a prime
// q ≡ 1 (mod k) one number in k is one.
type power struct {
	k       int
	filters []filter
}

// addPowers makes the filters for every odd prime exponent. Squares are
// Fermat's, and other exponents have one of these as a factor.
func (s *sieve) addPowers() {
	index := make(map[uint64]int, len(s.primes))
	for i, q := range s.primes {
		index[q] = i
	}
	for k := uint64(3); k*bitsOfBase < largestModulus; k += 2 {
		if !isPrime(k) {
			continue
		}
		p := power{k: int(k)}
		passes := uint64(1)
		for q := 2*k + 1; passes < rarity; q += 2 * k {
			if !isPrime(q) {
				continue
			}
			at, known := index[q]
			if !known {
				at = len(s.primes)
				index[q] = at
				s.primes = append(s.primes, q)
			}
			p.filters = append(p.filters, filter{at, powersModulo(q, k)})
			passes *= k
		}
		s.powers = append(s.powers, p)
	}
}

// powersModulo is the set of k-th powers modulo a prime q ≡ 1 (mod k), 0 among
// them: the k-th power of the first number that generates as many as there are.
func powersModulo(q, k uint64) *big.Int {
	for x := uint64(2); ; x++ {
		y := uint64(1)
		for range k {
			y = y * x % q
		}
		set, order := generated(y, q)
		if order == (q-1)/k {
			return set.SetBit(set, 0, 1)
		}
	}
}

// powerOf returns the prime k > 2 for which n is the k-th power of a number, or
// 0. n has no factor below smallFactors.
func (s *sieve) powerOf(n *big.Int, remainders []uint64) int {
	for _, p := range s.powers {
		if p.k*bitsOfBase >= n.BitLen() {
			break
		}
		if !p.maybe(remainders) {
			continue
		}
		_, exact := root(n, p.k)
		if exact {
			return p.k
		}
	}
	return 0
}

func (p power) maybe(remainders []uint64) bool {
	for _, f := range p.filters {
		if !f.has(remainders) {
			return false
		}
	}
	return true
}

// root returns the k-th root of n > 0, rounded down, and whether it is exact:
// Newton's method from above (Cohen: A Course in Computational Algebraic Number
// Theory, algorithm 1.7.1), begun so near that every step doubles the digits.
func root(n *big.Int, k int) (*big.Int, bool) {
	x, less, exponent := above(n, k), big.NewInt(int64(k-1)), big.NewInt(int64(k))
	next, term := new(big.Int), new(big.Int)
	for {
		next.Quo(n, term.Exp(x, less, nil))
		next.Add(next, term.Mul(x, less))
		next.Quo(next, exponent)
		if next.Cmp(x) >= 0 {
			return x, term.Exp(x, exponent, nil).Cmp(n) == 0
		}
		x, next = next, x
	}
}

// above is a little more than the k-th root of n > 0, by its logarithm to the
// base 2. That has at most 12 bits before the point and 40 behind it; the margin
// is sixteen times the error.
func above(n *big.Int, k int) *big.Int {
	const (
		digits = 53
		margin = 1 + 1.0/(1<<36)
	)
	shift := max(0, n.BitLen()-digits)
	leading := float64(new(big.Int).Rsh(n, uint(shift)).Uint64() + 1)
	logarithm := (math.Log2(leading) + float64(shift)) / float64(k)
	whole := max(0, int(logarithm)-digits)
	x := new(big.Int).SetUint64(uint64(math.Exp2(logarithm-float64(whole))*margin) + 2)
	return x.Lsh(x, uint(whole))
}
