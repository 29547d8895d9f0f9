package hsm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ErrNoSoftHSM says that the SoftHSM library is not where distributions install it.
var ErrNoSoftHSM = errors.New("the SoftHSM library is not installed (Debian package softhsm2)")

// softHSMPlaces are where distributions put the library, as patterns of path/filepath.
var softHSMPlaces = []string{
	"/usr/lib/softhsm/libsofthsm2.so",
	"/usr/lib/*/softhsm/libsofthsm2.so",
	"/usr/lib64/softhsm/libsofthsm2.so",
	"/usr/lib64/pkcs11/libsofthsm2.so",
	"/usr/local/lib/softhsm/libsofthsm2.so",
}

// FindSoftHSM returns the path of the SoftHSM library, or ErrNoSoftHSM.
func FindSoftHSM() (string, error) {
	for _, place := range softHSMPlaces {
		found, err := filepath.Glob(place)
		if err == nil && len(found) > 0 {
			return found[0], nil
		}
	}
	return "", ErrNoSoftHSM
}

// WriteSoftHSM makes a folder of software tokens, if need be, and returns the path of its softhsm2.conf, to which the
// caller points SOFTHSM2_CONF before any token is opened: SoftHSM reads it once per process. Tokens that are there stay. The
// format of the file allows no "=" and no line break in the folder's name.
func WriteSoftHSM(folder string) (string, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return "", fmt.Errorf("preparing SoftHSM: %w", err)
	}
	if strings.ContainsAny(folder, "=\r\n") {
		return "", fmt.Errorf("preparing SoftHSM: its configuration cannot name the folder %q", folder)
	}
	tokens := filepath.Join(folder, "tokens")
	err = os.MkdirAll(tokens, 0o700)
	if err != nil {
		return "", fmt.Errorf("preparing SoftHSM: %w", err)
	}
	path := filepath.Join(folder, "softhsm2.conf")
	configuration := "directories.tokendir = " + tokens + "\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n"
	err = os.WriteFile(path, []byte(configuration), 0o600)
	if err != nil {
		return "", fmt.Errorf("preparing SoftHSM: %w", err)
	}
	return path, nil
}
