package reference

import (
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// index finds operations by the words of their ids, paths, summaries, tags,
// schemas and status codes.
type index struct {
	words []string       // sorted
	refs  [][]posting    // by word
	exact map[string]int // word to its place
}

type posting struct {
	op     int32
	weight int32
}

// Weights of where a word stands.
const (
	inID      = 12
	inPath    = 10
	inSummary = 8
	inTag     = 5
	inStatus  = 2
	inSchema  = 3
	inText    = 1
)

// maxQuery bounds what is searched for, in words.
const maxQuery = 8

func newIndex(d *Doc) index {
	words := map[string]map[int32]int32{}
	put := func(text string, op int, weight int32) {
		for _, w := range split(text) {
			m := words[w]
			if m == nil {
				m = map[int32]int32{}
				words[w] = m
			}
			m[int32(op)] = max(m[int32(op)], weight)
		}
	}
	for i, op := range d.Operations {
		put(op.ID, i, inID)
		put(op.Path, i, inPath)
		put(op.Verb, i, inTag)
		put(op.Summary, i, inSummary)
		put(op.Tag, i, inTag)
		text := op.n.get("description").str()
		put(text[:min(len(text), 2000)], i, inText)
		rs := op.n.get("responses")
		for j, status := range rs.keys {
			put(status, i, inStatus)
			left := 40
			schemaNames(rs.values[j], &left, func(name string) { put(name, i, inSchema) })
		}
		left := 40
		schemaNames(op.n.get("requestBody"), &left, func(name string) { put(name, i, inSchema) })
		schemaNames(op.n.get("parameters"), &left, func(name string) { put(name, i, inSchema) })
		for _, p := range op.n.get("parameters").items() {
			put(p.get("name").str(), i, inSchema)
		}
	}
	x := index{exact: make(map[string]int, len(words))}
	for w := range words {
		x.words = append(x.words, w)
	}
	sort.Strings(x.words)
	x.refs = make([][]posting, len(x.words))
	for i, w := range x.words {
		x.exact[w] = i
		for op, weight := range words[w] {
			x.refs[i] = append(x.refs[i], posting{op, weight})
		}
	}
	return x
}

// schemaNames are the components that a part of a document refers to.
func schemaNames(n *node, left *int, name func(string)) {
	if *left--; *left < 0 {
		return
	}
	if ref := n.get("$ref").str(); ref != "" {
		name(ref[strings.LastIndexByte(ref, '/')+1:])
		return
	}
	for _, v := range n.values {
		if v.kind == object || v.kind == array {
			schemaNames(v, left, name)
		}
	}
}

// split makes words of a text: lower case, apart where letters end or a capital
// begins a new one, and whole besides.
func split(text string) []string {
	var out []string
	var word, whole []rune
	flush := func(all bool) {
		if len(word) > 0 {
			out = append(out, strings.ToLower(string(word)))
		}
		if all && len(whole) > len(word) {
			out = append(out, strings.ToLower(string(whole)))
		}
		word = word[:0]
		if all {
			whole = whole[:0]
		}
	}
	small := false
	for _, c := range text {
		if !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			flush(true)
			small = false
			continue
		}
		if unicode.IsUpper(c) && small {
			flush(false)
		}
		small = unicode.IsLower(c) || unicode.IsDigit(c)
		if len(whole) < 40 {
			word, whole = append(word, c), append(whole, c)
		}
	}
	flush(true)
	return out
}

// Found is an operation that a search found.
type Found struct {
	*Operation
	Score int
}

// Search finds operations, the best first, at most limit. Every word of the query
// must be found: as it is, as the beginning of a word, or with a mistake or two in
// it where it is long enough.
func (d *Doc) Search(query string, limit int) []Found {
	words := split(query)
	if len(words) == 0 {
		return nil
	}
	words = words[:min(len(words), maxQuery)]
	var total map[int32]int32
	for _, w := range words {
		here := d.index.find(w)
		if total == nil {
			total = here
			continue
		}
		for op, s := range total {
			if more, ok := here[op]; ok {
				total[op] = s + more
			} else {
				delete(total, op)
			}
		}
	}
	out := make([]Found, 0, len(total))
	for op, s := range total {
		out = append(out, Found{d.Operations[op], int(s)})
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Score != out[j].Score {
			return out[i].Score > out[j].Score
		}
		if len(out[i].Path) != len(out[j].Path) {
			return len(out[i].Path) < len(out[j].Path)
		}
		return out[i].Slug < out[j].Slug
	})
	return out[:min(len(out), limit)]
}

// find scores the operations that have a word.
func (x *index) find(w string) map[int32]int32 {
	out := map[int32]int32{}
	add := func(i int, times int32) {
		for _, p := range x.refs[i] {
			out[p.op] = max(out[p.op], p.weight*times)
		}
	}
	if i, ok := x.exact[w]; ok {
		add(i, 8)
	}
	for i := sort.SearchStrings(x.words, w); i < len(x.words) && strings.HasPrefix(x.words[i], w); i++ {
		add(i, 5)
	}
	if len(out) > 0 {
		return out
	}
	mistakes := 0
	switch n := utf8.RuneCountInString(w); {
	case n >= 8:
		mistakes = 2
	case n >= 4:
		mistakes = 1
	}
	if mistakes > 0 {
		for i, other := range x.words {
			if near(w, other, mistakes) {
				add(i, 2)
			}
		}
	}
	return out
}

// near reports that b, or its beginning, is a with at most n letters wrong,
// missing, too many or swapped.
func near(a, b string, n int) bool {
	if len(b) < len(a)-n {
		return false
	}
	if len(b) > len(a)+n {
		b = b[:len(a)+n]
	}
	if len(a) > 64 {
		return false
	}
	var rows [3][72]int
	for j := 0; j <= len(b); j++ {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		prev2, prev, row := &rows[(i+1)%3], &rows[(i-1)%3], &rows[i%3]
		row[0] = i
		best := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
			best = min(best, row[j])
		}
		if best > n {
			return false
		}
	}
	last := &rows[len(a)%3]
	for j := max(len(a)-n, 0); j <= len(b); j++ {
		if last[j] <= n {
			return true
		}
	}
	return false
}
