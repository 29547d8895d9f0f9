package founding

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"cpsca/hsm"
	"cpsca/store"
)

// plan is a house in a folder of the test; the status node's token, which needs
// a process of its own, is left out.
func plan(t *testing.T, preset Preset) Plan {
	t.Helper()
	_, err := hsm.FindSoftHSM()
	if err != nil && os.Getenv("CPSCA_TEST_STRICT") != "1" {
		t.Skip("SoftHSM is not installed; `make test` installs it")
	}
	if err != nil {
		t.Fatal(err)
	}
	return Plan{
		Folder: filepath.Join(t.TempDir(), "house"), Preset: preset, Organisation: "CPSCA TEST", Officers: []string{"Alice Martin", "Bruno Petit"},
		Authority: "127.0.0.1:18443", Management: "127.0.0.1:18444", Status: "127.0.0.1:18480", StatusManagement: "127.0.0.1:18481",
		CreateToken: func(context.Context, string, string, string) error { return nil },
	}
}

func TestAHouseIsFoundedOnceAndVerifies(t *testing.T) {
	p := plan(t, Elliptic)
	err := Found(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.OpenReadOnly(store.Config{Path: filepath.Join(p.Folder, "ledger.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.VerifyJournal(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	enrolled, err := db.Enrolments(t.Context())
	if err != nil || len(enrolled) != 6 {
		t.Fatalf("enrolments: got %d, %v, want two officers, status, bureau, desk, auditor", len(enrolled), err)
	}
	for leaf, chain := range map[string][2]string{
		"issuers/cards.pem":                   {"issuers/root.pem", "issuers/root.pem"},
		"identities/server.pem":               {"issuers/technical-root.pem", "issuers/technical.pem"},
		"identities/officer-alice-martin.pem": {"issuers/technical-root.pem", "issuers/technical.pem"},
	} {
		output, err := exec.Command("openssl", "verify", "-x509_strict", "-CAfile", filepath.Join(p.Folder, chain[0]),
			"-untrusted", filepath.Join(p.Folder, chain[1]), filepath.Join(p.Folder, leaf)).CombinedOutput()
		if err != nil {
			t.Fatalf("openssl verify %s: %v\n%s", leaf, err, output)
		}
	}
	for folder, want := range map[string]int{authorityTokens: 1, rootTokens: 1} {
		inside, err := tokenFiles(filepath.Join(p.Folder, folder))
		if err != nil || len(inside) != want {
			t.Fatalf("%s: got %d tokens, %v, want %d: the root's token is apart from the authority's", folder, len(inside), err, want)
		}
	}
	before, err := os.ReadFile(filepath.Join(p.Folder, "authority.pin"))
	if err != nil {
		t.Fatal(err)
	}
	err = Found(t.Context(), p)
	if !errors.Is(err, ErrExists) {
		t.Fatalf("a second founding: got %v, want ErrExists", err)
	}
	after, err := os.ReadFile(filepath.Join(p.Folder, "authority.pin"))
	if err != nil || string(after) != string(before) {
		t.Fatalf("the refused founding touched the house: %v", err)
	}
}

func TestAHouseNeedsTwoPersons(t *testing.T) {
	for name, officers := range map[string][]string{
		"nobody":           nil,
		"one person":       {"Alice Martin"},
		"one person twice": {"Alice Martin", "Alice Martin"},
	} {
		t.Run(name, func(t *testing.T) {
			p := plan(t, Elliptic)
			p.Officers = officers
			err := Found(t.Context(), p)
			if !errors.Is(err, ErrOfficers) {
				t.Fatalf("got %v, want ErrOfficers", err)
			}
			_, err = os.Stat(p.Folder)
			if !errors.Is(err, os.ErrNotExist) {
				t.Fatalf("the refused house left %s: %v", p.Folder, err)
			}
		})
	}
}

func TestAFailedFoundingLeavesNothing(t *testing.T) {
	p := plan(t, Elliptic)
	broken := errors.New("no token today")
	p.CreateToken = func(context.Context, string, string, string) error { return broken }
	err := Found(t.Context(), p)
	if !errors.Is(err, broken) {
		t.Fatalf("got %v, want the cause", err)
	}
	_, err = os.Stat(p.Folder)
	if !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the failed house left %s: %v", p.Folder, err)
	}
}
