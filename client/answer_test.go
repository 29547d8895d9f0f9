package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"cpsca/card"
)

// someAnswer draws an answer; most are as the authority gives them.
func someAnswer(r *rand.Rand) Answer {
	text := func() string {
		if r.IntN(4) > 0 {
			return []string{"", "o1", "4ny7xeg65fym4vgy", "2826434078"}[r.IntN(4)]
		}
		return []string{"<é>", "\"", "\\", "a\nb", "\xff", "\u2028", "&amp;", "\x7f", "~ "}[r.IntN(9)]
	}
	a := Answer{Line: r.IntN(3000) - 5, Order: card.OrderID(text()), Card: card.Number(text()), Status: []string{Issued, Refused, text()}[r.IntN(3)], Replayed: r.IntN(2) == 0}
	for range r.IntN(4) {
		one := IssuedCertificate{Use: card.Uses[r.IntN(2)], Certificate: make([]byte, r.IntN(40))}
		for i := range one.Certificate {
			one.Certificate[i] = byte(r.Uint32())
		}
		for i := range one.Serial {
			one.Serial[i] = byte(r.Uint32())
		}
		switch r.IntN(12) {
		case 0:
			one.Certificate = nil
		case 1:
			one.Use = card.Use(text())
		}
		a.Certificates = append(a.Certificates, one)
	}
	if r.IntN(8) == 0 {
		a.Problem = &Problem{Type: ProblemPrefix + "x", Title: text(), Status: 400, Reason: text(), Line: a.Line}
	}
	return a
}

func TestAnAnswerIsWrittenAsEncodingJSONWritesIt(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	quick := 0
	for range 20_000 {
		a := someAnswer(r)
		want, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		got, err := a.AppendJSON([]byte("x"))
		if err != nil || string(got) != "x"+string(want) {
			t.Fatalf("got %s, %v, want %s", got, err, want)
		}
		var read, long Answer
		if scanAnswer(want, &read) {
			quick++
			err = json.Unmarshal(want, &long)
			if err != nil || !reflect.DeepEqual(read, long) {
				t.Fatalf("%s: got %+v, want %+v, %v", want, read, long, err)
			}
		}
	}
	if quick < 5_000 {
		t.Errorf("%d answers were read in passing", quick)
	}
}

func TestWhatTheAuthorityIssuesIsReadInPassing(t *testing.T) {
	a := Answer{Line: 12, Order: "4ny7xeg65fym4vgy", Card: "2826434078", Status: Issued, Certificates: []IssuedCertificate{
		{Use: card.Authentication, Serial: card.Serial{0x10, 1}, Certificate: []byte("one")}, {Use: card.Signature, Serial: card.Serial{0x10, 2}, Certificate: []byte("two!")},
	}}
	text, err := a.AppendJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	var got Answer
	if !scanAnswer(text, &got) || !reflect.DeepEqual(got, a) {
		t.Fatalf("%s: got %+v", text, got)
	}
}

// FuzzAnswer: what is read in passing is what encoding/json reads.
func FuzzAnswer(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		a := someAnswer(r)
		text, err := a.AppendJSON(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, want Answer
		if !scanAnswer(text, &got) {
			return
		}
		err := json.Unmarshal(text, &want)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: got %+v, want %+v, %v", text, got, want, err)
		}
	})
}

func TestAnswersAreReadHoweverTheyAreCut(t *testing.T) {
	long := `{"line":2,"status":"refused","replayed":false,"problem":{"title":"` + strings.Repeat("x", 200<<10) + `"}}`
	text := `{"line":1,"status":"issued","replayed":false}` + "\n\n" + long + "\r\n" + ` {"line":3}`
	for name, r := range map[string]io.Reader{"at once": strings.NewReader(text), "octet by octet": iotest.OneByteReader(strings.NewReader(text))} {
		var lines []int
		for a, err := range answers(r) {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			lines = append(lines, a.Line)
		}
		if !reflect.DeepEqual(lines, []int{1, 2, 3}) {
			t.Errorf("%s: got lines %v", name, lines)
		}
	}
	for name, c := range map[string]struct {
		r    io.Reader
		want error
	}{
		"cut in a line":          {strings.NewReader(`{"line":1,"sta`), io.ErrUnexpectedEOF},
		"a connection that ends": {io.MultiReader(strings.NewReader("{\"line\":1}\n"), iotest.ErrReader(io.ErrClosedPipe)), io.ErrClosedPipe},
		"a line without end":     {io.LimitReader(zeros{}, 1<<30), ErrAnswer},
	} {
		var got error
		for _, err := range answers(c.r) {
			got = err
		}
		if !errors.Is(got, c.want) {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return copy(b, bytes.Repeat([]byte{'0'}, len(b))), nil }

// BenchmarkAnswer is what both ends spend on one answer.
func BenchmarkAnswer(b *testing.B) {
	a := Answer{Line: 12, Order: "4ny7xeg65fym4vgy", Card: "2826434078", Status: Issued, Certificates: []IssuedCertificate{
		{Use: card.Authentication, Certificate: make([]byte, 1500)}, {Use: card.Signature, Certificate: make([]byte, 1500)},
	}}
	text, err := a.AppendJSON(nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			text, _ = a.AppendJSON(text[:0])
		}
	})
	b.Run("write by encoding/json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = json.Marshal(a)
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, err = readAnswer(text)
		}
	})
	b.Run("read by encoding/json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var into Answer
			err = json.Unmarshal(text, &into)
		}
	})
}
