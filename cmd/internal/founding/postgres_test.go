package founding

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"cpsca/config"
	"cpsca/store"
	"cpsca/testpostgres"
)

func TestAHouseIsFoundedOnPostgreSQL(t *testing.T) {
	p := plan(t, Elliptic)
	server, err := testpostgres.Start(t.Context(), "")
	if errors.Is(err, testpostgres.ErrNotInstalled) && os.Getenv("CPSCA_TEST_STRICT") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		err := server.Stop()
		if err != nil {
			t.Error(err)
		}
	}()
	err = server.Create(t.Context(), "house", "")
	if err != nil {
		t.Fatal(err)
	}
	p.Ledger = server.DSN(testpostgres.Authority, "house")
	err = Found(t.Context(), p)
	if !errors.Is(err, ErrOwner) {
		t.Fatalf("without the owner: got %v", err)
	}
	p.LedgerOwner = server.DSN(testpostgres.Owner, "house")
	err = Found(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	settings, err := config.ReadAuthority(filepath.Join(p.Folder, "authority.yaml"))
	if err != nil || settings.Ledger != p.Ledger {
		t.Fatalf("the authority's ledger is %s, %v", settings.Ledger, err)
	}
	client, err := config.ReadClient(filepath.Join(p.Folder, "cpsca.yaml"))
	if err != nil || client.Ledger != p.Ledger {
		t.Fatalf("cpsca's ledger is %s, %v", client.Ledger, err)
	}
	db, err := store.Open(t.Context(), store.At(settings.Ledger))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.VerifyJournal(t.Context(), nil)
	if err != nil || db.Epoch() != 2 {
		t.Fatalf("epoch %d, %v", db.Epoch(), err)
	}
	p.Folder += "-again"
	err = Found(t.Context(), p)
	_, stat := os.Stat(p.Folder)
	if !errors.Is(err, store.ErrExists) || !errors.Is(stat, os.ErrNotExist) {
		t.Fatalf("founding on the same database: got %v, and the folder: %v", err, stat)
	}
}
