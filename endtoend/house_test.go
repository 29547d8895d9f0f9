package endtoend_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cpsca/client"
	"cpsca/testpki"
)

// house is one authority with its status service, in a folder of the test.
type house struct {
	folder    string
	env       []string
	programs  string // folder; that of this tree's programs as they are delivered, unless a test says otherwise
	addresses addresses
	authority *process
	status    *process
	said      bytes.Buffer // everything that commands said on their standard error
}

// addresses are where the services of a house listen.
type addresses struct{ authority, management, status, statusManagement string }

// freeAddress finds a port where nobody listens, below those that the system
// gives to outgoing connections: a killed service must find its own again.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 200 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 18000+rand.IntN(14000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no free port")
	return ""
}

func freeAddresses(t *testing.T) addresses {
	t.Helper()
	var a addresses
	taken := make(map[string]bool)
	for _, into := range []*string{&a.authority, &a.management, &a.status, &a.statusManagement} {
		for *into == "" || taken[*into] {
			*into = freeAddress(t)
		}
		taken[*into] = true
	}
	return a
}

// newGround prepares a place for a house, without founding it.
func newGround(t *testing.T) *house {
	t.Helper()
	softhsm := testpki.SoftHSMForTest(t)
	err := build()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "house")
	return &house{
		folder: folder, programs: workshop, addresses: freeAddresses(t),
		env: append(os.Environ(), "LC_ALL=C", "CPSCA_CONFIG="+filepath.Join(folder, "cpsca.yaml"),
			"CPSCA_WITNESS_MODULE="+softhsm.Module, "CPSCA_WITNESS_LOG="+folder+".witness"),
	}
}

func (h *house) initArguments() []string {
	return []string{"init", "--folder", h.folder, "--preset", "elliptic", "--officer", "Alice Martin", "--officer", "Bruno Petit",
		"--module", filepath.Join(workshop, "witness.so"), "--listen", h.addresses.authority, "--management", h.addresses.management,
		"--status", h.addresses.status, "--status-management", h.addresses.statusManagement}
}

// newHouse founds a house with elliptic keys and the gate hold.
func newHouse(t *testing.T) *house {
	t.Helper()
	h := newGround(t)
	h.must(t, h.initArguments()...)
	return h
}

func (h *house) path(elements ...string) string {
	return filepath.Join(append([]string{h.folder}, elements...)...)
}

// edit replaces a text of a configuration, which must be there.
func (h *house) edit(t *testing.T, file, from, to string) {
	t.Helper()
	text := read(t, h.path(file))
	if !strings.Contains(text, from) {
		t.Fatalf("%s does not say %q", file, from)
	}
	write(t, h.path(file), strings.ReplaceAll(text, from, to))
}

// answer is how a command ended.
type answer struct {
	code           int
	stdout, stderr string
}

func (h *house) command(program string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(h.programs, program), args...)
	c.Env = h.env
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c
}

