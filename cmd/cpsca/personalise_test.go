package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"cpsca/client"
)

// A line that is whole goes out, also while the next one is still being written.
func TestALineIsHeldBackForNone(t *testing.T) {
	file, write := io.Pipe()
	sent, to := io.Pipe()
	done := make(chan error, 1)
	var b batch
	go func() { done <- b.feed(file, to, func(int64) {}) }()
	expect := func(want string) {
		t.Helper()
		got := make([]byte, len(want))
		_, err := io.ReadFull(sent, got)
		if err != nil || string(got) != want {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	}
	for _, step := range [][2]string{{"one\n", "one\n"}, {"two\nthr", "two\n"}, {"ee\n\nfo", "three\n\n"}, {"ur", ""}} {
		_, err := io.WriteString(write, step[0])
		if err != nil {
			t.Fatal(err)
		}
		expect(step[1])
	}
	_ = write.Close()
	expect("four")
	err := <-done
	if err != nil {
		t.Fatal(err)
	}
}

// pieces counts the writes of a batch.
type pieces struct {
	bytes.Buffer
	writes int
}

func (p *pieces) Write(b []byte) (int, error) {
	p.writes++
	return p.Buffer.Write(b)
}

func TestLinesOfAFileTravelTogether(t *testing.T) {
	text := strings.Repeat("a line of some length\n", 10_000) + strings.Repeat("x", 300<<10) + "\n" + "the last"
	var b batch
	var out pieces
	err := b.feed(strings.NewReader(text), &out, func(int64) {})
	if err != nil || out.String() != text || out.writes > 30 {
		t.Fatalf("got %d octets of %d in %d writes, %v", out.Len(), len(text), out.writes, err)
	}
}

// Answers come while lines are still being read.
func TestLinesAreReadWhileAnswersCome(t *testing.T) {
	const many = 20_000
	b := batch{settled: make(map[int]bool), deferred: make(map[int]client.Answer), out: json.NewEncoder(io.Discard), err: io.Discard}
	done := make(chan error, 1)
	go func() { done <- b.feed(strings.NewReader(strings.Repeat("{}\n", many)), io.Discard, func(int64) {}) }()
	for n := range many {
		err := b.take(client.Answer{Line: n + 1, Status: client.Refused})
		if err != nil {
			t.Fatal(err)
		}
	}
	err := <-done
	if err != nil {
		t.Fatal(err)
	}
}
