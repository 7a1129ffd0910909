package stripe

import (
	"context"
	"encoding/json"
)

// Settle brings one invoice in line, as its job does.
func (r *Rail) Settle(ctx context.Context, tenant uint32, invoice string) error {
	return r.settle(ctx, tenant, invoice)
}

// Work works on an event, as its job does.
func (r *Rail) Work(ctx context.Context, account, event string) error {
	return r.work(ctx, account, event)
}

// Plan writes down which hours of an account are to be sent.
func (r *Rail) Plan(ctx context.Context, owner uint32, account string) (more bool, err error) {
	return r.plan(ctx, owner, account)
}

var (
	ToStripe   = toStripe
	FromStripe = fromStripe
	ShareOf    = shareOf
	FeeOf      = feeOf
	Minimum    = minimum
)

// RunJob does one job of the queue by its kind and arguments.
func (r *Rail) RunJob(ctx context.Context, kind string, args []byte) error {
	switch kind {
	case settleArgs{}.Kind():
		return with(args, func(a settleArgs) error {
			err := r.settle(ctx, a.Tenant, a.Invoice)
			if err != nil && !busy(err) {
				_ = r.park(ctx, a, err)
			}
			return err
		})
	case taxArgs{}.Kind():
		return with(args, func(a taxArgs) error { return r.askTax(ctx, a) })
	case collectArgs{}.Kind():
		return with(args, func(a collectArgs) error { return r.collect(ctx, a) })
	case eventArgs{}.Kind():
		return with(args, func(a eventArgs) error { return r.work(ctx, a.Account, a.Event) })
	case mirrorsArgs{}.Kind():
		return r.mirrorSoon(ctx)
	case mirrorArgs{}.Kind():
		return with(args, func(a mirrorArgs) error {
			for {
				if more, err := r.Mirror(ctx, a.Account); err != nil || !more {
					return err
				}
			}
		})
	}
	return r.Sweep(ctx)
}

func with[T any](args []byte, f func(T) error) error {
	var a T
	if err := json.Unmarshal(args, &a); err != nil {
		return err
	}
	return f(a)
}
