package crl

import (
	"fmt"
	"os"
	"path/filepath"
)

// replaceFile puts content in place of the file at path: whoever opens it finds
// the old bytes or the new ones, also after a power cut. It returns only when
// file and folder are on the disk. The temporary name is fixed, so that a
// process that died leaves one leftover at most, which the next publication
// overwrites; there is one writer per folder.
func replaceFile(path string, content []byte) error {
	temporary := path + ".new"
	err := writeSynced(temporary, content)
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		// The first error is the one that counts; a leftover is overwritten.
		_ = os.Remove(temporary)
		return fmt.Errorf("%w: %w", ErrWrite, err)
	}
	err = syncFolder(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWrite, err)
	}
	return nil
}

func writeSynced(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	closed := f.Close()
	if err == nil {
		err = closed
	}
	return err
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = f.Sync()
	closed := f.Close()
	if err == nil {
		err = closed
	}
	return err
}
