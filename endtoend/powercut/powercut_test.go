package powercut_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"cpsca/endtoend/powercut"
)

// mounted shows a disk and returns its folder.
func mounted(t *testing.T, d *powercut.Disk) string {
	t.Helper()
	folder := t.TempDir()
	powercut.MountForTest(t, d, folder)
	return folder
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write writes a file, and syncs it if told to.
func write(t *testing.T, path, text string, sync bool) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	check(t, err)
	defer f.Close()
	_, err = f.WriteString(text)
	check(t, err)
	if sync {
		check(t, f.Sync())
	}
}

func syncFolder(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	check(t, err)
	defer f.Close()
	check(t, f.Sync())
}

// found is what a disk holds, by name.
func found(t *testing.T, d *powercut.Disk) map[string]string {
	t.Helper()
	folder := t.TempDir()
	check(t, d.Export(folder))
	list, err := os.ReadDir(folder)
	check(t, err)
	out := make(map[string]string)
	for _, one := range list {
		text, err := os.ReadFile(filepath.Join(folder, one.Name()))
		check(t, err)
		out[one.Name()] = string(text)
	}
	return out
}

func TestWhatWasSyncedOutlivesACutAndWhatWasNotIsGone(t *testing.T) {
	d := powercut.New()
	folder := mounted(t, d)
	path := func(name string) string { return filepath.Join(folder, name) }
	write(t, path("synced"), "old", true)
	write(t, path("moved"), "here", true)
	write(t, path("removed"), "still there", true)
	syncFolder(t, folder)
	write(t, path("synced"), "new", true)
	write(t, path("written"), "never synced", false)
	write(t, path("without a name"), "folder never synced", true)
	write(t, path("synced"), "NEWER", false)
	check(t, os.Rename(path("moved"), path("elsewhere")))
	check(t, os.Remove(path("removed")))

	got := found(t, d.Cut(nil))
	want := map[string]string{"synced": "new", "moved": "here", "removed": "still there"}
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s holds %q, want %q", name, got[name], text)
		}
	}
	if len(got) != len(want) {
		t.Errorf("the disk holds %v", got)
	}
	err := os.WriteFile(path("late"), nil, 0o600)
	if err == nil {
		t.Error("a file was made after the cut")
	}
}

func TestACutKeepsAPartOfWhatWasVolatile(t *testing.T) {
	d := powercut.New()
	folder := mounted(t, d)
	path := filepath.Join(folder, "file")
	write(t, path, string(bytes.Repeat([]byte("o"), 4*powercut.Sector)), true)
	syncFolder(t, folder)
	write(t, path, string(bytes.Repeat([]byte("n"), 4*powercut.Sector)), false)
	asked := 0
	got := found(t, d.Cut(func() bool { asked++; return asked%2 == 0 }))["file"]
	if n := bytes.Count([]byte(got), []byte("n")); len(got) != 4*powercut.Sector || n != 2*powercut.Sector {
		t.Errorf("of four new sectors %d octets are there, want two sectors", n)
	}
}

func TestASyncThatFailedHasForgottenItsPages(t *testing.T) {
	d := powercut.New()
	folder := mounted(t, d)
	path := filepath.Join(folder, "file")
	write(t, path, "old", true)
	syncFolder(t, folder)
	fail := true
	d.Follow(func(o powercut.Operation) powercut.Outcome {
		if o.Kind == powercut.Sync && fail {
			fail = false
			return powercut.Refuse
		}
		return powercut.Proceed
	})
	f, err := os.OpenFile(path, os.O_RDWR, 0o600)
	check(t, err)
	defer f.Close()
	_, err = f.WriteString("new")
	check(t, err)
	if f.Sync() == nil {
		t.Fatal("the sync succeeded")
	}
	check(t, f.Sync())
	if got := found(t, d.Cut(nil))["file"]; got != "old" {
		t.Errorf("the file holds %q: the second sync made up for the first", got)
	}
}
