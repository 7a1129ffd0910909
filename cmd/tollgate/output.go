package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tollgate/control"
)

// format is the value of --output; cobra refuses others as a usage error.
type format string

func (f *format) String() string { return string(*f) }
func (f *format) Type() string   { return "text|json" }
func (f *format) Set(v string) error {
	if v != "text" && v != "json" {
		return fmt.Errorf("%q is not text or json", v)
	}
	*f = format(v)
	return nil
}

var _ pflag.Value = (*format)(nil)

func outputFlag(cmd *cobra.Command) {
	f := format("text")
	cmd.PersistentFlags().VarP(&f, "output", "o", "how to print the result")
}

// show prints a result: v as JSON, or what text writes.
func show(cmd *cobra.Command, v any, text func(w io.Writer)) error {
	if cmd.Flag("output").Value.String() == "json" {
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	text(w)
	return w.Flush()
}

// items is the JSON shape of a whole list.
type items[T any] struct {
	Items []T `json:"items"`
}

// showList prints a table with a head, or a sentence when there is nothing.
func showList[T any](cmd *cobra.Command, list []T, none string, head []string, row func(T) []any) error {
	if list == nil {
		list = []T{}
	}
	return show(cmd, items[T]{list}, func(w io.Writer) {
		if len(list) == 0 {
			fmt.Fprintln(w, none)
			return
		}
		fmt.Fprintln(w, strings.Join(head, "\t"))
		for _, v := range list {
			cells := row(v)
			for i, c := range cells {
				if i > 0 {
					fmt.Fprint(w, "\t")
				}
				fmt.Fprint(w, cell(c))
			}
			fmt.Fprintln(w)
		}
	})
}

func cell(v any) string {
	switch v := v.(type) {
	case time.Time:
		return v.UTC().Format("2006-01-02 15:04:05")
	case string:
		// A name is a tenant's text: it must not break the table or the terminal.
		v = strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
				return ' '
			}
			return r
		}, v)
		if v == "" {
			return "-"
		}
		return v
	case bool:
		if v {
			return "yes"
		}
		return "no"
	}
	return fmt.Sprint(v)
}

// all reads a list to its end, page by page.
func all[T any](page func(control.Page) (control.List[T], error)) ([]T, error) {
	var out []T
	p := control.Page{Limit: 1000}
	for {
		l, err := page(p)
		if err != nil {
			return nil, err
		}
		out = append(out, l.Items...)
		if l.Next == "" {
			return out, nil
		}
		p.After = l.Next
	}
}
