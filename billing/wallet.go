package billing

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// A wallet is what somebody who pays has with who sells, before anything is used:
// bought by top-ups (topup.go) or granted. It is kept by double entry. Every happening
// is a transaction of the ledger with a reference: its sides come to nothing, and it
// is there once, whatever is tried again; the database sees to both, and to a balance
// that is never below nothing.
//
// An invoice that becomes final is paid from the wallet first, as far as that reaches,
// by the transaction that makes it final. What is credited of it goes back there
// before any money does, to the grants that it came from: one that has expired
// meanwhile expires again.

// Payer is who has a wallet and coupons: a developer with its tenant, or, without one,
// the tenant with the operator.
type Payer struct {
	Tenant    uint32
	Developer string
}

// sells is who sells to the payer.
func (p Payer) sells() string {
	if p.Developer == "" {
		return ByOperator
	}
	return BySeller
}

// seller is the scope of who sells to the payer.
func (p Payer) seller() Scope {
	if p.Developer == "" {
		return Operator
	}
	return Scope{Tenant: p.Tenant}
}

// target is the payer in the audit trail.
func (p Payer) target() string { return or(p.Developer, "the account") }

// rows is the scope of the rows of a payer.
func (p Payer) rows() Scope { return Scope{Tenant: p.Tenant} }

// sellsTo refuses all but the one who sells to the payer.
func (s Scope) sellsTo(p Payer) error {
	switch {
	case s.Developer != "":
		return model.Errorf(model.Denied, "who pays does not keep the books")
	case p.Tenant == 0 || p.Developer != "" && s.Tenant != p.Tenant:
		return model.Errorf(model.NotFound, "there is no developer %q", p.Developer)
	case p.Developer == "" && s != Operator:
		return model.Errorf(model.Denied, "what a tenant has with the operator is the operator's to change")
	}
	return nil
}

// sees refuses all but the payer and the one who sells to it.
func (s Scope) sees(p Payer) error {
	if p.Tenant != 0 && s.Tenant == p.Tenant && s.Developer == p.Developer {
		return nil
	}
	return s.sellsTo(p)
}

// there makes sure that there is such a payer.
func (p Payer) there(ctx context.Context, tx pgx.Tx) error {
	sql, args := `select 1 from developer where tenant_id = $1 and developer_id = $2`, []any{p.Tenant, p.Developer}
	if p.Developer == "" {
		sql, args = `select 1 from tenant where tenant_id = $1`, args[:1]
	}
	var one int
	err := tx.QueryRow(ctx, sql, args...).Scan(&one)
	if err == pgx.ErrNoRows {
		return model.Errorf(model.NotFound, "there is no such customer")
	}
	return err
}

// wallet is one that is being changed: its row is locked, and nothing in it has expired.
type wallet struct {
	Payer
	id, currency  string
	balance, owed int64
	refill        model.Refill
}

// openWallet locks a payer's wallet, which is made where there is none.
func (b *Billing) openWallet(ctx context.Context, tx pgx.Tx, p Payer, currency string) (*wallet, error) {
	_, err := tx.Exec(ctx, `
		insert into wallet (tenant_id, wallet_id, developer_id, currency, created_at) values ($1, $2, nullif($3, ''), $4, $5)
		on conflict on constraint wallet_payer do nothing`, p.Tenant, model.NewID(12), p.Developer, currency, b.now())
	if err != nil {
		return nil, err
	}
	return b.lockWallet(ctx, tx, p, currency)
}

