package ui

import (
	"fmt"
	"math"
	"strconv"
)

// Series is one kind of thing counted over time; Class is "s0" to "s5".
type Series struct {
	Label, Class string
	Values       []int64
}

// Bars is a chart of stacked bars, with a table that says the same.
type Bars struct {
	Title  string
	Labels []string // one for each bar
	Series []Series
	Unit   string // of the values: "calls"
}

// Size of a chart's drawing; it is scaled to where it stands.
const (
	chartWidth, chartHeight                            = 960, 240
	chartLeft, chartRight, chartTop, chartBottom       = 56, 8, 12, 28
	sparkWidth, sparkHeight                      int64 = 120, 28
)

type bar struct{ x, y, w, h, class, title string }

type tick struct{ y, label string }

func (b Bars) totals() (sums []int64, top int64) {
	sums = make([]int64, len(b.Labels))
	for _, s := range b.Series {
		for i, v := range s.Values {
			if i < len(sums) {
				sums[i] += v
			}
		}
	}
	for _, s := range sums {
		top = max(top, s)
	}
	return sums, top
}

func (b Bars) bars() []bar {
	_, top := b.totals()
	if top == 0 || len(b.Labels) == 0 {
		return nil
	}
	scale := float64(niceTop(top))
	step := float64(chartWidth-chartLeft-chartRight) / float64(len(b.Labels))
	gap := math.Min(step*0.25, 4)
	var out []bar
	for i, label := range b.Labels {
		y := float64(chartHeight - chartBottom)
		for _, s := range b.Series {
			if i >= len(s.Values) || s.Values[i] == 0 {
				continue
			}
			h := float64(s.Values[i]) / scale * float64(chartHeight-chartTop-chartBottom)
			y -= h
			out = append(out, bar{x: num(float64(chartLeft) + float64(i)*step + gap/2), y: num(y), w: num(step - gap), h: num(h), class: s.Class,
				title: fmt.Sprintf("%s, %s: %s %s", label, s.Label, Quantity(s.Values[i]), b.Unit)})
		}
	}
	return out
}

func (b Bars) ticks() []tick {
	_, top := b.totals()
	n := niceTop(max(top, 1))
	var out []tick
	for i := int64(0); i <= 4; i++ {
		v := n * i / 4
		if n < 4 && i > n {
			break
		}
		if n < 4 {
			v = i
		}
		y := float64(chartHeight-chartBottom) - float64(v)/float64(n)*float64(chartHeight-chartTop-chartBottom)
		out = append(out, tick{num(y), short(v)})
	}
	return out
}

type xLabel struct{ x, text string }

func (b Bars) xLabels() []xLabel {
	n := len(b.Labels)
	if n == 0 {
		return nil
	}
	every := (n + 7) / 8
	step := float64(chartWidth-chartLeft-chartRight) / float64(n)
	var out []xLabel
	for i := 0; i < n; i += every {
		out = append(out, xLabel{num(float64(chartLeft) + (float64(i)+0.5)*step), b.Labels[i]})
	}
	return out
}

func (b Bars) summary() string {
	sums, _ := b.totals()
	var all int64
	for _, s := range sums {
		all += s
	}
	return fmt.Sprintf("%s: %s %s in all", b.Title, Quantity(all), b.Unit)
}

// niceTop is a round number at or above n that four lines divide.
func niceTop(n int64) int64 {
	if n <= 4 {
		return max(n, 1)
	}
	p := int64(1)
	for p*10 <= n {
		p *= 10
	}
	for _, m := range []int64{1, 2, 4, 5, 8, 10} {
		if t := p * m; t >= n && t%4 == 0 {
			return t
		}
	}
	return p * 20
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
