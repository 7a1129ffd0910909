package control

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tollgate/model"
)

// Call is one call, as the call log has it. Durations are in microseconds.
type Call struct {
	RequestID    string    `json:"requestId"`
	At           time.Time `json:"at"` // its end
	APIID        string    `json:"apiId"`
	API          string    `json:"api"` // its name
	Stage        string    `json:"stage"`
	Verb         string    `json:"verb"`
	Path         string    `json:"path"`               // relative to the stage, without the query
	Resource     string    `json:"resource,omitempty"` // of the method that was matched
	Method       string    `json:"method,omitempty"`   // its verb, or ANY
	Status       int       `json:"status"`
	Kind         string    `json:"kind,omitempty"` // gateway-response type, where the gateway itself answered
	Step         string    `json:"step,omitempty"` // that ended it then
	Why          string    `json:"why,omitempty"`
	Latency      int64     `json:"latency"`
	Integration  *int64    `json:"integration,omitempty"` // none: it was not asked
	BytesIn      int64     `json:"bytesIn"`
	BytesOut     int64     `json:"bytesOut"`
	IP           string    `json:"ip"`
	Agent        string    `json:"agent,omitempty"`
	Principal    string    `json:"principal,omitempty"`
	Key          string    `json:"keyId,omitempty"` // that came with it, let in or not
	KeyName      string    `json:"keyName,omitempty"`
	PlanID       string    `json:"planId,omitempty"`
	Plan         string    `json:"plan,omitempty"` // its name
	AppID        string    `json:"appId,omitempty"`
	App          string    `json:"app,omitempty"` // its name
	Subscription int64     `json:"subscription,omitempty"`
	Canary       bool      `json:"canary,omitempty"`
	Billable     bool      `json:"billable"`
	Aborted      bool      `json:"aborted,omitempty"`
	Traced       bool      `json:"traced,omitempty"`
	Trace        string    `json:"trace,omitempty"` // of Plane.Call only
}

// CallFilter asks for calls. The zero value is the newest 100.
type CallFilter struct {
	APIID        string    `json:"apiId,omitempty"`
	Stage        string    `json:"stage,omitempty"`
	Verb         string    `json:"verb,omitempty"`
	Resource     string    `json:"resource,omitempty"`
	Status       string    `json:"status,omitempty"` // such as 404 or 5xx; "error": all from 400 on
	Kind         string    `json:"kind,omitempty"`   // gateway-response type; "any": any
	KeyID        string    `json:"keyId,omitempty"`
	AppID        string    `json:"appId,omitempty"`
	Subscription int64     `json:"subscription,omitempty"`
	RequestID    string    `json:"requestId,omitempty"` // or what it begins with
	Text         string    `json:"text,omitempty"`      // contained in the path
	From         time.Time `json:"from,omitzero"`
	To           time.Time `json:"to,omitzero"`
	After        string    `json:"after,omitempty"` // Next of the page before
	Limit        int       `json:"limit,omitempty"` // 1 to 1000; 0: 100
}

// CallsSince is when the oldest call was made that the log still has.
func (p *Plane) CallsSince() time.Time { return p.now().AddDate(0, 0, -p.callDays) }

// CallList is a page of calls, and what is not in the log of the time and the stages
// that were asked for.
type CallList struct {
	Items []Call `json:"items"`
	Next  string `json:"next,omitempty"`
	Left  int64  `json:"leftOut"`   // calls without an entry
	Lines int64  `json:"linesLost"` // lines of access logs that were not written
	Since string `json:"since"`     // for FollowCalls: what comes after this answer
}

const callColumns = `
	c.request_id::text, c.at, s.api_id, a.name, s.name, c.verb, c.path, coalesce(m.path, ''), coalesce(m.verb, ''), c.status, c.kind, c.step, c.why, c.micros, c.integration_micros,
	c.bytes_in, c.bytes_out, c.ip, c.agent, c.principal, coalesce(k.key_id, ''), coalesce(k.name, ''), coalesce(p.plan_id, ''), coalesce(p.name, ''), coalesce(app.app_id, ''), coalesce(app.name, ''),
	c.subscription_id, c.canary, c.flags, c.trace <> ''`

