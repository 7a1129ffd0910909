package control

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"tollgate/control/mail"
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

// Check reports the first thing that makes the settings impossible to send by,
// and which of them it is.
func (s MailSettings) Check() (field string, err error) {
	if s.Host == "" {
		return "", nil
	}
	return mail.Server{Host: s.Host, Port: s.Port, Username: s.Username, From: s.From, Encryption: s.Encryption}.Check()
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

// Post is post for letters of other parts, with their transaction.
func (p *Plane) Post(ctx context.Context, tx pgx.Tx, tenant uint32, to, purpose, subject, text string) error {
	return p.post(ctx, tx, tenant, to, purpose, subject, text)
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
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[checkNamesArgs]) error { return p.CheckNames(ctx) }))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[changePlansArgs]) error { return p.ChangePlans(ctx) }))
}

type changePlansArgs struct{}

// Kind names the job.
func (changePlansArgs) Kind() string { return "change_plans" }

type checkNamesArgs struct{}

// Kind names the job.
func (checkNamesArgs) Kind() string { return "check_names" }

// Periodic is when work is due that nobody asks for.
func (p *Plane) Periodic() []*river.PeriodicJob {
	const every = 30 * time.Second
	var out []*river.PeriodicJob
	for _, args := range []river.JobArgs{checkNamesArgs{}, changePlansArgs{}} {
		out = append(out, river.NewPeriodicJob(river.PeriodicInterval(every), func() (river.JobArgs, *river.InsertOpts) {
			return args, &river.InsertOpts{MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByArgs: true, ByPeriod: every}}
		}, &river.PeriodicJobOpts{RunOnStart: true}))
	}
	return out
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
	var via mail.Server
	if err == nil {
		via, err = p.server(s, password)
	}
	if err == nil {
		err = via.Send(ctx, mail.Message{To: to, Subject: l.Subject, Text: l.Text})
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
	if _, never := errors.AsType[mail.Undeliverable](err); never && e == nil {
		return river.JobCancel(err) // the operator sees the problem, and may retry
	}
	return errors.Join(err, e)
}

// server is the mail server with its password, opened.
func (p *Plane) server(s MailSettings, sealed []byte) (mail.Server, error) {
	to := mail.Server{Host: s.Host, Port: s.Port, Username: s.Username, From: s.From, Encryption: s.Encryption}
	var err error
	if len(sealed) > 0 {
		to.Password, err = p.openSecret("smtp", sealed)
	}
	return to, err
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

// SetMailSettings says how mails leave from now on; those of the last day that
// wait are then sent. A nil password leaves the one there is, for the same server
// and user name: another is not told it.
func (p *Plane) SetMailSettings(ctx context.Context, operator Actor, s MailSettings, password *string) error {
	if err := operator.May(ToOperate); err != nil {
		return err
	}
	via := mail.Server{Host: s.Host, Port: s.Port, Username: s.Username, From: s.From, Encryption: s.Encryption}
	var sealed []byte
	if password != nil && *password != "" {
		via.Password, sealed = *password, p.sealSecret("smtp", *password)
	}
	if s.Host == "" {
		s = MailSettings{}
	} else if _, err := via.Check(); err != nil {
		return err
	}
	return p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		s.HasPassword = false
		if _, err := tx.Exec(ctx, `
			update installation set smtp = $1, updated_at = now(), smtp_password = case when $2 then $3
				when (smtp->>'host', coalesce(smtp->>'username', '')) = ($4, $5) then smtp_password end`,
			s, password != nil || s.Host == "", sealed, s.Host, s.Username); err != nil {
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
	via, err := p.server(s, password)
	if err != nil {
		return err
	}
	if err := via.Send(ctx, mail.Message{To: to, Subject: "Tollgate can send mail", Text: "This is the test mail you asked for. Mails of this installation arrive.\n"}); err != nil {
		return model.Errorf(model.Unavailable, "the mail server %s did not take the mail: %v", s.Host, err)
	}
	return nil
}

// MailFilter asks for mails. The zero value is the newest 50.
type MailFilter struct {
	State string // "waiting", "failing" (tried at least once) or "sent"; empty: all
	After string // Next of the page before
}

// Mails lists mails, the newest first, without what they say.
func (p *Plane) Mails(ctx context.Context, operator Actor, f MailFilter) (List[Mail], error) {
	if err := operator.May(ToOperate); err != nil {
		return List[Mail]{}, err
	}
	const limit = 50
	before := int64(1<<63 - 1)
	if f.After != "" {
		var err error
		if before, err = strconv.ParseInt(f.After, 10, 64); err != nil {
			return List[Mail]{}, model.Errorf(model.Invalid, "the page position is not one that we gave; start from the first page")
		}
	}
	if !slices.Contains([]string{"", "waiting", "failing", "sent"}, f.State) {
		return List[Mail]{}, model.Errorf(model.Invalid, "mails are waiting, failing or sent, not %.40q", f.State)
	}
	out := List[Mail]{Items: []Mail{}}
	err := p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select mail_id, recipient, purpose, created_at, coalesce(sent_at, '0001-01-01'), attempts, problem, sealed from mail
			where mail_id < $1 and ($2 = '' or $2 = case when sent_at is not null then 'sent' when attempts > 0 then 'failing' else 'waiting' end)
			order by mail_id desc limit $3`, before, f.State, limit+1)
		if err != nil {
			return err
		}
		out.Items, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (m Mail, err error) {
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
		if err == nil && len(out.Items) > limit {
			out.Items = out.Items[:limit]
			out.Next = strconv.FormatInt(out.Items[limit-1].ID, 10)
		}
		return err
	})
	return out, err
}

// HasMailServer reports that mails leave. Without, those of a local installation
// are read on the machine itself, and others wait.
func (p *Plane) HasMailServer(ctx context.Context) (has bool, err error) {
	err = p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `select coalesce(smtp->>'host', '') <> '' from installation`).Scan(&has)
	})
	return has, err
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
