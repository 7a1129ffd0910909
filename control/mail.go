package control

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	gomail "github.com/wneessen/go-mail"

	"tollgate/model"
)

// MailSettings is how mails leave the installation. Without a host they wait.
type MailSettings struct {
	Host        string `json:"host"`
	Port        int    `json:"port"`
	Username    string `json:"username,omitempty"`
	From        string `json:"from"`
	Encryption  string `json:"encryption"`  // "starttls", "tls" or "none"
	HasPassword bool   `json:"hasPassword"` // it is never shown
}

// Mail is one on its way, or sent. Its content is there until it is sent.
type Mail struct {
	ID        int64     `json:"id"`
	To        string    `json:"to"`
	Purpose   string    `json:"purpose"`
	Subject   string    `json:"subject"`
	Text      string    `json:"text,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	SentAt    time.Time `json:"sentAt,omitzero"`
	Attempts  int       `json:"attempts"`
	Problem   string    `json:"problem,omitempty"`
}

type letter struct{ Subject, Text string }

// post puts a mail on its way in the transaction that it tells of. What it says is
// sealed: its links open accounts.
func (p *Plane) post(ctx context.Context, tx pgx.Tx, tenant uint32, to, purpose, subject, text string) error {
	doc, err := json.Marshal(letter{subject, text})
	if err != nil {
		return err
	}
	nonce := make([]byte, p.seal.NonceSize())
	_, _ = rand.Read(nonce) // never fails since Go 1.24
	var id int64
	var host string
	err = tx.QueryRow(ctx, `
		insert into mail (tenant_id, recipient, purpose, sealed, created_at) values (nullif($1, 0), $2, $3, $4, $5)
		returning mail_id, (select coalesce(smtp->>'host', '') from installation)`,
		tenant, to, purpose, p.seal.Seal(nonce, nonce, doc, []byte("mail")), p.now()).Scan(&id, &host)
	if err != nil || host == "" {
		return err
	}
	return p.sendLater(ctx, tx, id)
}

func (p *Plane) sendLater(ctx context.Context, tx pgx.Tx, id int64) error {
	_, err := p.jobs.InsertTx(ctx, tx, sendMailArgs{id}, &river.InsertOpts{MaxAttempts: 12})
	return err
}

func (p *Plane) unseal(sealed []byte) (l letter, err error) {
	n := p.seal.NonceSize()
	if len(sealed) < n {
		return l, fmt.Errorf("control: a mail's content is cut")
	}
	doc, err := p.seal.Open(nil, sealed[:n], sealed[n:], []byte("mail"))
	if err != nil {
		return l, fmt.Errorf("control: a mail does not open with this installation's key: %w", err)
	}
	return l, json.Unmarshal(doc, &l)
}

type sendMailArgs struct {
	MailID int64 `json:"mailId"`
}

// Kind names the job in the queue.
func (sendMailArgs) Kind() string { return "mail_send" }

// AddWorkers makes a River client able to do control's background work.
func (p *Plane) AddWorkers(w *river.Workers) {
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, job *river.Job[sendMailArgs]) error {
		return p.send(ctx, job.Args.MailID)
	}))
}

// send hands one mail to the mail server. It may come twice after a crash between
// the server's yes and ours; it is never lost.
func (p *Plane) send(ctx context.Context, id int64) error {
	var to string
	var sealed []byte
	var s MailSettings
	var password []byte
	err := p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			select m.recipient, m.sealed, i.smtp, i.smtp_password from mail m, installation i where m.mail_id = $1 and m.sent_at is null`, id).
			Scan(&to, &sealed, &s, &password)
	})
	if model.KindOf(err) == model.NotFound {
		return nil // sent, or forgotten
	}
	if err != nil {
		return err
	}
	l, err := p.unseal(sealed)
	if err == nil {
		err = p.deliver(ctx, s, password, to, l)
	}
	problem := ""
	if err != nil {
		problem = strings.ToValidUTF8(err.Error()[:min(len(err.Error()), 500)], "")
	}
	e := p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		_, e := tx.Exec(ctx, `
			update mail set attempts = attempts + 1, problem = $2, sent_at = case when $2 = '' then $3::timestamptz end,
				sealed = case when $2 = '' then null else sealed end
			where mail_id = $1`, id, problem, p.now())
		return e
	})
	return errors.Join(err, e)
}

// deliver speaks to the mail server, for at most half a minute.
func (p *Plane) deliver(ctx context.Context, s MailSettings, password []byte, to string, l letter) error {
	m := gomail.NewMsg()
	if err := errors.Join(m.From(s.From), m.To(to)); err != nil {
		return err
	}
	m.Subject(l.Subject)
	m.SetDate()
	m.SetMessageID()
	m.SetBodyString(gomail.TypeTextPlain, l.Text)
	o := []gomail.Option{gomail.WithPort(s.Port), gomail.WithTimeout(15 * time.Second)}
	switch s.Encryption {
	case "tls":
		o = append(o, gomail.WithSSL())
	case "none":
		o = append(o, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		o = append(o, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if s.Username != "" {
		secret := ""
		if len(password) > 0 {
			var err error
			if secret, err = p.openSecret("smtp", password); err != nil {
				return err
			}
		}
		o = append(o, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(s.Username), gomail.WithPassword(secret))
	}
	c, err := gomail.NewClient(s.Host, o...)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return c.DialAndSendWithContext(ctx, m)
}

// MailSettings is how mails leave, without the password.
func (p *Plane) MailSettings(ctx context.Context, operator Actor) (s MailSettings, err error) {
	if err := operator.May(ToOperate); err != nil {
		return s, err
	}
	err = p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `select smtp, smtp_password is not null from installation`).Scan(&s, &s.HasPassword)
	})
	return s, err
}

