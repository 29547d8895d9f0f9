package endtoend_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"cpsca/client"
	"cpsca/testpki"
)

// mostGrowth is how much memory of the authority one line may cost, in octets.
const mostGrowth = 100 << 20

// peak reads the most memory that a process ever held, in octets (proc(5)).
func peak(t *testing.T, p *process) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(text)) {
		fields := strings.Fields(l)
		if len(fields) == 3 && fields[0] == "VmHWM:" && fields[2] == "kB" {
			kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	t.Fatal("the process has no VmHWM")
	return 0
}

// endless is an octet, again and again.
type endless byte

func (e endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(e)
	}
	return len(b), nil
}

func TestALineOfAGigabyteCostsNoMemoryAndTheLinesBehindItAreIssued(t *testing.T) {
	h := newHouse(t)
	h.startAuthority(t)
	people := testpki.NewPopulation(21, 40)
	h.importRegister(t, people)
	lines := batch(t, testpki.NewNumbers(21), h.order(t, entitled(t, people, 8)))
	bureau := h.as(t, "bureau")
	for _, a := range sendAll(t, bureau, lines[:4]...) {
		issued(t, a)
	}
	before := peak(t, h.authority)
	answers, err := send(t, bureau, io.MultiReader(
		strings.NewReader(lines[4]+"\n"), io.LimitReader(endless('x'), 1<<30), strings.NewReader("\n"+strings.Join(lines[5:], "\n")+"\n")))
	if err != nil {
		t.Fatal(err)
	}
	after := peak(t, h.authority)
	t.Logf("at most %d MB before, %d MB after", before>>20, after>>20)
	if after-before >= mostGrowth {
		t.Errorf("the authority took %d MB for one line", (after-before)>>20)
	}
	if len(answers) != 5 {
		t.Fatalf("%d answers to 5 lines", len(answers))
	}
	for i, a := range answers {
		if a.Line != i+1 {
			t.Errorf("answer %d is for line %d", i+1, a.Line)
		}
		if i != 1 {
			issued(t, a)
			continue
		}
		if a.Status != client.Refused || a.Problem.Code() != "line-size" || a.Problem.Line != 2 {
			t.Errorf("the line of a gigabyte: %s, %v", a.Status, a.Problem)
		}
	}
	t.Run("through the command, from a file whose middle is a hole", func(t *testing.T) { hollowBatch(t, h, lines) })
}

// hollowBatch sends a file of applications with a line of a gigabyte between
// them, all but its ends being a hole of the file system.
func hollowBatch(t *testing.T, h *house, lines []string) {
	path := h.path("hollow.ndjson")
	write(t, path, lines[0]+"\nx")
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = f.WriteAt([]byte("\n"+lines[1]+"\n"), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	before := peak(t, h.authority)
	h.must4(t, "personalise", path)
	if grown := peak(t, h.authority) - before; grown >= mostGrowth {
		t.Errorf("the authority took %d MB for one line", grown>>20)
	}
	answers := readAnswers(t, path+".answers")
	if len(answers) != 3 || answers[1].Line != 2 || answers[1].Problem == nil || answers[1].Problem.Code() != "line-size" {
		t.Fatalf("got %d answers", len(answers))
	}
	first, last := sendAll(t, h.as(t, "bureau"), lines[0])[0], sendAll(t, h.as(t, "bureau"), lines[1])[0]
	for i, a := range map[int]client.Answer{0: first, 2: last} {
		if !bytes.Equal(answers[i].Certificates[0].Certificate, a.Certificates[0].Certificate) {
			t.Error("the command's answer is another one than the door's")
		}
	}
}
