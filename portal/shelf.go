package portal

import (
	"context"
	"sync"
	"time"

	"tollgate/control"
	"tollgate/portal/reference"
)

// shelf holds the references that were read last, by deployment: a deployment
// never changes, so neither does its reference.
type shelf struct {
	mu    sync.Mutex
	books map[string]*book
}

type book struct {
	once sync.Once
	doc  *reference.Doc
	size int // bytes of the document; 0 until it is read
	err  error
	used time.Time
}

// What the shelf holds at most, of books and of the documents they were read from:
// a book takes some ten times as much memory as its document.
const (
	maxBooks      = 500
	maxShelfBytes = 32 << 20
)

// reference is the documentation of an API as its stage serves it.
func (s *Server) reference(ctx context.Context, site control.Site, a control.CatalogueAPI) (*reference.Doc, error) {
	sh := &s.docs
	sh.mu.Lock()
	b := sh.books[a.DeploymentID]
	if b == nil {
		if sh.books == nil {
			sh.books = map[string]*book{}
		}
		b = &book{}
		sh.books[a.DeploymentID] = b
	}
	b.used = time.Now()
	sh.tidy(b)
	sh.mu.Unlock()
	b.once.Do(func() {
		var d control.Documented
		// Others may wait for it: it is read even if this visitor goes away.
		if d, b.err = s.Plane.Documented(context.WithoutCancel(ctx), site, a.ID, a.DeploymentID); b.err == nil {
			b.doc, b.err = reference.New(d.Source, &d.Definition)
		}
		sh.mu.Lock()
		b.size = len(d.Source)
		sh.tidy(b)
		sh.mu.Unlock()
	})
	if b.err != nil { // another try next time
		sh.mu.Lock()
		if sh.books[a.DeploymentID] == b {
			delete(sh.books, a.DeploymentID)
		}
		sh.mu.Unlock()
	}
	return b.doc, b.err
}

// tidy takes away what was not used for longest, until the rest fits. The one that
// is being read stays, however large.
func (s *shelf) tidy(reading *book) {
	for {
		bytes, oldest := 0, ""
		for id, b := range s.books {
			bytes += b.size
			if b != reading && (oldest == "" || b.used.Before(s.books[oldest].used)) {
				oldest = id
			}
		}
		if oldest == "" || bytes <= maxShelfBytes && len(s.books) <= maxBooks {
			return
		}
		delete(s.books, oldest)
	}
}
