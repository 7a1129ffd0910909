package portal

import (
	"fmt"
	"testing"
	"time"
)

func TestShelfIsBounded(t *testing.T) {
	t.Parallel()
	at := time.Unix(0, 0)
	s := shelf{books: map[apiKey]*book{}}
	put := func(api string, size int) *book {
		at = at.Add(time.Second)
		b := &book{size: size, used: at}
		s.books[apiKey{1, api}] = b
		s.tidy(b)
		return b
	}
	put("a", maxShelfBytes/2)
	b := put("b", maxShelfBytes/2)
	if len(s.books) != 2 {
		t.Errorf("%d books, and two fit", len(s.books))
	}
	put("c", 1)
	if s.books[apiKey{1, "a"}] != nil || s.books[apiKey{1, "b"}] != b || len(s.books) != 2 {
		t.Error("not the one that was used before all others went")
	}
	put("huge", 2*maxShelfBytes)
	if len(s.books) != 1 || s.books[apiKey{1, "huge"}] == nil {
		t.Error("one that is too large for the shelf has it for itself until the next")
	}
	for i := range maxBooks + 10 {
		put(fmt.Sprint(i), 1)
	}
	if len(s.books) != maxBooks {
		t.Errorf("%d small books", len(s.books))
	}
}
