package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tollgate/billing/stripe"
	"tollgate/cmd/fakestripe/fake"
	"tollgate/model"
)

// checkStripe reads how money moves.
func (c *Config) checkStripe() (err error) {
	if c.stripe, err = publicURL("TOLLGATE_STRIPE_URL", c.StripeURL); err != nil {
		return err
	}
	if _, err := stripe.ParseFee(c.StripeFee); err != nil {
		return model.Errorf(model.Invalid, "TOLLGATE_STRIPE_FEE_PERCENT: %s", model.MessageOf(err))
	}
	switch c.Stripe {
	case "":
		if c.StripeKey == "" {
			for name, v := range map[string]string{"TOLLGATE_STRIPE_WEBHOOK_SECRET": c.StripeWebhook, "TOLLGATE_STRIPE_CONNECT_SECRET": c.StripeConnect} {
				if v != "" {
					return model.Errorf(model.Invalid, "%s is set and TOLLGATE_STRIPE_KEY is not: there is nothing to take events of", name)
				}
			}
			if c.StripeMeters {
				return model.Errorf(model.Invalid, "TOLLGATE_STRIPE_METERS is true and TOLLGATE_STRIPE_KEY is not set: there is no Stripe to mirror usage to")
			}
			return nil
		}
		if err := stripe.CheckKey(c.StripeKey); err != nil {
			return model.Errorf(model.Invalid, "TOLLGATE_STRIPE_KEY: %s", model.MessageOf(err))
		}
		// The key goes out with every call.
		if c.stripe != nil && c.stripe.Scheme != "https" && !loopbackHost(c.stripe.Hostname()) {
			return model.Errorf(model.Invalid, "TOLLGATE_STRIPE_URL %s must begin with https://, or be on this machine: the key is sent there", c.stripe)
		}
		return nil
	case "fake":
	default:
		return model.Errorf(model.Invalid, "TOLLGATE_STRIPE %q is not fake: leave it out, and set TOLLGATE_STRIPE_KEY, for real payments", c.Stripe)
	}
	if c.StripeKey != "" || c.StripeWebhook != "" || c.StripeConnect != "" {
		return model.Errorf(model.Invalid, "TOLLGATE_STRIPE=fake and a Stripe key or secret are set: unset one")
	}
	// Whoever reached it could pay every invoice with a card that does not exist.
	if !c.localConsole() || !c.local() {
		return model.Errorf(model.Invalid, "TOLLGATE_STRIPE=fake is refused: others reach this machine, and payments would not be real. Leave it out, or listen on loopback addresses only")
	}
	if c.stripe == nil {
		c.stripe = &url.URL{Scheme: "http", Host: "127.0.0.1:12121"}
	}
	if c.stripe.Scheme != "http" || !loopbackHost(c.stripe.Hostname()) {
		return model.Errorf(model.Invalid, "TOLLGATE_STRIPE_URL %s is not a loopback address such as http://127.0.0.1:12121, where the imitation of Stripe may listen", c.stripe)
	}
	return nil
}

// startStripe makes the way to Stripe, or to an imitation of it in this process.
func (p *program) startStripe(ctx context.Context) (err error) {
	o := stripe.Options{Pool: p.pool, Billing: p.billing, Key: p.cfg.StripeKey, WebhookSecret: p.cfg.StripeWebhook, ConnectSecret: p.cfg.StripeConnect,
		FeePercent: p.cfg.StripeFee, Meters: p.cfg.StripeMeters, Log: p.log}
	switch {
	case p.cfg.Stripe == "fake" && !p.shape.gateway:
		return model.Errorf(model.Invalid, "TOLLGATE_STRIPE=fake is for `tollgate up`: set TOLLGATE_STRIPE_KEY here")
	case p.cfg.Stripe == "fake":
		if err := p.startFakeStripe(ctx); err != nil {
			return err
		}
		o.Key, o.Fake = "sk_test_fake", true
		o.URL = p.cfg.stripe.String()
		if o.WebhookSecret, o.ConnectSecret, err = stripe.Register(ctx, o, "http://"+p.control.Addr().String()); err != nil {
			return err
		}
	case o.Key == "":
		return nil
	case p.cfg.stripe != nil:
		o.URL = p.cfg.stripe.String()
	}
	p.stripe, err = stripe.New(o)
	return err
}

// startFakeStripe serves the imitation, with its state in the data directory.
func (p *program) startFakeStripe(ctx context.Context) error {
	s, err := fake.New(fake.Options{File: filepath.Join(p.dir.path, "fakestripe.json"), Logf: func(format string, a ...any) { p.log.Debug(fmt.Sprintf(format, a...)) }})
	if err != nil {
		return err
	}
	host := p.cfg.stripe.Host
	if p.cfg.stripe.Port() == "" {
		host = net.JoinHostPort(p.cfg.stripe.Hostname(), "80")
	}
	l, err := listen("TOLLGATE_STRIPE_URL", host)
	if err != nil {
		return err
	}
	p.cfg.stripe = &url.URL{Scheme: "http", Host: l.Addr().String()}
	s.SetURL(p.cfg.stripe.String())
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.failed <- fmt.Errorf("the imitation of Stripe ended: %w", err)
		}
	}()
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- s.Run(running) }() // it keeps its state at the end
	p.onStop(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		err := server.Shutdown(ctx)
		if err != nil {
			err = errors.Join(err, server.Close())
		}
		stop()
		return errors.Join(err, <-done)
	})
	return nil
}

func stripeCommand() *cobra.Command {
	var console string
	endpoints := &cobra.Command{
		Use: "endpoints --url https://CONSOLE", Short: "Tell Stripe where events go; the two secrets to set are shown once", Args: cobra.NoArgs,
		Long: "Make the two webhook endpoints of the Stripe account whose key is in TOLLGATE_STRIPE_KEY, for the API version\n" +
			"that is spoken here, and print their secrets as settings. Earlier ones at the same address are replaced.",
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(os.Environ())
			if err != nil {
				return err
			}
			if cfg.StripeKey == "" {
				return model.Errorf(model.Invalid, "set TOLLGATE_STRIPE_KEY, or TOLLGATE_STRIPE_KEY_FILE, to the secret key of your Stripe account")
			}
			u, err := publicURL("--url", console)
			if err != nil {
				return err
			}
			if u == nil {
				return model.Errorf(model.Invalid, "--url is missing: say where Stripe reaches the console, such as https://tollgate.example.com")
			}
			o := stripe.Options{Key: cfg.StripeKey}
			if cfg.stripe != nil {
				o.URL = cfg.stripe.String()
			}
			v := struct {
				Platform string `json:"webhookSecret"`
				Connect  string `json:"connectSecret"`
			}{}
			if v.Platform, v.Connect, err = stripe.Register(cmd.Context(), o, strings.TrimSuffix(u.String(), "/")); err != nil {
				return err
			}
			return show(cmd, v, func(w io.Writer) {
				fmt.Fprintf(w, "TOLLGATE_STRIPE_WEBHOOK_SECRET=%s\nTOLLGATE_STRIPE_CONNECT_SECRET=%s\n", v.Platform, v.Connect)
			})
		}),
	}
	endpoints.Flags().StringVar(&console, "url", "", "address of the console, as Stripe reaches it")
	c := &cobra.Command{Use: "stripe", Short: "Payments through Stripe", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	outputFlag(c)
	c.AddCommand(endpoints)
	return c
}
