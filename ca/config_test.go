package ca_test

import (
	"crypto/elliptic"
	"testing"

	"cpsca/ca"
	"cpsca/hsm"
	"cpsca/profiles"
	"cpsca/testpki"
)

func TestAConfigurationThatCannotIssueIsRefused(t *testing.T) {
	h := newHouse(t)
	compile := func(name profiles.Name, issuer profiles.Issuer, change func(*profiles.Issuer)) *profiles.Profile {
		t.Helper()
		if change != nil {
			change(&issuer)
		}
		return must(profiles.Compile(name, issuer, h.pki.Issuing.Settings))(t)
	}
	own := h.pki.Issuing.Issuer
	for name, change := range map[string]func(*ca.Config){
		"no directory":                  func(c *ca.Config) { c.Directory = nil },
		"no ledger":                     func(c *ca.Config) { c.Ledger = nil },
		"no issuer":                     func(c *ca.Config) { c.Cards = nil },
		"no gate":                       func(c *ca.Config) { c.Gate = "" },
		"an unknown gate":               func(c *ca.Config) { c.Gate = "door" },
		"no instance":                   func(c *ca.Config) { c.Instance = 0 },
		"an instance below 0x10":        func(c *ca.Config) { c.Instance = 0x0f },
		"an instance that is negative":  func(c *ca.Config) { c.Instance = 0x80 },
		"a queue below one":             func(c *ca.Config) { c.Queue = -1 },
		"a queue over its bound":        func(c *ca.Config) { c.Queue = 1025 },
		"signers below one":             func(c *ca.Config) { c.Signers = -1 },
		"signers over their bound":      func(c *ca.Config) { c.Signers = 65 },
		"no keys at all":                func(c *ca.Config) { c.Keys = ca.KeyRules{} },
		"RSA-1024":                      func(c *ca.Config) { c.Keys.RSA = []int{1024} },
		"a curve that no card may have": func(c *ca.Config) { c.Keys.Curves = []string{elliptic.P521().Params().Name} },
		"no profiles":                   func(c *ca.Config) { c.Profiles = nil },
		"a profile that is missing":     func(c *ca.Config) { c.Profiles = append(c.Profiles[:1:1], nil) },
		"one of two profiles":           func(c *ca.Config) { c.Profiles = c.Profiles[:1] },
		"a profile twice":               func(c *ca.Config) { c.Profiles = append(c.Profiles[:2:2], c.Profiles[0]) },
		"a profile that is of no card": func(c *ca.Config) {
			c.Profiles = append(c.Profiles[:2:2], compile(profiles.OCSP, own, nil))
		},
		"a profile of another issuer": func(c *ca.Config) {
			c.Profiles = append(c.Profiles[:1:1], compile(profiles.CPSSignature, h.pki.Root.Issuer, nil))
		},
		"a profile of another key of the issuer": func(c *ca.Config) {
			c.Profiles = append(c.Profiles[:1:1], compile(profiles.CPSSignature, own, func(i *profiles.Issuer) { i.KeyID[0] ^= 1 }))
		},
		"a profile that is older than the issuer": func(c *ca.Config) {
			c.Profiles = append(c.Profiles[:1:1], compile(profiles.CPSSignature, own, func(i *profiles.Issuer) { i.NotBefore = i.NotBefore.AddDate(-1, 0, 0) }))
		},
		"a profile of another algorithm": func(c *ca.Config) {
			c.Profiles = append(c.Profiles[:1:1], compile(profiles.CPSSignature, own, func(i *profiles.Issuer) { i.Algorithm = profiles.ECDSAWithSHA384 }))
		},
		"a profile that names the issuer otherwise": func(c *ca.Config) {
			c.Profiles = append(c.Profiles[:1:1], compile(profiles.CPSSignature, own, func(i *profiles.Issuer) { i.Name = name(t, "AUTRE") }))
		},
		"a profile that outlives the issuer": func(c *ca.Config) {
			c.Profiles = append(c.Profiles[:1:1], compile(profiles.CPSSignature, own, func(i *profiles.Issuer) { i.NotAfter = i.NotAfter.AddDate(1, 0, 0) }))
		},
	} {
		config := h.config
		change(&config)
		_, err := ca.New(config)
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		wants(t, err, ca.ErrConfig)
	}
	config := h.config
	config.Now = nil
	_, err := ca.New(config)
	if err != nil {
		t.Errorf("a configuration without a clock is refused: %v", err)
	}
}

func TestAnIssuerHasTheKeyOfItsCertificate(t *testing.T) {
	h := newHouse(t)
	stranger := &witness{Signer: must(testpki.GenerateKey(hsm.P256))(t), digests: map[string]int{}}
	_, err := ca.NewIssuer(h.pki.Issuing.Certificate, stranger)
	wants(t, err, ca.ErrConfig)
	_, err = ca.SelfIssuer(stranger, h.issuer.KeyID())
	wants(t, err, ca.ErrConfig)
	if h.issuer.Certificate() != h.pki.Issuing.Certificate || h.issuer.KeyID() != h.pki.Issuing.Issuer.KeyID {
		t.Error("the issuer has another certificate or name")
	}
}
