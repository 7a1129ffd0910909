package control

import "context"

// Prune runs at once what Start runs now and then.
func (p *Plane) Prune(ctx context.Context) error { return p.prune(ctx) }
