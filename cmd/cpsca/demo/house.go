package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"cpsca/config"
)

// house is one authority with its status service, and the way to call cpsca on
// it.
type house struct {
	folder    string
	preset    string
	addresses addresses
	processes []*process
}

// addresses are where the services of a house listen.
type addresses struct{ authority, management, status, statusManagement string }

// usualAddresses are those that the documentation names.
var usualAddresses = addresses{"127.0.0.1:8443", "127.0.0.1:8444", "127.0.0.1:8480", "127.0.0.1:8481"}

// freeAddresses asks the system for ports that nobody uses.
func freeAddresses() (addresses, error) {
	var a addresses
	var listeners []net.Listener
	defer func() {
		for _, l := range listeners {
			l.Close()
		}
	}()
	for _, into := range []*string{&a.authority, &a.management, &a.status, &a.statusManagement} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return a, fmt.Errorf("looking for a free port: %w", err)
		}
		listeners = append(listeners, l)
		*into = l.Addr().String()
	}
	return a, nil
}

// founded says whether the house is there already.
func (h *house) founded() bool {
	_, err := os.Stat(filepath.Join(h.folder, "cpsca.yaml"))
	return err == nil
}

// knownAddresses reads where the services of a founded house listen.
func (h *house) knownAddresses() (addresses, error) {
	authority, err := config.ReadAuthority(filepath.Join(h.folder, "authority.yaml"))
	if err != nil {
		return addresses{}, err
	}
	status, err := config.ReadStatus(filepath.Join(h.folder, "status.yaml"))
	if err != nil {
		return addresses{}, err
	}
	return addresses{authority.Listen, authority.Management, status.Listen, status.Management}, nil
}

// busy names the first address at which somebody already listens.
func (a addresses) busy() (string, bool) {
	for _, one := range []string{a.authority, a.management, a.status, a.statusManagement} {
		l, err := net.Listen("tcp", one)
		if err != nil {
			return one, true
		}
		l.Close()
	}
	return "", false
}

// found makes the house, by the verb that a user would take.
func (h *house) found(ctx context.Context) error {
	_, err := h.cpsca(ctx, nil, "init", "--folder", h.folder, "--preset", h.preset, "--officer", "Alice Martin", "--officer", "Bruno Petit",
		"--listen", h.addresses.authority, "--management", h.addresses.management,
		"--status", h.addresses.status, "--status-management", h.addresses.statusManagement)
	return err
}

// refusal is a verb that ended with another exit code than 0.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return strings.TrimSpace(r.text) }

// cpsca calls a verb with --json and reads its answer into out, if not nil.
func (h *house) cpsca(ctx context.Context, out any, args ...string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	command := exec.CommandContext(ctx, self, append([]string{"--config", filepath.Join(h.folder, "cpsca.yaml"), "--json"}, args...)...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err = command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "", fmt.Errorf("calling cpsca %s: %w", args[0], err)
	}
	if out != nil && stdout.Len() > 0 {
		failed := json.Unmarshal(stdout.Bytes(), out)
		if failed != nil {
			return stdout.String(), fmt.Errorf("reading the answer of cpsca %s: %w", args[0], failed)
		}
	}
	if exit != nil {
		return stdout.String(), &refusal{exit.ExitCode(), stderr.String()}
	}
	return stdout.String(), nil
}

// process is a service that runs beside us.
type process struct {
	name    string
	command *exec.Cmd
	log     *os.File
	done    chan struct{} // closed when it has ended
	err     error         // set before done is closed
}

// start starts authority and status service and waits until both answer.
func (h *house) start(ctx context.Context) error {
	taken, busy := h.addresses.busy()
	if busy {
		return fmt.Errorf(say("somebody already listens on %s: is this house, or another one, running?", "quelqu'un écoute déjà sur %s : cette autorité, ou une autre, tourne-t-elle ?"), taken)
	}
	for _, service := range []struct{ name, configuration, health string }{
		{"cpsca-authority", "authority.yaml", "http://" + h.addresses.management + "/readyz"},
		{"cpsca-status", "status.yaml", "http://" + h.addresses.statusManagement + "/readyz"},
	} {
		p, err := h.launch(service.name, service.configuration)
		if err != nil {
			return err
		}
		h.processes = append(h.processes, p)
		err = p.ready(ctx, service.health)
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *house) launch(name, configuration string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	log, err := os.OpenFile(filepath.Join(h.folder, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", name, err)
	}
	command := exec.Command(filepath.Join(filepath.Dir(self), name), "--config", filepath.Join(h.folder, configuration))
	command.Stderr = log
	// A Ctrl-C on the terminal is for us: we stop the services in their order.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	err = command.Start()
	if err != nil {
		log.Close()
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p := &process{name: name, command: command, log: log, done: make(chan struct{})}
	go func() {
		p.err = command.Wait()
		close(p.done)
	}()
	return p, nil
}

// patience is how long a service may take to answer after its start.
const patience = 60 * time.Second

func (p *process) ready(ctx context.Context, health string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		select {
		case <-p.done:
			return fmt.Errorf(say("%s ended at once; its log is %s", "%s s'est arrêté aussitôt ; son journal est %s"), p.name, p.log.Name())
		case <-ctx.Done():
			return fmt.Errorf(say("%s does not answer; its log is %s: %w", "%s ne répond pas ; son journal est %s : %w"), p.name, p.log.Name(), context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
		answer, err := http.Get(health)
		if err != nil {
			continue
		}
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return nil
		}
	}
}

// stop stops the services, the last first, and waits for them.
func (h *house) stop() error {
	var errs []error
	for i := len(h.processes) - 1; i >= 0; i-- {
		p := h.processes[i]
		_ = p.command.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-p.done:
		case <-time.After(patience):
			_ = p.command.Process.Kill()
			<-p.done
		}
		if p.err != nil {
			errs = append(errs, fmt.Errorf("%s: %w; %s", p.name, p.err, p.log.Name()))
		}
		p.log.Close()
	}
	h.processes = nil
	return errors.Join(errs...)
}

// ended returns a channel that is closed when a service ends by itself.
func (h *house) ended() <-chan struct{} {
	out := make(chan struct{})
	var once sync.Once
	for _, p := range h.processes {
		go func() {
			<-p.done
			once.Do(func() { close(out) })
		}()
	}
	return out
}
