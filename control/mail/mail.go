// Package mail hands a message to a mail server. It keeps nothing and knows
// nothing of who is written to; it never sends a password over a connection that
// is not encrypted, and never falls back to one where encryption is asked for.
package mail

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net"
	netmail "net/mail"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"tollgate/model"
)

// Server is a mail server to hand messages to.
type Server struct {
	Host       string
	Port       int
	Username   string // empty: without signing in
	Password   string
	From       string // such as Tollgate <no-reply@example.com>
	Encryption string // STARTTLS, TLS or None
}

// How the connection to a server is encrypted.
const (
	STARTTLS = "starttls" // mandatory, after greeting
	TLS      = "tls"      // from the first byte
	None     = "none"
)

// Message is what a person is told. Text is paragraphs; addresses in it that stand
// between blanks are links.
type Message struct{ To, Subject, Text string }

// Check refuses settings that cannot work.
func (s Server) Check() (field string, err error) {
	if s.Host == "" || len(s.Host) > 253 || strings.ContainsAny(s.Host, " /:@") && net.ParseIP(s.Host) == nil {
		return "host", model.Errorf(model.Invalid, "%q is not a mail server such as smtp.example.com", s.Host)
	}
	if s.Port < 1 || s.Port > 65535 {
		return "port", model.Errorf(model.Invalid, "port %d is not between 1 and 65535; mail servers listen on 587, 465 or 25", s.Port)
	}
	if a, err := netmail.ParseAddress(s.From); err != nil || len(s.From) > 320 || CheckAddress(a.Address) != nil {
		return "from", model.Errorf(model.Invalid, "%q is not a sender such as Tollgate <no-reply@example.com>", s.From)
	}
	if len(s.Username) > 320 {
		return "username", model.Errorf(model.Invalid, "the user name has %d characters; at most 320 are allowed", len(s.Username))
	}
	if len(s.Password) > 1024 {
		return "password", model.Errorf(model.Invalid, "the password has %d characters; at most 1,024 are allowed", len(s.Password))
	}
	switch s.Encryption {
	case STARTTLS, TLS, None:
		return "", nil
	}
	return "encryption", model.Errorf(model.Invalid, "encryption is %s, %s or %s, not %q", STARTTLS, TLS, None, s.Encryption)
}

// CheckAddress refuses what no mail can be sent to.
func CheckAddress(address string) error {
	a, err := netmail.ParseAddress(address)
	if err != nil || a.Address != address || len(address) > 254 {
		return model.Errorf(model.Invalid, "%q is not an e-mail address", address)
	}
	return nil
}

// Undeliverable is the error of a message that the server will not take however
// often it is offered: its address is the reason.
type Undeliverable struct{ Err error }

func (e Undeliverable) Error() string { return e.Err.Error() }
func (e Undeliverable) Unwrap() error { return e.Err }

// sendTimeout bounds all of the conversation with a server.
const sendTimeout = 30 * time.Second

// Send returns nil once the server has taken the message.
func (s Server) Send(ctx context.Context, m Message) error {
	msg := gomail.NewMsg()
	if err := errors.Join(msg.From(s.From), msg.To(m.To)); err != nil {
		return Undeliverable{err}
	}
	msg.Subject(m.Subject)
	msg.SetDate()
	msg.SetMessageID()
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // no answers from absent people
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, m.html())

	o := []gomail.Option{gomail.WithPort(s.Port), gomail.WithTimeout(sendTimeout / 2)}
	switch s.Encryption {
	case TLS:
		o = append(o, gomail.WithSSL())
	case None:
		o = append(o, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		o = append(o, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if s.Username != "" {
		if s.Encryption == None {
			return fmt.Errorf("mail: the password would cross the network in the clear: use %s or %s, or no user name", STARTTLS, TLS)
		}
		o = append(o, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(s.Username), gomail.WithPassword(s.Password))
	}
	c, err := gomail.NewClient(s.Host, o...)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	err = c.DialAndSendWithContext(ctx, msg)
	if msg.IsDelivered() {
		return nil // it was taken; how the connection ended does not matter
	}
	if e, ok := errors.AsType[*gomail.SendError](err); ok && e.Reason == gomail.ErrSMTPRcptTo && !e.IsTemp() {
		return Undeliverable{err}
	}
	return err
}

// html is the text as a page: mail programs draw styles of elements only.
func (m Message) html() string {
	const ink, paper, accent = "#1C1B19", "#FBFAF8", "#0B6B5E"
	var b strings.Builder
	fmt.Fprintf(&b, `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>%s</title></head>`+
		`<body style="margin:0;padding:24px;background:%s;color:%s;font:16px/26px system-ui,sans-serif"><div style="max-width:560px;margin:0 auto">`+
		`<p style="font-weight:600">%s</p>`, html.EscapeString(m.Subject), paper, ink, html.EscapeString(m.Subject))
	for line := range strings.Lines(m.Text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		b.WriteString("<p>")
		for _, part := range Parts(line) {
			if e := html.EscapeString(part.Text); part.Link {
				fmt.Fprintf(&b, `<a href="%s" style="color:%s;word-break:break-all">%s</a>`, e, accent, e)
			} else {
				b.WriteString(e)
			}
		}
		b.WriteString("</p>")
	}
	b.WriteString("</div></body></html>\n")
	return b.String()
}

// Part is words of a line, or a link in it.
type Part struct {
	Text string
	Link bool
}

// Parts are a line with its links apart.
func Parts(line string) (out []Part) {
	for _, word := range strings.SplitAfter(line, " ") {
		address := strings.TrimSuffix(word, " ")
		if !isLink(address) {
			if n := len(out); n > 0 && !out[n-1].Link {
				out[n-1].Text += word
			} else {
				out = append(out, Part{Text: word})
			}
			continue
		}
		out = append(out, Part{address, true})
		if word != address {
			out = append(out, Part{Text: " "})
		}
	}
	return out
}

func isLink(word string) bool {
	return (strings.HasPrefix(word, "https://") || strings.HasPrefix(word, "http://")) && !strings.ContainsAny(word, "\t\"<>")
}
