package ui

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Series is one kind of thing over time; Class is its colour, "s0" to "s5". In a
// LineChart a value below zero is none: the line has a gap.
type Series struct {
	Label, Class string
	Values       []int64
}

// Bars is a chart of stacked bars or of lines, with a table that says the same.
type Bars struct {
	Title  string
	Labels []string // one for each bar
	Series []Series
	Unit   string // of the values: "calls"
}

// The drawing is as wide as where it stands and has a fixed height, so that its
// words are of one size on every screen: what is across is given in percent.
const (
	chartHeight, chartTop, chartBottom = 220, 10, 28
	axisWidth                          = 52
	sparkWidth, sparkHeight            = 120, 28
)

// column is what stands over one label.
type column struct {
	title string
	parts []bar
}

type bar struct{ x, y, w, h, class string }

type tick struct{ y, label string }

func (b Bars) totals() (sums []int64, top int64) {
	sums = make([]int64, len(b.Labels))
	for _, s := range b.Series {
		for i, v := range s.Values {
			if i < len(sums) {
				sums[i] += max(v, 0)
			}
		}
	}
	for _, s := range sums {
		top = max(top, s)
	}
	return sums, top
}

// peak is the highest single value.
func (b Bars) peak() int64 {
	var top int64
	for _, s := range b.Series {
		for _, v := range s.Values {
			top = max(top, v)
		}
	}
	return top
}

func (b Bars) nothing() bool { return len(b.Labels) == 0 || b.peak() == 0 }

// level is the height of a value in the drawing, from the top.
func level(v, top int64) float64 {
	return float64(chartHeight-chartBottom) - float64(v)/float64(top)*float64(chartHeight-chartTop-chartBottom)
}

func (b Bars) columns() []column {
	sums, top := b.totals()
	if top == 0 {
		return nil
	}
	top = niceTop(top)
	step := 100 / float64(len(b.Labels))
	gap := step / 5
	var out []column
	for i, label := range b.Labels {
		if sums[i] == 0 {
			continue
		}
		c := column{title: label + ": " + Quantity(sums[i]) + " " + b.Unit}
		var said []string
		var below int64
		for _, s := range b.Series {
			if i >= len(s.Values) || s.Values[i] <= 0 {
				continue
			}
			foot, head := level(below, top), level(below+s.Values[i], top)
			below += s.Values[i]
			// What is there is seen, however little it is.
			height := max(foot-head, 1)
			c.parts = append(c.parts, bar{x: percent(float64(i)*step + gap/2), y: num(foot - height), w: percent(step - gap), h: num(height), class: s.Class})
			said = append(said, s.Label+" "+Quantity(s.Values[i]))
		}
		if len(b.Series) > 1 {
			c.title += " (" + strings.Join(said, ", ") + ")"
		}
		out = append(out, c)
	}
	return out
}

// lines are the points of a series for polylines, one for each part without a gap.
func (b Bars) lines(s Series) []string {
	top := niceTop(max(b.peak(), 1))
	var out []string
	var points []string
	flush := func() {
		if len(points) == 1 { // a single figure is drawn as a short dash
			x, y, _ := strings.Cut(points[0], ",")
			f, _ := strconv.ParseFloat(x, 64)
			points = []string{num(f-3) + "," + y, num(f+3) + "," + y}
		}
		if points != nil {
			out = append(out, strings.Join(points, " "))
		}
		points = nil
	}
	for i, v := range s.Values {
		if i >= len(b.Labels) {
			break
		}
		if v < 0 {
			flush()
			continue
		}
		x := (float64(i) + 0.5) * 1000 / float64(len(b.Labels))
		points = append(points, num(x)+","+num(level(v, top)))
	}
	flush()
	return out
}

func ticks(top int64) []tick {
	n := niceTop(max(top, 1))
	parts := min(n, 4)
	var out []tick
	for i := int64(0); i <= parts; i++ {
		out = append(out, tick{num(level(n*i/parts, n)), short(n * i / parts)})
	}
	return out
}

