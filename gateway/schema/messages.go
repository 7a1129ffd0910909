package schema

import (
	"slices"
	"strings"
	"unicode/utf16"
)

// Limits on messages, ours: the service's are not known.
const (
	maxMessage  = 4 << 10
	maxMessages = 100
	maxDetail   = 64 << 10
)

// messages is the set of what is wrong with a body.
//
// The service keeps them in a Java HashSet and prints that: each message once, in the
// order of the set's buckets. (Found from answers quoted in public: for seven of them,
// with two to four messages each, Java's string hash gives the order they have, which
// is no order of members, keywords or letters. Beyond eleven messages it depends on how
// the set was made and is a guess.)
type messages struct {
	list []string
	size int
}

func (m *messages) full() bool { return len(m.list) >= maxMessages || m.size >= maxDetail }

func (m *messages) add(text string) {
	if len(text) > maxMessage {
		text = text[:maxMessage] + "…"
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	if !m.full() && !slices.Contains(m.list, text) {
		m.list = append(m.list, text)
		m.size += len(text)
	}
}

func (m *messages) String() string {
	return "[" + strings.Join(hashSetOrder(m.list), ", ") + "]"
}

// hashSetOrder puts strings into the order in which a java.util.HashSet lists them
// that they were added to one after the other.
func hashSetOrder(list []string) []string {
	buckets := 16
	for len(list) > buckets*3/4 {
		buckets *= 2
	}
	bucket := func(s string) int {
		var h uint32
		for _, r := range s {
			if high, low := utf16.EncodeRune(r); r >= 0x10000 {
				h = (h*31+uint32(high))*31 + uint32(low)
			} else {
				h = h*31 + uint32(r)
			}
		}
		return int((h ^ h>>16) & uint32(buckets-1))
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b string) int { return bucket(a) - bucket(b) })
	return list
}