// lockWallet locks a payer's wallet and books what has expired in it; nil: there is none.
func (b *Billing) lockWallet(ctx context.Context, tx pgx.Tx, p Payer, currency string) (*wallet, error) {
	w := &wallet{Payer: p, currency: currency}
	err := tx.QueryRow(ctx, `
		select wallet_id, balance, owed, coalesce(refill_below, 0), coalesce(refill_by, 0) from wallet
		where tenant_id = $1 and developer_id is not distinct from nullif($2, '') and currency = $3 for update`,
		p.Tenant, p.Developer, currency).Scan(&w.id, &w.balance, &w.owed, &w.refill.Below, &w.refill.By)
	if err == pgx.ErrNoRows {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return w, b.expire(ctx, tx, w)
}

// side is one of a transaction of the ledger; grant is of the account credit alone.
type side struct {
	account, grant string
	amount         int64
}

// Accounts of the ledger.
const (
	onCredit  = "credit"  // what the payer has
	onOwed    = "owed"    // below zero: what it owes
	onPaidIn  = "paid-in" // below zero: money that came
	onGranted = "granted" // below zero: what was given
	onSpent   = "spent"
	onExpired = "expired"
)

// happening is what a transaction of the ledger is about.
type happening struct {
	kind, reference, invoice, note string
	by                             By
}

// post books a transaction and reports that it is new.
func (b *Billing) post(ctx context.Context, tx pgx.Tx, w *wallet, h happening, sides []side) (bool, error) {
	var id int64
	err := tx.QueryRow(ctx, `
		insert into ledger_transaction (tenant_id, wallet_id, kind, reference, invoice_id, note, by, at) values ($1, $2, $3, $4, nullif($5, ''), $6, $7, $8)
		on conflict on constraint ledger_once do nothing returning transaction_id`,
		w.Tenant, w.id, h.kind, h.reference, h.invoice, h.note, or(h.by.Name, h.by.Member), b.now()).Scan(&id)
	if err == pgx.ErrNoRows {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	batch := &pgx.Batch{}
	for i, s := range sides {
		batch.Queue(`
			insert into ledger_entry (tenant_id, transaction_id, line, wallet_id, account, grant_id, amount) values ($1, $2, $3, $4, $5, nullif($6, ''), $7)`,
			w.Tenant, id, i+1, w.id, s.account, s.grant, s.amount)
		switch s.account {
		case onCredit:
			w.balance += s.amount
		case onOwed:
			w.owed -= s.amount
		}
	}
	return true, tx.SendBatch(ctx, batch).Close()
}

// grant is what is being put into a wallet.
type grant struct {
	kind, invoice, reason string
	priority              int
	expires               time.Time
	by                    By
}

// put makes the sides by which an amount comes in: it fills what is owed first, and the
// rest is a grant of its own.
func (b *Billing) put(ctx context.Context, tx pgx.Tx, w *wallet, amount int64, g grant) (sides []side, id string, err error) {
	if fill := min(amount, w.owed); fill > 0 {
		sides = append(sides, side{account: onOwed, amount: fill})
		amount -= fill
	}
	if amount == 0 {
		return sides, "", nil
	}
	id = model.NewID(12)
	var expires *time.Time
	if !g.expires.IsZero() {
		expires = &g.expires
	}
	_, err = tx.Exec(ctx, `
		insert into credit_grant (tenant_id, grant_id, wallet_id, kind, amount, priority, expires_at, invoice_id, reason, by, created_at)
		values ($1, $2, $3, $4, $5, $6, $7, nullif($8, ''), $9, $10, $11)`,
		w.Tenant, id, w.id, g.kind, amount, g.priority, expires, g.invoice, g.reason, or(g.by.Name, g.by.Member), b.now())
	return append(sides, side{onCredit, id, amount}), id, err
}

// left is a grant with what remains of it.
type left struct {
	grant     string
	remaining int64
}

// inOrder is the order in which grants g are used.
const inOrder = `g.priority, g.expires_at nulls last, g.kind = 'paid', g.serial`

// draw makes the sides by which up to an amount goes out, in order; with an invoice, of
// the grants first that it brought. drawn is how much there was.
func draw(ctx context.Context, tx pgx.Tx, w *wallet, amount int64, invoice string) (sides []side, drawn int64, err error) {
	rows, err := tx.Query(ctx, `
		select g.grant_id, g.remaining from credit_grant g where g.tenant_id = $1 and g.wallet_id = $2 and g.remaining > 0
		order by $3 <> '' and g.invoice_id is distinct from $3, `+inOrder, w.Tenant, w.id, invoice)
	if err != nil {
		return nil, 0, err
	}
	var l left
	_, err = pgx.ForEachRow(rows, []any{&l.grant, &l.remaining}, func() error {
		if n := min(l.remaining, amount-drawn); n > 0 {
			sides = append(sides, side{onCredit, l.grant, -n})
			drawn += n
		}
		return nil
	})
	return sides, drawn, err
}

// expire books what has expired.
func (b *Billing) expire(ctx context.Context, tx pgx.Tx, w *wallet) error {
	rows, err := tx.Query(ctx, `
		select g.grant_id, g.remaining, (select count(*) from ledger_entry e where e.tenant_id = g.tenant_id and e.grant_id = g.grant_id)
		from credit_grant g where g.tenant_id = $1 and g.wallet_id = $2 and g.remaining > 0 and g.expires_at <= $3 order by g.expires_at, g.grant_id`, w.Tenant, w.id, b.now())
	if err != nil {
		return err
	}
	type gone struct {
		left
		entries int64 // which names what expired: it may come back and expire again
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (g gone, err error) {
		return g, r.Scan(&g.grant, &g.remaining, &g.entries)
	})
	for _, g := range all {
		h := happening{kind: model.WalletExpire, reference: g.grant + "/" + strconv.FormatInt(g.entries, 10), by: clock}
		if _, err := b.post(ctx, tx, w, h, []side{{onCredit, g.grant, -g.remaining}, {account: onExpired, amount: g.remaining}}); err != nil {
			return err
		}
	}
	return err
}

// clock is who does what the calendar says to wallets.
var clock = By{Member: "billing", Name: "calendar", Role: "system"}

// cover pays an invoice that becomes final from its payer's wallet, as far as that
// reaches, and returns how much that is.
func (b *Billing) cover(ctx context.Context, tx pgx.Tx, p Payer, invoice, number, currency string, total int64) (int64, error) {
	w, err := b.lockWallet(ctx, tx, p, currency)
	if err != nil || w == nil {
		return 0, err
	}
	return b.spend(ctx, tx, w, invoice, number, total, clockwork)
}

// spend pays up to an amount of an invoice. Who calls it sees to the collection.
func (b *Billing) spend(ctx context.Context, tx pgx.Tx, w *wallet, invoice, number string, amount int64, by By) (int64, error) {
	sides, drawn, err := draw(ctx, tx, w, amount, "")
	if err != nil || drawn == 0 {
		return 0, err
	}
	var n int
	if err := tx.QueryRow(ctx, `select count(*) from payment where tenant_id = $1 and invoice_id = $2 and kind = 'wallet' and amount > 0`, w.Tenant, invoice).Scan(&n); err != nil {
		return 0, err
	}
	reference := fmt.Sprintf("Payment %d from credit", n+1)
	if n == 0 {
		reference = "From credit"
	}
	h := happening{kind: model.WalletSpend, reference: fmt.Sprintf("%s/%d", invoice, n+1), invoice: invoice, by: by}
	if _, err := b.post(ctx, tx, w, h, append(sides, side{account: onSpent, amount: drawn})); err != nil {
		return 0, err
	}
	if err := b.walletPayment(ctx, tx, w, invoice, drawn, reference, by); err != nil {
		return 0, err
	}
	return drawn, audit(ctx, tx, w.Tenant, by, "invoice.paid", invoice, map[string]any{"number": number, "amount": drawn, "kind": model.PaidByWallet, "reference": reference})
}

func (b *Billing) walletPayment(ctx context.Context, tx pgx.Tx, w *wallet, invoice string, amount int64, reference string, by By) error {
	_, err := tx.Exec(ctx, `
		insert into payment (tenant_id, payment_id, invoice_id, amount, kind, reference, note, at, by, created_at) values ($1, $2, $3, $4, 'wallet', $5, '', $6, $7, $6)`,
		w.Tenant, model.NewID(12), invoice, amount, reference, b.now(), or(by.Name, by.Member))
	return err
}

// giveBack returns an amount that an invoice was paid from the wallet, for a credit
// note to it: to what is owed first, then to the grants it came from, the last one
// that was used first.
func (b *Billing) giveBack(ctx context.Context, tx pgx.Tx, c *standing, amount int64, note string, by By) error {
	w, err := b.lockWallet(ctx, tx, Payer{c.tenant, c.developer}, c.currency)
	if err != nil {
		return err
	}
	if w == nil {
		return fmt.Errorf("invoice %s was paid from a wallet that is not there", c.invoice)
	}
	sides := []side{{account: onSpent, amount: -amount}}
	rest := amount
	if fill := min(rest, w.owed); fill > 0 {
		sides = append(sides, side{account: onOwed, amount: fill})
		rest -= fill
	}
	rows, err := tx.Query(ctx, `
		select e.grant_id, -sum(e.amount)::bigint from ledger_transaction t join ledger_entry e using (tenant_id, transaction_id)
		where t.tenant_id = $1 and t.invoice_id = $2 and t.kind in ('spend', 'give-back') and e.account = 'credit'
		group by 1 having sum(e.amount) < 0 order by max(e.transaction_id * 10000 + e.line) filter (where t.kind = 'spend') desc`, c.tenant, c.invoice)
	if err != nil {
		return err
	}
	var l left
	_, err = pgx.ForEachRow(rows, []any{&l.grant, &l.remaining}, func() error {
		if n := min(l.remaining, rest); n > 0 {
			sides = append(sides, side{onCredit, l.grant, n})
			rest -= n
		}
		return nil
	})
	if err != nil {
		return err
	}
	if rest != 0 {
		return fmt.Errorf("%d of invoice %s were paid from no grant", rest, c.invoice)
	}
	if _, err := b.post(ctx, tx, w, happening{model.WalletGiveBack, note, c.invoice, "", by}, sides); err != nil {
		return err
	}
	if err := b.walletPayment(ctx, tx, w, c.invoice, -amount, note, by); err != nil {
		return err
	}
	c.Paid -= amount
	c.fromWallet -= amount
	return nil
}

// Available is what a payer may still spend of its wallet.
type Available struct {
	Wallet  bool  // there is one
	Balance int64 // minor units, without what has expired by now
	Owed    int64
}

// Available is what a payer has in a currency now. What it has used and was not invoiced
// yet comes off it only when that is.
func (b *Billing) Available(ctx context.Context, p Payer, currency string) (a Available, err error) {
	err = b.read(ctx, p.rows(), func(tx pgx.Tx) error {
		a, err = b.available(ctx, tx, p, currency)
		return err
	})
	return a, err
}

func (b *Billing) available(ctx context.Context, tx pgx.Tx, p Payer, currency string) (a Available, err error) {
	err = tx.QueryRow(ctx, `
		select true, w.owed, (select coalesce(sum(remaining), 0)::bigint from credit_grant g
			where (g.tenant_id, g.wallet_id) = (w.tenant_id, w.wallet_id) and remaining > 0 and (expires_at is null or expires_at > $4))
		from wallet w where tenant_id = $1 and developer_id is not distinct from nullif($2, '') and currency = $3`,
		p.Tenant, p.Developer, currency, b.now()).Scan(&a.Wallet, &a.Owed, &a.Balance)
	if err == pgx.ErrNoRows {
		err = nil
	}
	return a, err
}

// Wallets are a payer's, with the grants that have something left.
func (b *Billing) Wallets(ctx context.Context, s Scope, p Payer) (out []model.Wallet, err error) {
	if err := s.sees(p); err != nil {
		return nil, err
	}
	err = b.read(ctx, p.rows(), func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select wallet_id, currency, 0, 0::bigint, owed, coalesce(refill_below, 0), coalesce(refill_by, 0) from wallet
			where tenant_id = $1 and developer_id is not distinct from nullif($2, '') order by currency`, p.Tenant, p.Developer)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (w model.Wallet, err error) {
			err = r.Scan(&w.ID, &w.Currency, &w.Digits, &w.Balance, &w.Owed, &w.Refill.Below, &w.Refill.By)
			w.Digits, _ = model.MinorDigits(w.Currency)
			return w, err
		})
		for i := range out {
			if err == nil {
				err = b.grants(ctx, tx, p.Tenant, &out[i])
			}
		}
		return err
	})
	return out, err
}

// grants fills in what is left of a wallet's grants, and with it the balance.
func (b *Billing) grants(ctx context.Context, tx pgx.Tx, tenant uint32, w *model.Wallet) error {
	rows, err := tx.Query(ctx, `
		select g.grant_id, g.kind, g.amount, g.remaining, g.priority, coalesce(g.expires_at, '0001-01-01'), coalesce(g.invoice_id, ''), coalesce(i.number, ''), g.reason, g.by, g.created_at
		from credit_grant g left join invoice i using (tenant_id, invoice_id)
		where g.tenant_id = $1 and g.wallet_id = $2 and g.remaining > 0 and (g.expires_at is null or g.expires_at > $3) order by `+inOrder, tenant, w.ID, b.now())
	if err != nil {
		return err
	}
	w.Grants, err = pgx.CollectRows(rows, pgx.RowToStructByPos[model.CreditGrant])
	for _, g := range w.Grants {
		w.Balance += g.Remaining
	}
	return err
}

// historyPage is how much of a history is shown at once.
const historyPage = 50

// History is what happened to a payer's wallet, the newest first, from before a
// happening on; 0: from the newest. next is where it goes on; 0: it does not.
func (b *Billing) History(ctx context.Context, s Scope, p Payer, currency string, before int64) (out []model.WalletChange, next int64, err error) {
	if err := s.sees(p); err != nil {
		return nil, 0, err
	}
	if before < 0 {
		return nil, 0, model.Errorf(model.Invalid, "the page position is not one that we gave; start from the first page")
	}
	err = b.read(ctx, p.rows(), func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select t.transaction_id, t.kind, coalesce(e.credit, 0), coalesce(e.owed, 0), t.note, coalesce(t.invoice_id, ''), coalesce(i.number, ''), t.by, t.at
			from wallet w join ledger_transaction t using (tenant_id, wallet_id) left join invoice i on (i.tenant_id, i.invoice_id) = (t.tenant_id, t.invoice_id),
				lateral (select (sum(amount) filter (where account = 'credit'))::bigint as credit, -(sum(amount) filter (where account = 'owed'))::bigint as owed
					from ledger_entry e where (e.tenant_id, e.transaction_id) = (t.tenant_id, t.transaction_id)) e
			where w.tenant_id = $1 and w.developer_id is not distinct from nullif($2, '') and w.currency = $3 and ($4 = 0 or t.transaction_id < $4)
			order by t.transaction_id desc limit $5`, p.Tenant, p.Developer, currency, before, historyPage+1)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, pgx.RowToStructByPos[model.WalletChange])
		return err
	})
	if err == nil && len(out) > historyPage {
		out, next = out[:historyPage], out[historyPage-1].ID
	}
	return out, next, err
}

// Currencies are those that a payer's credit can be in: of the wallets there are, and of
// what its seller charges.
func (b *Billing) Currencies(ctx context.Context, s Scope, p Payer) (out []string, err error) {
	if err := s.sees(p); err != nil {
		return nil, err
	}
	err = b.read(ctx, p.rows(), func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select currency from wallet where tenant_id = $1 and developer_id is not distinct from nullif($2, '')
			union select s.sheet->>'currency' from plan p join price_sheet s on (s.tenant_id, s.sheet_num) = (p.tenant_id, p.sheet_num)
				where p.tenant_id = $1 and $2 <> '' and p.deleted_at is null
			union (select sheet->>'currency' from price_sheet where tenant_id is null and $2 = '' and from_month <= $3::timestamptz order by from_month desc, sheet_num desc limit 1)
			order by 1 limit 50`, p.Tenant, p.Developer, b.now())
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return out, err
}
