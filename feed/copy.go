package feed

import (
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
)

// A copy is a line of text and then frames. A frame is
//
//	length of the body     4 octets, big-endian
//	CRC-32C of the body    4
//	CRC-32C of the above   4
//	body
//
// and a body is a kind and either records, RecordSize octets each, or a head:
// sequence 8, hash 32, as-of 8, signature. Frames of records are durable before
// the head that ends their batch is written, so damage with an intact head
// behind it is no torn tail. What makes the content true is the hash chain and
// the signature, not the checksums.
const (
	copyMagic    = "cpsca feed copy 1\n"
	frameHeader  = 12
	kindRecords  = 'R'
	kindHead     = 'H'
	headFixed    = 8 + 32 + 8
	maxSignature = 1024
	maxHead      = 1 + headFixed + maxSignature
	frameRecords = 4096 // the most records in one frame
	maxFrame     = 1 + frameRecords*RecordSize
	copyFileMode = 0o640
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrCorrupt: the copy is damaged elsewhere than at its end. It is put aside
// by hand; a new one is filled from the authority.
var ErrCorrupt = errors.New("the feed copy is damaged")

// Copy is the local file of records and heads. Its methods may be called from
// several goroutines.
type Copy struct {
	mu     sync.Mutex // guards all below
	file   *os.File
	last   Head  // of the last batch on disk
	broken error // a write or fsync failed: what is on disk is unknown
}

// OpenCopy opens the copy at path, or makes an empty one, and returns it with
// the image that it holds, checked by pub as if it came from the network. A
// tail that a power cut left half written is cut off. It returns ErrCorrupt
// for damage anywhere else, ErrSignature if the last head is not signed by pub,
// and an error if another process has the copy open.
func OpenCopy(path string, pub crypto.PublicKey) (*Copy, *Image, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, copyFileMode)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the feed copy: %w", err)
	}
	image := NewImage(pub)
	err = openLocked(file, image)
	if err != nil {
		_ = file.Close() // nothing was written that matters
		return nil, nil, fmt.Errorf("opening the feed copy %s: %w", path, err)
	}
	return &Copy{file: file, last: image.head}, image, nil
}

func openLocked(file *os.File, image *Image) error {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil {
		return fmt.Errorf("locking it: %w", err)
	}
	end, err := load(file, image)
	if err != nil {
		return err
	}
	err = file.Truncate(end)
	if err != nil {
		return fmt.Errorf("cutting a torn tail: %w", err)
	}
	_, err = file.Seek(end, io.SeekStart)
	if err != nil {
		return fmt.Errorf("seeking its end: %w", err)
	}
	if end == 0 {
		_, err = file.WriteString(copyMagic)
		if err != nil {
			return fmt.Errorf("beginning it: %w", err)
		}
	}
	return syncWithFolder(file)
}

// syncWithFolder makes the file and its name durable.
func syncWithFolder(file *os.File) error {
	err := file.Sync()
	if err != nil {
		return fmt.Errorf("syncing it: %w", err)
	}
	folder, err := os.Open(filepath.Dir(file.Name()))
	if err != nil {
		return fmt.Errorf("opening its folder: %w", err)
	}
	defer folder.Close()
	err = folder.Sync()
	if err != nil {
		return fmt.Errorf("syncing its folder: %w", err)
	}
	return nil
}

// Append adds a batch that the image has taken and returns when it is on disk.
// It returns ErrGap if the batch does not follow the last one appended. After
// a failed write or sync every further call fails: what is on disk is not known
// until the copy is opened again.
func (c *Copy) Append(records []Record, head Head) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return fmt.Errorf("appending to the feed copy: %w", c.broken)
	}
	err := follow(c.last, records, head)
	if err != nil {
		return fmt.Errorf("appending to the feed copy: %w", err)
	}
	if len(head.Signature) == 0 || len(head.Signature) > maxSignature {
		return fmt.Errorf("appending to the feed copy: %w", ErrSignature)
	}
	err = c.write(records, head)
	if err != nil {
		c.broken = err
		return fmt.Errorf("appending to the feed copy: %w", err)
	}
	c.last = head
	return nil
}

// write puts the records on disk and then the head; c.mu is held.
func (c *Copy) write(records []Record, head Head) error {
	for slice := range slices.Chunk(records, frameRecords) {
		body := append(make([]byte, 0, 1+len(slice)*RecordSize), kindRecords)
		for _, r := range slice {
			body = r.Append(body)
		}
		_, err := c.file.Write(frame(body))
		if err != nil {
			return err
		}
	}
	if len(records) > 0 {
		err := c.file.Sync()
		if err != nil {
			return err
		}
	}
	body := head.appendFixed([]byte{kindHead})
	_, err := c.file.Write(frame(append(body, head.Signature...)))
	if err != nil {
		return err
	}
	return c.file.Sync()
}

// frame puts the header before a body.
func frame(body []byte) []byte {
	b := make([]byte, 0, frameHeader+len(body))
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(body, castagnoli))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return append(b, body...)
}

// Close closes the file and releases its lock.
func (c *Copy) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken == nil {
		c.broken = os.ErrClosed
	}
	return c.file.Close()
}
