package ui

import (
	"strconv"
	"strings"

	"github.com/a-h/templ"
)

// long says that a part is more than can be read beside its name.
func (p ChangedPart) long() bool {
	return strings.Contains(p.From+p.To, "\n") || len(p.From)+len(p.To) > 240
}

// diffLine is a line of two texts: '+' of the second alone, '-' of the first alone, ' '
// of both, and '~' for so many of both that are not shown.
type diffLine struct {
	sign byte
	text string
}

const (
	diffAround = 3         // lines that are shown about a difference
	maxDiff    = 4_000_000 // pairs of lines that are compared
	openDiff   = 24        // lines that are shown without asking
)

// diff lists the lines of two texts in their order.
func diff(from, to string) []diffLine {
	split := func(s string) []string {
		if s == "" {
			return nil
		}
		return strings.Split(s, "\n")
	}
	a, b := split(from), split(to)
	var head, out, tail []diffLine
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		head, a, b = append(head, diffLine{' ', a[0]}), a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		tail, a, b = append(tail, diffLine{' ', a[len(a)-1]}), a[:len(a)-1], b[:len(b)-1]
	}
	// common[i*w+j] is how many lines a[i:] and b[j:] have in common, in their order.
	w := len(b) + 1
	var common []int32
	if len(a)*len(b) <= maxDiff {
		common = make([]int32, (len(a)+1)*w)
		for i := len(a) - 1; i >= 0; i-- {
			for j := len(b) - 1; j >= 0; j-- {
				if common[i*w+j] = max(common[(i+1)*w+j], common[i*w+j+1]); a[i] == b[j] {
					common[i*w+j] = common[(i+1)*w+j+1] + 1
				}
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case common != nil && i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, diffLine{' ', a[i]})
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || common == nil || common[(i+1)*w+j] >= common[i*w+j+1]):
			out = append(out, diffLine{'-', a[i]})
			i++
		default:
			out = append(out, diffLine{'+', b[j]})
			j++
		}
	}
	out = append(head, out...)
	for i := len(tail) - 1; i >= 0; i-- {
		out = append(out, tail[i])
	}
	return folded(out)
}

// folded leaves out lines far from any difference.
func folded(all []diffLine) (out []diffLine) {
	near := make([]bool, len(all))
	for i, l := range all {
		if l.sign != ' ' {
			for k := max(0, i-diffAround); k <= min(len(all)-1, i+diffAround); k++ {
				near[k] = true
			}
		}
	}
	skipped := 0
	flush := func() {
		if skipped > 0 {
			out = append(out, diffLine{'~', Plural(skipped, "line", "lines") + " alike"})
		}
		skipped = 0
	}
	for i, l := range all {
		if !near[i] {
			skipped++
			continue
		}
		flush()
		out = append(out, l)
	}
	flush()
	return out
}

// diffText is a diff as it is drawn. Blanks count in it, so it is no template.
func diffText(label string, all []diffLine) string {
	var b strings.Builder
	b.WriteString(`<pre tabindex="0" role="region" aria-label="` + templ.EscapeString(label) + `"><code>`)
	for _, l := range all {
		text := templ.EscapeString(l.text)
		switch l.sign {
		case '+':
			b.WriteString(`<ins class="diff-line diff-add"><span class="sr-only">added: </span><span aria-hidden="true">+ </span>` + text + `</ins>`)
		case '-':
			b.WriteString(`<del class="diff-line diff-del"><span class="sr-only">removed: </span><span aria-hidden="true">- </span>` + text + `</del>`)
		case '~':
			b.WriteString(`<span class="diff-line muted">… ` + text + `</span>`)
		default:
			b.WriteString(`<span class="diff-line">  ` + text + `</span>`)
		}
	}
	b.WriteString(`</code></pre>`)
	return b.String()
}

// diffCount says how much differs.
func diffCount(all []diffLine) string {
	n := map[byte]int{}
	for _, l := range all {
		n[l.sign]++
	}
	return "+" + strconv.Itoa(n['+']) + " −" + strconv.Itoa(n['-'])
}
