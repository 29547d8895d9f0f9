package ca

import "math/big"

// The keys of ROCA (CVE-2017-15361; Nemec, Sys, Svenda, Klinec, Matyas: The
// Return of Coppersmith's Attack, CCS 2017, §2) have primes of the form
// k·M + (65537^a mod M), M the product of the first primes: 39 of them, up to
// 167, for RSA-512, more for larger keys. Modulo each of these primes the
// modulus is therefore a power of 65537. Among the 38 odd ones, 17 have
// numbers that are no power of 65537; the chance that an honest modulus is
// a power for all of them is about 2^-28.
const (
	rocaGenerator = 65537
	rocaPrimes    = 167
)

// addROCA files the powers of the generator modulo each prime that tells
// something.
func (s *sieve) addROCA() {
	for at, q := range s.primes {
		if q > rocaPrimes {
			return
		}
		set, order := generated(rocaGenerator%q, q)
		if order < q-1 {
			s.roca = append(s.roca, filter{at, set})
		}
	}
}

// generated is the set of powers of x modulo q, and how many they are.
func generated(x, q uint64) (*big.Int, uint64) {
	set, order := new(big.Int), uint64(0)
	for y := uint64(1); set.Bit(int(y)) == 0; y = y * x % q {
		set.SetBit(set, int(y), 1)
		order++
	}
	return set, order
}

func (s *sieve) isROCA(remainders []uint64) bool {
	for _, f := range s.roca {
		if !f.has(remainders) {
			return false
		}
	}
	return true
}
