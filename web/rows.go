package web

import (
	"fmt"
	"slices"
	"strings"

	"tollgate/model"
	"tollgate/ui"
)

// maxRows bounds the rows of one field of a form, maxTemplate what one text in them has.
const (
	maxRows     = 300
	maxTemplate = 300 << 10
)

// say notes what is wrong with a field, in a sentence.
func (p *problems) say(field, format string, a ...any) {
	*p = append(*p, ui.Problem{Name: field, Text: fmt.Sprintf(format, a...)})
}

// err refuses an edit whose problems are listed by themselves.
func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return model.Errorf(model.Invalid, "%s", p[0].Text)
}

// with are the problems of a form whose edit came to err: those that were found, or
// what control says.
func (p problems) with(field string, err error) problems {
	if len(p) > 0 {
		return p
	}
	if model.KindOf(err) == model.Conflict {
		field = ""
	}
	return problems{{Name: field, Text: sentence(model.MessageOf(err))}}
}

// text is a field of several lines, with the line ends of a document.
func (v *visit) text(name string) string { return strings.ReplaceAll(v.raw(name), "\r\n", "\n") }

// rows are what a Rows field of these columns was filled with. Rows without any text
// are left out.
func (v *visit) rows(field string, cols []ui.Column) []ui.RowValues {
	if len(cols) == 0 {
		return nil
	}
	at := func(name string, i int) string {
		if all := v.r.PostForm[field+"-"+name]; i < len(all) {
			return all[i]
		}
		return ""
	}
	var out []ui.RowValues
	for i := range v.r.PostForm[field+"-"+cols[0].Name] {
		r := ui.RowValues{Long: strings.ReplaceAll(at("long", i), "\r\n", "\n")}
		said := strings.TrimSpace(r.Long) != ""
		for _, c := range cols {
			value := strings.TrimSpace(at(c.Name, i))
			r.Cells = append(r.Cells, value)
			said = said || value != "" && len(c.Options) == 0
		}
		if said && len(out) < maxRows {
			out = append(out, r)
		}
	}
	return out
}

// more reports that a form was sent for another row alone.
func (v *visit) more() bool {
	for name := range v.r.PostForm {
		if strings.HasSuffix(name, "-more") {
			return true
		}
	}
	return false
}

// textRows are a map's entries as rows of two columns, or of one and a long text.
func textRows(m map[string]string, long bool) []ui.RowValues {
	var out []ui.RowValues
	for _, k := range sortedKeys(m) {
		if long {
			out = append(out, ui.RowValues{Cells: []string{k}, Long: m[k]})
		} else {
			out = append(out, ui.RowValues{Cells: []string{k, m[k]}})
		}
	}
	return out
}

// byType reads rows of a content type and a text; what a text must not be, check says.
func byType(p *problems, field, what string, rows []ui.RowValues) map[string]string {
	out := map[string]string{}
	for i := range rows {
		r := &rows[i]
		kind := r.Cells[0]
		switch _, twice := out[kind]; {
		case kind == "" || strings.ContainsAny(kind, " \t\r\n"):
			r.Error = fmt.Sprintf("A %s needs a content type, such as application/json", what)
		case twice:
			r.Error = fmt.Sprintf("There are two for %s", kind)
		case len(kind) > 1024 || len(r.Long) > maxTemplate:
			r.Error = fmt.Sprintf("A %s has at most 300 KiB, and a content type of 1,024 characters", what)
		}
		if r.Error != "" {
			p.say(field, "%s", r.Error)
			continue
		}
		out[kind] = r.Long
	}
	return out
}

// listed are the words of a text, each once, in their order.
func listed(s string) []string {
	var out []string
	for _, w := range strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' || r == '\r' || r == '\t' }) {
		if !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

// orNil is a map, or nil where it is empty: a definition does not tell them apart.
func orNil[V any](m map[string]V) map[string]V {
	if len(m) == 0 {
		return nil
	}
	return m
}

// chosen adds the value that is set to options that do not have it, so that a form does
// not change it by itself.
func chosen(value string, options []ui.Option) []ui.Option {
	if slices.ContainsFunc(options, func(o ui.Option) bool { return o.Value == value }) {
		return options
	}
	return append(slices.Clone(options), ui.Option{Value: value, Label: value})
}