const callTables = `
	from call_log c
	join stage s on (s.tenant_id, s.stage_num) = (c.tenant_id, c.stage_num)
	join api a on (a.tenant_id, a.api_id) = (s.tenant_id, s.api_id)
	left join api_method m on (m.tenant_id, m.method_num) = (c.tenant_id, c.method_num)
	left join api_key k on (k.tenant_id, k.key_num) = (c.tenant_id, c.key_num)
	left join subscription u on (u.tenant_id, u.subscription_id) = (c.tenant_id, c.subscription_id)
	left join plan p on (p.tenant_id, p.plan_id) = (u.tenant_id, u.plan_id)
	left join app on (app.tenant_id, app.app_id) = (k.tenant_id, k.app_id)`

func (c *Call) scan(row pgx.CollectableRow, more ...any) error {
	var flags int
	into := []any{&c.RequestID, &c.At, &c.APIID, &c.API, &c.Stage, &c.Verb, &c.Path, &c.Resource, &c.Method, &c.Status, &c.Kind, &c.Step, &c.Why, &c.Latency, &c.Integration,
		&c.BytesIn, &c.BytesOut, &c.IP, &c.Agent, &c.Principal, &c.Key, &c.KeyName, &c.PlanID, &c.Plan, &c.AppID, &c.App, &c.Subscription, &c.Canary, &flags, &c.Traced}
	err := row.Scan(append(into, more...)...)
	c.At = c.At.UTC()
	c.Billable, c.Aborted = flags&int(model.FlagBillable) != 0, flags&int(model.FlagAborted) != 0
	return err
}

// callWhere are a filter's conditions, and what stands for their parameters.
type callWhere struct {
	sql  strings.Builder
	args []any
}

func (w *callWhere) and(condition string, args ...any) {
	for _, a := range args {
		w.args = append(w.args, a)
		condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(w.args)), 1)
	}
	w.sql.WriteString(" and " + condition)
}

// stages narrows to the stages asked for.
func (w *callWhere) stages(f *CallFilter) {
	switch {
	case f.APIID != "" && f.Stage != "":
		w.and("c.stage_num in (select stage_num from stage where tenant_id = $1 and api_id = ? and name = ?)", f.APIID, f.Stage)
	case f.APIID != "":
		w.and("c.stage_num in (select stage_num from stage where tenant_id = $1 and api_id = ?)", f.APIID)
	case f.Stage != "":
		w.and("c.stage_num in (select stage_num from stage where tenant_id = $1 and name = ?)", f.Stage)
	}
}

// where is what a filter asks for, but for its page.
func (f *CallFilter) where(tenant uint32) (*callWhere, error) {
	w := &callWhere{args: []any{tenant}}
	w.sql.WriteString("c.tenant_id = $1")
	w.stages(f)
	if f.Verb != "" {
		w.and("c.verb = ?", strings.ToUpper(f.Verb))
	}
	if f.Resource != "" {
		w.and("m.path = ?", f.Resource)
	}
	switch class, ok := strings.CutSuffix(strings.ToLower(f.Status), "xx"); {
	case f.Status == "":
	case f.Status == "error":
		w.and("c.status >= 400")
	case ok && len(class) == 1 && class >= "1" && class <= "5":
		from := int(class[0]-'0') * 100
		w.and("c.status between ? and ?", from, from+99)
	default:
		n, err := strconv.Atoi(f.Status)
		if err != nil || n < 100 || n > 599 {
			return nil, model.Errorf(model.Invalid, "%.20q is not a status such as 404, 5xx or error", f.Status)
		}
		w.and("c.status = ?", n)
	}
	switch f.Kind {
	case "":
	case "any":
		w.and("c.kind <> ''")
	default:
		w.and("c.kind = ?", f.Kind)
	}
	if f.KeyID != "" {
		w.and("k.key_id = ?", f.KeyID)
	}
	if f.AppID != "" {
		w.and("k.app_id = ?", f.AppID)
	}
	if f.Subscription != 0 {
		w.and("c.subscription_id = ?", f.Subscription)
	}
	if f.Text != "" {
		w.and("position(lower(?) in lower(c.path)) > 0", f.Text)
	}
	if f.RequestID != "" {
		low, high, err := requestIDs(f.RequestID)
		if err != nil {
			return nil, err
		}
		w.and("c.request_id between ?::text::uuid and ?::text::uuid", low, high)
	}
	if !f.From.IsZero() {
		w.and("c.at >= ?", f.From)
	}
	if !f.To.IsZero() {
		w.and("c.at < ?", f.To)
	}
	return w, nil
}

