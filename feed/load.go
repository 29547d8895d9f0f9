package feed

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

// load reads a copy into an empty image and returns where the good part ends.
// The image is private until then, so batches enter it one by one; only the
// last head's signature is verified, since the chain below it proves the rest.
func load(file io.ReadSeeker, image *Image) (int64, error) {
	size, err := file.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return 0, fmt.Errorf("measuring it: %w", err)
	}
	in := bufio.NewReaderSize(file, 1<<20)
	magic := make([]byte, min(size, int64(len(copyMagic))))
	_, err = io.ReadFull(in, magic)
	if err != nil {
		return 0, fmt.Errorf("reading it: %w", err)
	}
	if string(magic) != copyMagic[:len(magic)] {
		return 0, fmt.Errorf("%w: not a feed copy", ErrCorrupt)
	}
	if len(magic) < len(copyMagic) {
		return 0, nil
	}
	l := loader{in: in, image: image, end: int64(len(copyMagic))}
	for {
		done, err := l.batch()
		if err != nil {
			return 0, err
		}
		if done {
			break
		}
	}
	if image.head.AsOf.IsZero() {
		return l.end, nil
	}
	err = image.head.Verify(image.pub)
	if err != nil {
		return 0, fmt.Errorf("checking its last head: %w", err)
	}
	return l.end, nil
}

// errTorn: the frame at hand is not whole.
var errTorn = errors.New("not a whole frame")

type loader struct {
	in    *bufio.Reader
	image *Image
	end   int64 // after the last whole batch
}

// batch reads frames up to a head and enters them. done means that the rest of
// the file, if any, is a torn tail.
func (l *loader) batch() (done bool, err error) {
	var records []Record
	at := l.end
	for {
		body, err := l.frame(maxFrame)
		if errors.Is(err, errTorn) {
			return true, l.torn(at)
		}
		if err != nil {
			return true, err
		}
		at += int64(frameHeader + len(body))
		more, head, err := decodeBody(body)
		if err != nil {
			return true, fmt.Errorf("%w: before octet %d: %w", ErrCorrupt, at, err)
		}
		records = append(records, more...)
		if head.Signature == nil {
			continue
		}
		err = follow(l.image.head, records, head)
		if err != nil {
			return true, fmt.Errorf("%w: before octet %d: %w", ErrCorrupt, at, err)
		}
		l.image.take(records, head)
		l.end = at
		return false, nil
	}
}

// frame reads the next frame's body, of at most limit octets, or returns
// errTorn and reads nothing.
func (l *loader) frame(limit int) ([]byte, error) {
	header, err := l.in.Peek(frameHeader)
	if errors.Is(err, io.EOF) {
		return nil, errTorn
	}
	if err != nil {
		return nil, fmt.Errorf("reading it: %w", err)
	}
	length, sum := binary.BigEndian.Uint32(header), binary.BigEndian.Uint32(header[4:])
	if crc32.Checksum(header[:8], castagnoli) != binary.BigEndian.Uint32(header[8:]) || uint64(length) > uint64(limit) {
		return nil, errTorn
	}
	whole, err := l.in.Peek(frameHeader + int(length))
	if errors.Is(err, io.EOF) {
		return nil, errTorn
	}
	if err != nil {
		return nil, fmt.Errorf("reading it: %w", err)
	}
	if crc32.Checksum(whole[frameHeader:], castagnoli) != sum {
		return nil, errTorn
	}
	body := append([]byte(nil), whole[frameHeader:]...)
	_, err = l.in.Discard(len(whole))
	if err != nil {
		return nil, fmt.Errorf("reading it: %w", err)
	}
	return body, nil
}

// torn looks for an intact head in the rest of the file: with one, what is not
// whole at octet at is damage, since a head is written only when all before it
// is on disk.
func (l *loader) torn(at int64) error {
	for {
		body, err := l.frame(maxHead)
		if err == nil && len(body) > 0 && body[0] == kindHead {
			return fmt.Errorf("%w: at octet %d", ErrCorrupt, at)
		}
		if err != nil && !errors.Is(err, errTorn) {
			return err
		}
		if err == nil {
			continue
		}
		_, err = l.in.Discard(1)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading it: %w", err)
		}
	}
}

// decodeBody reads the body of a frame: records, or a head, whose signature is
// then not nil.
func decodeBody(body []byte) ([]Record, Head, error) {
	if len(body) == 0 {
		return nil, Head{}, fmt.Errorf("%w: empty frame", ErrRecord)
	}
	kind, body := body[0], body[1:]
	switch {
	case kind == kindRecords && len(body) > 0 && len(body)%RecordSize == 0:
		records := make([]Record, 0, len(body)/RecordSize)
		for ; len(body) > 0; body = body[RecordSize:] {
			r, err := DecodeRecord(body[:RecordSize])
			if err != nil {
				return nil, Head{}, err
			}
			records = append(records, r)
		}
		return records, Head{}, nil
	case kind == kindHead && len(body) > headFixed && len(body) <= headFixed+maxSignature:
		var h Head
		h.Sequence = binary.BigEndian.Uint64(body)
		copy(h.Hash[:], body[8:])
		h.AsOf = time.Unix(int64(binary.BigEndian.Uint64(body[40:])), 0).UTC()
		h.Signature = body[headFixed:]
		return nil, h, nil
	}
	return nil, Head{}, fmt.Errorf("%w: frame of unknown kind or length", ErrRecord)
}
