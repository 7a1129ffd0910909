package billing_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"tollgate/billing"
	"tollgate/model"
)

// purse is what an oracle in memory says of a wallet: lots in the order in which they
// came, and what each invoice drew from them.
type purse struct {
	lots []*lot
	owed int64
}

type lot struct {
	left     int64
	priority int
	paid     string // the top-up that it came from
	expires  time.Time
}

// used sorts lots as they are used.
func (p *purse) used(now time.Time) (out []*lot) {
	for _, l := range p.lots {
		if !l.expires.IsZero() && !l.expires.After(now) {
			l.left = 0
		}
		if l.left > 0 {
			out = append(out, l)
		}
	}
	far := now.AddDate(1000, 0, 0)
	key := func(l *lot) time.Time {
		if l.expires.IsZero() {
			return far
		}
		return l.expires
	}
	slices.SortStableFunc(out, func(a, b *lot) int {
		switch {
		case a.priority != b.priority:
			return a.priority - b.priority
		case !key(a).Equal(key(b)):
			return key(a).Compare(key(b))
		case (a.paid != "") != (b.paid != ""):
			if a.paid != "" {
				return 1
			}
			return -1
		}
		return 0
	})
	return out
}

func (p *purse) put(l *lot) {
	fill := min(l.left, p.owed)
	p.owed -= fill
	l.left -= fill
	p.lots = append(p.lots, l)
}

type drawn struct {
	lot *lot
	n   int64
}

func draw(from []*lot, amount int64) (out []drawn, sum int64) {
	for _, l := range from {
		if n := min(l.left, amount-sum); n > 0 {
			l.left -= n
			sum += n
			out = append(out, drawn{l, n})
		}
	}
	return out, sum
}

