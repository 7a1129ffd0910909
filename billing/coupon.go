package billing

import (
	"context"
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/billing/rate"
	"tollgate/model"
)

// A customer's coupon is of all its plans or of one, and of whole calendar months, from
// the one in which it is entered. Its line comes after those of all plans and before the
// tax: each coupon is of what those before it have left, in the order in which they were
// entered, and is divided among the plans by what each of them comes to. Like every
// line it is of all that is known of the month, less what was invoiced.

// Bounds of coupons.
const (
	mostCoupons = 1000 // that can be entered, of one seller
	mostUses    = 5    // that one customer has at a time
)

// couponUse is a coupon that a payer has, with what final invoices of the month hold of it.
type couponUse struct {
	id, developer, code       string
	percent, amount, currency string
	plan, planName            string
	was                       map[string]was // by currency
}

const couponColumns = `u.use_id, coalesce(u.developer_id, ''), u.code, u.percent, u.amount, u.currency, coalesce(u.plan_id, ''), coalesce(p.name, '')`

func (c *couponUse) fields() []any {
	return []any{&c.id, &c.developer, &c.code, &c.percent, &c.amount, &c.currency, &c.plan, &c.planName}
}

// coupons are those of the month in question, in the order in which they apply.
func coupons(ctx context.Context, tx pgx.Tx, q question) ([]couponUse, error) {
	begin, _ := rate.Month(q.month)
	rows, err := tx.Query(ctx, `
		select `+couponColumns+`, coalesce((
			select jsonb_object_agg(currency, jsonb_build_object('amount', amount, 'quantity', 1)) from (
				select i.currency, sum(l.amount)::bigint as amount from invoice i join invoice_line l using (tenant_id, invoice_id)
				where i.tenant_id = u.tenant_id and i.period_start = $2 and i.state = 'final' and l.use_id = u.use_id group by 1) w), '{}')
		from coupon_use u left join plan p using (tenant_id, plan_id)
		where u.tenant_id = $1 and (u.developer_id is null) = ($3 = 'operator') and ($4 = '' or u.developer_id = $4)
			and u.from_month <= $2 and (u.until_month is null or u.until_month > $2)
		order by u.used_at, u.use_id`, q.tenant, begin, q.seller, q.developer)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (c couponUse, err error) {
		return c, r.Scan(append(c.fields(), &c.was)...)
	})
}

// part is what one subscription's lines come to, and what coupons have left of it.
type part struct {
	subscription uint64
	plan         string
	left         int64
}

