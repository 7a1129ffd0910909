package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"tollgate/billing"
	"tollgate/billing/intake"
	"tollgate/billing/stripe"
	"tollgate/control/acme"
	"tollgate/portal"
)

func (p *program) startIntake(context.Context) error {
	p.intake = intake.New(intake.Options{Pool: p.pool, Log: p.log})
	p.billing = billing.New(billing.Options{
		Pool: p.pool, Log: p.log, Link: p.invoiceLink, SetOverdue: p.plane.SetOverdue, Changed: p.invoiceChanged, TaxAsked: p.taxAsked,
		Mail: func(ctx context.Context, tx pgx.Tx, l billing.Letter) error {
			return p.plane.Post(ctx, tx, l.Tenant, l.To, l.Purpose, l.Subject, l.Text)
		},
	})
	return p.metrics.Register(bookMetrics{p.billing.Checks})
}

// linkInvoices says what links to invoices in letters begin with, once it is known.
func (p *program) linkInvoices() {
	console, domain := p.cfg.console, p.cfg.PortalDomain
	links := func(slug, invoice string) string {
		if slug == "" {
			return console.JoinPath("billing", "invoices", invoice).String()
		}
		return portal.URL(console, domain, slug) + "/invoices/" + invoice
	}
	p.links.Store(&links)
}

func (p *program) invoiceLink(slug, invoice string) string {
	if f := p.links.Load(); f != nil {
		return (*f)(slug, invoice)
	}
	return ""
}

// invoiceChanged tells the way to Stripe, where there is one.
func (p *program) invoiceChanged(ctx context.Context, tx pgx.Tx, tenant uint32, invoice string, opened bool) error {
	if p.stripe == nil {
		return nil
	}
	return p.stripe.Changed(ctx, tx, tenant, invoice, opened)
}

// taxAsked has Stripe Tax asked, where there is a way to Stripe.
func (p *program) taxAsked(ctx context.Context, tx pgx.Tx, tenant uint32, hash string) error {
	if p.stripe == nil {
		return billing.NoStripeTax(ctx, tx, tenant, hash)
	}
	return p.stripe.TaxAsked(ctx, tx, tenant, hash)
}

// startWorker runs the background jobs of every part. Several processes share
// the work: a job is done by one of them.
func (p *program) startWorker(ctx context.Context) error {
	if !p.shape.jobs || p.shape.faces && !p.cfg.Jobs {
		return nil
	}
	workers := river.NewWorkers()
	p.intake.AddWorkers(workers)
	p.billing.AddWorkers(workers)
	p.plane.AddWorkers(workers)
	periodic := slices.Concat(p.intake.Periodic(), p.billing.Periodic(), p.plane.Periodic())
	if p.cfg.acme() {
		m, err := acme.New(acme.Options{Files: p.plane.ACMEFiles(), Directory: p.cfg.ACMEDirectory, Email: p.cfg.ACMEEmail, Roots: p.cfg.acmeRoots, Log: p.log})
		if err != nil {
			return err
		}
		m.AddWorkers(workers)
		periodic = append(periodic, m.Periodic()...)
	}
	queues := map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 4}}
	if p.stripe != nil {
		p.stripe.AddWorkers(workers)
		periodic = append(periodic, p.stripe.Periodic()...)
		queues[stripe.Queue] = river.QueueConfig{MaxWorkers: 2}
	}
	client, err := river.NewClient(riverpgxv5.New(p.pool), &river.Config{
		Workers:      workers,
		PeriodicJobs: periodic,
		Queues:       queues,
		// What a worker was at that was killed is done by another before an event counts
		// as late; a job that may take longer says so itself.
		RescueStuckJobsAfter: 5 * time.Minute,
		Logger:               p.log.With("part", "worker"),
	})
	if err != nil {
		return fmt.Errorf("the worker: %w", err)
	}
	// It outlives the signal that ends the command: Stop lets jobs finish.
	if err := p.whenUp(ctx, func(ctx context.Context) error { return client.Start(context.WithoutCancel(ctx)) }); err != nil {
		return fmt.Errorf("the worker: %w", err)
	}
	p.onStop(func(ctx context.Context) error {
		if err := client.Stop(ctx); err != nil {
			return fmt.Errorf("stop the worker: %w", err)
		}
		return nil
	})
	return nil
}
