package portal

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tollgate/control"
	"tollgate/portal/reference"
)

// shelf holds the references that were read last, one of an API: a deployment
// never changes, so neither does its reference, and a stage's former one is not
// asked for again.
type shelf struct {
	mu    sync.Mutex
	books map[apiKey]*book
}

type apiKey struct {
	tenant uint32
	api    string
}

type book struct {
	deployment string
	once       sync.Once
	doc        *reference.Doc
	size       int // bytes of the document; 0 until it is read
	err        error
	used       time.Time
}

// What the shelf holds at most, of books and of the documents they were read from:
// a book takes three to four times as much memory as its document.
const (
	maxBooks      = 500
	maxShelfBytes = 32 << 20
)

// What is read before somebody asks for it: documents that take longer to read
// than a page may take (a megabyte of JSON some 30 ms, of YAML 60 ms), and of those
// no more than an idle installation has memory for.
const (
	largeDocument = 512 << 10
	maxWarmBytes  = maxShelfBytes / 4
)

// maxReading bounds the wait for a document, which ends with no visitor's patience.
const maxReading = 30 * time.Second

// reference is the documentation of an API as its stage serves it.
func (s *Server) reference(ctx context.Context, site control.Site, a control.CatalogueAPI) (*reference.Doc, error) {
	sh, key := &s.docs, apiKey{site.Tenant, a.ID}
	sh.mu.Lock()
	b := sh.books[key]
	if b == nil || b.deployment != a.DeploymentID {
		if sh.books == nil {
			sh.books = map[apiKey]*book{}
		}
		b = &book{deployment: a.DeploymentID}
		sh.books[key] = b
	}
	b.used = time.Now()
	sh.tidy(b)
	sh.mu.Unlock()
	b.once.Do(func() {
		// Others may wait for it: it is read even if this visitor goes away.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxReading)
		defer cancel()
		size, err := b.read(ctx, s.Plane, site, a)
		sh.mu.Lock()
		defer sh.mu.Unlock()
		b.size, b.err = size, err
		if err != nil && sh.books[key] == b { // another try next time
			delete(sh.books, key)
		}
		sh.tidy(b)
	})
	return b.doc, b.err
}

// read says how many bytes the document has. A document is a tenant's: what nobody
// foresaw of it fails its pages, not the program.
func (b *book) read(ctx context.Context, plane *control.Plane, site control.Site, a control.CatalogueAPI) (size int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("portal: reading the document of deployment %s: %v", a.DeploymentID, r)
		}
	}()
	d, err := plane.Documented(ctx, site, a.ID, a.DeploymentID)
	if err != nil {
		return 0, err
	}
	b.doc, err = reference.New(d.Source, &d.Definition)
	return len(d.Source), err
}

// tidy takes away what was not used for longest, until the rest fits. The one that
// is being read stays, however large.
func (s *shelf) tidy(reading *book) {
	for {
		bytes, oldest := 0, apiKey{}
		for key, b := range s.books {
			bytes += b.size
			if b != reading && (oldest == apiKey{} || b.used.Before(s.books[oldest].used)) {
				oldest = key
			}
		}
		if (oldest == apiKey{}) || bytes <= maxShelfBytes && len(s.books) <= maxBooks {
			return
		}
		delete(s.books, oldest)
	}
}

// warmer reads large documents once they are published, one after the other, each
// deployment once: one that had to leave the shelf comes back when it is asked for.
type warmer struct {
	tried map[string]bool // deployments
}

func (m *warmer) look(ctx context.Context, s *Server) {
	l, err := s.Plane.LargeDocuments(ctx, largeDocument)
	if err != nil {
		if ctx.Err() == nil {
			s.Log.Warn("which large documents are on portals could not be read; who asks for one first waits for it", "error", err)
		}
		return
	}
	tried, bytes := make(map[string]bool, len(l)), 0
	for _, d := range l {
		if bytes+d.Bytes > maxWarmBytes {
			continue
		}
		bytes += d.Bytes
		tried[d.DeploymentID] = true
		if m.tried[d.DeploymentID] || ctx.Err() != nil {
			continue
		}
		_, err := s.reference(ctx, control.Site{Tenant: d.Tenant}, control.CatalogueAPI{ID: d.APIID, DeploymentID: d.DeploymentID})
		if err != nil {
			s.Log.Warn("a document on a portal could not be read", "api", d.APIID, "deployment", d.DeploymentID, "error", err)
		}
	}
	m.tried = tried
}

// Start keeps the references of large documents ready until Stop is called or ctx
// ends; it is called once.
func (s *Server) Start(ctx context.Context) {
	ctx, s.cancel = context.WithCancel(ctx)
	s.warming.Go(func() {
		var m warmer
		s.Plane.FollowPortals(ctx, func(ctx context.Context) { m.look(ctx, s) })
	})
}

// Stop ends what Start began, and returns when it has ended.
func (s *Server) Stop() {
	if s.cancel != nil {
		s.cancel()
	}
	s.warming.Wait()
}
