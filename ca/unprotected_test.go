//go:build unprotected

package ca

import (
	"errors"
	"testing"

	"cpsca/card"
	"cpsca/hsm"
	"cpsca/profiles"
	"cpsca/testpki"
)

func TestAnUnknownSwitchAndAProductionIssuerAreRefused(t *testing.T) {
	defer func(before []string) { named = before }(named)
	h := must(testpki.NewHierarchy(testpki.Options{Root: hsm.P256, Issuing: hsm.P256}))(t)
	issuer := h.Issuing.Issuer
	issuer.Test = false
	real := must(profiles.Compile(profiles.CPSSignature, issuer, h.Issuing.Settings))(t)
	for name, c := range map[string]struct {
		named []string
		Config
		want error
	}{
		"those of every room": {[]string{"verification", "keys", "journal", "durability"}, Config{}, nil},
		"a wrong one":         {[]string{"verificaton"}, Config{}, ErrConfig},
		"production":          {nil, Config{Profiles: []*profiles.Profile{real}}, ErrConfig},
	} {
		named = c.named
		err := unprotectedConfig(&c.Config)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestWithoutTheGateAWeakKeyPasses(t *testing.T) {
	defer func(before bool) { gating = before }(gating)
	chip := must(testpki.NewCard("2800636234", hsm.P384))(t)
	rules := KeyRules{Curves: []string{"P-256"}}
	for _, gating = range []bool{true, false} {
		_, err := rules.admit(must(chip.SPKI(card.Signature))(t))
		if errors.Is(err, ErrKey) != gating {
			t.Errorf("gate %t: got %v", gating, err)
		}
	}
}
