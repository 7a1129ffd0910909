package control_test

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"tollgate/control"
	"tollgate/control/mail/mailtest"
	"tollgate/model"
)

// working runs the plane's background jobs for the length of the test.
func (w *world) working() *world {
	w.Helper()
	workers := river.NewWorkers()
	w.AddWorkers(workers)
	client, err := river.NewClient(riverpgxv5.New(w.pool), &river.Config{
		Workers: workers, Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 2}},
		FetchCooldown: 10 * time.Millisecond, FetchPollInterval: 50 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	})
	w.must(err)
	w.must(client.Start(context.WithoutCancel(w.ctx)))
	w.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := client.StopAndCancel(ctx); err != nil {
			w.Error(err)
		}
	})
	return w
}

func (w *world) mailBy(s *mailtest.Server) {
	w.Helper()
	w.must(w.SetMailSettings(w.ctx, control.Operator(), control.MailSettings{Host: s.Host, Port: s.Port, From: "Tollgate <no-reply@example.com>", Encryption: "none"}, nil))
}

// until waits for a mail to be in a state.
func (w *world) until(what string, ok func(control.Mail) bool) control.Mail {
	w.Helper()
	for end := time.Now().Add(2 * time.Minute); ; {
		l, err := w.Mails(w.ctx, control.Operator(), control.MailFilter{})
		w.must(err)
		if len(l.Items) > 0 && ok(l.Items[0]) {
			return l.Items[0]
		}
		if time.Now().After(end) {
			w.Fatalf("the mail is not %s: %+v", what, l)
		}
		var none *string
		w.all(`select pg_sleep(0.02)::text`, &none)
	}
}

// A mail leaves when the server is there: it waits while it is down, and what it
// said is gone once it was taken.
func TestMailsLeave(t *testing.T) {
	t.Parallel()
	w := newWorld(t).working()
	w.SetConsole("https://tollgate.example.com/")
	down := mailtest.Start(t, mailtest.Options{})
	down.Stop()
	w.mailBy(down)
	w.must(w.SignUp(w.ctx, "192.0.2.1", control.SignUp{Email: "ada@example.com", Password: "correct horse"}))
	m := w.until("tried", func(m control.Mail) bool { return m.Attempts > 0 })
	if m.Problem == "" || !m.SentAt.IsZero() || m.Subject == "" {
		t.Errorf("while the server was down: %+v", m)
	}
	up := mailtest.Start(t, mailtest.Options{Addr: fmt.Sprintf("127.0.0.1:%d", down.Port)})
	letters := up.Wait(t, 1)
	if len(letters) != 1 || letters[0].To != "ada@example.com" {
		t.Fatalf("%+v", letters)
	}
	text := strings.NewReplacer("=\r\n", "", "=3D", "=").Replace(letters[0].Data)
	link := regexp.MustCompile(`https://tollgate\.example\.com/verify/([A-Za-z0-9_-]{43})`).FindStringSubmatch(text)
	if link == nil {
		t.Fatalf("no link in\n%s", text)
	}
	m = w.until("sent", func(m control.Mail) bool { return !m.SentAt.IsZero() })
	if m.Problem != "" || m.Subject != "" {
		t.Errorf("after it was sent: %+v", m)
	}
	var kept int
	w.all(`select count(*) from mail where sealed is not null`, &kept)
	if kept != 0 {
		t.Errorf("what %d mails said was kept", kept)
	}
	if _, err := w.LocalMail(w.ctx, m.ID); model.KindOf(err) != model.NotFound {
		t.Errorf("a mail that was sent can be read: %v", err)
	}
	if _, _, err := w.ConfirmSignUp(w.ctx, "192.0.2.1", control.Confirmation{Token: link[1], Password: "correct horse"}); err != nil {
		t.Error(err)
	}
	w.refused(w.RetryMail(w.ctx, control.Operator(), m.ID), model.NotFound, "no mail")
}

// Mails wait for a server to be set; then those of the last day leave.
func TestMailsWaitForAServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t).working()
	for _, email := range []string{"old@example.com", "new@example.com"} {
		w.must(w.SignUp(w.ctx, "192.0.2.1", control.SignUp{Email: email, Password: "correct horse"}))
	}
	w.exec(`update mail set created_at = now() - interval '2 days' where recipient = 'old@example.com'`)
	if has, err := w.HasMailServer(w.ctx); err != nil || has {
		t.Errorf("a server without settings: %v, %v", has, err)
	}
	s := mailtest.Start(t, mailtest.Options{})
	w.mailBy(s)
	if l := s.Wait(t, 1); l[0].To != "new@example.com" {
		t.Errorf("%+v", l)
	}
	if has, err := w.HasMailServer(w.ctx); err != nil || !has {
		t.Errorf("a server with settings: %v, %v", has, err)
	}
	w.must(w.TestMail(w.ctx, control.Operator(), "op@example.com"))
	if l := s.Wait(t, 2); len(l) != 2 || l[1].To != "op@example.com" {
		t.Errorf("%+v", l)
	}
	s.Stop()
	w.refused(w.TestMail(w.ctx, control.Operator(), "op@example.com"), model.Unavailable, "did not take the mail")
	w.must(w.SetMailSettings(w.ctx, control.Operator(), control.MailSettings{}, nil))
	w.refused(w.TestMail(w.ctx, control.Operator(), "op@example.com"), model.Invalid, "no mail server")
}

