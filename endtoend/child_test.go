package endtoend_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"cpsca/card"
	"cpsca/crl"
	"cpsca/endtoend/powercut"
	"cpsca/lifecycle"
)

// What tells a process of this test binary that it is a child, where its ledger
// is, and where the keys are.
const (
	childFolder   = "CPSCA_CHILD_FOLDER"
	childWorkshop = "CPSCA_CHILD_WORKSHOP"
)

// word is what a child says: what it is about to sign, what it acknowledges, or
// what failed. It says each when it happens, in one line.
type word struct {
	Sign   string                `json:",omitempty"`
	Told   map[card.OrderID]pair `json:",omitempty"`
	List   int64                 `json:",omitempty"`
	Lost   card.Number           `json:",omitempty"`
	Failed string                `json:",omitempty"`
}

// sweptChild is the process that has a ledger on a disk that fails.
func sweptChild() int {
	workshop = os.Getenv(childWorkshop)
	say := func(w word) {
		text, err := json.Marshal(w)
		if err == nil {
			_, err = os.Stdout.Write(append(text, '\n'))
		}
		if err != nil {
			os.Exit(1)
		}
	}
	var applications []card.Application
	err := json.NewDecoder(os.Stdin).Decode(&applications)
	if err == nil {
		err = sweptWork(context.Background(), applications, say)
	}
	if err != nil {
		say(word{Failed: err.Error()})
		return 1
	}
	return 0
}

// sweptWork does everything once: a start, a chunk, a list, a loss, all of it
// again, an end. A failure does not keep it from what comes next, as in the
// program, unless the ledger says that the process must end.
func sweptWork(ctx context.Context, applications []card.Application, say func(word)) error {
	h, err := roomsHierarchy()
	if err != nil {
		return err
	}
	r := roomsOf(h, os.Getenv(childFolder))
	r.pen.tell = func(digest string) { say(word{Sign: digest}) }
	err = r.open(ctx, func(err error) {
		say(word{Failed: err.Error()})
		os.Exit(1)
	})
	if err != nil {
		return err
	}
	for range 2 {
		answers, err := r.issue(ctx, applications)
		told := make(map[card.OrderID]pair)
		for _, a := range answers {
			if a.Err != nil {
				say(word{Failed: fmt.Sprintf("order %s: %v", a.Order, a.Err)})
				continue
			}
			told[a.Order] = make(pair)
			for _, one := range a.Certificates {
				told[a.Order][one.Use] = one.DER
			}
		}
		say(outcome(word{Told: told}, err))
		list, err := r.publisher.Publish(ctx, r.issuerID, crl.Emergency)
		say(outcome(word{List: list.Number}, err))
		number := applications[0].Number
		_, err = r.desk.ReportLoss(ctx, "desk", lifecycle.Loss{Card: number, Circumstance: card.Lost})
		say(outcome(word{Lost: number}, err))
	}
	_, err = r.publisher.Publish(ctx, r.issuerID, crl.Emergency)
	if err != nil {
		return err
	}
	return r.db.Close()
}

func outcome(w word, err error) word {
	if err != nil {
		return word{Failed: err.Error()}
	}
	return w
}

// child lets a process work on a disk until it ends, or the power does. What it
// acknowledged is remembered; the answers are what failed, and what is wrong.
func (g *ground) child(t *testing.T, r *rooms, disk *powercut.Disk) (failed, wrong []string) {
	t.Helper()
	unmount := powercut.MountForTest(t, disk, r.folder)
	defer unmount()
	task, err := json.Marshal(g.applications)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childFolder+"="+r.folder, childWorkshop+"="+workshop)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(task), &said, os.Stderr
	err = c.Start()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		select {
		case <-disk.Failed():
			_ = c.Process.Kill() // it may have ended
		case <-ended:
		}
	}()
	_ = c.Wait() // how it ended is in what it said
	close(ended)
	lines := bufio.NewScanner(&said)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var w word
		err = json.Unmarshal(lines.Bytes(), &w)
		if err != nil {
			break // torn by the kill
		}
		failed, wrong = r.takes(w, failed, wrong)
	}
	return failed, wrong
}

// takes remembers a word of a child.
func (r *rooms) takes(w word, failed, wrong []string) ([]string, []string) {
	switch {
	case w.Sign != "":
		r.pen.signed[w.Sign]++
	case w.Failed != "":
		failed = append(failed, w.Failed)
	case w.Lost != "":
		r.lost[w.Lost] = true
	}
	for order, told := range w.Told {
		wrong = append(wrong, r.hears(order, told)...)
	}
	r.number = max(r.number, w.List)
	return failed, wrong
}
