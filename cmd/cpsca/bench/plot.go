package bench

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// drawing is an SVG 1.1 picture, built line by line. It is read on light and on
// dark paper: colours are those of classes, and the paper is part of it.
type drawing struct {
	strings.Builder
	width, height float64
}

// The look. Sizes are in user units, as browsers show them one to one.
const (
	look = `
.paper { fill: #ffffff } .text { fill: #1f2328 } .quiet { fill: #59636e } .grid { stroke: #d1d9e0 } .axis { stroke: #59636e }
.a { fill: #9aa4b2 } .b { fill: #4b8bd4 } .c { fill: #0b7a4b } .curve { stroke: #0b7a4b; fill: none; stroke-width: 2 } .mark { stroke: #b35900 }
@media (prefers-color-scheme: dark) {
.paper { fill: #0d1117 } .text { fill: #e6edf3 } .quiet { fill: #9198a1 } .grid { stroke: #2f353d } .axis { stroke: #9198a1 }
.a { fill: #6e7681 } .b { fill: #58a6ff } .c { fill: #3fb950 } .curve { stroke: #3fb950 } .mark { stroke: #f0883e }
}
text { font-family: system-ui, sans-serif; font-size: 13px } .title { font-size: 15px; font-weight: 600 }
`
	margin    = 16.0
	labels    = 200.0 // width of the labels of bars
	numbers   = 70.0  // width of the numbers after bars
	barHeight = 22.0
	barStep   = 28.0
	lineStep  = 20.0
)

func newDrawing(width, height float64, title string) *drawing {
	d := &drawing{width: width, height: height}
	fmt.Fprintf(d, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" width=\"%g\" height=\"%g\" role=\"img\">\n<title>%s</title>\n<style>%s</style>\n",
		width, height, width, height, html.EscapeString(title), look)
	fmt.Fprintf(d, "<rect class=\"paper\" width=\"%g\" height=\"%g\" rx=\"6\"/>\n", width, height)
	d.words(margin, margin+14, "title text", "start", title)
	return d
}

func (d *drawing) end() []byte {
	d.WriteString("</svg>\n")
	return []byte(d.String())
}

func (d *drawing) words(x, y float64, class, anchor, text string) {
	fmt.Fprintf(d, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", class, x, y, anchor, html.EscapeString(text))
}

func (d *drawing) line(x1, y1, x2, y2 float64, class, more string) {
	fmt.Fprintf(d, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"%s/>\n", class, x1, y1, x2, y2, more)
}

// bar is one value of a chart.
type bar struct {
	label, class string
	value        float64
	note         string // after the number
}

// bars draws a chart of horizontal bars from y on, and returns where it ends. Its
// axis begins at zero.
func (d *drawing) bars(y float64, title, axis string, all []bar) float64 {
	most := 0.0
	for _, b := range all {
		most = max(most, b.value)
	}
	left, right := margin+labels, d.width-margin-numbers-60
	step := tick(most)
	scale := (right - left) / max(most, step)
	if title != "" {
		d.words(margin, y+14, "text", "start", title)
		y += lineStep + 4
	}
	bottom := y + barStep*float64(len(all))
	for v := 0.0; v <= most+step/1000; v += step {
		d.line(left+v*scale, y, left+v*scale, bottom, "grid", "")
		d.words(left+v*scale, bottom+lineStep-4, "quiet", "middle", grouped(v))
	}
	for _, b := range all {
		d.words(left-10, y+barHeight/2+5, "text", "end", b.label)
		fmt.Fprintf(d, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%g\" rx=\"2\"/>\n", b.class, left, y+2, b.value*scale, barHeight-4)
		d.words(left+b.value*scale+8, y+barHeight/2+5, "text", "start", strings.TrimSpace(grouped(b.value)+"  "+b.note))
		y += barStep
	}
	d.line(left, bottom-barStep*float64(len(all)), left, bottom, "axis", "")
	d.words((left+right)/2, bottom+2*lineStep-4, "quiet", "middle", axis)
	return bottom + 2*lineStep + 14
}

// tick is a round distance of which there are four to eight up to a value.
func tick(most float64) float64 {
	if most <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(most)))
	for _, part := range []float64{0.1, 0.2, 0.25, 0.5, 1, 2} {
		if most/(unit*part) <= 8 {
			return unit * part
		}
	}
	return unit
}

// grouped writes a number for people: whole from a hundred on, with thin spaces
// between thousands.
func grouped(v float64) string {
	if v < 100 {
		return strconv.FormatFloat(v, 'f', -1, 64)[:min(5, len(strconv.FormatFloat(v, 'f', -1, 64)))]
	}
	text := strconv.FormatFloat(v, 'f', 0, 64)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "\u202f" + text[at:]
	}
	return text
}

