package ca

import (
	"crypto/rsa"
	"fmt"
	"math/big"
	"testing"
)

// plainFermat is Fermat's method without any filter.
func plainFermat(n *big.Int, rounds int) int {
	a := new(big.Int).Sqrt(n)
	if isSquareOf(n, a) {
		return 1
	}
	for round := 1; round <= rounds; round++ {
		a.Add(a, big.NewInt(1))
		b := new(big.Int).Mul(a, a)
		b.Sub(b, n)
		root := new(big.Int).Sqrt(b)
		if root.Mul(root, root).Cmp(b) == 0 {
			return round
		}
	}
	return 0
}

// apart is how far from p another factor is that Fermat's method finds in that
// round: a = √n + round is about p + d/2, and d²/8p is a − √n.
func apart(p *big.Int, round int) *big.Int {
	d := new(big.Int).Lsh(p, 3)
	d.Mul(d, big.NewInt(int64(2*round-1))).Rsh(d, 1)
	d.Sqrt(d)
	return d.SetBit(d, 0, 0)
}

func TestClosePrimesAreFoundInTheirRound(t *testing.T) {
	for round := 1; round <= fermatRounds+20; round++ {
		p := prime(t, 256)
		n := times(p, new(big.Int).Add(p, apart(p, round)))
		plain, got := plainFermat(n, fermatRounds+20), fermat(n, new(big.Int).Sqrt(n))
		want := round
		if round > fermatRounds {
			want = 0
		}
		if plain != round || got != want {
			t.Errorf("round %d: found in %d, without filters in %d", round, got, plain)
		}
	}
}

// TestRefusesClosePrimes has primes, and keys of a real size.
func TestRefusesClosePrimes(t *testing.T) {
	closest := func(bits, round int) *big.Int {
		p := prime(t, bits)
		q := new(big.Int).Add(p, apart(p, round))
		for !q.ProbablyPrime(0) {
			q.Add(q, big.NewInt(2))
		}
		return times(p, q)
	}
	for round, reason := range map[int]string{1: "round 1 of", 2: "round 2 of", 99: "round 99 of", 100: "round 100 of", 101: ""} {
		t.Run(fmt.Sprintf("round %d", round), func(t *testing.T) { refusedFor(t, checkModulus(closest(384, round)), reason) })
	}
	n := closest(1024, 100)
	refusedFor(t, KeyRules{RSA: []int{2048}}.check(&rsa.PublicKey{N: n, E: 65537}), "the primes are close: round 100 of")
}

func TestFiltersOfSquaresLetEverySquarePass(t *testing.T) {
	for _, m := range append(squareModuli[:], 64) {
		set := squaresModulo(m)
		for x := range m * 3 {
			if set>>(x*x%m)&1 == 0 {
				t.Errorf("%d² is no square modulo %d", x, m)
			}
		}
	}
}
