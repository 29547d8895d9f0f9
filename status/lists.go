package status

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"cpsca/crl"
)

var (
	// ErrUnknownList: no issuer of that name is served here.
	ErrUnknownList = errors.New("no such list")
	// ErrListNumber: the list is older than the one that is served, or
	// another one under the same number.
	ErrListNumber = errors.New("not newer than the list that is served")
)

// Issuer is a CA under the name that stands in the addresses of its list and
// certificate.
type Issuer struct {
	// Name is 1 to 64 letters, digits, dots, hyphens and underscores, the
	// first a letter or digit.
	Name        string
	Certificate *x509.Certificate
}

var issuerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func validateIssuers(issuers []Issuer) error {
	seen := map[string]bool{}
	for _, i := range issuers {
		if !issuerName.MatchString(i.Name) || seen[i.Name] || i.Certificate == nil {
			return fmt.Errorf("status: issuer %q: bad or repeated name, or no certificate", i.Name)
		}
		seen[i.Name] = true
	}
	return nil
}

// served is a list as it is given out; immutable.
type served struct {
	*crl.List
	tag string
}

// Lists holds the revocation list of each issuer, in memory and in a folder of
// its own. Its methods may be called from several goroutines.
type Lists struct {
	folder  string
	issuers map[string]*x509.Certificate
	now     func() time.Time

	putting sync.Mutex   // one replacement at a time
	mu      sync.RWMutex // guards current
	current map[string]served
}

// OpenLists reads the lists that the folder holds from before, one file
// <name>.crl for each issuer, and checks them again. A list whose nextUpdate
// has passed is served until a new one comes; a damaged or foreign one is an
// error, for a person to look at. now may be nil for time.Now.
func OpenLists(folder string, issuers []Issuer, now func() time.Time) (*Lists, error) {
	err := validateIssuers(issuers)
	if err != nil {
		return nil, err
	}
	if now == nil {
		now = time.Now
	}
	l := &Lists{folder: folder, issuers: map[string]*x509.Certificate{}, now: now, current: map[string]served{}}
	for _, i := range issuers {
		l.issuers[i.Name] = i.Certificate
		der, err := os.ReadFile(l.path(i.Name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the list of %s: %w", i.Name, err)
		}
		list, err := l.check(i.Name, der)
		if err != nil && !errors.Is(err, crl.ErrStale) {
			return nil, fmt.Errorf("checking the stored list of %s: %w", i.Name, err)
		}
		l.current[i.Name] = served{list, entityTag(der)}
	}
	return l, nil
}

func (l *Lists) path(name string) string { return filepath.Join(l.folder, name+".crl") }

// check reads a list and decides whether it may be relied on; with
// crl.ErrStale the list is returned too.
func (l *Lists) check(name string, der []byte) (*crl.List, error) {
	list, err := crl.Parse(der)
	if err != nil {
		return nil, err
	}
	return list, crl.Check(list, l.issuers[name], l.now())
}

// Put serves a list in place of the present one once it was checked and is on
// disk: signed by the issuer, in its time, with a greater number and not dated
// before. The present list once more is no error and changes nothing. It
// returns ErrUnknownList, ErrListNumber or the errors of crl.Parse and
// crl.Check.
func (l *Lists) Put(name string, der []byte) error {
	l.putting.Lock()
	defer l.putting.Unlock()
	if l.issuers[name] == nil {
		return fmt.Errorf("replacing list %q: %w", name, ErrUnknownList)
	}
	present, ok := l.list(name)
	if ok && bytes.Equal(present.DER, der) {
		return nil
	}
	der = bytes.Clone(der)
	list, err := l.check(name, der)
	if err != nil {
		return fmt.Errorf("checking a list of %s: %w", name, err)
	}
	if ok && (list.Number <= present.Number || list.ThisUpdate.Before(present.ThisUpdate)) {
		return fmt.Errorf("replacing list %d of %s by %d: %w", present.Number, name, list.Number, ErrListNumber)
	}
	err = replaceFile(l.path(name), der)
	if err != nil {
		return fmt.Errorf("storing the list of %s: %w", name, err)
	}
	l.mu.Lock()
	l.current[name] = served{list, entityTag(der)}
	l.mu.Unlock()
	return nil
}

// list returns the list that is served under a name.
func (l *Lists) list(name string) (served, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	s, ok := l.current[name]
	return s, ok
}

// replaceFile puts a file in place of another so that, whenever the power
// fails, one of the two is there.
func replaceFile(path string, content []byte) error {
	folder := filepath.Dir(path)
	file, err := os.CreateTemp(folder, ".new-*")
	if err != nil {
		return fmt.Errorf("creating a file: %w", err)
	}
	defer os.Remove(file.Name()) // nothing there once it was renamed
	_, err = file.Write(content)
	if err == nil {
		err = file.Chmod(0o644)
	}
	if err == nil {
		err = file.Sync()
	}
	closing := file.Close()
	if err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(path), err)
	}
	return syncFolder(folder)
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("opening the folder: %w", err)
	}
	defer folder.Close()
	err = folder.Sync()
	if err != nil {
		return fmt.Errorf("syncing the folder: %w", err)
	}
	return nil
}
