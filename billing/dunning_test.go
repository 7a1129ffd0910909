package billing_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"tollgate/billing"
	"tollgate/model"
)

// From the invoice through reminders and grace to refused keys, and back by a
// payment, which the queue sees to at once.
func TestDunning(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	var letters []billing.Letter
	told := make(chan string, 10)
	o := billing.Options{
		Pool: b.pool, Now: func() time.Time { return b.now },
		Link: func(slug, invoice string) string { return "https://" + slug + ".example/" + invoice },
		Mail: func(_ context.Context, tx pgx.Tx, l billing.Letter) error { letters = append(letters, l); return nil },
		SetOverdue: func(_ context.Context, tenant uint32, developer string, overdue bool) error {
			b.exec(`update developer set overdue_at = case when $3 then $4::timestamptz end where tenant_id = $1 and developer_id = $2`, tenant, developer, overdue, b.now)
			told <- fmt.Sprint(developer, " ", overdue)
			return nil
		},
	}
	b.Billing = billing.New(o)
	b.exec(`insert into portal (tenant_id, slug, title) values ($1, 'pets', 'Pets')`, b.tenant)
	b.must(b.SetSeller(b.ctx, b.scope(), by, model.Party{Name: "Pets Inc.", Email: "money@pets.example"}))
	b.subscribe(b.tenant, b.developer, model.PriceSheet{Currency: "EUR", MonthlyFee: "29"}, march)
	b.run()
	id := b.finalize()[0]
	nobody := func() {
		t.Helper()
		select {
		case who := <-told:
			t.Errorf("on %s told %s", b.now.Format(time.DateOnly), who)
		default:
		}
	}
	posted := func(want ...string) {
		t.Helper()
		var got []string
		for _, l := range letters {
			got = append(got, l.Purpose)
		}
		if !slices.Equal(got, want) {
			t.Errorf("on %s letters %q, want %q", b.now.Format(time.DateOnly), got, want)
		}
		letters = nil
	}
	if len(letters) != 1 || letters[0].To != "dev1@example.com" || letters[0].Subject != "Invoice INV-000001 from Pets Inc." ||
		!strings.Contains(letters[0].Text, "29.00 EUR is to be paid by 19 April 2026") || !strings.Contains(letters[0].Text, "https://pets.example/"+id) {
		t.Errorf("the letter is %+v", letters)
	}
	posted("invoice")
	due := april.AddDate(0, 0, 14)
	at := func(days int, state string, want ...string) {
		t.Helper()
		for range 2 { // a second time in the hour is nothing
			b.now = due.AddDate(0, 0, days)
			b.must(b.Dun(b.ctx))
			posted(want...)
			want = nil
			if s := b.detail(id).State; s != state {
				t.Errorf("after %d days it is %s, want %s", days, s, state)
			}
		}
	}
	at(-1, "open")
	at(0, "past_due")
	at(2, "past_due")
	at(3, "past_due", "reminder")
	at(8, "past_due", "reminder") // the second, a day late
	nobody()
	at(14, "past_due", "reminder")
	if who := <-told; who != "dev1 true" {
		t.Errorf("told %s", who)
	}
	at(100, "past_due")
	nobody()

	// A part of it changes nothing; all of it lets the developer in, by the queue.
	workers := river.NewWorkers()
	b.AddWorkers(workers)
	client, err := river.NewClient(riverpgxv5.New(b.pool), &river.Config{Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 2}}, Workers: workers})
	b.must(err)
	b.must(client.Start(b.ctx))
	defer func() { _ = client.Stop(context.WithoutCancel(b.ctx)) }()
	pay := func(ref string, amount int64) {
		t.Helper()
		_, err := b.Paid(b.ctx, b.scope(), by, billing.Receipt{Invoice: id, Kind: model.PaidByHand, Amount: amount, Reference: ref})
		b.must(err)
	}
	pay("1", 1000)
	if n := one[int](b, `select count(*) from river_job where kind = 'billing_access'`); n != 0 {
		t.Errorf("a part of the money had %d looks taken at access", n)
	}
	pay("2", 1900)
	select {
	case who := <-told:
		if who != "dev1 false" {
			t.Errorf("told %s", who)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("nobody was let in within two minutes")
	}
	b.must(client.Stop(b.ctx)) // the job looks at the clock once more, and it is moved next
	at(200, "paid")
	if n := one[int](b, `select count(*) from audit where role = 'system' and action in ('invoice.past-due', 'invoice.remind')`); n != 4 {
		t.Errorf("%d entries in the audit trail", n)
	}

	// An operator's tenants are reminded and never stopped; what an older program made
	// final is opened.
	b.must(b.AddOperatorSheet(b.ctx, by, model.PriceSheet{Currency: "USD", MonthlyFee: "10"}, march))
	_, err = b.Run(b.ctx, billing.Operator, by, march)
	b.must(err)
	drafts, err := b.Drafts(b.ctx, billing.Operator, march)
	b.must(err)
	done, err := b.Finalize(b.ctx, billing.Operator, by, []string{drafts[0].ID}, true)
	b.must(err)
	posted("invoice")
	b.exec(`delete from collection where invoice_id = $1`, done[0])
	b.must(b.Dun(b.ctx))
	b.now = b.now.AddDate(0, 0, 40)
	b.must(b.Dun(b.ctx))
	posted("reminder")
	inv, err := b.Invoice(b.ctx, billing.Operator, done[0])
	if err != nil || inv.State != model.StatePastDue {
		t.Errorf("the tenant's invoice is %+v, %v", inv.Collection, err)
	}
	nobody()
}
