package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// document is the file that tells people what was measured; plots and the result
// itself are in a folder beside it.
const (
	document = "PERFORMANCE.md"
	beside   = "performance"
)

// goal is what a figure must reach.
type goal struct {
	figure string
	least  bool // the bound is one from below
	bound  float64
}

// goals are those of the signing path.
var goals = []goal{
	{"issue.ratio_rsa4096", true, 0.95}, {"issue.ratio_p384", true, 0.90}, {"issue.ratio_p256", true, 0.65},
	{"issue.certs_p256", true, 7500}, {"issue.rss_mb", false, 256}, {"issue.ratio_postgres", true, 0.75}, {"issue.growth", true, 0.80},
	{"issue.single_p50_floors", false, 3},
}

func (g goal) met(number float64) bool {
	if g.least {
		return number >= g.bound
	}
	return number <= g.bound
}

func (g goal) String() string {
	if g.least {
		return "≥ " + grouped(g.bound)
	}
	return "≤ " + grouped(g.bound)
}

// wanted is the bound of a figure in words, and a mark if it was missed.
func (r *Result) wanted(name string) string {
	for _, g := range goals {
		if g.figure != name {
			continue
		}
		f, ok := r.number(name)
		if ok && !g.met(f.Number) {
			return g.String() + " **missed**"
		}
		return g.String()
	}
	return ""
}

// cell is a figure in a table.
func (r *Result) cell(name string) string {
	f, ok := r.number(name)
	switch {
	case !ok:
		return "—"
	case f.Unit == ratio || f.Unit == millis:
		return f.text()
	}
	return grouped(f.Number)
}

// errMarks: the document has not the places that the tables belong into.
var errMarks = errors.New("the document lacks the marks of a table")

// writeReport brings the tables of the document in a folder up to date and
// writes the plots beside it. The text around the tables stays as it is.
func writeReport(folder string, r *Result) error {
	path := filepath.Join(folder, document)
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	for mark, table := range r.tables() {
		text, err = replaced(text, mark, table)
		if err != nil {
			return fmt.Errorf("writing the report: %s: %w", path, err)
		}
	}
	err = os.MkdirAll(filepath.Join(folder, beside), 0o755)
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	files := r.plots()
	files["issue.json"], err = json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	files["issue.json"] = append(files["issue.json"], '\n')
	for name, content := range files {
		err = os.WriteFile(filepath.Join(folder, beside, name), content, 0o644)
		if err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	return os.WriteFile(path, text, 0o644)
}

// plots are those of which every number was measured.
func (r *Result) plots() map[string][]byte {
	out := make(map[string][]byte)
	if len(r.measured()) > 0 {
		out["rates.svg"] = plotRates(r)
	}
	if _, ok := r.number("issue.with_all"); ok {
		out["prices.svg"] = plotPrices(r)
	}
	if len(r.Latencies) > 0 {
		out["latency.svg"] = plotLatency(r)
	}
	return out
}

// replaced puts a table between the marks of its name.
func replaced(text []byte, mark, table string) ([]byte, error) {
	begin, end := "<!-- bench "+mark+" -->\n", "<!-- end of "+mark+" -->"
	before, rest, ok := bytes.Cut(text, []byte(begin))
	_, after, closed := bytes.Cut(rest, []byte(end))
	if !ok || !closed {
		return nil, fmt.Errorf("%w: %s", errMarks, mark)
	}
	return bytes.Join([][]byte{before, []byte(begin), []byte(table), []byte(end), after}, nil), nil
}

// tables are those of the document, by their marks.
func (r *Result) tables() map[string]string {
	return map[string]string{"machine": r.machineTable(), "rates": r.ratesTable(), "time": r.timeTable(), "single": r.singleTable(), "prices": r.pricesTable(), "others": r.othersTable()}
}

// table writes rows, the first of which is the head.
func table(rows ...[]string) string {
	var b strings.Builder
	for n, row := range rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		if n == 0 {
			b.WriteString("|" + strings.Repeat("---|", len(row)) + "\n")
		}
	}
	return b.String()
}

