package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"cpsca/card"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of some octets in memory.
func smallDisk(t *testing.T, octets string) string {
	t.Helper()
	folder := t.TempDir()
	err := unix.Mount("tmpfs", folder, "tmpfs", 0, "size="+octets)
	if errors.Is(err, unix.EPERM) && os.Getenv("CPSCA_TEST_STRICT") == "" {
		t.Skip("a file system can be mounted by root only")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := unix.Unmount(folder, unix.MNT_DETACH)
		if err != nil {
			t.Error(err)
		}
	})
	return folder
}

// pad takes all of a disk but some octets.
func pad(t *testing.T, db *DB, path string, but int64) {
	t.Helper()
	free, err := db.disk.free()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for left := free - but; left > 0; {
		n, err := f.Write(make([]byte, min(left, 1<<20)))
		if err != nil {
			t.Fatal(err)
		}
		left -= int64(n)
	}
}

// A disk that fills up stops new certificates and nothing else: a lost card is
// revoked to the last octet.
func TestAFullDiskStopsIssuingAndNoRevocation(t *testing.T) {
	folder := smallDisk(t, "32m")
	path := filepath.Join(folder, "ledger.db")
	err := Create(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	db, err := Open(t.Context(), Config{Path: path, Now: (&clock{at: dawn}).now, Space: Space{Floor: 8 << 20, Reserve: 4 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	var lost []card.Card
	for range 3 {
		c, _ := personalised(t, db, card.GateChip)
		lost = append(lost, moved(t, db, c.Number, card.Activate, dawn))
	}
	waiting := []card.Attempt{attemptAt(t, db, ordered(t, db))}
	if sizeOf(t, path+"-reserve") != 4<<20 {
		t.Fatalf("the reserve has %d octets", sizeOf(t, path+"-reserve"))
	}

	ballast := filepath.Join(folder, "ballast")
	pad(t, db, ballast, 8<<20-4096)
	_, err = db.Intend(t.Context(), waiting)
	if !errors.Is(err, card.ErrNoSpace) {
		t.Fatalf("just below the floor: got %v, want ErrNoSpace", err)
	}
	pad(t, db, ballast, 0)
	for _, c := range lost {
		apply(t, db, lossOf(t, c, orderFor(c.Holder, card.Replacement, c.Number)))
	}
	_, err = db.ReserveNumber(t.Context(), testIssuer, dawn, dawn.AddDate(0, 0, 1))
	if err != nil {
		t.Fatalf("the number of the list that says so: %v", err)
	}
	_, err = os.Stat(path + "-reserve")
	if !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the reserve was not needed: the disk was not full (%v)", err)
	}
	checkAll(t, db)

	err = os.Remove(ballast)
	if err != nil {
		t.Fatal(err)
	}
	answers, err := db.Intend(t.Context(), waiting)
	if err != nil || answers[0] != nil {
		t.Fatalf("with room again: got %v, %v", answers, err)
	}
	if sizeOf(t, path+"-reserve") != 4<<20 {
		t.Fatal("the reserve was not taken again")
	}
	checkAll(t, db)
}