// xLabel is a word below the drawing; class "minor" is left out on a phone.
type xLabel struct{ x, anchor, class, text string }

func (b Bars) xLabels() []xLabel {
	n := len(b.Labels)
	if n == 0 {
		return nil
	}
	every := (n + 7) / 8
	step := 100 / float64(n)
	var out []xLabel
	for i := 0; i < n; i += every {
		l := xLabel{x: percent((float64(i) + 0.5) * step), anchor: "middle", text: b.Labels[i]}
		// Words at the right edge stay inside; at the left the axis leaves them room.
		if at := (float64(i) + 0.5) * step; at > 92 && n > 6 {
			l.x, l.anchor = percent(float64(i+1)*step), "end"
		}
		if len(out)%2 == 1 && n > 3 {
			l.class = "minor"
		}
		out = append(out, l)
	}
	return out
}

func (b Bars) summary() string {
	sums, _ := b.totals()
	var all int64
	most := 0
	for i, s := range sums {
		all += s
		if s > sums[most] {
			most = i
		}
	}
	if all == 0 {
		return b.Title + ": nothing"
	}
	return fmt.Sprintf("%s: %s %s in all, most at %s", b.Title, Quantity(all), b.Unit, b.Labels[most])
}

// lineSummary says a chart of lines in words.
func (b Bars) lineSummary() string {
	said := []string{}
	for _, s := range b.Series {
		var top int64 = -1
		for _, v := range s.Values {
			top = max(top, v)
		}
		if top >= 0 {
			said = append(said, s.Label+" up to "+Quantity(top)+" "+b.Unit)
		}
	}
	if len(said) == 0 {
		return b.Title + ": nothing"
	}
	return b.Title + ": " + strings.Join(said, ", ")
}

// figure is a value as the table writes it.
func figure(s Series, i int) string {
	if i >= len(s.Values) || s.Values[i] < 0 {
		return "–"
	}
	return Quantity(s.Values[i])
}

// niceTop is a round number at or above n that four lines divide.
func niceTop(n int64) int64 {
	if n <= 4 {
		return max(n, 1)
	}
	p := int64(1)
	for p <= n/10 {
		p *= 10
	}
	for _, m := range []int64{1, 2, 4, 6, 8} {
		if t := p * m; t >= n && t%4 == 0 {
			return t
		}
	}
	if p == 1 { // 9 and 10
		return 12
	}
	return p * 10
}

func short(n int64) string {
	switch f := float64(n); {
	case n < 10_000:
		return Quantity(n)
	case n < 1_000_000:
		return strconv.FormatFloat(f/1e3, 'f', -1, 64) + " k"
	case n < 1_000_000_000:
		return strconv.FormatFloat(f/1e6, 'f', -1, 64) + " M"
	default:
		return strconv.FormatFloat(f/1e9, 'f', -1, 64) + " G"
	}
}

func num(f float64) string { return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64) }

func percent(f float64) string {
	return strconv.FormatFloat(math.Round(f*1000)/1000, 'f', -1, 64) + "%"
}

// sparkPoints is a line through values, for a polyline.
func sparkPoints(values []int64) string {
	var top int64 = 1
	for _, v := range values {
		top = max(top, v)
	}
	s := ""
	for i, v := range values {
		x := float64(i) * float64(sparkWidth-4) / float64(max(len(values)-1, 1))
		y := float64(sparkHeight-3) - float64(v)/float64(top)*float64(sparkHeight-6)
		s += num(x+2) + "," + num(y) + " "
	}
	return s
}

// share is how many of 100 parts n is of all.
func share(n, all int64) string {
	if all <= 0 {
		return "0"
	}
	return num(math.Min(100, 100*float64(n)/float64(all)))
}

// meterClass warns before all is used.
func meterClass(used, all int64) string {
	switch {
	case all > 0 && used >= all:
		return "s3"
	case all > 0 && float64(used) >= 0.8*float64(all):
		return "s2"
	}
	return "s0"
}

func (b Bars) stackTop() int64 {
	_, top := b.totals()
	return top
}
