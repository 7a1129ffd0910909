package model

import (
	"errors"
	"fmt"
)

// Kind is the closed set of ways an operation can be refused. Each face maps a
// kind to its own status and shape; an error without a kind is internal and its
// text never leaves the program.
type Kind string

const (
	Invalid         Kind = "invalid"         // the input is wrong; the message says how
	NotFound        Kind = "not_found"       // no such thing, or not yours
	Conflict        Kind = "conflict"        // it contradicts what is there
	Limit           Kind = "limit"           // too many, too large, too often
	Denied          Kind = "denied"          // known who you are, not allowed
	Unauthenticated Kind = "unauthenticated" // not known who you are
	Unavailable     Kind = "unavailable"     // try again later
)

// Error is a refusal with a message for the person who asked.
type Error struct {
	Kind    Kind
	Message string
}

func (e *Error) Error() string { return e.Message }

// Errorf makes an Error of a kind; the format is for the user.
func Errorf(k Kind, format string, a ...any) error {
	return &Error{Kind: k, Message: fmt.Sprintf(format, a...)}
}

// KindOf is the kind of err or of what it wraps; "" for an internal error.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return ""
}

// MessageOf is the user's message of err, or a bare one for an internal error.
func MessageOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Message
	}
	return "internal error"
}
