package ca

import (
	"crypto/dsa"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"math/big"
	"testing"
)

// bothCurves certify; P-224 and P-521 are never asked for.
var bothCurves = KeyRules{Curves: []string{"P-256", "P-384"}}

func TestAPointIsFullyValidated(t *testing.T) {
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384()} {
		p := curve.Params().P
		one := big.NewInt(1)
		x, y := lowPoint(curve)
		for name, c := range map[string]struct {
			x, y   *big.Int
			reason string
		}{
			"a point of the curve":                     {x, y, ""},
			"its negative":                             {x, new(big.Int).Sub(p, y), ""},
			"a point off the curve":                    {x, new(big.Int).Add(y, one), "the point is not valid"},
			"infinity":                                 {new(big.Int), new(big.Int), "the point is not valid"},
			"x beyond the field":                       {new(big.Int).Add(x, p), y, "the point is not valid"},
			"y beyond the field":                       {x, new(big.Int).Add(y, p), "the point is not valid"},
			"y beyond the field and its longest octet": {x, new(big.Int).Add(y, new(big.Int).Lsh(p, 8)), "the point is not valid"},
			"a negative x":                             {new(big.Int).Neg(x), y, "the point is not valid"},
			"y equal to the field":                     {x, p, "the point is not valid"},
		} {
			t.Run(curve.Params().Name+" "+name, func(t *testing.T) {
				refusedFor(t, bothCurves.check(&ecdsa.PublicKey{Curve: curve, X: c.x, Y: c.y}), c.reason)
			})
		}
	}
}

// lowPoint is the point of the least x: x + p has as many octets as p.
func lowPoint(curve elliptic.Curve) (x, y *big.Int) {
	params := curve.Params()
	for x = big.NewInt(1); ; x.Add(x, big.NewInt(1)) {
		// y² = x³ − 3x + b
		square := new(big.Int).Exp(x, big.NewInt(3), nil)
		square.Sub(square, new(big.Int).Mul(big.NewInt(3), x)).Add(square, params.B).Mod(square, params.P)
		y = new(big.Int).ModSqrt(square, params.P)
		if y != nil {
			return x, y
		}
	}
}

func TestACurveIsOneOfThoseConfigured(t *testing.T) {
	for _, c := range []struct {
		curve  elliptic.Curve
		rules  KeyRules
		reason string
	}{
		{elliptic.P256(), bothCurves, ""},
		{elliptic.P384(), bothCurves, ""},
		{elliptic.P384(), KeyRules{Curves: []string{"P-256"}}, "curve P-384 is not one of"},
		{elliptic.P256(), KeyRules{RSA: []int{2048}}, "curve P-256 is not one of"},
		{elliptic.P224(), bothCurves, "curve P-224 is not one of"},
		{elliptic.P521(), bothCurves, "curve P-521 is not one of"},
	} {
		key := must(ecdsa.GenerateKey(c.curve, rand.Reader))(t)
		refusedFor(t, c.rules.check(&key.PublicKey), c.reason)
	}
	refusedFor(t, bothCurves.check(&dsa.PublicKey{}), "keys of this kind")
	refusedFor(t, bothCurves.check(nil), "keys of this kind")
}
