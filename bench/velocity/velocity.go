// Package velocity holds the program that renders templates by Velocity on the JVM, the
// peer of Tollgate's template engine.
package velocity

import _ "embed"

// Bench is the text of Bench.java, which the java command runs as it is.
//
//go:embed Bench.java
var Bench string
