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
	err  error
	used time.Time
}

// maxBooks bounds what the shelf holds; a large one takes some tens of megabytes.
const maxBooks = 64

// reference is the documentation of an API as its stage serves it.
func (s *Server) reference(ctx context.Context, site control.Site, a control.CatalogueAPI) (*reference.Doc, error) {
	sh := &s.docs
	sh.mu.Lock()
	b := sh.books[a.DeploymentID]
	if b == nil {
		if sh.books == nil {
			sh.books = map[string]*book{}
		}
		if len(sh.books) >= maxBooks {
			sh.drop()
		}
		b = &book{}
		sh.books[a.DeploymentID] = b
	}
	b.used = time.Now()
	sh.mu.Unlock()
	b.once.Do(func() {
		var d control.Documented
		// Others may wait for it: it is read even if this visitor goes away.
		if d, b.err = s.Plane.Documented(context.WithoutCancel(ctx), site, a.ID, a.DeploymentID); b.err == nil {
			b.doc, b.err = reference.New(d.Source, &d.Definition)
		}
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

// drop takes away the one that was not used for longest.
func (s *shelf) drop() {
	oldest := ""
	for id, b := range s.books {
		if oldest == "" || b.used.Before(s.books[oldest].used) {
			oldest = id
		}
	}
	delete(s.books, oldest)
}
