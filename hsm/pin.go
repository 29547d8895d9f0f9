package hsm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// maxPIN is the longest PIN taken, in bytes.
const maxPIN = 255

// PIN says where a PIN is, never what it is; it is safe to print. The zero value is refused by Config.Validate.
type PIN struct {
	source pinSource
}

// pinSource yields the PIN in a slice that the caller wipes.
type pinSource interface {
	read() ([]byte, error)
	// again says that read yields the same PIN once more, so that it need not be kept in memory between logins.
	again() bool
	String() string
}

// PINFile takes the PIN from a regular file (no symbolic link) of the user who runs the process, of mode 0600 or
// stricter. One newline at the end is not part of the PIN. The file is read again at each login, never kept.
func PINFile(path string) PIN { return PIN{pinFile(path)} }

// PINDescriptor takes the PIN from an inherited file descriptor, once, up to its end; the descriptor is then closed.
// One newline at the end is not part of the PIN. It is kept in memory, for a login after a lost connection, until
// Token.Close.
func PINDescriptor(fd int) PIN { return PIN{pinDescriptor(fd)} }

// PINPrompt takes the PIN from ask, once, and keeps it in memory, for a login after a lost connection, until
// Token.Close. The slice that ask returns is wiped.
func PINPrompt(ask func() ([]byte, error)) PIN {
	if ask == nil {
		return PIN{}
	}
	return PIN{pinPrompt(ask)}
}

// String names the source.
func (p PIN) String() string {
	if p.source == nil {
		return "no PIN source"
	}
	return p.source.String()
}

// read returns the PIN, checked, for the caller to wipe. Its errors wrap ErrPINSource and never show the PIN.
func (p PIN) read() ([]byte, error) {
	pin, err := p.source.read()
	if err == nil {
		err = checkPIN(pin)
	}
	if err != nil {
		wipe(pin)
		return nil, fmt.Errorf("%w: reading it from %s: %w", ErrPINSource, p, err)
	}
	return pin, nil
}

// checkPIN refuses what no token takes: some tokens count even an empty PIN as a failed try.
func checkPIN(pin []byte) error {
	switch {
	case len(pin) == 0:
		return errors.New("the PIN is empty")
	case len(pin) > maxPIN:
		return fmt.Errorf("the PIN is longer than %d bytes", maxPIN)
	case bytes.ContainsAny(pin, "\x00\r\n"):
		return errors.New("the PIN contains a line break or a zero byte")
	}
	return nil
}

// wipe overwrites a PIN. The slices are made with their full capacity and passed as they are, so there is no copy.
func wipe(pin []byte) { clear(pin) }

type pinFile string

func (f pinFile) again() bool    { return true }
func (f pinFile) String() string { return "file " + string(f) }

func (f pinFile) read() ([]byte, error) {
	// O_NONBLOCK: a named pipe must be refused, not waited for.
	file, err := os.OpenFile(string(f), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("its mode is %04o, others than the owner may use it; run chmod 600", info.Mode().Perm())
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) != os.Geteuid() {
		return nil, errors.New("it belongs to another user")
	}
	return readLine(file)
}

type pinDescriptor int

func (d pinDescriptor) again() bool    { return false }
func (d pinDescriptor) String() string { return fmt.Sprintf("descriptor %d", int(d)) }

func (d pinDescriptor) read() ([]byte, error) {
	file := os.NewFile(uintptr(d), d.String())
	if file == nil {
		return nil, errors.New("it is not a descriptor")
	}
	defer file.Close()
	return readLine(file)
}

type pinPrompt func() ([]byte, error)

func (p pinPrompt) again() bool           { return false }
func (p pinPrompt) String() string        { return "prompt" }
func (p pinPrompt) read() ([]byte, error) { return p() }

// readLine reads to the end without a buffer that would stay behind, and drops one newline at the end.
func readLine(r io.Reader) ([]byte, error) {
	line := make([]byte, maxPIN+3) // a newline of two bytes, and one to see that there is more
	n, err := io.ReadFull(r, line)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		wipe(line)
		return nil, err
	}
	line = bytes.TrimSuffix(line[:n], []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), nil
}