func (s *MailSettings) check() error {
	if s.Host == "" {
		*s = MailSettings{}
		return nil
	}
	if len(s.Host) > 253 || strings.ContainsAny(s.Host, " /:@") && net.ParseIP(s.Host) == nil {
		return model.Errorf(model.Invalid, "%q is not a mail server such as smtp.example.com", s.Host)
	}
	if s.Port < 1 || s.Port > 65535 {
		return model.Errorf(model.Invalid, "port %d is not between 1 and 65535; mail servers listen on 587, 465 or 25", s.Port)
	}
	if _, err := mail.ParseAddress(s.From); err != nil {
		return model.Errorf(model.Invalid, "%q is not a sender such as Tollgate <no-reply@example.com>", s.From)
	}
	switch s.Encryption {
	case "starttls", "tls", "none":
	default:
		return model.Errorf(model.Invalid, "encryption is starttls, tls or none, not %q", s.Encryption)
	}
	return nil
}

// SetMailSettings says how mails leave from now on; those of the last day that
// wait are then sent. A nil password leaves the one there is.
func (p *Plane) SetMailSettings(ctx context.Context, operator Actor, s MailSettings, password *string) error {
	if err := operator.May(ToOperate); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	var sealed []byte
	if password != nil && *password != "" {
		sealed = p.sealSecret("smtp", *password)
	}
	return p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		s.HasPassword = false
		if _, err := tx.Exec(ctx, `
			update installation set smtp = $1, smtp_password = case when $2 then $3 else smtp_password end, updated_at = now()`,
			s, password != nil || s.Host == "", sealed); err != nil {
			return err
		}
		if s.Host != "" {
			rows, err := tx.Query(ctx, `select mail_id from mail where sent_at is null and sealed is not null and created_at > $1`, p.now().Add(-24*time.Hour))
			if err != nil {
				return err
			}
			ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
			if err != nil {
				return err
			}
			for _, id := range ids {
				if err := p.sendLater(ctx, tx, id); err != nil {
					return err
				}
			}
		}
		return audit(ctx, tx, operator, nil, "installation.mail", s.Host, map[string]any{"host": s.Host, "port": strconv.Itoa(s.Port), "from": s.From, "encryption": s.Encryption})
	})
}

// TestMail sends a mail at once and says how that went.
func (p *Plane) TestMail(ctx context.Context, operator Actor, to string) error {
	if err := operator.May(ToOperate); err != nil {
		return err
	}
	if err := checkEmail(to); err != nil {
		return err
	}
	var s MailSettings
	var password []byte
	err := p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `select smtp, smtp_password from installation`).Scan(&s, &password)
	})
	if err != nil {
		return err
	}
	if s.Host == "" {
		return model.Errorf(model.Invalid, "no mail server is set; save one first")
	}
	if err := p.deliver(ctx, s, password, to, letter{"Tollgate can send mail", "This is the test mail you asked for. Mails of this installation arrive."}); err != nil {
		return model.Errorf(model.Unavailable, "the mail server %s did not take the mail: %v", s.Host, err)
	}
	return nil
}

// Mails lists the latest mails, without what they say.
func (p *Plane) Mails(ctx context.Context, operator Actor) (out []Mail, err error) {
	if err := operator.May(ToOperate); err != nil {
		return nil, err
	}
	err = p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select mail_id, recipient, purpose, created_at, coalesce(sent_at, '0001-01-01'), attempts, problem, sealed from mail order by mail_id desc limit 100`)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (m Mail, err error) {
			var sealed []byte
			if err := r.Scan(&m.ID, &m.To, &m.Purpose, &m.CreatedAt, &m.SentAt, &m.Attempts, &m.Problem, &sealed); err != nil {
				return m, err
			}
			if sealed != nil {
				l, err := p.unseal(sealed)
				if err != nil {
					m.Problem = "its content does not open with this installation's key"
					return m, nil
				}
				m.Subject = l.Subject
			}
			return m, nil
		})
		return err
	})
	return out, err
}

// LocalMail is a mail with what it says, for the machine itself: there is nobody
// else whom it could be shown to.
func (p *Plane) LocalMail(ctx context.Context, id int64) (m Mail, err error) {
	err = p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		var sealed []byte
		err := tx.QueryRow(ctx, `
			select mail_id, recipient, purpose, created_at, attempts, problem, sealed from mail where mail_id = $1 and sealed is not null`, id).
			Scan(&m.ID, &m.To, &m.Purpose, &m.CreatedAt, &m.Attempts, &m.Problem, &sealed)
		if err != nil {
			return missing(err, "there is no mail %d, or it has been sent", id)
		}
		l, err := p.unseal(sealed)
		m.Subject, m.Text = l.Subject, l.Text
		return err
	})
	return m, err
}

// RetryMail puts a mail that did not leave on its way again.
func (p *Plane) RetryMail(ctx context.Context, operator Actor, id int64) error {
	if err := operator.May(ToOperate); err != nil {
		return err
	}
	return p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		var there int64
		err := tx.QueryRow(ctx, `select mail_id from mail where mail_id = $1 and sealed is not null`, id).Scan(&there)
		if err != nil {
			return missing(err, "there is no mail %d that waits", id)
		}
		return p.sendLater(ctx, tx, id)
	})
}
