package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// authority is a cpsca-authority that runs beside the bench.
type authority struct {
	command *exec.Cmd
	log     *os.File
	done    chan struct{} // closed when it has ended
	err     error         // set before done is closed
}

// patience is how long an authority may take to start or to stop.
const patience = 60 * time.Second

// start starts a program on a house and waits until it is ready. environment is
// added to the bench's own.
func (h house) start(ctx context.Context, program string, environment ...string) (*authority, error) {
	log, err := os.OpenFile(h.path("authority.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the authority's log: %w", err)
	}
	a := &authority{command: exec.Command(program, "--config", h.configuration()), log: log, done: make(chan struct{})}
	a.command.Stderr = log
	a.command.Env = append(os.Environ(), environment...)
	// A Ctrl-C on the terminal is for the bench, which stops what it started.
	a.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	err = a.command.Start()
	if err != nil {
		log.Close()
		return nil, fmt.Errorf("starting %s: %w", filepath.Base(program), err)
	}
	go func() {
		a.err = a.command.Wait()
		close(a.done)
	}()
	err = a.ready(ctx, "http://"+h.management+"/readyz")
	if err != nil {
		return nil, errors.Join(err, a.stop())
	}
	return a, nil
}

func (a *authority) ready(ctx context.Context, health string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case <-a.done:
			return fmt.Errorf(say("the authority ended at once; the end of its log:\n%s", "l'autorité s'est arrêtée aussitôt ; la fin de son journal :\n%s"), a.lastWords())
		case <-ctx.Done():
			return fmt.Errorf(say("the authority does not answer: %w", "l'autorité ne répond pas : %w"), context.Cause(ctx))
		case <-again.C:
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

// lastWords is the end of the authority's log: the folder that it is in goes
// with the bench.
func (a *authority) lastWords() string {
	text, err := os.ReadFile(a.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// stop ends the authority and waits for it.
func (a *authority) stop() error {
	_ = a.command.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-a.done:
	case <-time.After(patience):
		_ = a.command.Process.Kill()
		<-a.done
	}
	a.log.Close()
	if a.err != nil {
		return fmt.Errorf("cpsca-authority: %w; %s", a.err, a.lastWords())
	}
	return nil
}

// errProc: what proc(5) promises is not there.
var errProc = errors.New("the system does not tell what the authority used")

// peak is the most memory that the authority had at once, in octets (VmHWM of
// proc(5)).
func (a *authority) peak() (int64, error) {
	file, err := os.Open(filepath.Join("/proc", strconv.Itoa(a.command.Process.Pid), "status"))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errProc, err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) == 3 && fields[0] == "VmHWM:" {
			kilo, err := strconv.ParseInt(fields[1], 10, 64)
			return kilo << 10, err
		}
	}
	return 0, errProc
}

// ticks is how many clock ticks a second has in proc(5): what sysconf(3) calls
// _SC_CLK_TCK is 100 on every Linux that Go runs on.
const ticks = 100

// used is the time of processors that the authority has used (utime and stime of
// proc(5)).
func (a *authority) used() (time.Duration, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(a.command.Process.Pid), "stat"))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errProc, err)
	}
	// The name of the program, in parentheses, may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0, errProc
	}
	sum := int64(0)
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%w: %w", errProc, err)
		}
		sum += n
	}
	return time.Duration(sum) * time.Second / ticks, nil
}

// usedHere is the time of processors that this process has used.
func usedHere() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errProc, err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