func (r *Result) machineTable() string {
	m := r.Machine
	return table(
		[]string{"", ""},
		[]string{"processor", fmt.Sprintf("%s, %d cores", m.Processor, m.Cores)},
		[]string{"memory", fmt.Sprintf("%.0f GB", float64(m.Memory)/1e9)},
		[]string{"system", m.System + ", " + m.Go},
		[]string{"file system", m.Disk},
		[]string{"measured", fmt.Sprintf("%s, in %.0f minutes", r.Began.Format("2 January 2006"), r.Seconds/60)},
	)
}

func (r *Result) ratesTable() string {
	rows := [][]string{{"issuer and cards", "token alone, signatures/s", "floor, certificates/s", "authority, certificates/s", "of the floor", "must"}}
	for _, s := range suites {
		wanted := r.wanted("issue.ratio_" + s.name)
		if s == p256 {
			wanted += ", " + r.wanted("issue.certs_p256") + "/s"
		}
		rows = append(rows, []string{titles[s.name], r.cell("issue.raw_sign_" + s.name), r.cell("issue.floor_" + s.name),
			r.cell("issue.certs_" + s.name), r.cell("issue.ratio_" + s.name), wanted})
	}
	return table(rows...)
}

// timeTable tells where the processors' time goes that there is for one
// certificate: all of it is the number of cores divided by the rate, and the
// floor tells how much of that is cryptography.
func (r *Result) timeTable() string {
	rows := [][]string{{"µs of processor per certificate", "cryptography", "rest of the authority", "bureau", "idle", "together"}}
	for _, s := range r.measured() {
		rounds := r.Rounds[s.name]
		cores := float64(r.Machine.Cores) * 1e6
		all := cores / medianOf(rounds, func(o Round) float64 { return o.Rate })
		cryptography := cores / medianOf(rounds, Round.floor)
		authority, bureau := medianOf(rounds, func(o Round) float64 { return o.Authority }), medianOf(rounds, func(o Round) float64 { return o.Bureau })
		row := []string{titles[s.name]}
		for _, part := range []float64{cryptography, authority - cryptography, bureau, all - authority - bureau, all} {
			row = append(row, fmt.Sprintf("%.0f", max(0, part)))
		}
		rows = append(rows, row)
	}
	return table(rows...)
}

func (r *Result) singleTable() string {
	return table(
		[]string{"half within", "99 % within", "floor", "half ÷ floor", "must"},
		[]string{r.cell("issue.single_p50_ms") + " ms", r.cell("issue.single_p99_ms") + " ms", r.cell("issue.single_floor_ms") + " ms",
			r.cell("issue.single_p50_floors"), r.wanted("issue.single_p50_floors")},
	)
}

func (r *Result) pricesTable() string {
	with, _ := r.number("issue.with_all")
	rows := [][]string{{"", "certificates/s", "faster by"}, {"everything on", r.cell("issue.with_all"), ""}}
	for _, protection := range protections {
		gain := "—"
		if f, ok := r.number("issue.without_" + protection); ok {
			gain = fmt.Sprintf("%+.1f %%", 100*(f.Number/with.Number-1))
		}
		rows = append(rows, []string{"without " + names[protection], r.cell("issue.without_" + protection), gain})
	}
	return table(rows...)
}

func (r *Result) othersTable() string {
	return table(
		[]string{"", "", "must"},
		[]string{fmt.Sprintf("memory of the authority during a batch of %s lines", r.cell("issue.rss_lines")), r.cell("issue.rss_mb") + " MB", r.wanted("issue.rss_mb")},
		[]string{"rate of that batch", r.cell("issue.rss_certs") + " certificates/s", ""},
		[]string{"PostgreSQL ÷ SQLite", r.cell("issue.ratio_postgres"), r.wanted("issue.ratio_postgres")},
		[]string{fmt.Sprintf("with %s certificates stored ÷ with none", r.cell("issue.stored")), r.cell("issue.growth"), r.wanted("issue.growth")},
	)
}
