package powercut

import (
	"maps"
	"sync"
	"syscall"
)

// Sector is the unit in octets that is written whole or not at all.
const Sector = 512

// Kind says what an operation does to a disk.
type Kind string

// The operations that change what is on a disk, or make it last.
const (
	Write      Kind = "write"
	Truncate   Kind = "truncate"
	Allocate   Kind = "allocate"
	Sync       Kind = "sync"
	SyncFolder Kind = "sync folder"
	Create     Kind = "create"
	Rename     Kind = "rename"
	Remove     Kind = "remove"
)

// Operation is one change that a process asks for. Path is relative to the
// disk, that of the new name for a Rename.
type Operation struct {
	Kind Kind
	Path string
}

// Outcome is what a plan does to an operation.
type Outcome int

// The outcomes. Refuse gives EIO and changes nothing; a file whose sync was refused
// has forgotten its pages, and a refused sync of a folder ends all changes, as the
// file systems of Linux do when their journal fails. Deceive does what was asked
// and gives EIO. CutBefore and CutAfter cut the power around the operation.
const (
	Proceed Outcome = iota
	Refuse
	Deceive
	CutBefore
	CutAfter
)

// Plan decides on each operation, in the order in which the disk sees them. It is
// called under the disk's lock and must not call the disk.
type Plan func(Operation) Outcome

// Disk is a file system of which a part is volatile. Its methods may be called
// at the same time.
type Disk struct {
	mu     sync.Mutex // guards everything below; held for an operation, so that instants lie between operations
	root   *folder
	last   uint64 // identity given last
	plan   Plan
	off    bool          // the power was cut
	fixed  bool          // nothing changes any more
	rest   *Disk         // what outlived a planned cut
	failed chan struct{} // closed by a planned cut
}

// file is octets and what of them would outlive a cut.
type file struct {
	id      uint64
	content []byte
	durable []byte
	dirty   map[int]struct{} // sectors written since the last sync
	// allocated is the size to which the file was allocated: zeros beyond its
	// content that take no memory. kept is what of it would outlive a cut.
	allocated, kept int
}

// folder is names and what of them would outlive a cut. An entry is a *file or
// a *folder.
type folder struct {
	id      uint64
	entries map[string]any
	durable map[string]any
	pending []change // since the last sync, oldest first
}

// change is what one operation did to the names of a folder; a nil entry was
// taken away. A file system keeps all of it or nothing.
type change map[string]any

// New makes an empty disk.
func New() *Disk {
	d := &Disk{failed: make(chan struct{})}
	d.root = d.newFolder()
	return d
}

func (d *Disk) newFolder() *folder {
	d.last++
	return &folder{id: d.last, entries: make(map[string]any), durable: make(map[string]any)}
}

func (d *Disk) newFile() *file {
	d.last++
	return &file{id: d.last, dirty: make(map[int]struct{})}
}

// Follow makes a plan decide on every operation from now on; nil ends that.
func (d *Disk) Follow(plan Plan) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.plan = plan
}

// Cut cuts the power now and returns the disk that is found afterwards. From
// then on this one changes no more: what processes ask of it fails with EIO. keep
// decides on each volatile sector, and on each folder's changes one after the
// other until it says no; nil keeps nothing. A second Cut returns nil.
func (d *Disk) Cut(keep func() bool) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return nil
	}
	return d.cut(keep)
}

func (d *Disk) cut(keep func() bool) *Disk {
	d.off = true
	if keep == nil {
		keep = func() bool { return false }
	}
	after := New()
	after.root = after.survivor(d.root, keep).(*folder)
	return after
}

// Failed is closed when a plan cuts the power.
func (d *Disk) Failed() <-chan struct{} { return d.failed }

// Survivor is the disk that is found after a plan cut the power, without
// anything that was volatile; nil if it did not.
func (d *Disk) Survivor() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rest
}

