package ca

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"cpsca/testpki"
)

// refusedFor expects ErrKey with a reason; without a reason it expects no error.
func refusedFor(t *testing.T, err error, reason string) {
	t.Helper()
	switch {
	case reason == "" && err != nil:
		t.Errorf("refused: %v", err)
	case reason != "" && (!errors.Is(err, ErrKey) || !strings.Contains(err.Error(), reason)):
		t.Errorf("got %v, want a refusal that says %q", err, reason)
	}
}

// prime is a random prime of that many bits, the two highest set.
func prime(t testing.TB, bits int) *big.Int {
	t.Helper()
	return must(rand.Prime(rand.Reader, bits))(t)
}

func times(factors ...*big.Int) *big.Int {
	n := big.NewInt(1)
	for _, factor := range factors {
		n.Mul(n, factor)
	}
	return n
}

// honest is a modulus of two random primes.
func honest(t testing.TB) *big.Int {
	t.Helper()
	return times(prime(t, 512), prime(t, 512))
}

func TestAModulusHasNoFactorBelow752(t *testing.T) {
	n := honest(t)
	for q := int64(2); q < 1000; q++ {
		if !big.NewInt(q).ProbablyPrime(0) {
			continue
		}
		reason := ""
		switch {
		case q == 2:
			reason = "the modulus is even"
		case q < 752:
			reason = fmt.Sprintf("the modulus has the factor %d", q)
		}
		refusedFor(t, checkModulus(times(n, big.NewInt(q))), reason)
	}
	refusedFor(t, checkModulus(new(big.Int)), "the modulus is even")
	refusedFor(t, checkModulus(big.NewInt(-35)), "the modulus is even")
	refusedFor(t, checkModulus(new(big.Int).Add(honest(t), big.NewInt(1))), "the modulus is even")
	refusedFor(t, checkModulus(times(n, big.NewInt(3), big.NewInt(751))), "the modulus has the factor 3")
}

func TestTheRemaindersAreThoseOfDivision(t *testing.T) {
	s := sieved()
	for range 20 {
		n := must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 4096)))(t)
		for i, got := range s.remainders(n) {
			want := new(big.Int).Mod(n, new(big.Int).SetUint64(s.primes[i])).Uint64()
			if got != want {
				t.Fatalf("modulo %d: %d, want %d", s.primes[i], got, want)
			}
		}
	}
	covered := 0
	for _, p := range s.products {
		covered += p.next - p.first
	}
	if covered != len(s.primes) || s.primes[131] != 751 {
		t.Errorf("%d of %d primes are divided by, the last small one is %d", covered, len(s.primes), s.primes[131])
	}
}

func TestHonestModuliAreAccepted(t *testing.T) {
	const keys = 325 // of 26 primes
	pool := must(testpki.NewKeyPool(26))(t)
	rules := KeyRules{RSA: []int{2048}}
	small := big.NewInt(1)
	for _, q := range sieved().primes[:132] {
		small.Mul(small, new(big.Int).SetUint64(q))
	}
	for i := range keys {
		key := must(pool.Key())(t)
		rules.Composite = i%25 == 0
		refusedFor(t, rules.check(&key.PublicKey), "")
		if new(big.Int).GCD(nil, nil, key.N, small).Cmp(big.NewInt(1)) != 0 {
			t.Error("an honest modulus has a small factor")
		}
		if plainFermat(key.N, fermatRounds) != 0 {
			t.Error("an honest modulus has close primes")
		}
	}
}

func TestAnRSAKeyHasAnExactSizeAndTheExponent(t *testing.T) {
	n := must(testpki.NewKeyPool(2))(t)
	key := must(n.Key())(t)
	size := func(bits int) *big.Int { return new(big.Int).SetBit(honest(t), bits-1, 1) }
	for _, c := range []struct {
		name, reason string
		n            *big.Int
		e            int
	}{
		{"2048 bits", "", key.N, 65537},
		{"one bit less", "2047 bits", size(2047), 65537},
		{"one bit more", "2049 bits", size(2049), 65537},
		{"one octet more", "2056 bits", size(2056), 65537},
		{"1024 bits", "1024 bits", honest(t), 65537},
		{"a size that is not configured", "3072 bits", size(3072), 65537},
		{"the exponent 1", "the exponent is 1,", key.N, 1},
		{"the exponent 3", "the exponent is 3,", key.N, 3},
		{"the exponent 65536", "the exponent is 65536,", key.N, 65536},
		{"the exponent 65535", "the exponent is 65535,", key.N, 65535},
		{"the exponent 65539", "the exponent is 65539,", key.N, 65539},
		{"an exponent of 31 bits", "the exponent is 2147483647,", key.N, 1<<31 - 1},
		{"the exponent 0", "the exponent is 0,", key.N, 0},
		{"a negative exponent", "the exponent is -65537,", key.N, -65537},
	} {
		t.Run(c.name, func(t *testing.T) {
			refusedFor(t, KeyRules{RSA: []int{2048}}.check(&rsa.PublicKey{N: c.n, E: c.e}), c.reason)
		})
	}
}

func TestAPrimeModulusIsRefusedWhereTheRuleIsOn(t *testing.T) {
	n := new(big.Int).SetBit(big.NewInt(primeAbove2047), 2047, 1)
	key := &rsa.PublicKey{N: n, E: 65537}
	refusedFor(t, KeyRules{RSA: []int{2048}, Composite: true}.check(key), "the modulus is a prime")
	refusedFor(t, infrastructureRules.check(key), "the modulus is a prime")
	refusedFor(t, KeyRules{RSA: []int{2048}}.check(key), "")
}

// primeAbove2047 makes a prime of 2048 bits: 2^2047 and this.
const primeAbove2047 = 1919