// inTurn sorts parts by when their subscriptions began, so that whoever divides among
// them divides alike; one that is only thought of comes last.
func inTurn(parts []part) {
	slices.SortStableFunc(parts, func(a, b part) int {
		switch x, y := a.subscription-1, b.subscription-1; {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
}

// off takes the coupon off the parts that it is for.
func (c *couponUse) off(parts []part, digits int) (rate.Line, error) {
	weights := make([]int64, len(parts))
	var base int64
	for i, p := range parts {
		if c.plan == "" || p.plan == c.plan {
			weights[i] = max(p.left, 0)
			base += weights[i]
		}
	}
	l, err := rate.Coupon(base, model.Decimal(c.percent), model.Decimal(c.amount), digits)
	for i, n := range share(-l.Amount, weights) {
		parts[i].left -= n
	}
	return l, err
}

// title is what the lines of the coupon stand under.
func (c *couponUse) title() string {
	if c.plan == "" {
		return "Code " + c.code
	}
	return "Code " + c.code + ", off " + c.planName
}

// take adds the lines of its payer's coupons to a bill.
func (b *bill) take(all []couponUse) error {
	digits, _ := model.MinorDigits(b.currency)
	inTurn(b.parts)
	for i := range all {
		c := &all[i]
		if c.developer != b.developer || c.currency != "" && c.currency != b.currency {
			continue
		}
		l, err := c.off(b.parts, digits)
		if err != nil {
			return fmt.Errorf("coupon %s: %w", c.code, err)
		}
		w, before := c.was[b.currency]
		if bl := (billLine{Line: l, title: c.title(), use: c.id, invoiced: w.Amount, before: before, known: w.Quantity}); bl.news() {
			b.lines = append(b.lines, bl)
		}
	}
	return nil
}

// couponsAgain makes the lines of coupons that final invoices of a payer, month and
// currency hold anew, from their other lines, up to the one of a cut. It returns them
// by use.
func couponsAgain(ctx context.Context, tx pgx.Tx, q question, currency string) (map[string]rate.Line, error) {
	const those = `
		from invoice i join invoice_line l using (tenant_id, invoice_id)
		where i.tenant_id = $1 and i.seller = $2 and coalesce(i.developer_id, '') = $3 and i.period_start = $4 and i.currency = $5 and i.state = 'final' and i.kind <> 'top-up' and i.cut <= $6`
	args := []any{q.tenant, q.seller, q.developer, q.month, currency, q.gen}
	rows, err := tx.Query(ctx, `
		with n as (select l.tenant_id, l.subscription_id, sum(l.amount)::bigint as amount `+those+` and l.use_id is null group by 1, 2)
		select n.subscription_id, coalesce(s.plan_id, ''), n.amount from n left join subscription s using (tenant_id, subscription_id) order by 1`, args...)
	if err != nil {
		return nil, err
	}
	parts, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (p part, err error) { return p, r.Scan(&p.subscription, &p.plan, &p.left) })
	if err != nil {
		return nil, err
	}
	rows, err = tx.Query(ctx, `
		select `+couponColumns+` from coupon_use u left join plan p using (tenant_id, plan_id)
		where u.tenant_id = $1 and u.use_id in (select l.use_id `+those+` and l.use_id is not null) order by u.used_at, u.use_id`, args...)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (c couponUse, err error) { return c, r.Scan(c.fields()...) })
	if err != nil {
		return nil, err
	}
	digits, _ := model.MinorDigits(currency)
	inTurn(parts)
	out := map[string]rate.Line{}
	for i := range all {
		if out[all[i].id], err = all[i].off(parts, digits); err != nil {
			return nil, err
		}
	}
	return out, nil
}

var couponCode = regexp.MustCompile(`^[A-Z0-9][A-Z0-9-]{2,39}$`)

// CheckCoupon reports the first thing about a coupon that cannot be, by its name in JSON.
func (b *Billing) CheckCoupon(c *model.CustomerCoupon) (field string, err error) {
	switch {
	case !couponCode.MatchString(c.Code):
		return "code", model.Errorf(model.Invalid, "a code has 3 to 40 letters, digits and hyphens, such as SPRING-20, not %.60q", c.Code)
	case (c.Percent == "") == (c.Amount == ""):
		return "amount", model.Errorf(model.Invalid, "a coupon takes off an amount or a percentage, one of the two")
	case c.Months < 0 || c.Months > model.MaxMonths:
		return "months", model.Errorf(model.Invalid, "a coupon is for 1 to %d months, or for ever, not %d", model.MaxMonths, c.Months)
	case c.Most < 0 || c.Most > 1_000_000:
		return "most", model.Errorf(model.Invalid, "a coupon is for 1 to 1,000,000 customers, or for all, not %d", c.Most)
	case !c.ExpiresAt.IsZero() && (!c.ExpiresAt.After(b.now()) || c.ExpiresAt.After(b.now().AddDate(50, 0, 0))):
		return "expires", model.Errorf(model.Invalid, "a coupon can be entered until a day within 50 years, not %s", c.ExpiresAt.UTC().Format(time.DateOnly))
	}
	currency := c.Currency
	if c.Percent != "" {
		if currency != "" {
			return "currency", model.Errorf(model.Invalid, "a percentage has no currency")
		}
		currency = "USD"
	}
	if (c.Percent + c.Amount).Zero() {
		return "amount", model.Errorf(model.Invalid, "a coupon takes something off")
	}
	sheet := model.PriceSheet{Currency: currency, Coupon: &model.Coupon{Percent: c.Percent, Amount: c.Amount, Months: 1}}
	if err := sheet.Validate(); err != nil {
		return "amount", err
	}
	return "", nil
}

// ofSeller are the coupons of tenant $1: of the operator, where that is 0.
const ofSeller = `c.tenant_id is not distinct from nullif($1, 0)`

// CreateCoupon makes a coupon, whose terms are never changed.
func (b *Billing) CreateCoupon(ctx context.Context, s Scope, by By, c model.CustomerCoupon) (id string, err error) {
	if s.Developer != "" {
		return "", model.Errorf(model.Denied, "who pays makes no coupons")
	}
	c.Code = strings.ToUpper(strings.TrimSpace(c.Code))
	if _, err := b.CheckCoupon(&c); err != nil {
		return "", err
	}
	var expires *time.Time
	if !c.ExpiresAt.IsZero() {
		expires = &c.ExpiresAt
	}
	for _, d := range []*model.Decimal{&c.Percent, &c.Amount} {
		if *d != "" {
			*d = d.Canonical()
		}
	}
	id = model.NewID(12)
	err = b.in(ctx, s, pgx.TxOptions{}, func(tx pgx.Tx) error {
		var n int
		if err := tx.QueryRow(ctx, `select count(*) from coupon c where `+ofSeller+` and withdrawn_at is null`, s.Tenant).Scan(&n); err != nil {
			return err
		}
		if n >= mostCoupons {
			return model.Errorf(model.Limit, "there are %d coupons, the most there can be; withdraw one first", n)
		}
		if c.PlanID != "" {
			var one int
			err := tx.QueryRow(ctx, `select 1 from plan where tenant_id = $1 and plan_id = $2 and deleted_at is null`, s.Tenant, c.PlanID).Scan(&one)
			if err == pgx.ErrNoRows {
				return model.Errorf(model.NotFound, "there is no plan %q", c.PlanID)
			}
			if err != nil {
				return err
			}
		}
		tag, err := tx.Exec(ctx, `
			insert into coupon (tenant_id, coupon_id, code, percent, amount, currency, months, plan_id, most, expires_at, created_by, created_at)
			values (nullif($1, 0), $2, $3, $4, $5, $6, $7, nullif($8, ''), nullif($9, 0), $10, $11, $12) on conflict on constraint coupon_code do nothing`,
			s.Tenant, id, c.Code, c.Percent, c.Amount, c.Currency, c.Months, c.PlanID, c.Most, expires, or(by.Name, by.Member), b.now())
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return model.Errorf(model.Conflict, "there is a coupon %s already; its code stays taken when it is withdrawn", c.Code)
		}
		return audit(ctx, tx, s.Tenant, by, "coupon.create", c.Code, map[string]any{"percent": c.Percent, "amount": c.Amount, "currency": c.Currency, "months": c.Months, "plan": c.PlanID, "most": c.Most})
	})
	return id, err
}

