package powercut

import (
	"fmt"
	"os"
	"path/filepath"
)

// Import puts the files of a folder of the machine on the disk, as if they had
// been there and synced for ever.
func (d *Disk) Import(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fill(d.root, path)
}

func (d *Disk) fill(into *folder, path string) error {
	found, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("reading what goes on the disk: %w", err)
	}
	for _, one := range found {
		from := filepath.Join(path, one.Name())
		if one.IsDir() {
			g := d.newFolder()
			into.entries[one.Name()], into.durable[one.Name()] = g, g
			err = d.fill(g, from)
			if err != nil {
				return err
			}
			continue
		}
		f := d.newFile()
		f.content, err = os.ReadFile(from)
		if err != nil {
			return fmt.Errorf("reading what goes on the disk: %w", err)
		}
		f.durable = append([]byte(nil), f.content...)
		into.entries[one.Name()], into.durable[one.Name()] = f, f
	}
	return nil
}

// Export writes what processes see on the disk at one instant into an existing
// folder of the machine.
func (d *Disk) Export(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.root.export(path)
}

func (g *folder) export(path string) error {
	for name, entry := range g.entries {
		to := filepath.Join(path, name)
		var err error
		switch one := entry.(type) {
		case *file:
			err = os.WriteFile(to, one.content, 0o600)
		case *folder:
			err = os.MkdirAll(to, 0o700)
			if err == nil {
				err = one.export(to)
			}
		}
		if err != nil {
			return fmt.Errorf("writing out the disk: %w", err)
		}
	}
	return nil
}