// requestIDs are the first and the last id that begin so.
func requestIDs(prefix string) (low, high string, err error) {
	text := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(prefix), "-", ""))
	if text == "" || len(text) > 32 || strings.Trim(text, "0123456789abcdef") != "" {
		return "", "", model.Errorf(model.Invalid, "%.60q is not a request id, nor what one begins with: it is what answers carry as x-amzn-RequestId", prefix)
	}
	return text + strings.Repeat("0", 32-len(text)), text + strings.Repeat("f", 32-len(text)), nil
}

// lookLimit is how long a search of the log may take, in milliseconds.
const lookLimit = "10000"

// lookCalls reads the call log, for so long.
func (p *Plane) lookCalls(ctx context.Context, a Actor, fn func(pgx.Tx) error) error {
	err := p.readAs(ctx, a, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select set_config('statement_timeout', $1, true)`, lookLimit); err != nil {
			return err
		}
		return fn(tx)
	})
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok && pe.Code == "57014" && ctx.Err() == nil {
		return model.Errorf(model.Limit, "there are too many calls to look through; ask for a shorter time or one stage")
	}
	return err
}

// Calls lists calls of the log, the newest first.
func (p *Plane) Calls(ctx context.Context, actor Actor, f CallFilter) (CallList, error) {
	from, limit, err := Page{After: f.After, Limit: f.Limit}.bounds()
	if err != nil {
		return CallList{}, err
	}
	w, err := f.where(actor.Tenant)
	if err != nil {
		return CallList{}, err
	}
	if from.Name != "" {
		at, err := time.Parse(time.RFC3339Nano, from.Name)
		if err != nil {
			return CallList{}, model.Errorf(model.Invalid, "the page position is not one that we gave; start from the first page")
		}
		if _, _, err := requestIDs(from.ID); err != nil {
			return CallList{}, err
		}
		w.and("(c.at, c.request_id) < (?, ?::text::uuid)", at, from.ID)
	}
	var out CallList
	err = p.lookCalls(ctx, actor, func(tx pgx.Tx) error {
		if out.Since, err = callsUpTo(ctx, tx); err != nil { // first: what comes in meanwhile comes twice, not never
			return err
		}
		rows, err := tx.Query(ctx, `select `+callColumns+callTables+` where `+w.sql.String()+fmt.Sprintf(` order by c.at desc, c.request_id desc limit %d`, limit+1), w.args...)
		if err != nil {
			return err
		}
		calls, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (c Call, err error) { return c, c.scan(r) })
		if err != nil {
			return err
		}
		l := page(calls, limit, func(c *Call) after { return after{c.At.Format(time.RFC3339Nano), c.RequestID} })
		out.Items, out.Next = l.Items, l.Next
		out.Left, out.Lines, err = p.left(ctx, tx, actor.Tenant, &f)
		return err
	})
	return out, err
}

// left sums what is not in the log, of a filter's time and stages.
func (p *Plane) left(ctx context.Context, tx pgx.Tx, tenant uint32, f *CallFilter) (calls, lines int64, err error) {
	w := &callWhere{args: []any{tenant}}
	w.sql.WriteString("c.tenant_id = $1")
	w.stages(f)
	if !f.From.IsZero() {
		w.and("c.minute >= date_trunc('minute', ?::timestamptz)", f.From)
	}
	if !f.To.IsZero() {
		w.and("c.minute < ?", f.To)
	}
	err = tx.QueryRow(ctx, `select coalesce(sum(calls), 0)::bigint, coalesce(sum(lines), 0)::bigint from call_left c where `+w.sql.String(), w.args...).Scan(&calls, &lines)
	return calls, lines, err
}

// Call is one call with its trace, by its request id.
func (p *Plane) Call(ctx context.Context, actor Actor, requestID string) (Call, error) {
	var out Call
	low, high, err := requestIDs(requestID)
	if err != nil {
		return out, err
	}
	if low != high {
		return out, model.Errorf(model.NotFound, "%.60q is only the beginning of a request id", requestID)
	}
	err = p.lookCalls(ctx, actor, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select `+callColumns+`, c.trace`+callTables+` where c.tenant_id = $1 and c.request_id = $2::text::uuid order by c.at desc limit 1`, actor.Tenant, low)
		if err != nil {
			return err
		}
		out, err = pgx.CollectExactlyOneRow(rows, func(r pgx.CollectableRow) (c Call, err error) { return c, c.scan(r, &c.Trace) })
		return missing(err, "there is no call %s in the call log: it keeps calls for %d days, and of many at once it leaves some out", requestID, p.callDays)
	})
	return out, err
}