// Coupons are a seller's, those that can be entered first, then the newest.
func (b *Billing) Coupons(ctx context.Context, s Scope) (out []model.CustomerCoupon, err error) {
	if s.Developer != "" {
		return nil, model.Errorf(model.Denied, "who pays sees the coupons it has")
	}
	err = b.read(ctx, s, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select c.coupon_id, c.code, c.percent, c.amount, c.currency, c.months, coalesce(c.plan_id, ''), coalesce(p.name, ''), coalesce(c.most, 0),
				(select count(*) from coupon_use u where u.coupon_id = c.coupon_id), coalesce(c.expires_at, '0001-01-01'), coalesce(c.withdrawn_at, '0001-01-01'), c.created_by, c.created_at
			from coupon c left join plan p using (tenant_id, plan_id) where `+ofSeller+`
			order by c.withdrawn_at is not null, c.created_at desc, c.coupon_id limit 2000`, s.Tenant)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, pgx.RowToStructByPos[model.CustomerCoupon])
		return err
	})
	return out, err
}

// WithdrawCoupon lets nobody enter a coupon any more. Who has it keeps it.
func (b *Billing) WithdrawCoupon(ctx context.Context, s Scope, by By, id string) error {
	if s.Developer != "" {
		return model.Errorf(model.Denied, "who pays withdraws no coupons")
	}
	return b.in(ctx, s, pgx.TxOptions{}, func(tx pgx.Tx) error {
		var code string
		err := tx.QueryRow(ctx, `
			update coupon c set withdrawn_at = coalesce(withdrawn_at, $3) where `+ofSeller+` and coupon_id = $2 returning code`, s.Tenant, id, b.now()).Scan(&code)
		if err == pgx.ErrNoRows {
			return model.Errorf(model.NotFound, "there is no coupon %q", id)
		}
		if err != nil {
			return err
		}
		return audit(ctx, tx, s.Tenant, by, "coupon.withdraw", code, nil)
	})
}

// guess counts what a payer enters, and refuses where that looks like guessing: ten at
// once, then one in a minute. It is a transaction of its own.
func (b *Billing) guess(ctx context.Context, p Payer) error {
	h := sha256.Sum256(fmt.Appendf(nil, "coupon\x00%d %s", p.Tenant, p.Developer))
	tag, err := b.pool.Exec(ctx, `
		insert into attempt as a (key_hash, full_at) values ($1, $2::timestamptz + interval '1 minute')
		on conflict (key_hash) do update set full_at = greatest(a.full_at, $2) + interval '1 minute'
		where greatest(a.full_at, $2) + interval '1 minute' <= $2::timestamptz + interval '10 minutes'`, h[:], b.now())
	if err == nil && tag.RowsAffected() == 0 {
		err = model.Errorf(model.Limit, "too many codes were tried; wait a minute and try again")
	}
	return err
}

// UseCoupon gives a customer what a code stands for, from this month on. The customer
// may enter it, and whoever sells may give it.
func (b *Billing) UseCoupon(ctx context.Context, s Scope, by By, p Payer, code string) (use model.CouponUse, err error) {
	if err := s.sees(p); err != nil {
		return use, err
	}
	seller := p.seller()
	if s != seller {
		if err := b.guess(ctx, p); err != nil {
			return use, err
		}
	}
	code = strings.ToUpper(strings.TrimSpace(code))
	none := model.Errorf(model.Invalid, "there is no code %.40q that can be entered; compare it with what you were given", code)
	if !couponCode.MatchString(code) {
		return use, none
	}
	err = b.in(ctx, seller, pgx.TxOptions{}, func(tx pgx.Tx) error {
		if err := p.there(ctx, tx); err != nil {
			return err
		}
		var id string
		var months, most, used int
		var expires, withdrawn *time.Time
		use = model.CouponUse{ID: model.NewID(12), By: or(by.Name, by.Member), UsedAt: b.now()}
		err := tx.QueryRow(ctx, `
			select coupon_id, code, percent, amount, currency, months, coalesce(plan_id, ''), coalesce((select name from plan p where (p.tenant_id, p.plan_id) = (c.tenant_id, c.plan_id)), ''), coalesce(most, 0), expires_at, withdrawn_at
			from coupon c where `+ofSeller+` and code = $2 for update`, seller.Tenant, code).
			Scan(&id, &use.Code, &use.Percent, &use.Amount, &use.Currency, &months, &use.PlanID, &use.Plan, &most, &expires, &withdrawn)
		if err == pgx.ErrNoRows || err == nil && (withdrawn != nil || expires != nil && !expires.After(b.now())) {
			return none
		}
		if err != nil {
			return err
		}
		var has bool
		var running int
		err = tx.QueryRow(ctx, `
			select (select count(*) from coupon_use where coupon_id = $1), coalesce(bool_or(coupon_id = $1), false),
				count(*) filter (where until_month is null or until_month > $4)
			from coupon_use where tenant_id = $2 and developer_id is not distinct from nullif($3, '')`, id, p.Tenant, p.Developer, b.now()).Scan(&used, &has, &running)
		switch {
		case err != nil:
			return err
		case has:
			return model.Errorf(model.Conflict, "code %s was entered already: each customer can have it once", code)
		case most > 0 && used >= most:
			return model.Errorf(model.Conflict, "code %s was given to %d customers, and is used up", code, used)
		case running >= mostUses:
			return model.Errorf(model.Limit, "%d codes are running, the most there can be at a time", running)
		}
		use.From, _ = rate.Month(b.now())
		var until *time.Time
		if months > 0 {
			use.Until = use.From.AddDate(0, months, 0)
			until = &use.Until
		}
		_, err = tx.Exec(ctx, `
			insert into coupon_use (tenant_id, use_id, coupon_id, developer_id, code, percent, amount, currency, plan_id, from_month, until_month, by, used_at)
			values ($1, $2, $3, nullif($4, ''), $5, $6, $7, $8, nullif($9, ''), $10, $11, $12, $13)`,
			p.Tenant, use.ID, id, p.Developer, use.Code, use.Percent, use.Amount, use.Currency, use.PlanID, use.From, until, use.By, use.UsedAt)
		if err != nil {
			return err
		}
		return audit(ctx, tx, p.Tenant, by, "coupon.use", p.target(), map[string]any{"code": code})
	})
	return use, err
}

// CouponUses are the coupons that a payer has or had, the newest first.
func (b *Billing) CouponUses(ctx context.Context, s Scope, p Payer) (out []model.CouponUse, err error) {
	if err := s.sees(p); err != nil {
		return nil, err
	}
	err = b.read(ctx, p.rows(), func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select u.use_id, u.code, u.percent, u.amount, u.currency, coalesce(u.plan_id, ''), coalesce(p.name, ''), u.from_month, coalesce(u.until_month, '0001-01-01'), u.by, u.used_at
			from coupon_use u left join plan p using (tenant_id, plan_id)
			where u.tenant_id = $1 and u.developer_id is not distinct from nullif($2, '') order by u.used_at desc, u.use_id limit 200`, p.Tenant, p.Developer)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, pgx.RowToStructByPos[model.CouponUse])
		for i := range out {
			out[i].From, out[i].Until = out[i].From.UTC(), out[i].Until.UTC()
		}
		return err
	})
	return out, err
}

