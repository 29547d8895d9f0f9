package ca

import "math/big"

// fermatRounds is how many rounds of Fermat's method a modulus must withstand
// (Baseline Requirements §6.1.1.3).
const fermatRounds = 100

// squareModuli tell most numbers that are no square from squares: they are
// coprime, fit a word each and their product too, so that one long division
// serves them all. Between them 1 number in 9,000 passes that is no square.
var squareModuli = [...]uint64{63, 55, 61, 59, 53, 47, 43, 41, 37}

var (
	squareProduct = func() *big.Int {
		word := uint64(1)
		for _, m := range squareModuli {
			word *= m
		}
		return new(big.Int).SetUint64(word)
	}()
	squares = func() (sets [len(squareModuli)]uint64) {
		for i, m := range squareModuli {
			sets[i] = squaresModulo(m)
		}
		return sets
	}()
	squares64 = squaresModulo(64)
)

// squaresModulo is the set of squares modulo m ≤ 64: bit r says that r is one.
func squaresModulo(m uint64) uint64 {
	var set uint64
	for x := range m {
		set |= 1 << (x * x % m)
	}
	return set
}

// fermat looks for n = a² − b² with a from ⌈√n⌉ on, in fermatRounds rounds, and
// returns the round that found it, from 1 on, or 0. floor is ⌊√n⌋, and n is no
// square. b² is drawn the root of only if it is a square modulo small numbers.
func fermat(n, floor *big.Int) int {
	a := new(big.Int).Add(floor, big.NewInt(1))
	var quotient, rest big.Int
	nWord := quotientRest(&quotient, &rest, n, squareProduct)
	aWord := quotientRest(&quotient, &rest, a, squareProduct)
	n64, a64 := low64(n), low64(a)
	for i := range uint64(fermatRounds) {
		if squares64>>(((a64+i)*(a64+i)-n64)%64)&1 == 0 || !maybeSquare(nWord, aWord+i) {
			continue
		}
		b := new(big.Int).Add(a, new(big.Int).SetUint64(i))
		b.Mul(b, b).Sub(b, n)
		if isSquareOf(b, new(big.Int).Sqrt(b)) {
			return int(i) + 1
		}
	}
	return 0
}

// isSquareOf says whether n is the square of its root, given that rounded down.
func isSquareOf(n, floor *big.Int) bool { return new(big.Int).Mul(floor, floor).Cmp(n) == 0 }

func maybeSquare(nWord, aWord uint64) bool {
	for i, m := range squareModuli {
		a, n := aWord%m, nWord%m
		if squares[i]>>((a*a+m-n)%m)&1 == 0 {
			return false
		}
	}
	return true
}

var lowMask = new(big.Int).SetUint64(1<<64 - 1)

func low64(n *big.Int) uint64 { return new(big.Int).And(n, lowMask).Uint64() }
