package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"cpsca/card"
	"cpsca/client"
	"cpsca/hsm"
	"cpsca/registry"
	"cpsca/testpki"

	"github.com/rogpeppe/go-internal/testscript"
)

// service is a service that runs beside a script.
type service struct {
	command *exec.Cmd
	done    chan struct{} // closed when it has ended
}

// startHouse is the command `house`: it founds an elliptic house in
// $WORK/house on free ports, starts its services, and writes a register to
// $WORK/register. $HOLDER1 to $HOLDER8 are entitled to a card, $STRUCKOFF is
// struck off, $NOADDRESS has no address, $NOBODY is not in the register.
func startHouse(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 0 {
		ts.Fatalf("usage: house")
	}
	addresses := freeAddresses(ts)
	folder := ts.MkAbs("house")
	ts.Check(ts.Exec("cpsca", "init", "--folder", folder, "--preset", "elliptic", "--officer", "Alice Martin", "--officer", "Bruno Petit",
		"--listen", addresses[0], "--management", addresses[1], "--status", addresses[2], "--status-management", addresses[3]))
	ts.Setenv("CPSCA_CONFIG", filepath.Join(folder, "cpsca.yaml"))
	ts.Setenv("AUTHORITY", addresses[0])
	ts.Setenv("STATUS", addresses[2])
	ts.Setenv("HEALTH_authority", addresses[1])
	ts.Setenv("HEALTH_status", addresses[3])
	writeRegister(ts)
	startService(ts, false, []string{"authority"})
	startService(ts, false, []string{"status"})
}

func freeAddresses(ts *testscript.TestScript) []string {
	var out []string
	for range 4 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		defer l.Close() // all four are open until all are known
		out = append(out, l.Addr().String())
	}
	return out
}

// running are the services of a script.
func running(ts *testscript.TestScript) map[string]*service {
	all, ok := ts.Value(servicesOf{}).(map[string]*service)
	if !ok {
		ts.Fatalf("this script has no services")
	}
	return all
}

type servicesOf struct{}

// startService is the command `start authority|status`: it returns when the
// service is ready.
func startService(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: start authority|status")
	}
	name := args[0]
	folder, err := services()
	ts.Check(err)
	log, err := os.OpenFile(ts.MkAbs(name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	defer log.Close()
	s := &service{exec.Command(filepath.Join(folder, "cpsca-"+name), "--config", ts.MkAbs(filepath.Join("house", name+".yaml"))), make(chan struct{})}
	s.command.Stderr = log
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // it does not outlive a test that panics
	ts.Check(s.command.Start())
	go func() {
		_ = s.command.Wait() // how it ended is in its log
		close(s.done)
	}()
	ts.Defer(s.stop)
	running(ts)[name] = s
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		answer, err := http.Get("http://" + ts.Getenv("HEALTH_"+name) + "/readyz")
		if err == nil {
			answer.Body.Close()
		}
		if err == nil && answer.StatusCode == http.StatusOK {
			return
		}
		select {
		case <-again.C:
		case <-s.done:
			ts.Fatalf("%s ended:\n%s", name, ts.ReadFile(name+".log"))
		case <-deadline.C:
			ts.Fatalf("%s is not ready in %v:\n%s", name, patience, ts.ReadFile(name+".log"))
		}
	}
}

// stop ends a service and waits for it.
func (s *service) stop() {
	_ = s.command.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-s.done:
	case <-time.After(patience):
		_ = s.command.Process.Kill()
		<-s.done
	}
}

// haltService is the command `halt authority|status`.
func haltService(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 || running(ts)[args[0]] == nil {
		ts.Fatalf("usage: halt authority|status, of those that were started")
	}
	running(ts)[args[0]].stop()
}

// writeRegister writes the three files of a register and tells the script who
// is who.
func writeRegister(ts *testscript.TestScript) {
	people := testpki.NewPopulation(2026, 60).With(testpki.Shares{StruckOff: 0.1, WithoutAddress: 0.1})
	folder := ts.MkAbs("register")
	ts.Check(os.MkdirAll(folder, 0o755))
	for kind, write := range map[string]func(*os.File) (int, error){
		client.Persons:  func(f *os.File) (int, error) { return people.WritePersons(f) },
		client.Events:   func(f *os.File) (int, error) { return people.WriteEvents(f) },
		client.Contacts: func(f *os.File) (int, error) { return people.WriteContacts(f) },
	} {
		f, err := os.Create(filepath.Join(folder, kind+".txt"))
		ts.Check(err)
		_, err = write(f)
		ts.Check(err)
		ts.Check(f.Close())
	}
	for key := range 10 {
		number, err := registry.ParseRPPS(fmt.Sprintf("9979999999%d", key))
		if err == nil {
			ts.Setenv("NOBODY", string(number))
		}
	}
	entitled := 0
	for _, one := range people.All() {
		number, _ := one.Person.ID.RPPS()
		switch {
		case len(one.Professions()) != 1:
		case one.Ready() == nil:
			entitled++
			ts.Setenv(fmt.Sprintf("HOLDER%d", entitled), string(number))
		case len(one.Events) > 0 && one.Events[0].Kind == registry.StruckOff:
			ts.Setenv("STRUCKOFF", string(number))
		case len(one.Events) == 0 && (one.Contact == registry.Contact{}):
			ts.Setenv("NOADDRESS", string(number))
		}
	}
}

// writeApplications is the command `applications ORDERS FILE [FLAWED]`: it
// plays the bureau, makes a card for every ready order of a file, $CARD1 and
// so on, and writes their applications. The card of the order FLAWED (from 1)
// carries a wrong challenge.
func writeApplications(ts *testscript.TestScript, _ bool, args []string) {
	var out strings.Builder
	for i, line := range strings.Split(strings.TrimSpace(ts.ReadFile(args[0])), "\n") {
		var o client.ReadyOrder
		ts.Check(json.Unmarshal([]byte(line), &o))
		one, err := testpki.NewCard(card.Number(fmt.Sprintf("28%08d", i+1)), hsm.P256)
		ts.Check(err)
		ts.Setenv(fmt.Sprintf("CARD%d", i+1), string(one.Number()))
		requests := make(map[card.Use]client.Request, len(card.Uses))
		for _, use := range card.Uses {
			challenge := o.Challenges[use]
			if len(args) > 2 && args[2] == fmt.Sprint(i+1) {
				challenge = "another"
			}
			der, err := one.Request(use, challenge)
			ts.Check(err)
			requests[use] = client.Request{CSR: base64.StdEncoding.EncodeToString(der)}
		}
		text, err := json.Marshal(client.Application{Order: o.Order, Card: one.Number(), Authentication: requests[card.Authentication], Signature: requests[card.Signature]})
		ts.Check(err)
		out.Write(append(text, '\n'))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(out.String()), 0o600))
}
