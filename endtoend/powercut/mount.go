package powercut

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// ErrUnavailable is returned by Mount where the machine offers no FUSE.
var ErrUnavailable = errors.New("this machine offers no FUSE")

// MountForTest is Mount for the time of a test. Without FUSE the test is skipped,
// or fails if CPSCA_TEST_STRICT is 1.
func MountForTest(t testing.TB, d *Disk, folder string) (unmount func()) {
	t.Helper()
	unmount, err := Mount(d, folder)
	if errors.Is(err, ErrUnavailable) && os.Getenv("CPSCA_TEST_STRICT") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unmount)
	return unmount
}

// Mount shows a disk in an existing folder, until the function that it returns
// is called. That function may be called again. It takes the folder away from
// processes that come later at once; those that hold files open keep them. Where
// the machine offers no FUSE the error is ErrUnavailable.
func Mount(d *Disk, folder string) (unmount func(), err error) {
	device, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	device.Close()
	err = guard(folder)
	if err != nil {
		return nil, err
	}
	// The kernel is the only one that changes a file: it may believe what it was
	// told. Names it asks for each time: an operation that failed may have
	// changed them.
	believed, asked := time.Minute, time.Duration(0)
	server, err := fs.Mount(folder, &place{disk: d, folder: d.root}, &fs.Options{
		EntryTimeout: &asked, AttrTimeout: &believed,
		MountOptions: fuse.MountOptions{
			DirectMount: true, FsName: "powercut", Name: "powercut", ExplicitDataCacheControl: true, DisableXAttrs: true,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return sync.OnceFunc(func() {
		err := syscall.Unmount(folder, syscall.MNT_DETACH)
		if errors.Is(err, syscall.EPERM) { // mounted by fusermount3 for somebody who is not root
			_ = server.Unmount()
		}
	}), nil
}

// place is a folder as the kernel sees it.
type place struct {
	fs.Inode
	disk   *Disk
	folder *folder
	path   string
}

// octets is a file as the kernel sees it. Its path is that of its first name.
type octets struct {
	fs.Inode
	disk *Disk
	file *file
	path string
}

func (p *place) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	p.disk.mu.Lock()
	defer p.disk.mu.Unlock()
	entry, found := p.folder.entries[name]
	if !found {
		return nil, syscall.ENOENT
	}
	return p.node(ctx, name, entry, out), 0
}

// node makes the entry known to the kernel; one that it knows stays what it is.
func (p *place) node(ctx context.Context, name string, entry any, out *fuse.EntryOut) *fs.Inode {
	at := path.Join(p.path, name)
	if f, ok := entry.(*file); ok {
		f.describe(&out.Attr)
		return p.NewInode(ctx, &octets{disk: p.disk, file: f, path: at}, fs.StableAttr{Mode: syscall.S_IFREG, Ino: f.id})
	}
	g := entry.(*folder)
	describeFolder(&out.Attr)
	return p.NewInode(ctx, &place{disk: p.disk, folder: g, path: at}, fs.StableAttr{Mode: syscall.S_IFDIR, Ino: g.id})
}

func (f *file) describe(a *fuse.Attr) {
	a.Mode, a.Size, a.Nlink, a.Blocks = syscall.S_IFREG|0o600, uint64(f.size()), 1, uint64(f.size()+Sector-1)/Sector
}

func describeFolder(a *fuse.Attr) { a.Mode, a.Nlink = syscall.S_IFDIR|0o700, 2 }

func (p *place) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	describeFolder(&out.Attr)
	return 0
}

// Setattr takes owners, modes and times for granted.
func (p *place) Setattr(ctx context.Context, _ fs.FileHandle, _ *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	return p.Getattr(ctx, nil, out)
}

// Statfs tells of a disk with plenty of room.
func (p *place) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	out.Bsize, out.Frsize, out.NameLen = 4096, 4096, 255
	out.Blocks, out.Bfree, out.Bavail, out.Files, out.Ffree = 1<<28, 1<<28, 1<<28, 1<<20, 1<<20
	return 0
}