// survivor copies what of an entry outlives a cut.
func (d *Disk) survivor(entry any, keep func() bool) any {
	if f, ok := entry.(*file); ok {
		out := d.newFile()
		out.content = f.survivor(keep)
		out.durable = append([]byte(nil), out.content...)
		out.allocated, out.kept = f.kept, f.kept
		return out
	}
	from, out := entry.(*folder), d.newFolder()
	names := maps.Clone(from.durable)
	for _, c := range from.pending {
		if !keep() {
			break
		}
		c.apply(names)
	}
	for name, one := range names {
		copied := d.survivor(one, keep)
		out.entries[name], out.durable[name] = copied, copied
	}
	return out
}

func (c change) apply(names map[string]any) {
	for name, entry := range c {
		if entry == nil {
			delete(names, name)
		} else {
			names[name] = entry
		}
	}
}

func (f *file) survivor(keep func() bool) []byte {
	out := append([]byte(nil), f.durable...)
	for sector := range f.dirty {
		if !keep() {
			continue
		}
		from := sector * Sector
		end := min(from+Sector, len(f.content))
		if from >= end {
			continue // truncated away
		}
		if len(out) < end {
			out = append(out, make([]byte, end-len(out))...)
		}
		copy(out[from:end], f.content[from:end])
	}
	if len(f.content) < len(out) && keep() {
		out = out[:len(f.content)]
	}
	return out
}

// do carries out one operation as the plan has it. apply makes the change, and
// forget, if not nil, what a refusal of it does.
func (d *Disk) do(o Operation, apply, forget func()) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off || d.fixed {
		return syscall.EIO
	}
	outcome := Proceed
	if d.plan != nil {
		outcome = d.plan(o)
	}
	switch outcome {
	case Refuse:
		if forget != nil {
			forget()
		}
		return syscall.EIO
	case Deceive:
		apply()
		return syscall.EIO
	case CutBefore:
		d.rest = d.cut(nil)
		close(d.failed)
		return syscall.EIO
	case CutAfter:
		apply()
		d.rest = d.cut(nil)
		close(d.failed)
		return syscall.EIO
	}
	apply()
	return 0
}

func (f *file) write(octets []byte, at int64) {
	end := int(at) + len(octets)
	if len(f.content) < end {
		f.touch(len(f.content), end)
		f.content = append(f.content, make([]byte, end-len(f.content))...)
	}
	copy(f.content[at:], octets)
	f.touch(int(at), end)
}

func (f *file) touch(from, end int) {
	for sector := from / Sector; sector*Sector < end; sector++ {
		f.dirty[sector] = struct{}{}
	}
}

func (f *file) truncate(size int) {
	f.allocated = min(f.allocated, size)
	if size <= len(f.content) {
		f.content = f.content[:size]
		return
	}
	f.touch(len(f.content), size)
	f.content = append(f.content, make([]byte, size-len(f.content))...)
}

// sync makes durable what is dirty, and the size.
func (f *file) sync() {
	size := len(f.content)
	if len(f.durable) < size {
		f.durable = append(f.durable, make([]byte, size-len(f.durable))...)
	}
	f.durable = f.durable[:size]
	for sector := range f.dirty {
		from, end := sector*Sector, min(sector*Sector+Sector, size)
		if from < end {
			copy(f.durable[from:end], f.content[from:end])
		}
	}
	clear(f.dirty)
	f.kept = f.allocated
}

// size is what processes see.
func (f *file) size() int { return max(len(f.content), f.allocated) }

// read copies out octets from a place on.
func (f *file) read(into []byte, at int64) int {
	n := min(len(into), max(0, f.size()-int(at)))
	done := 0
	if int(at) < len(f.content) {
		done = copy(into[:n], f.content[at:])
	}
	clear(into[done:n])
	return n
}

// forget is what a failed sync does: the pages are clean, and not on the disk.
func (f *file) forget() { clear(f.dirty) }

func (g *folder) change(c change) {
	c.apply(g.entries)
	g.pending = append(g.pending, c)
}

func (g *folder) sync() {
	for _, c := range g.pending {
		c.apply(g.durable)
	}
	g.pending = nil
}