// MaxFollow is how long FollowCalls waits at most.
const MaxFollow = 25 * time.Second

// FollowCalls lists calls that came in after an answer's Since, in the order that they
// came in, and waits for one if there is none. Its own Since is for the next.
func (p *Plane) FollowCalls(ctx context.Context, actor Actor, f CallFilter, since string, wait time.Duration) (CallList, error) {
	at, err := parseSince(since)
	if err != nil {
		return CallList{}, err
	}
	var gateway int32
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `select gateway_id from tenant where tenant_id = $1`, actor.Tenant).Scan(&gateway)
		return missing(err, "there is no account %s", actor.AccountID)
	})
	if err != nil {
		return CallList{}, err
	}
	var out CallList
	// Calls of a transaction beside an older one's are seen when that has ended, of
	// which nobody tells: hence looks that are no further apart than a second.
	err = p.wake.until(ctx, channelCalls, gateway, min(max(wait, 0), MaxFollow), time.Second, func() (bool, error) {
		var err error
		out, err = p.callsSince(ctx, actor, &f, at)
		return len(out.Items) > 0, err
	})
	return out, err
}

// sinceAt is a place in the order that calls came in: transactions in the order of their
// numbers, once all before them have ended.
type sinceAt struct {
	tx int64
	at *time.Time // nil: before all of the transaction
	id string
}

const noID = "00000000000000000000000000000000"

func parseSince(text string) (s sinceAt, err error) {
	bad := model.Errorf(model.Invalid, "the place in the log is not one that we gave; list calls first")
	parts := strings.Split(text, ".")
	if s.tx, err = strconv.ParseInt(parts[0], 10, 64); err != nil || len(parts) != 1 && len(parts) != 3 {
		return s, bad
	}
	s.id = noID
	if len(parts) == 3 {
		us, err := strconv.ParseInt(parts[1], 10, 64)
		if _, e := hex.DecodeString(parts[2]); err != nil || e != nil || len(parts[2]) != 32 {
			return s, bad
		}
		at := time.UnixMicro(us)
		s.at, s.id = &at, parts[2]
	}
	return s, nil
}

func callsUpTo(ctx context.Context, tx pgx.Tx) (since string, err error) {
	err = tx.QueryRow(ctx, `select pg_snapshot_xmin(pg_current_snapshot())::text`).Scan(&since)
	return since, err
}

// callsSince are those behind a place, as far as no transaction before them is under way.
func (p *Plane) callsSince(ctx context.Context, actor Actor, f *CallFilter, from sinceAt) (CallList, error) {
	_, limit, err := Page{Limit: f.Limit}.bounds()
	if err != nil {
		return CallList{}, err
	}
	w, err := f.where(actor.Tenant)
	if err != nil {
		return CallList{}, err
	}
	out := CallList{Items: []Call{}}
	err = p.lookCalls(ctx, actor, func(tx pgx.Tx) error {
		if out.Since, err = callsUpTo(ctx, tx); err != nil {
			return err
		}
		w.and("c.tx < ?::text::bigint", out.Since)
		w.and("c.at > now() - ?::text::interval", "2 days")
		w.and("(c.tx, c.at, c.request_id) > (?, coalesce(?::timestamptz, '-infinity'), ?::text::uuid)", from.tx, from.at, from.id)
		rows, err := tx.Query(ctx, `select `+callColumns+`, c.tx`+callTables+` where `+w.sql.String()+fmt.Sprintf(` order by c.tx, c.at, c.request_id limit %d`, limit+1), w.args...)
		if err != nil {
			return err
		}
		var txs []int64
		out.Items, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (c Call, err error) {
			var n int64
			err = c.scan(r, &n)
			txs = append(txs, n)
			return c, err
		})
		if err != nil {
			return err
		}
		if len(out.Items) > limit {
			out.Items = out.Items[:limit]
			last := out.Items[limit-1]
			out.Since = fmt.Sprintf("%d.%d.%s", txs[limit-1], last.At.UnixMicro(), strings.ReplaceAll(last.RequestID, "-", ""))
		}
		out.Left, out.Lines, err = p.left(ctx, tx, actor.Tenant, f)
		return err
	})
	return out, err
}
