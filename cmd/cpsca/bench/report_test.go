package bench

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// example is the result of a run that nobody made.
func example() *Result {
	r := &Result{
		Machine: Machine{Processor: "A & B <64>", Cores: 2, Memory: 24e9, System: "linux/amd64 6.1", Disk: "ext4", Go: "go1.26"},
		Rounds:  make(map[string][]Round),
		Began:   time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC), Seconds: 800,
	}
	add := func(name string, number float64, unit string) {
		r.Figures = append(r.Figures, Figure{"issue." + name, number, unit})
	}
	for name, v := range map[string][4]float64{"rsa4096": {560, 532, 514, 0.966}, "p384": {2900, 1810, 1650, 0.912}, "p256": {24100, 12300, 7900, 0.642}} {
		r.Rounds[name] = []Round{{Raw: v[0], Before: v[1] - 10, Rate: v[2], After: v[1] + 10, Authority: 2e6/v[1] + 60, Bureau: 20}}
		add("raw_sign_"+name, v[0], perSec)
		add("floor_"+name, v[1], perSec)
		add("certs_"+name, v[2], perSec)
		add("ratio_"+name, v[3], ratio)
	}
	for i := range 1200 {
		r.Latencies = append(r.Latencies, 2.5+0.002*float64(i)+max(0, float64(i-1150))*0.3)
	}
	add("single_p50_ms", quantile(r.Latencies, 0.5), millis)
	add("single_p99_ms", quantile(r.Latencies, 0.99), millis)
	add("single_floor_ms", 1.8, millis)
	add("single_p50_floors", quantile(r.Latencies, 0.5)/1.8, ratio)
	add("rss_mb", 121.4, mega)
	add("rss_lines", 200000, count)
	add("rss_certs", 7600, perSec)
	add("with_all", 7900, perSec)
	for n, protection := range protections {
		add("without_"+protection, 7900+400*float64(n), perSec)
	}
	add("stored", 2000000, count)
	add("growth", 0.913, ratio)
	return r
}

const skeleton = "# P\n\nBefore.\n\n<!-- bench machine -->\nold\n<!-- end of machine -->\n<!-- bench rates -->\n<!-- end of rates -->\n<!-- bench time -->\n<!-- end of time -->\nBetween.\n<!-- bench single -->\n" +
	"<!-- end of single -->\n<!-- bench prices -->\n<!-- end of prices -->\n<!-- bench others -->\n<!-- end of others -->\n\nAfter.\n"

func TestTheReportBringsTablesAndPlotsUpToDate(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, document)
	err := os.WriteFile(path, []byte(skeleton), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	err = writeReport(folder, example())
	if err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# P\n\nBefore.\n", "\nBetween.\n", "\n\nAfter.\n", "| processor | A & B <64>, 2 cores |", "23 November 2026, in 13 minutes",
		"| P-256 issuer, P-256 cards | 24\u202f100 | 12\u202f300 | 7\u202f900 | 0.642 | ≥ 0.65 **missed**, ≥ 7\u202f500/s |",
		"| P-384 issuer, P-256 cards | 2\u202f900 | 1\u202f810 | 1\u202f650 | 0.912 | ≥ 0.9 |",
		"| P-256 issuer, P-256 cards | 163 | 60 | 20 | 11 | 253 |",
		"| without durable commits | 9\u202f100 | +15.2 % |", "| 121 MB | ≤ 256 |", "| PostgreSQL ÷ SQLite | — | ≥ 0.75 |", "| 0.913 | ≥ 0.8 |",
	} {
		if !strings.Contains(string(first), want) {
			t.Errorf("the document lacks %q:\n%s", want, first)
		}
	}
	if strings.Contains(string(first), "old") {
		t.Error("the old table is still there")
	}
	files, err := os.ReadDir(filepath.Join(folder, beside))
	if err != nil || len(files) != 4 {
		t.Fatalf("got %v, %v, want three plots and the result", files, err)
	}
	err = writeReport(folder, example())
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("the same result made another document: %v", err)
	}
}

func TestADocumentWithoutMarksIsLeftAsItIs(t *testing.T) {
	for _, mark := range slices.Sorted(maps.Keys(example().tables())) {
		folder := t.TempDir()
		path := filepath.Join(folder, document)
		text := strings.ReplaceAll(skeleton, "<!-- end of "+mark+" -->", "")
		err := os.WriteFile(path, []byte(text), 0o644)
		if err != nil {
			t.Fatal(err)
		}
		err = writeReport(folder, example())
		if !errors.Is(err, errMarks) {
			t.Errorf("without the mark %s: got %v", mark, err)
		}
		left, err := os.ReadFile(path)
		if err != nil || string(left) != text {
			t.Errorf("without the mark %s: the document was touched: %v", mark, err)
		}
	}
}

func TestPlotsAreWellFormedAndSayWhatTheyShow(t *testing.T) {
	for name, want := range map[string][]string{
		"rates.svg":   {"RSA-4096 issuer, RSA-2048 cards", "certificates per second (token alone: signatures per second)", "12\u202f300", "(64 % of the floor)"},
		"prices.svg":  {"everything on", "without weak-key gate", "certificates per second", "(+15 %)"},
		"latency.svg": {"share of applications", "milliseconds", "floor: 1.8 ms", "99 %: "},
	} {
		plot := example().plots()[name]
		decoder := xml.NewDecoder(bytes.NewReader(plot))
		var texts strings.Builder
		for {
			token, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, plot)
			}
			if text, ok := token.(xml.CharData); ok {
				texts.Write(text)
			}
		}
		for _, w := range append(want, "prefers-color-scheme: dark") {
			if !strings.Contains(texts.String(), w) {
				t.Errorf("%s does not say %q", name, w)
			}
		}
		if bytes.Contains(plot, []byte("NaN")) || bytes.Contains(plot, []byte("Inf")) || bytes.Contains(plot, []byte("%!")) {
			t.Errorf("%s holds what is no number:\n%s", name, plot)
		}
	}
}

func TestWhatWasNotMeasuredIsNotDrawn(t *testing.T) {
	if plots := new(Result).plots(); len(plots) != 0 {
		t.Errorf("got %d plots of nothing", len(plots))
	}
}

func TestNumbersAreGrouped(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.25: "0.25", 99: "99", 100: "100", 1234.4: "1\u202f234", 2000000: "2\u202f000\u202f000"} {
		if got := grouped(v); got != want {
			t.Errorf("%v: got %q, want %q", v, got, want)
		}
	}
}