// An address that the server does not know is not tried again by itself.
func TestUndeliverableMail(t *testing.T) {
	t.Parallel()
	w := newWorld(t).working()
	s := mailtest.Start(t, mailtest.Options{Refuse: func(string) error { return &smtp.SMTPError{Code: 550, Message: "no such mailbox here"} }})
	w.mailBy(s)
	w.must(w.SignUp(w.ctx, "192.0.2.1", control.SignUp{Email: "nobody@example.com", Password: "correct horse"}))
	m := w.until("refused", func(m control.Mail) bool { return m.Attempts == 1 })
	if !strings.Contains(m.Problem, "no such mailbox here") {
		t.Errorf("%+v", m)
	}
	w.until("given up", func(control.Mail) bool {
		var state string
		w.all(`select state::text from river_job where kind = 'mail_send'`, &state)
		return state == "cancelled"
	})
	w.must(w.RetryMail(w.ctx, control.Operator(), m.ID))
	w.until("tried again", func(m control.Mail) bool { return m.Attempts == 2 })
}

// The password of the mail server is kept when other settings change, and shown
// to nobody.
func TestMailSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := "smtp secret 99"
	s := control.MailSettings{Host: "smtp.example.com", Port: 587, Username: "u", From: "a@example.com", Encryption: "starttls"}
	w.must(w.SetMailSettings(w.ctx, control.Operator(), s, &secret))
	s.Port = 2525
	w.must(w.SetMailSettings(w.ctx, control.Operator(), s, nil))
	s.HasPassword = true
	if got, err := w.MailSettings(w.ctx, control.Operator()); err != nil || got != s {
		t.Errorf("%+v, %v", got, err)
	}
	// Another server is not told the password of this one.
	for _, change := range []func(*control.MailSettings){func(s *control.MailSettings) { s.Host = "smtp.example.net" }, func(s *control.MailSettings) { s.Username = "v" }} {
		w.must(w.SetMailSettings(w.ctx, control.Operator(), s, &secret))
		other := s
		change(&other)
		w.must(w.SetMailSettings(w.ctx, control.Operator(), other, nil))
		if got, err := w.MailSettings(w.ctx, control.Operator()); err != nil || got.HasPassword {
			t.Errorf("%+v, %v", got, err)
		}
	}
	w.must(w.SetMailSettings(w.ctx, control.Operator(), s, &secret))
	none := ""
	w.must(w.SetMailSettings(w.ctx, control.Operator(), s, &none))
	if got, err := w.MailSettings(w.ctx, control.Operator()); err != nil || got.HasPassword {
		t.Errorf("%+v, %v", got, err)
	}
	s.Port = 0
	w.refused(w.SetMailSettings(w.ctx, control.Operator(), s, nil), model.Invalid, "port 0")
}

// Mails are found by how far they came, a page at a time.
func TestMailsAreFiltered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`insert into mail (recipient, purpose, attempts, sent_at, problem)
		select 'm' || n || '@example.com', 'reset', case when n % 3 = 0 then 0 else 1 end, case when n % 3 = 1 then now() end, case when n % 3 = 2 then 'refused' else '' end
		from generate_series(1, 180) n`)
	for state, want := range map[string]int{"": 180, "waiting": 60, "sent": 60, "failing": 60} {
		n, f := 0, control.MailFilter{State: state}
		for {
			l, err := w.Mails(w.ctx, control.Operator(), f)
			w.must(err)
			for _, m := range l.Items {
				is := map[bool]string{true: "sent", false: map[bool]string{true: "waiting", false: "failing"}[m.Attempts == 0]}[!m.SentAt.IsZero()]
				if n++; state != "" && is != state {
					t.Errorf("%q lists one that is %s: %+v", state, is, m)
				}
			}
			if f.After = l.Next; f.After == "" {
				break
			}
		}
		if n != want {
			t.Errorf("%q: %d mails, want %d", state, n, want)
		}
	}
	_, err := w.Mails(w.ctx, control.Operator(), control.MailFilter{State: "lost"})
	w.refused(err, model.Invalid, "lost")
	_, err = w.Mails(w.ctx, control.Operator(), control.MailFilter{After: "x"})
	w.refused(err, model.Invalid, "first page")
}
