package ca

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"math/big"
	"testing"
)

func toThe(base *big.Int, k int) *big.Int { return new(big.Int).Exp(base, big.NewInt(int64(k)), nil) }

func TestAPowerIsRefused(t *testing.T) {
	for _, bits := range []int{1024, 2048, 4096} {
		for k := 2; k < bits*10/96; k++ {
			if !isPrime(uint64(k)) {
				continue
			}
			// The base is the first without a small factor above the root of 2^bits / 2: prime or not, as it comes.
			base, _ := root(new(big.Int).Lsh(big.NewInt(1), uint(bits-1)), k)
			base.Add(base, big.NewInt(2)).SetBit(base, 0, 1)
			for smallFactor(base) {
				base.Add(base, big.NewInt(2))
			}
			reason := fmt.Sprintf("the modulus is a power, of exponent %d", k)
			if k == 2 {
				reason = "the modulus is a square"
			}
			n := toThe(base, k)
			refusedFor(t, checkModulus(n), reason)
			refusedFor(t, checkModulus(nextWithoutSmallFactor(n)), "")
		}
	}
}

// nextWithoutSmallFactor is no power, but near one.
func nextWithoutSmallFactor(n *big.Int) *big.Int {
	next := new(big.Int).Add(n, big.NewInt(2))
	for smallFactor(next) || fermat(next, new(big.Int).Sqrt(next)) != 0 {
		next.Add(next, big.NewInt(2))
	}
	return next
}

func smallFactor(n *big.Int) bool {
	for _, q := range sieved().primes[:132] {
		if new(big.Int).Mod(n, new(big.Int).SetUint64(q)).Sign() == 0 {
			return true
		}
	}
	return false
}

func TestAPowerWithACompositeExponentIsRefused(t *testing.T) {
	for k, reason := range map[int]string{4: "a square", 6: "a square", 9: "exponent 3", 15: "exponent 3", 35: "exponent 5", 49: "exponent 7"} {
		refusedFor(t, checkModulus(toThe(prime(t, 2048/k), k)), reason)
	}
}

func TestAPowerOfARealSizeIsRefused(t *testing.T) {
	key := func(n *big.Int) *rsa.PublicKey { return &rsa.PublicKey{N: n, E: 65537} }
	rules := KeyRules{RSA: []int{2048}}
	refusedFor(t, rules.check(key(toThe(prime(t, 1024), 2))), "the modulus is a square")
	base, _ := root(new(big.Int).Lsh(big.NewInt(1), 2048), 3)
	base.SetBit(base, 0, 1).Sub(base, big.NewInt(2))
	for smallFactor(base) {
		base.Sub(base, big.NewInt(2))
	}
	refusedFor(t, rules.check(key(toThe(base, 3))), "the modulus is a power, of exponent 3")
}

// A base may be the very prime that a filter reduces by: its remainder is 0.
func TestAPowerOfAPrimeOfTheFiltersIsRefused(t *testing.T) {
	s := sieved()
	for _, p := range s.powers {
		for _, f := range p.filters {
			if s.primes[f.at] < smallFactors {
				continue
			}
			refusedFor(t, checkModulus(toThe(new(big.Int).SetUint64(s.primes[f.at]), p.k)), fmt.Sprintf("of exponent %d", p.k))
		}
	}
}

func TestFiltersOfPowersAreSharpEnough(t *testing.T) {
	for _, p := range sieved().powers {
		passes := 1
		for _, f := range p.filters {
			q := sieved().primes[f.at]
			if q%uint64(p.k) != 1 {
				t.Errorf("exponent %d is tested modulo %d", p.k, q)
			}
			for x := range uint64(50) {
				y := new(big.Int).Exp(new(big.Int).SetUint64(x), big.NewInt(int64(p.k)), new(big.Int).SetUint64(q))
				if f.set.Bit(int(y.Int64())) == 0 {
					t.Errorf("%d^%d is no power modulo %d", x, p.k, q)
				}
			}
			passes *= p.k
		}
		if passes < rarity {
			t.Errorf("one number in %d passes for a power of exponent %d", passes, p.k)
		}
	}
}

func TestARootIsRoundedDown(t *testing.T) {
	one := big.NewInt(1)
	check := func(n *big.Int, k int) {
		t.Helper()
		x, exact := root(n, k)
		power := toThe(x, k)
		if power.Cmp(n) > 0 || toThe(new(big.Int).Add(x, one), k).Cmp(n) <= 0 || exact != (power.Cmp(n) == 0) {
			t.Fatalf("the root of exponent %d of %v is not %v, exact: %v", k, n, x, exact)
		}
	}
	for n := int64(1); n < 2000; n++ {
		for k := 2; k < 12; k++ {
			check(big.NewInt(n), k)
		}
	}
	for range 300 {
		for _, k := range []int{2, 3, 5, 7, 31, 101, 211, 449} {
			x := must(rand.Int(rand.Reader, new(big.Int).Lsh(one, uint(4095/k))))(t)
			n := toThe(x.Add(x, big.NewInt(2)), k)
			check(n, k)
			check(new(big.Int).Sub(n, one), k)
			check(new(big.Int).Add(n, one), k)
		}
	}
}
