package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// report gathers what the judges said, for people: scene by scene, each verdict
// beside the expected one.
type report struct {
	out    io.Writer // one line per scene while the story is told
	began  time.Time
	text   strings.Builder
	tables []row // of the scene under way
	notes  []string
	judged int
	wrong  int
	bad    int // of the scene under way
	good   int
}

type row struct{ judge, about, want, got string }

func (r *report) chapter(preset string) {
	fmt.Fprintf(r.out, "\n%s\n", preset)
	fmt.Fprintf(&r.text, "\n## %s\n", preset)
}

func (r *report) scene(title string) {
	fmt.Fprintf(r.out, "  %-72s", title)
	fmt.Fprintf(&r.text, "\n### %s\n\n", title)
}

func (r *report) note(text string) { r.notes = append(r.notes, text) }

func (r *report) verdict(judge, about, want, got string) {
	r.judged++
	if want == got {
		r.good++
	} else {
		r.wrong++
		r.bad++
	}
	r.tables = append(r.tables, row{judge, about, want, got})
}

// took ends a scene.
func (r *report) took(d time.Duration) {
	sign := "✓"
	if r.bad > 0 {
		sign = "✗"
	}
	fmt.Fprintf(r.out, "%s %3d %s  %4.1f s\n", sign, r.good+r.bad, say("verdicts", "verdicts"), d.Seconds())
	r.flush()
}

func (r *report) flush() {
	for _, n := range r.notes {
		fmt.Fprintf(&r.text, "%s\n\n", n)
	}
	if len(r.tables) > 0 {
		fmt.Fprintf(&r.text, "| | %s | %s | %s | %s |\n|---|---|---|---|---|\n",
			say("judge", "juge"), say("about", "objet"), say("expected", "attendu"), say("verdict", "verdict"))
	}
	for _, v := range r.tables {
		sign := "✓"
		if v.want != v.got {
			sign = "✗"
		}
		fmt.Fprintf(&r.text, "| %s | %s | %s | %s | %s |\n", sign, v.judge, v.about, v.want, strings.ReplaceAll(v.got, "\n", " "))
	}
	r.tables, r.notes, r.bad, r.good = nil, nil, 0, 0
}

func (r *report) write(path string) error {
	r.flush()
	verdict := fmt.Sprintf(say("%d verdicts, all as expected", "%d verdicts, tous conformes"), r.judged)
	if r.wrong > 0 {
		verdict = fmt.Sprintf(say("%d verdicts, %d **not as expected**", "%d verdicts, dont %d **non conformes**"), r.judged, r.wrong)
	}
	header := fmt.Sprintf("# %s\n\n%s. %s, %.0f s.\n", say("The life of a few cards", "La vie de quelques cartes"), verdict,
		r.began.UTC().Format("2006-01-02 15:04:05 UTC"), time.Since(r.began).Seconds())
	fmt.Fprintf(r.out, "\n%s; %s\n", verdict, path)
	return os.WriteFile(path, []byte(header+r.text.String()), 0o644)
}
