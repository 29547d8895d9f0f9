package ca

import (
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"testing"
)

// rocaPrime makes a prime as the defective chips do: k·M + (65537^a mod M), M the
// product of the first primes (39 for RSA-512, 126 for RSA-2048).
func rocaPrime(t testing.TB, bits, primes int) *big.Int {
	t.Helper()
	m := big.NewInt(1)
	for q := int64(2); primes > 0; q++ {
		if big.NewInt(q).ProbablyPrime(0) {
			m.Mul(m, big.NewInt(q))
			primes--
		}
	}
	// k from 3·2^(bits−2)/M to 2^bits/M: the two highest bits of the prime are set.
	least := new(big.Int).Lsh(big.NewInt(3), uint(bits-2))
	least.Quo(least, m)
	spare := new(big.Int).Lsh(big.NewInt(1), uint(bits))
	spare.Quo(spare, m).Sub(spare, least)
	for {
		a := must(rand.Int(rand.Reader, m))(t)
		k := must(rand.Int(rand.Reader, spare))(t)
		p := k.Add(k, least)
		p.Mul(p, m).Add(p, a.Exp(big.NewInt(rocaGenerator), a, m))
		if p.BitLen() == bits && p.Bit(bits-2) == 1 && p.ProbablyPrime(0) {
			return p
		}
	}
}

func TestTheFingerprintOfROCAIsRefused(t *testing.T) {
	for range 20 {
		refusedFor(t, checkModulus(times(rocaPrime(t, 256, 39), rocaPrime(t, 256, 39))), "ROCA")
	}
	for range 2 {
		n := times(rocaPrime(t, 1024, 126), rocaPrime(t, 1024, 126))
		refusedFor(t, KeyRules{RSA: []int{2048}}.check(&rsa.PublicKey{N: n, E: 65537}), "ROCA")
	}
}

// The fingerprint is the modulus's, of two such primes: one alone is not seen,
// and not what the attack is known for.
func TestAModulusOfOnePrimeOfROCAHasNotItsFingerprint(t *testing.T) {
	for range 20 {
		refusedFor(t, checkModulus(times(rocaPrime(t, 256, 39), prime(t, 256))), "")
	}
}

// The published fingerprint has these primes; those modulo which every number
// is a power of 65537 tell nothing.
func TestTheFingerprintOfROCAHasThePublishedPrimes(t *testing.T) {
	want := []uint64{11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157}
	s := sieved()
	if len(s.roca) != len(want) {
		t.Fatalf("%d primes, want %d", len(s.roca), len(want))
	}
	chance := 1.0
	for i, f := range s.roca {
		members := 0
		for r := range f.set.BitLen() {
			members += int(f.set.Bit(r))
		}
		if s.primes[f.at] != want[i] || f.set.Bit(1) != 1 || f.set.Bit(0) != 0 {
			t.Errorf("prime %d is %d with the set %b, want %d", i, s.primes[f.at], f.set, want[i])
		}
		chance *= float64(members) / float64(want[i]-1)
	}
	if chance > 1.0/(1<<27) {
		t.Errorf("one honest modulus in %.0f has the fingerprint", 1/chance)
	}
}