// run calls a program to its end, whatever that is.
func (h *house) run(t *testing.T, program string, args ...string) answer {
	t.Helper()
	c := h.command(program, args...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	h.said.Write(stderr.Bytes())
	return answer{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// cpsca calls a verb.
func (h *house) cpsca(t *testing.T, args ...string) answer {
	t.Helper()
	return h.run(t, "cpsca", args...)
}

// must calls a verb that must succeed, and returns what it printed.
func (h *house) must(t *testing.T, args ...string) string {
	t.Helper()
	a := h.cpsca(t, args...)
	if a.code != 0 {
		t.Fatalf("cpsca %s: exit code %d\n%s", strings.Join(args, " "), a.code, a.stderr)
	}
	return a.stdout
}

// ask is must with --json, read into out.
func (h *house) ask(t *testing.T, out any, args ...string) {
	t.Helper()
	text := h.must(t, append([]string{"--json"}, args...)...)
	err := json.Unmarshal([]byte(text), out)
	if err != nil {
		t.Fatalf("reading what cpsca %s printed: %v\n%s", args[0], err, text)
	}
}

// verifyJournal fails the test unless the journal is whole and every row agrees
// with it.
func (h *house) verifyJournal(t *testing.T) {
	t.Helper()
	h.must(t, "journal", "verify")
}

// process is a service that runs beside the test, and ends with it.
type process struct {
	command *exec.Cmd
	log     string
	done    chan struct{} // closed when it has ended
}

// launch starts a service without waiting for it.
func (h *house) launch(t *testing.T, program, configuration string, args ...string) *process {
	t.Helper()
	path := h.path(strings.TrimSuffix(configuration, ".yaml") + ".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c := h.command(program, append([]string{"--config", h.path(configuration)}, args...)...)
	c.Stdout, c.Stderr = log, log
	err = c.Start()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{command: c, log: path, done: make(chan struct{})}
	go func() {
		_ = c.Wait() // how it ended is in its state
		close(p.done)
	}()
	t.Cleanup(p.kill)
	return p
}

// kill ends the process as a power cut would.
func (p *process) kill() {
	_ = p.command.Process.Kill() // it may have ended
	<-p.done
}

// stop ends the process as an operator does and returns its exit code.
func (p *process) stop(t *testing.T) int {
	t.Helper()
	err := p.command.Process.Signal(syscall.SIGTERM)
	if err != nil {
		t.Fatal(err)
	}
	return p.ended(t)
}

// ended waits for the end of the process and returns its exit code.
func (p *process) ended(t *testing.T) int {
	t.Helper()
	until(t, 40*time.Second, "the end of "+p.command.Path, func() bool { return !p.alive() })
	return p.command.ProcessState.ExitCode()
}

func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// ready waits until a service says that it is.
func (p *process) ready(t *testing.T, management string) {
	t.Helper()
	until(t, 40*time.Second, p.command.Path+" is ready", func() bool {
		if !p.alive() {
			t.Fatalf("%s ended at once:\n%s", p.command.Path, lastLines(read(t, p.log)))
		}
		code, _ := get(t, "http://"+management+"/readyz")
		return code == http.StatusOK
	})
}

func (h *house) startAuthority(t *testing.T, args ...string) {
	t.Helper()
	h.authority = h.launch(t, "cpsca-authority", "authority.yaml", args...)
	h.authority.ready(t, h.addresses.management)
}

func (h *house) startStatus(t *testing.T, args ...string) {
	t.Helper()
	h.status = h.launch(t, "cpsca-status", "status.yaml", args...)
	h.status.ready(t, h.addresses.statusManagement)
}

// as makes a client that speaks with an identity of the house.
func (h *house) as(t *testing.T, identity string) *client.Client {
	t.Helper()
	return h.speak(t, h.addresses.authority, identity)
}

func (h *house) speak(t *testing.T, address, identity string) *client.Client {
	t.Helper()
	certificate, err := client.LoadCertificate(h.path("identities", identity+".pem"), h.path("identities", identity+".key"))
	if err != nil {
		t.Fatal(err)
	}
	roots, err := client.LoadRoots(h.path("issuers", "technical-root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{URL: "https://" + address, Certificate: certificate, Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// issuer is the certificate of the cards' issuer.
func (h *house) issuer(t *testing.T) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(read(t, h.path("issuers", "cards.pem"))))
	if block == nil {
		t.Fatal("cards.pem holds no certificate")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// get fetches a page; the code is 0 if nobody answers.
func get(t *testing.T, url string) (int, []byte) {
	t.Helper()
	quick := http.Client{Timeout: 10 * time.Second}
	a, err := quick.Get(url)
	if err != nil {
		return 0, nil
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		return 0, nil
	}
	return a.StatusCode, body
}

// lastLines are those of a log that say how it ended.
func lastLines(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	err := os.WriteFile(path, []byte(text), 0o600)
	if err != nil {
		t.Fatal(err)
	}
}
