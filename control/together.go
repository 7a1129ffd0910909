package control

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// Changes of an API's definition that come while another one is being made wait, and
// are then made together: one transaction reads the definition, makes each of them in
// turn, as if it were alone, and writes the last. Ten clients that build one API wait for
// each other's transactions once, not ten times.
type together struct {
	mu    sync.Mutex
	lines map[line][]*edit // who waits; there is an entry while one is at work
}

// line is what changes are made together of.
type line struct {
	tenant   uint32
	account  string
	api      string
	operator bool // who may change what is suspended
}

// edit is one change.
type edit struct {
	ctx      context.Context
	actor    Actor
	revision int64 // that it is a change of; 0: any
	apply    func(*model.Definition) error

	done chan struct{} // closed when the rest is set
	out  APIDetail
	err  error
}

const (
	// maxTogether bounds the changes of one transaction.
	maxTogether = 64
	// togetherFor bounds a transaction of several, which ends with no one's request.
	togetherFor = 30 * time.Second
)

// turn says whether e's turn is now. If not, who is at work makes it.
func (t *together) turn(of line, e *edit) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	waiting, busy := t.lines[of]
	if !busy {
		if t.lines == nil {
			t.lines = map[line][]*edit{}
		}
		t.lines[of] = nil
		return true
	}
	t.lines[of] = append(waiting, e)
	return false
}

// next are those whose turn is next; none: nobody is at work any more.
func (t *together) next(of line) []*edit {
	t.mu.Lock()
	defer t.mu.Unlock()
	waiting := t.lines[of]
	if len(waiting) == 0 {
		delete(t.lines, of)
		return nil
	}
	n := min(len(waiting), maxTogether)
	t.lines[of] = waiting[n:]
	return waiting[:n:n]
}

// change makes an edit, with those that come meanwhile behind it.
func (p *Plane) change(id string, e *edit) {
	of := line{e.actor.Tenant, e.actor.AccountID, id, e.actor.Role == RoleOperator}
	e.done = make(chan struct{})
	if !p.edits.turn(of, e) {
		<-e.done
		return
	}
	p.changeAll(id, []*edit{e})
	if next := p.edits.next(of); next != nil {
		go func() { // this one's client has its answer
			for ; next != nil; next = p.edits.next(of) {
				p.changeAll(id, next)
			}
		}()
	}
}

// changeAll makes edits of one line. One that fails changes nothing, and those after it
// do not see it.
func (p *Plane) changeAll(id string, edits []*edit) {
	ctx := edits[0].ctx
	if len(edits) > 1 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(context.WithoutCancel(ctx), togetherFor)
		defer stop()
	}
	defer func() {
		for _, e := range edits {
			close(e.done)
		}
	}()
	var at API
	var doc []byte
	first := func(b *pgx.Batch) {
		queueDocument(b, edits[0].actor.Tenant, id, &at, &doc, func() error { return nil })
	}
	_, err := p.writeAfter(ctx, edits[0].actor, edits[0].actor.scope(), edits[0].actor.AccountID, first, func(w *write) error {
		b := &pgx.Batch{}
		var last *edit
		n := 0
		for _, e := range edits {
			var made []byte
			if made, e.err = p.apply(id, e, &at, doc); e.err != nil {
				continue
			}
			at, doc, last = e.out.API, made, e
			n++
			w.actor = e.actor
			if err := w.queueAudit(b, "api.update", id, map[string]any{"revision": at.Revision, "hash": at.Hash}); err != nil {
				return err
			}
		}
		if last == nil {
			return edits[0].err // all have theirs; nothing is to be kept
		}
		w.queueDefinition(b, id, &last.out.Definition, doc, at.Hash, n, &at)
		if err := w.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		for _, e := range edits {
			e.out.ID, e.out.CreatedAt, e.out.UpdatedAt, e.out.Tags, e.out.Stages = at.ID, at.CreatedAt, at.UpdatedAt, at.Tags, at.Stages
		}
		return nil
	})
	for _, e := range edits {
		if err != nil && e.err == nil {
			e.err = err
		}
		if e.err != nil {
			e.out = APIDetail{}
		}
	}
}

// apply makes one edit of a definition in its stored form, and returns that of what comes
// of it. Nobody else changes the API meanwhile: the account is locked.
func (p *Plane) apply(id string, e *edit, at *API, doc []byte) (next []byte, err error) {
	defer func() {
		if v := recover(); v != nil { // it is not in its own request's goroutine
			p.log.Error("a change of a definition panicked", "api", id, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = fmt.Errorf("a change of API %s panicked: %v", id, v)
		}
	}()
	if e.revision != 0 && e.revision != at.Revision {
		return nil, model.Errorf(model.Conflict, "API %s was changed meanwhile: it is at revision %d, not %d; look at it again", id, at.Revision, e.revision)
	}
	e.out = APIDetail{API: *at} // read for each anew: who asked for the edit goes on with what it made
	d := &e.out.Definition
	if err := json.Unmarshal(doc, d); err != nil {
		return nil, err
	}
	if err := e.apply(d); err != nil {
		return nil, err
	}
	d.OwnModels(id)
	next, hash, err := encodeDefinition(d)
	if err != nil {
		return nil, err
	}
	a := &e.out.API
	a.Name, a.Hash, a.Methods, a.About, a.Revision = d.Name, hash, d.MethodCount(), *d.About(), at.Revision+1
	return next, nil
}
