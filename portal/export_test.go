package portal

import "context"

// Warm reads large documents at once, as Start does when they are published.
func (s *Server) Warm(ctx context.Context) { new(warmer).look(ctx, s) }

// Shelved is the deployment of an API whose reference is on the shelf.
func (s *Server) Shelved(tenant uint32, api string) string {
	s.docs.mu.Lock()
	defer s.docs.mu.Unlock()
	if b := s.docs.books[apiKey{tenant, api}]; b != nil && b.doc != nil {
		return b.deployment
	}
	return ""
}

// LargeDocument is from how many bytes on a document is read before it is asked for.
const LargeDocument = largeDocument