// titles of the suites, for people.
var titles = map[string]string{
	rsa4096.name: "RSA-4096 issuer, RSA-2048 cards", p384.name: "P-384 issuer, P-256 cards", p256.name: "P-256 issuer, P-256 cards",
}

// plotRates draws rates beside their floors, a panel for each suite: their
// scales have nothing in common.
func plotRates(r *Result) []byte {
	measured := r.measured()
	d := newDrawing(760, 50+float64(len(measured))*(lineStep+4+3*barStep+2*lineStep+14), "Issuance beside what token and processors can do")
	y := margin + 34
	for _, s := range measured {
		raw, _ := r.number("issue.raw_sign_" + s.name)
		floor, _ := r.number("issue.floor_" + s.name)
		rate, _ := r.number("issue.certs_" + s.name)
		share, _ := r.number("issue.ratio_" + s.name)
		y = d.bars(y, titles[s.name], "certificates per second (token alone: signatures per second)", []bar{
			{"token alone", "a", raw.Number, ""},
			{"floor: cryptography alone", "b", floor.Number, ""},
			{"authority, everything on", "c", rate.Number, fmt.Sprintf("(%.0f %% of the floor)", 100*share.Number)},
		})
	}
	return d.end()
}

// measured are the suites whose rates are known.
func (r *Result) measured() []suite {
	var out []suite
	for _, s := range suites {
		_, ok := r.number("issue.ratio_" + s.name)
		if ok {
			out = append(out, s)
		}
	}
	return out
}

// plotPrices draws what the rate is without one protection at a time.
func plotPrices(r *Result) []byte {
	with, _ := r.number("issue.with_all")
	all := []bar{{"everything on", "c", with.Number, ""}}
	for _, protection := range protections {
		f, _ := r.number("issue.without_" + protection)
		all = append(all, bar{"without " + names[protection], "b", f.Number, fmt.Sprintf("(%+.0f %%)", 100*(f.Number/with.Number-1))})
	}
	d := newDrawing(760, 50+float64(len(all))*barStep+2*lineStep+14, "The price of each protection, P-256")
	d.bars(margin+30, "", "certificates per second", all)
	return d.end()
}

// names of the protections, for people.
var names = map[string]string{
	"verification": "verification", "journal": "journal", "keys": "weak-key gate", "durability": "durable commits",
}

// plotLatency draws how many applications were answered within which time. The
// scale of time is logarithmic.
func plotLatency(r *Result) []byte {
	d := newDrawing(760, 380, "Single applications, twenty a second: answered within")
	left, right, top, bottom := margin+56, d.width-margin-20, margin+44, d.height-margin-44
	floor, _ := r.number("issue.single_floor_ms")
	least := min(r.Latencies[0], floor.Number)
	from, to := math.Floor(math.Log10(least)*4)/4, math.Ceil(math.Log10(r.Latencies[len(r.Latencies)-1])*4)/4
	x := func(ms float64) float64 { return left + (math.Log10(ms)-from)/max(to-from, 0.25)*(right-left) }
	y := func(share float64) float64 { return bottom - share*(bottom-top) }
	for share := 0.0; share <= 1; share += 0.25 {
		d.line(left, y(share), right, y(share), "grid", "")
		d.words(left-8, y(share)+5, "quiet", "end", fmt.Sprintf("%.0f %%", 100*share))
	}
	for power := math.Floor(from); power <= to; power++ {
		for _, digit := range []float64{1, 2, 5} {
			ms := digit * math.Pow(10, power)
			if at := math.Log10(ms); at >= from && at <= to {
				d.line(x(ms), top, x(ms), bottom, "grid", "")
				d.words(x(ms), bottom+18, "quiet", "middle", strconv.FormatFloat(ms, 'g', -1, 64))
			}
		}
	}
	d.WriteString("<polyline class=\"curve\" points=\"")
	for i := range 401 {
		q := float64(i) / 400
		fmt.Fprintf(d, "%.1f,%.1f ", x(quantile(r.Latencies, q)), y(q))
	}
	d.WriteString("\"/>\n")
	for _, m := range []struct {
		name   string
		ms, at float64
	}{{"floor", floor.Number, top + lineStep}, {"half", quantile(r.Latencies, 0.5), bottom - 12}, {"99 %", quantile(r.Latencies, 0.99), bottom - 12 - lineStep}} {
		d.line(x(m.ms), top, x(m.ms), bottom, "mark", " stroke-dasharray=\"4 3\"")
		d.words(x(m.ms)+5, m.at, "text", "start", fmt.Sprintf("%s: %.1f ms", m.name, m.ms))
	}
	d.words((left+right)/2, bottom+38, "quiet", "middle", "milliseconds from the moment at which the application was due (logarithmic)")
	d.words(left-40, top-12, "quiet", "start", "share of applications")
	return d.end()
}
