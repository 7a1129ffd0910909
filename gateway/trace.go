package gateway

import (
	"bytes"
	"fmt"
	"time"
)

// trace is what happened on a call's way, worded as the execution log of Amazon API
// Gateway. A call without one costs nothing: whoever says something asks first whether
// there is one.
type trace struct {
	log bytes.Buffer
	now func() time.Time
}

// maxTrace bounds a trace's text in bytes.
const maxTrace = 64 << 10

// say adds a line with its time.
func (t *trace) say(format string, a ...any) {
	if t.log.Len() > maxTrace {
		return
	}
	t.log.WriteString(t.now().UTC().Format("Mon Jan 02 15:04:05 UTC 2006"))
	t.log.WriteString(" : ")
	fmt.Fprintf(&t.log, format, a...)
	t.log.WriteByte('\n')
}
