package control

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tollgate/model"
)

// refusals says what a violated constraint means to the user.
var refusals = map[string]struct {
	kind    model.Kind
	message string
}{
	"person_email_key":      {model.Conflict, "there is an account with this e-mail address already"},
	"operator_email_key":    {model.Conflict, "there is an operator with this e-mail address already"},
	"member_once":           {model.Conflict, "this person is a member of the account already"},
	"gateway_name_key":      {model.Conflict, "there is a gateway with this name already"},
	"api_key_hash_key":      {model.Conflict, "this key value is in use already; every key needs its own"},
	"portal_slug_key":       {model.Conflict, "another portal has this address already; choose another"},
	"owned_name_verified":   {model.Conflict, "another account serves this name already"},
	"routing_rule_priority": {model.Conflict, "another rule of the domain has this priority"},
	"gateway_name_check": {model.Invalid,
		"a gateway's name has 1 to 63 lower-case letters, digits and hyphens, and starts and ends with a letter or digit"},
}

// randomIDs are the constraints that only a random id's collision can violate.
var randomIDs = map[string]bool{
	"tenant_account_key": true, "access_key_id_key": true, "api_id_key": true, "deployment_id_key": true,
	"plan_id_key": true, "api_key_id_key": true, "vpc_link_pkey": true,
}

// again says whether a transaction that failed so may succeed when repeated.
func again(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	switch pg.Code {
	case "40001", "40P01": // serialization failure, deadlock
		return true
	case "23505":
		return randomIDs[pg.ConstraintName]
	}
	return false
}

// translate gives a database's error the kind that faces map to a status, where
// it has one; others stay internal.
func translate(err error) error {
	if err == nil || model.KindOf(err) != "" {
		return err
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return model.Errorf(model.NotFound, "there is no such thing")
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return fmt.Errorf("%w: %w", model.Errorf(model.Unavailable, "the database cannot be reached; try again shortly"), err)
	}
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	if r, ok := refusals[pg.ConstraintName]; ok {
		return model.Errorf(r.kind, "%s", r.message)
	}
	switch pg.Code {
	case "23505":
		return model.Errorf(model.Conflict, "there is one like it already (%s)", pg.ConstraintName)
	case "23503":
		return model.Errorf(model.Conflict, "it refers to, or is referred to by, something else (%s)", pg.ConstraintName)
	case "23514":
		return model.Errorf(model.Invalid, "a value is out of bounds (%s)", pg.ConstraintName)
	case "22021", "22P05":
		return model.Errorf(model.Invalid, "a text holds a NUL character or is not UTF-8, and cannot be stored")
	case "57P01", "57P02", "57P03", "53300":
		return fmt.Errorf("%w: %w", model.Errorf(model.Unavailable, "the database is restarting or full; try again shortly"), err)
	case "40001", "40P01":
		return model.Errorf(model.Unavailable, "too many changes at once; try again")
	}
	return err
}

// missing says what was not found, when err is that.
func missing(err error, format string, a ...any) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return model.Errorf(model.NotFound, format, a...)
	}
	return err
}
