// Package order is a document of 1 KB and a template that maps it, with loops,
// conditions and escapes, for all that measures templates.
package order

import _ "embed"

// Document is an order, 1,024 bytes of JSON.
//
//go:embed document.json
var Document string

// Template makes another system's order of it.
//
//go:embed template.vm
var Template string
