package gateway

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"tollgate/gateway/http1"
	"tollgate/model"
)

// fault is why a target did not answer.
type fault int32

const (
	noFault fault = iota
	faultForbidden
	faultName
	faultRefused
	faultRoute
	faultNoConn
	faultConnect
	faultSlow
	faultBroken
)

// faults are told to the tenant whose link or address it is, who may not learn of the node's network
// more than that: errors of the system name resolvers and routers.
var faults = [...]string{
	faultForbidden: "it is in a network that the operator has not opened to upstreams",
	faultName:      "its name does not resolve",
	faultRefused:   "the connection is refused, nothing listens there",
	faultRoute:     "there is no route to it",
	faultNoConn:    "no connection could be made",
	faultConnect:   "no connection in time",
	faultSlow:      "calls had no answer in time",
	faultBroken:    "it broke connections off before an answer",
}

// dialFault is why no connection was made.
func dialFault(err error) fault {
	var dns *net.DNSError
	var ne net.Error
	switch {
	case errors.Is(err, http1.ErrForbidden):
		return faultForbidden
	case errors.As(err, &dns) && !dns.IsTimeout && !dns.IsTemporary:
		return faultName
	case errors.Is(err, syscall.ECONNREFUSED):
		return faultRefused
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return faultRoute
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &ne) && ne.Timeout():
		return faultConnect
	}
	return faultNoConn
}

// WhyNoConn is why no connection was made, for the tenant who chose the address.
func WhyNoConn(err error) string { return faults[dialFault(err)] }

// callFault is why a call came to nothing.
func callFault(f http1.Failure) fault {
	switch f {
	case http1.Forbidden:
		return faultForbidden
	case http1.NoHost:
		return faultName
	case http1.NoConn:
		return faultNoConn
	case http1.Timeout:
		return faultSlow
	}
	return faultBroken
}

// targetState is what is told of a target.
type targetState struct {
	down  bool
	fault fault
	since int64 // Unix milliseconds; 0: nothing is known
}

func (t *target) state() targetState {
	return targetState{down: t.down.Load(), fault: fault(t.fault.Load()), since: t.since.Load()}
}

// linkReporter tells the control plane how the node finds links' targets: those that
// changed, and some others in turn, so that it comes to know of all of them again after
// it was restored or has forgotten the node. One goroutine uses it.
type linkReporter struct {
	g    *Gateway
	turn int
}

// inTurn are told again each time.
const inTurn = 10

// report is what to tell now, and what to call when it was heard. soon: there is more to
// tell in a moment.
func (r *linkReporter) report() (out []model.TargetState, heard func(), soon bool) {
	all := r.g.targets()
	var of []*target
	var as []targetState
	add := func(t *target, now targetState) {
		of, as = append(of, t), append(as, now)
		out = append(out, model.TargetState{Tenant: t.tenant, Link: t.link, Target: t.address, Up: !now.down,
			Since: time.UnixMilli(now.since).UTC(), Reason: faults[now.fault]})
	}
	for _, t := range all {
		now := t.state()
		switch {
		case now.since == 0:
			soon = true
		case now == t.told:
		case len(out) == model.MaxTargetStates:
			soon = true
		default:
			add(t, now)
		}
	}
	changed := len(out)
	for i := 0; i < len(all) && len(out) < min(changed+inTurn, model.MaxTargetStates); i++ {
		t := all[(r.turn+i)%len(all)]
		if now := t.state(); now.since != 0 && now == t.told {
			add(t, now)
		}
	}
	r.turn += inTurn
	return out, func() {
		for i, t := range of {
			t.told = as[i]
		}
	}, soon
}
