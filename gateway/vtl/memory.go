package vtl

import "unsafe"

// memory is where the values of one rendering are, many to a piece. It is used again by
// another's, cleared: nothing in it may be reached when the rendering is over.
type memory struct {
	keys   pieces[string]
	values pieces[any]
	maps   pieces[Map]
	lists  pieces[List]
	loops  pieces[loop]
	// What values point to, see boxed.
	texts   pieces[string]
	wholes  pieces[int64]
	doubles pieces[float64]
	// The members of what is being read as JSON, the innermost last. When their number is
	// known they move to a place of their own.
	openKeys   []string
	openValues []any
}

// clear forgets all values.
func (m *memory) clear() {
	m.keys.clear()
	m.values.clear()
	m.maps.clear()
	m.lists.clear()
	m.loops.clear()
	m.texts.clear()
	m.wholes.clear()
	m.doubles.clear()
	m.openKeys, m.openValues = emptied(m.openKeys), emptied(m.openValues)
}

// boxed is what is in an interface: the type, and where the value is. The language would
// put each value in memory of its own, which is a tenth of a rendering. It must not
// change while the interface is in use, see keep.
type boxed struct {
	is, at unsafe.Pointer
}

func typeOf(v any) unsafe.Pointer { return (*boxed)(unsafe.Pointer(&v)).is }

var textType, wholeType, doubleType = typeOf(""), typeOf(int64(0)), typeOf(float64(0))

// box is the value at a place as one of that type.
func box(is, at unsafe.Pointer) any {
	return *(*any)(unsafe.Pointer(&boxed{is, at}))
}

func (m *memory) textValue(s string) any {
	at := m.texts.one()
	*at = s
	return box(textType, unsafe.Pointer(at))
}

func (m *memory) wholeValue(n int64) any {
	at := m.wholes.one()
	*at = n
	return box(wholeType, unsafe.Pointer(at))
}

func (m *memory) doubleValue(f float64) any {
	at := m.doubles.one()
	*at = f
	return box(doubleType, unsafe.Pointer(at))
}

// Sizes of pieces. What is larger has memory of its own.
const (
	firstPiece = 4
	maxPiece   = 256
)

// pieces hands out parts of larger pieces of memory.
type pieces[T any] struct {
	piece []T // the one that parts are taken of
	used  int
}

// take is n of them, each zero; what is appended to it goes elsewhere.
func (p *pieces[T]) take(n int) []T {
	if n > len(p.piece)-p.used {
		if n > maxPiece {
			return make([]T, n)
		}
		p.piece, p.used = make([]T, max(n, firstPiece, min(2*len(p.piece), maxPiece))), 0
	}
	out := p.piece[p.used : p.used+n : p.used+n]
	p.used += n
	return out
}

func (p *pieces[T]) one() *T { return &p.take(1)[0] }

// clear empties the last piece, to be handed out again; the others are left to those
// who have parts of them.
func (p *pieces[T]) clear() {
	clear(p.piece[:p.used])
	p.used = 0
}

// emptied is the memory of s, cleared; nil when it is more than is worth keeping.
func emptied[T any](s []T) []T {
	if cap(s) > maxPiece {
		return nil
	}
	clear(s[:cap(s)])
	return s[:0]
}
