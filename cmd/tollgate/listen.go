package main

import (
	"errors"
	"net"
	"syscall"

	"tollgate/model"
)

// listen takes a TCP address, or says which setting is in whose way.
func listen(name, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err == nil {
		return l, nil
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, model.Errorf(model.Conflict, "the address %s is taken by another program: stop that, or choose another in %s", addr, name)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	return nil, model.Errorf(model.Unavailable, "cannot listen on %s (%s): %v", addr, name, err)
}

// tryAddresses tells a taken address before the database starts; what listens
// there does so much later.
func tryAddresses(addresses ...[2]string) error {
	for _, a := range addresses {
		l, err := listen(a[0], a[1])
		if err != nil {
			return err
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}
