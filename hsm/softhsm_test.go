package hsm

import (
	"errors"
	"path/filepath"
	"testing"
)

func TestAFolderThatSoftHSMCannotNameIsRefused(t *testing.T) {
	_, err := WriteSoftHSM(filepath.Join(t.TempDir(), "a=b"))
	if err == nil {
		t.Fatal("SoftHSM's configuration cannot hold a folder with an equals sign")
	}
}

func TestAMissingLibraryIsSaid(t *testing.T) {
	installed := softHSMPlaces
	softHSMPlaces = nil
	defer func() { softHSMPlaces = installed }()
	_, err := FindSoftHSM()
	if !errors.Is(err, ErrNoSoftHSM) {
		t.Fatalf("got %v, want ErrNoSoftHSM", err)
	}
}