// EndCoupon takes a coupon from a customer: at once where no invoice of this month has
// it, else with the end of the month. It cannot be entered again.
func (b *Billing) EndCoupon(ctx context.Context, s Scope, by By, p Payer, use string) error {
	if err := s.sellsTo(p); err != nil {
		return err
	}
	month, next := rate.Month(b.now())
	return b.in(ctx, p.seller(), pgx.TxOptions{}, func(tx pgx.Tx) error {
		if err := lockBooks(ctx, tx, p.Tenant, p.sells()); err != nil { // no bill with it is being made final meanwhile
			return err
		}
		var code string
		err := tx.QueryRow(ctx, `
			update coupon_use u set until_month = case
				when until_month <= $4 then until_month
				when exists (select from invoice i join invoice_line l using (tenant_id, invoice_id)
					where i.tenant_id = u.tenant_id and i.period_start = $4 and i.state = 'final' and l.use_id = u.use_id) then least(until_month, $5)
				else greatest(from_month, $4) end
			where tenant_id = $1 and developer_id is not distinct from nullif($2, '') and use_id = $3 returning code`, p.Tenant, p.Developer, use, month, next).Scan(&code)
		if err == pgx.ErrNoRows {
			return model.Errorf(model.NotFound, "the customer has no such coupon")
		}
		if err != nil {
			return err
		}
		return audit(ctx, tx, p.Tenant, by, "coupon.end", p.target(), map[string]any{"code": code})
	})
}
