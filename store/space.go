package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"cpsca/card"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"
)

// Space says how the ledger behaves when its disk fills up.
type Space struct {
	// Floor is how many octets must be free for new certificates; 0 means
	// 256 MiB.
	Floor int64
	// Reserve is how many octets are kept for what must go on below the
	// floor: revocations, the journal, the numbers of lists. 0 means 64 MiB.
	Reserve int64
}

const (
	defaultFloor   = 256 << 20
	defaultReserve = 64 << 20
)

func (s Space) complete() Space {
	if s.Floor == 0 {
		s.Floor = defaultFloor
	}
	if s.Reserve == 0 {
		s.Reserve = defaultReserve
	}
	return s
}

// disk is the file system that the ledger's file is on, with a file beside it
// that only takes room. The room is given up when something urgent has none
// left, and taken again when there is enough for new certificates.
type disk struct {
	bounds Space
	file   string // of the reserve
	mu     sync.Mutex
	kept   bool
	unable bool // the file system allocates no room that is not written
}

func newDisk(ledger string, bounds Space) *disk {
	return &disk{bounds: bounds.complete(), file: ledger + "-reserve"}
}

// free is how many octets an ordinary process may still write.
func (d *disk) free() (int64, error) {
	var s unix.Statfs_t
	err := unix.Statfs(filepath.Dir(d.file), &s)
	if err != nil {
		return 0, fmt.Errorf("asking how much of the ledger's disk is free: %w", err)
	}
	return int64(s.Bavail) * s.Bsize, nil
}

// admit refuses new certificates with card.ErrNoSpace below the floor, and takes
// the reserve above it.
func (d *disk) admit() error {
	if d == nil {
		return nil // the disk is the server's
	}
	free, err := d.free()
	if err != nil {
		return err
	}
	if free < d.bounds.Floor {
		return fmt.Errorf("%w: %d octets are free, %d must be", card.ErrNoSpace, free, d.bounds.Floor)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept || d.unable || free < d.bounds.Floor+d.bounds.Reserve {
		return nil
	}
	return d.take()
}

// take allocates the reserve; d.mu is held.
func (d *disk) take() error {
	f, err := os.OpenFile(d.file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("keeping a reserve of the disk: %w", err)
	}
	err = unix.Fallocate(int(f.Fd()), 0, 0, d.bounds.Reserve)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		d.unable = true
		return errors.Join(f.Close(), os.Remove(d.file))
	}
	err = errors.Join(err, f.Close())
	if err != nil {
		return errors.Join(fmt.Errorf("keeping a reserve of the disk: %w", err), os.Remove(d.file))
	}
	d.kept = true
	return nil
}

// release gives the reserve up; false if there is none left.
func (d *disk) release() bool {
	if d == nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.kept {
		return false
	}
	d.kept = false
	return os.Remove(d.file) == nil
}

// full says whether the database found no room.
func full(err error) bool {
	var s sqlite3.Error
	var p *pgconn.PgError
	return errors.As(err, &s) && s.Code == sqlite3.ErrFull || errors.As(err, &p) && p.Code == "53100" || errors.Is(err, unix.ENOSPC)
}