// Random grants, top-ups, invoices, credits, voids, refunds and days that pass, some in
// transactions that crash before they are committed: the wallet and every invoice are as
// an oracle says, the ledger always balances, and nothing is below nothing.
func TestWalletAgreesWithAnOracle(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	crash := false
	b.Billing = billing.New(billing.Options{Pool: b.pool, Now: func() time.Time { return b.now },
		Changed: func(context.Context, pgx.Tx, uint32, string, bool) error { // the last step of most transactions
			if crash {
				return fmt.Errorf("crashed")
			}
			return nil
		}})
	round, failed := 0, false
	rapid.Check(t, func(t *rapid.T) {
		if round++; round > 6 && !failed { // each is many transactions
			return
		}
		defer func() { failed = failed || t.Failed() }()
		dev := b.newDeveloper(b.tenant, fmt.Sprintf("w%03d", round))
		p := billing.Payer{Tenant: b.tenant, Developer: dev}
		o := &purse{}
		type invoice struct {
			id                      string
			total, due, paid, money int64
			from                    []drawn
			fromWallet              int64
			void                    bool
		}
		var invoices []*invoice
		type topUp struct {
			id        string
			due, paid int64
			have      int64
		}
		var topUps []*topUp
		n := 0
		amount := func(most int64) int64 { return rapid.Int64Range(1, max(most, 1)).Draw(t, "amount") }
		ok := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		// twice does something as if the program had crashed in it the first time.
		twice := func(f func() error) {
			if rapid.IntRange(0, 3).Draw(t, "crash") == 0 {
				crash = true
				if err := f(); err == nil || !strings.Contains(err.Error(), "crashed") {
					t.Fatalf("it did not crash: %v", err)
				}
				crash = false
			}
			ok(f())
		}
		align := func(u *topUp) {
			want := min(u.due, u.paid)
			if want > u.have {
				o.put(&lot{left: want - u.have, priority: 50, paid: u.id})
			} else if want < u.have {
				all := o.used(b.now)
				slices.SortStableFunc(all, func(x, y *lot) int {
					if (x.paid == u.id) != (y.paid == u.id) {
						if x.paid == u.id {
							return -1
						}
						return 1
					}
					return 0
				})
				_, got := draw(all, u.have-want)
				o.owed += u.have - want - got
			}
			u.have = want
		}
		giveBack := func(i *invoice, back int64) {
			i.fromWallet -= back
			i.paid -= back
			o.used(b.now)
			fill := min(back, o.owed)
			o.owed -= fill
			back -= fill
			for k := len(i.from) - 1; k >= 0; k-- {
				give := min(i.from[k].n, back)
				i.from[k].n -= give
				i.from[k].lot.left += give
				back -= give
			}
			o.used(b.now)
		}
		t.Repeat(map[string]func(*rapid.T){
			"grant": func(t *rapid.T) {
				l := &lot{left: amount(3000), priority: rapid.SampledFrom([]int{10, 50, 60}).Draw(t, "priority")}
				if rapid.Bool().Draw(t, "expires") {
					l.expires = b.now.AddDate(0, 0, rapid.IntRange(1, 20).Draw(t, "days"))
				}
				n++
				g := billing.Grant{Payer: p, Currency: "EUR", Amount: l.left, Reason: "r", Priority: l.priority, ExpiresAt: l.expires, Reference: fmt.Sprint(n)}
				_, err := b.Grant(b.ctx, b.scope(), by, g)
				ok(err)
				_, err = b.Grant(b.ctx, b.scope(), by, g)
				ok(err)
				o.put(l)
			},
			"top-up": func(t *rapid.T) {
				u := &topUp{id: billing.NewTopUpID(), due: amount(5000)}
				in := billing.TopUp{Payer: p, Currency: "EUR", Amount: u.due, ID: u.id}
				twice(func() error {
					_, err := b.TopUp(b.ctx, b.scope(), by, in)
					return err
				})
				for {
					n++
					pay := amount(u.due + 100)
					r := billing.Receipt{Invoice: u.id, Kind: model.PaidByStripe, Amount: pay, Reference: fmt.Sprint(n)}
					twice(func() error { _, err := b.Paid(b.ctx, b.scope(), by, r); return err })
					u.paid += pay
					align(u)
					if u.paid >= u.due {
						break
					}
				}
				topUps = append(topUps, u)
			},
			"top-up goes back": func(t *rapid.T) {
				if len(topUps) == 0 {
					t.Skip("none")
				}
				u := rapid.SampledFrom(topUps).Draw(t, "top-up")
				if u.paid == 0 {
					t.Skip("all is back")
				}
				n++
				back := amount(u.paid)
				r := billing.Receipt{Invoice: u.id, Amount: back, Reference: fmt.Sprint(n)}
				twice(func() error { _, err := b.PaidBack(b.ctx, b.scope(), by, r); return err })
				u.due -= max(0, back-max(u.paid-u.due, 0))
				u.paid -= back
				align(u)
			},
			"invoice": func(t *rapid.T) {
				i := &invoice{total: amount(4000)}
				sub := b.subscribe(b.tenant, dev, model.PriceSheet{Currency: "EUR", MonthlyFee: model.Decimal(fmt.Sprintf("%d.%02d", i.total/100, i.total%100))}, march)
				_, err := b.Run(b.ctx, b.scope(), by, march)
				ok(err)
				var ids []string
				for _, d := range b.list(b.scope(), billing.Filter{State: "draft"}) {
					ids = append(ids, d.ID)
				}
				twice(func() error { _, err := b.Finalize(b.ctx, b.scope(), by, ids, true); return err })
				b.exec(`update subscription set ended_at = $2 where subscription_id = $1`, sub, b.now)
				i.id, i.due = ids[0], i.total
				i.from, i.paid = draw(o.used(b.now), i.total)
				i.fromWallet = i.paid
				invoices = append(invoices, i)
			},
			"invoice is paid, credited, void": func(t *rapid.T) {
				if len(invoices) == 0 {
					t.Skip("none")
				}
				i := rapid.SampledFrom(invoices).Draw(t, "invoice")
				n++
				switch act := rapid.SampledFrom([]string{"pay", "credit", "void", "back"}).Draw(t, "act"); {
				case act == "pay" && i.due > i.paid:
					r := billing.Receipt{Invoice: i.id, Kind: model.PaidByHand, Amount: amount(i.due - i.paid + 50), Reference: fmt.Sprint(n)}
					twice(func() error { _, err := b.Paid(b.ctx, b.scope(), by, r); return err })
					i.paid, i.money = i.paid+r.Amount, i.money+r.Amount
				case act == "credit" && i.due > 0:
					c := billing.Credit{Invoice: i.id, Reference: fmt.Sprint(n), Reason: "r", Amount: amount(i.due)}
					twice(func() error { _, err := b.Credit(b.ctx, b.scope(), by, c); return err })
					i.due -= c.Amount
					giveBack(i, min(c.Amount, max(i.paid-i.due, 0), i.fromWallet))
				case act == "void" && i.due > 0 && i.money == 0:
					twice(func() error { return b.Void(b.ctx, b.scope(), by, i.id, "r") })
					i.due, i.void = 0, true
					giveBack(i, i.fromWallet)
				case act == "back" && i.money > 0:
					r := billing.Receipt{Invoice: i.id, Amount: amount(i.money), Reference: fmt.Sprint(n)}
					beyond := r.Amount - max(i.paid-i.due, 0)
					twice(func() error { _, err := b.PaidBack(b.ctx, b.scope(), by, r); return err })
					i.due -= max(beyond, 0)
					i.paid, i.money = i.paid-r.Amount, i.money-r.Amount
				}
			},
			"days": func(t *rapid.T) {
				b.now = b.now.AddDate(0, 0, rapid.IntRange(1, 8).Draw(t, "days"))
				ok(b.Calendar(b.ctx))
				o.used(b.now)
			},
			"": func(t *rapid.T) {
				var left int64
				for _, l := range o.used(b.now) {
					left += l.left
				}
				a, err := b.Available(b.ctx, p, "EUR")
				ok(err)
				if a.Balance != left || a.Owed != o.owed {
					t.Fatalf("the wallet has %+v, and %d with %d owed by the oracle", a, left, o.owed)
				}
				for _, i := range invoices {
					if d := b.detail(i.id); d.Due != i.due || d.Paid != i.paid {
						t.Fatalf("%s is %+v, and due %d paid %d by the oracle", d.Number, d.Collection, i.due, i.paid)
					}
				}
			},
		})
	})
	if names := b.broken(); names != "" {
		t.Errorf("%s do not hold", names)
	}
}
