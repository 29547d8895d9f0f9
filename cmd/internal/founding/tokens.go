package founding

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"cpsca/cmd/internal/hierarchy"
	"cpsca/cmd/internal/token"
	"cpsca/config"
	"cpsca/hsm"
	"cpsca/store"
)

// feedKey is the label of the key that signs the heads of the feed.
const feedKey = "feed"

// The folders of the tokens, each with its own configuration of SoftHSM. The
// root's keys have a token of their own, which the authority never sees: its
// folder is taken off line after the founding.
const (
	authorityTokens = "hsm"
	rootTokens      = "root-hsm"
	statusTokens    = "status-hsm"
)

func (f *founder) tokens(ctx context.Context) error {
	var err error
	f.module = f.plan.Module
	if f.module == "" {
		f.module, err = hsm.FindSoftHSM()
		if err != nil {
			return err
		}
	}
	softhsm, err := hsm.WriteSoftHSM(f.path(authorityTokens))
	if err != nil {
		return err
	}
	rootSoftHSM, err := hsm.WriteSoftHSM(f.path(rootTokens))
	if err != nil {
		return err
	}
	for _, one := range []struct {
		label, pin string
		into       **hsm.Token
	}{
		{"root", filepath.Join(filepath.Dir(rootSoftHSM), "root.pin"), &f.rootToken},
		{"authority", f.path("authority.pin"), &f.token},
	} {
		err = CreateToken(f.module, softhsm, one.label, one.pin)
		if err != nil {
			return err
		}
		if one.label == "root" {
			f.rootFiles, err = tokenFiles(f.path(authorityTokens))
			if err != nil {
				return err
			}
		}
		*one.into, err = token.Open(ctx, config.HSM{Module: f.module, Token: one.label, PINFile: one.pin, SoftHSM: softhsm})
		if err != nil {
			return err
		}
	}
	return f.plan.CreateToken(ctx, f.path(statusTokens), "status", f.path("status.pin"))
}

// tokenFiles lists the folders of the tokens that a SoftHSM folder holds.
func tokenFiles(folder string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(folder, "tokens"))
	if err != nil {
		return nil, fmt.Errorf("looking for token files: %w", err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out, nil
}

// takeRootAway moves the root's token into its own folder. SoftHSM knows one
// folder per process, so that it was made beside the authority's; it is closed
// now.
func (f *founder) takeRootAway(context.Context) error {
	err := f.rootToken.Close()
	f.rootToken = nil
	if err != nil {
		return fmt.Errorf("closing the root's token: %w", err)
	}
	for _, name := range f.rootFiles {
		err = os.Rename(f.path(authorityTokens, "tokens", name), f.path(rootTokens, "tokens", name))
		if err != nil {
			return fmt.Errorf("moving the root's token: %w", err)
		}
	}
	return nil
}

// CreateToken initialises a token and writes its random PIN to a new file of
// mode 0600. An existing token or file is refused.
func CreateToken(module, softhsm, label, pinFile string) error {
	if softhsm != "" {
		err := os.Setenv("SOFTHSM2_CONF", softhsm)
		if err != nil {
			return fmt.Errorf("pointing SoftHSM to its configuration: %w", err)
		}
	}
	pin, officerPIN := randomPIN(), randomPIN()
	file, err := os.OpenFile(pinFile, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("writing the PIN file: %w", err)
	}
	_, err = file.Write(append(pin, '\n'))
	err = errors.Join(err, file.Close())
	if err != nil {
		return fmt.Errorf("writing the PIN file: %w", err)
	}
	return hsm.InitToken(module, label, officerPIN, pin)
}

func randomPIN() []byte {
	var octets [12]byte
	_, _ = rand.Read(octets[:]) // never fails: crypto/rand ends the process instead
	return hex.AppendEncode(nil, octets[:])
}

func (f *founder) keys(ctx context.Context) error {
	for _, one := range []struct {
		name      string
		token     *hsm.Token
		algorithm hsm.Algorithm
	}{
		{hierarchy.Root, f.rootToken, f.plan.Preset.Root},
		{hierarchy.TechnicalRoot, f.rootToken, hsm.P384},
		{hierarchy.Cards, f.token, f.plan.Preset.Issuer},
		{hierarchy.Technical, f.token, hsm.P256},
		{feedKey, f.token, hsm.P256},
	} {
		key, err := one.token.Generate(ctx, one.name, one.algorithm)
		if err != nil {
			return fmt.Errorf("generating key %s: %w", one.name, err)
		}
		f.authorities[one.name] = &authority{name: one.name, key: key}
	}
	return nil
}

func (f *founder) ledger(ctx context.Context) error {
	place, owner := f.path("ledger.db"), f.path("ledger.db")
	if f.plan.Ledger != "" {
		place, owner = f.plan.Ledger, f.plan.LedgerOwner
	}
	err := store.Create(ctx, owner)
	if err != nil {
		return err
	}
	settings := store.At(place)
	settings.Now = f.plan.Now
	f.db, err = store.Open(ctx, settings)
	if err != nil {
		return err
	}
	f.technical.Ledger, f.technical.Instance, f.technical.Now = f.db, 0x10, f.plan.Now
	return nil
}
