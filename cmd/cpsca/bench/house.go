package bench

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cpsca/client"
	"cpsca/cmd/internal/founding"
	"cpsca/config"
	"cpsca/hsm"
	"cpsca/store"
)

// suite is a choice of keys that is measured: of the issuer, of the cards.
type suite struct {
	name   string // as in the figures
	issuer hsm.Algorithm
	card   hsm.Algorithm
}

var (
	rsa4096 = suite{"rsa4096", hsm.RSA4096, hsm.RSA2048}
	p384    = suite{"p384", hsm.P384, hsm.P256}
	p256    = suite{"p256", hsm.P256, hsm.P256}
)

// suites are those that a house can be founded with.
var suites = []suite{rsa4096, p384, p256}

func suiteNamed(name string) (suite, bool) {
	for _, s := range suites {
		if s.name == name {
			return s, true
		}
	}
	return suite{}, false
}

// preset is the shape of a house that is measured. Its gate is that of the
// hierarchy in service: with the other one each personalised card is on the
// revocation list until it is activated, and the list of a batch that nobody
// activates is what would be measured.
func (s suite) preset() founding.Preset {
	p := founding.Preset{
		Name: "bench " + s.name, Root: hsm.P384, Issuer: s.issuer, Gate: "chip",
		Period: 24 * time.Hour, Life: 144 * time.Hour, Delay: time.Second,
	}
	if s.card == hsm.RSA2048 {
		p.RSA = []int{2048}
	} else {
		p.Curves = []string{strings.ToUpper(s.card.String())} // as configurations write them
	}
	return p
}

// addresses are where the services of every house of a run listen: one runs at
// a time.
type addresses struct{ authority, management, status, statusManagement string }

// freeAddresses asks the system for ports that nobody uses.
func freeAddresses() (addresses, error) {
	var a addresses
	for _, into := range []*string{&a.authority, &a.management, &a.status, &a.statusManagement} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return a, fmt.Errorf("looking for a free port: %w", err)
		}
		defer l.Close() // all four are open until all are known
		*into = l.Addr().String()
	}
	return a, nil
}

// found makes a house. It belongs into a process of its own: SoftHSM knows one
// folder of tokens per process. No status node runs, so that none gets a token.
// ledger and its owner's are URLs, or empty for SQLite.
func found(ctx context.Context, folder string, s suite, a addresses, ledger, owner string) error {
	return founding.Found(ctx, founding.Plan{
		Folder: folder, Preset: s.preset(), Organisation: "CPSCA BENCH", Officers: []string{"Alice Martin", "Bruno Petit"},
		Authority: a.authority, Management: a.management, Status: a.status, StatusManagement: a.statusManagement,
		Ledger: ledger, LedgerOwner: owner,
		CreateToken: func(context.Context, string, string, string) error { return nil },
	})
}

// house is a founded house, and how to reach its authority.
type house struct {
	folder string
	addresses
}

func (h house) path(elements ...string) string {
	return filepath.Join(append([]string{h.folder}, elements...)...)
}

func (h house) configuration() string { return h.path("authority.yaml") }

// ledger opens the ledger of a house whose authority does not run.
func (h house) ledger(ctx context.Context) (*store.DB, error) {
	settings, err := config.ReadAuthority(h.configuration())
	if err != nil {
		return nil, err
	}
	return store.Open(ctx, store.At(settings.Ledger))
}

// reader opens it for reading alone.
func (h house) reader() (*store.DB, error) {
	settings, err := config.ReadAuthority(h.configuration())
	if err != nil {
		return nil, err
	}
	return store.OpenReadOnly(store.At(settings.Ledger))
}

// issuer is the certificate of the issuer of cards.
func (h house) issuer() (*x509.Certificate, error) {
	text, err := os.ReadFile(h.path("issuers", "cards.pem"))
	if err != nil {
		return nil, fmt.Errorf("reading the issuer: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("reading the issuer: no PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// bureau is a client with the identity of the personalisation bureau.
func (h house) bureau() (*client.Client, error) {
	certificate, err := client.LoadCertificate(h.path("identities", "bureau.pem"), h.path("identities", "bureau.key"))
	if err != nil {
		return nil, err
	}
	roots, err := client.LoadRoots(h.path("issuers", "technical-root.pem"))
	if err != nil {
		return nil, err
	}
	return client.New(client.Config{URL: "https://" + h.authority, Certificate: certificate, Roots: roots})
}

// copyTo makes a second house of one whose authority does not run, with the same
// people and orders. It has the same token too, not a copy of it: the
// configuration of SoftHSM names a whole path.
func (h house) copyTo(folder string) (house, error) {
	err := filepath.WalkDir(h.folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(h.folder, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		to := filepath.Join(folder, relative)
		if d.IsDir() {
			return os.Mkdir(to, info.Mode().Perm())
		}
		return copyFile(path, to, info.Mode().Perm())
	})
	if err != nil {
		return house{}, fmt.Errorf("copying a house: %w", err)
	}
	return house{folder: folder, addresses: h.addresses}, nil
}

func copyFile(from, to string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
