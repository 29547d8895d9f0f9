package demo

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"cpsca/card"
	"cpsca/client"
	"cpsca/hsm"
	"cpsca/registry"
	"cpsca/testpki"

	"golang.org/x/sync/errgroup"
)

// population is the fictitious register of a house: enough people for the
// cards, and some to whom something happened.
func population(cards int) *testpki.Population {
	return testpki.NewPopulation(2026, cards+cards/5+20).With(testpki.Shares{StruckOff: 0.02, Suspended: 0.02, Deceased: 0.01, WithoutAddress: 0.03})
}

// writeRegister writes the files of a register into the house, once.
func (h *house) writeRegister(p *testpki.Population) error {
	folder := filepath.Join(h.folder, "register")
	err := os.MkdirAll(folder, 0o755)
	if err != nil {
		return fmt.Errorf("making the register's folder: %w", err)
	}
	for kind, write := range map[string]func(*os.File) (int, error){
		client.Persons:  func(f *os.File) (int, error) { return p.WritePersons(f) },
		client.Events:   func(f *os.File) (int, error) { return p.WriteEvents(f) },
		client.Contacts: func(f *os.File) (int, error) { return p.WriteContacts(f) },
	} {
		f, err := os.Create(filepath.Join(folder, kind+".txt"))
		if err != nil {
			return fmt.Errorf("writing the register: %w", err)
		}
		_, err = write(f)
		err = errors.Join(err, f.Close())
		if err != nil {
			return fmt.Errorf("writing the register: %w", err)
		}
	}
	return nil
}

// importRegister brings the files in.
func (h *house) importRegister(ctx context.Context) ([]registry.Report, error) {
	var reports []registry.Report
	for _, kind := range []string{client.Persons, client.Events, client.Contacts} {
		var r registry.Report
		_, err := h.cpsca(ctx, &r, "registry", "import", kind, filepath.Join(h.folder, "register", kind+".txt"))
		if err != nil {
			return nil, fmt.Errorf("importing %s: %w", kind, err)
		}
		reports = append(reports, r)
	}
	return reports, nil
}

// algorithm is the kind of keys that the house's cards have.
func (h *house) algorithm() hsm.Algorithm {
	if h.preset == "elliptic" {
		return hsm.P256
	}
	return hsm.RSA2048
}

// makeCards plays the bureau: for every ready order it makes a card with real
// keys and writes the application; then it sends them all. The file of
// applications is kept: an interrupted batch is sent again as it was.
func (h *house) makeCards(ctx context.Context, batch string) (map[card.OrderID]card.Number, error) {
	path := filepath.Join(h.folder, "bureau", batch+".ndjson")
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		err = h.writeApplications(ctx, path)
	}
	if err != nil {
		return nil, fmt.Errorf("making cards: %w", err)
	}
	_, err = h.cpsca(ctx, nil, "personalise", path, "--answers", path+".answers", "--certificates", filepath.Join(h.folder, "cards"))
	if err != nil {
		return nil, fmt.Errorf("personalising: %w", err)
	}
	return applied(path)
}

func (h *house) writeApplications(ctx context.Context, path string) error {
	text, err := h.cpsca(ctx, nil, "order", "list", "--ready")
	if err != nil {
		return err
	}
	orders, err := readLines[client.ReadyOrder](text)
	if err != nil {
		return err
	}
	lines := make([][]byte, len(orders))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, o := range orders {
		g.Go(func() (err error) {
			if ctx.Err() != nil {
				return context.Cause(ctx) // making keys takes its time
			}
			lines[i], err = h.makeCard(o)
			return err
		})
	}
	err = g.Wait()
	if err != nil {
		return err
	}
	err = os.MkdirAll(filepath.Dir(path), 0o700)
	if err != nil {
		return err
	}
	// Under another name first: a half-written batch must not be taken for one.
	err = os.WriteFile(path+".partial", []byte(joinLines(lines)), 0o600)
	if err != nil {
		return err
	}
	return os.Rename(path+".partial", path)
}

func joinLines(lines [][]byte) string {
	var b strings.Builder
	for _, line := range lines {
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.String()
}

// makeCard makes one card, keeps its keys in the house for the reader to play
// with, and returns its application.
func (h *house) makeCard(o client.ReadyOrder) ([]byte, error) {
	one, err := testpki.NewCard(cardNumber(o.Order), h.algorithm())
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(h.folder, "cards", string(one.Number()))
	err = os.MkdirAll(folder, 0o700)
	if err != nil {
		return nil, err
	}
	requests := make(map[card.Use]client.Request, len(card.Uses))
	for _, use := range card.Uses {
		private, err := x509.MarshalPKCS8PrivateKey(one.Key(use))
		if err != nil {
			return nil, err
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
		err = os.WriteFile(filepath.Join(folder, string(use)+".key"), text, 0o600)
		if err != nil {
			return nil, err
		}
		der, err := one.Request(use, o.Challenges[use])
		if err != nil {
			return nil, err
		}
		requests[use] = client.Request{CSR: base64.StdEncoding.EncodeToString(der)}
	}
	return json.Marshal(client.Application{
		Order: o.Order, Card: one.Number(), Authentication: requests[card.Authentication], Signature: requests[card.Signature],
	})
}

// cardNumber gives each order's card a number of the series 28.
func cardNumber(order card.OrderID) card.Number {
	digest := fnv.New64a()
	_, _ = digest.Write([]byte(order)) // never fails
	return card.Number(fmt.Sprintf("28%08d", digest.Sum64()%100_000_000))
}

// applied reads which card each order of a batch got.
func applied(path string) (map[card.OrderID]card.Number, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	applications, err := readLines[client.Application](string(text))
	if err != nil {
		return nil, err
	}
	out := make(map[card.OrderID]card.Number, len(applications))
	for _, a := range applications {
		out[a.Order] = a.Card
	}
	return out, nil
}

func readLines[T any](text string) ([]T, error) {
	var out []T
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one T
		err := json.Unmarshal(lines.Bytes(), &one)
		if err != nil {
			return nil, fmt.Errorf("reading a line of JSON: %w", err)
		}
		out = append(out, one)
	}
	return out, lines.Err()
}
