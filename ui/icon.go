package ui

import (
	"context"
	"io"

	"github.com/a-h/templ"
)

// Icon draws one of the icons; what it says stands beside it in words.
func Icon(name string) templ.Component {
	inner, ok := icons[name]
	if !ok {
		panic("ui: no icon " + name + "; add it to ui/src/icons.txt and run make assets")
	}
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, `<svg class="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">`+inner+`</svg>`)
		return err
	})
}