func (p *place) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	p.disk.mu.Lock()
	defer p.disk.mu.Unlock()
	var list []fuse.DirEntry
	for name, entry := range p.folder.entries {
		one := fuse.DirEntry{Name: name, Mode: syscall.S_IFREG}
		if _, ok := entry.(*folder); ok {
			one.Mode = syscall.S_IFDIR
		}
		list = append(list, one)
	}
	return fs.NewListDirStream(list), 0
}

func (p *place) operation(kind Kind, name string) Operation {
	return Operation{kind, path.Join(p.path, name)}
}

func (p *place) Create(ctx context.Context, name string, _ uint32, _ uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	errno := p.disk.do(p.operation(Create, name), func() { p.folder.change(change{name: p.disk.newFile()}) }, nil)
	if errno != 0 {
		return nil, nil, 0, errno
	}
	node, errno := p.Lookup(ctx, name, out)
	return node, nil, fuse.FOPEN_KEEP_CACHE, errno
}

func (p *place) Mkdir(ctx context.Context, name string, _ uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	errno := p.disk.do(p.operation(Create, name), func() { p.folder.change(change{name: p.disk.newFolder()}) }, nil)
	if errno != 0 {
		return nil, errno
	}
	return p.Lookup(ctx, name, out)
}

func (p *place) Unlink(_ context.Context, name string) syscall.Errno {
	return p.disk.do(p.operation(Remove, name), func() { p.folder.change(change{name: nil}) }, nil)
}

// Rename works inside a folder: nobody here moves files between folders.
func (p *place) Rename(_ context.Context, name string, newParent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if newParent.EmbeddedInode() != &p.Inode || flags != 0 {
		return syscall.EXDEV
	}
	return p.disk.do(p.operation(Rename, newName), func() {
		p.folder.change(change{name: nil, newName: p.folder.entries[name]})
	}, nil)
}

// Fsync makes the names of the folder durable.
func (p *place) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	return p.disk.do(p.operation(SyncFolder, ""), p.folder.sync, func() { p.disk.fixed = true })
}

func (o *octets) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_KEEP_CACHE, 0
}

func (o *octets) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	o.disk.mu.Lock()
	defer o.disk.mu.Unlock()
	o.file.describe(&out.Attr)
	return 0
}

// Setattr sets the size, and takes owners, modes and times for granted.
func (o *octets) Setattr(ctx context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	size, ok := in.GetSize()
	if ok {
		errno := o.disk.do(Operation{Truncate, o.path}, func() { o.file.truncate(int(size)) }, nil)
		if errno != 0 {
			return errno
		}
	}
	return o.Getattr(ctx, nil, out)
}

func (o *octets) Read(_ context.Context, _ fs.FileHandle, into []byte, at int64) (fuse.ReadResult, syscall.Errno) {
	o.disk.mu.Lock()
	defer o.disk.mu.Unlock()
	return fuse.ReadResultData(into[:o.file.read(into, at)]), 0
}

func (o *octets) Write(_ context.Context, _ fs.FileHandle, data []byte, at int64) (uint32, syscall.Errno) {
	errno := o.disk.do(Operation{Write, o.path}, func() { o.file.write(data, at) }, nil)
	if errno != 0 {
		return 0, errno
	}
	return uint32(len(data)), 0
}

func (o *octets) Allocate(_ context.Context, _ fs.FileHandle, at uint64, size uint64, mode uint32) syscall.Errno {
	if mode != 0 {
		return syscall.EOPNOTSUPP
	}
	return o.disk.do(Operation{Allocate, o.path}, func() { o.file.allocated = max(o.file.allocated, int(at+size)) }, nil)
}

func (o *octets) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	return o.disk.do(Operation{Sync, o.path}, o.file.sync, o.file.forget)
}

func (o *octets) Flush(context.Context, fs.FileHandle) syscall.Errno { return 0 }
