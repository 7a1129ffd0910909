package mail_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"os"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"tollgate/control/mail"
	"tollgate/control/mail/mailtest"
	"tollgate/model"
)

var trusted *tls.Certificate

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "mail")
	if err == nil {
		trusted, err = mailtest.Trusted(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

var letter = mail.Message{To: "ada@example.com", Subject: "Join Pets & Söhne", Text: "Bob <bob@example.com> invites you:\n\nhttps://tollgate.example.com/invitations/abc_-9?x=1&y=2\n\nSee you.\n"}

func at(s *mailtest.Server, encryption string) mail.Server {
	return mail.Server{Host: s.Host, Port: s.Port, From: "Tollgate <no-reply@example.com>", Encryption: encryption}
}

func TestSend(t *testing.T) {
	t.Parallel()
	s := mailtest.Start(t, mailtest.Options{})
	if err := at(s, mail.None).Send(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	got := s.Letters()
	if len(got) != 1 || got[0].From != "no-reply@example.com" || got[0].To != letter.To {
		t.Fatalf("%+v", got)
	}
	m, err := netmail.ReadMessage(strings.NewReader(got[0].Data))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || subject != letter.Subject || m.Header.Get("Auto-Submitted") != "auto-generated" || m.Header.Get("Message-ID") == "" {
		t.Errorf("headers %v, %v", m.Header, err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("%s, %v", kind, err)
	}
	parts := map[string]string{}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
		parts[kind] = strings.ReplaceAll(string(b), "\r\n", "\n")
	}
	if parts["text/plain"] != letter.Text {
		t.Errorf("text %q", parts["text/plain"])
	}
	for _, want := range []string{`href="https://tollgate.example.com/invitations/abc_-9?x=1&amp;y=2"`, "Bob &lt;bob@example.com&gt; invites you:", "<title>Join Pets &amp; Söhne</title>"} {
		if !strings.Contains(parts["text/html"], want) {
			t.Errorf("the page lacks %s:\n%s", want, parts["text/html"])
		}
	}
}

// What is encrypted stays so: a server that cannot, or whom nobody vouches for,
// gets nothing.
func TestEncryption(t *testing.T) {
	t.Parallel()
	stranger := func() *tls.Certificate {
		dir := t.TempDir()
		before := os.Getenv("SSL_CERT_FILE")
		c, err := mailtest.Trusted(dir)
		if err != nil {
			t.Fatal(err)
		}
		os.Setenv("SSL_CERT_FILE", before)
		return c
	}()
	for _, c := range []struct {
		name       string
		server     mailtest.Options
		encryption string
		user, pass string
		problem    string // empty: it is taken
	}{
		{"plain", mailtest.Options{}, mail.None, "", "", ""},
		{"starttls", mailtest.Options{Certificate: trusted}, mail.STARTTLS, "", "", ""},
		{"starttls and password", mailtest.Options{Certificate: trusted, Username: "u", Password: "p"}, mail.STARTTLS, "u", "p", ""},
		{"tls and password", mailtest.Options{Certificate: trusted, TLS: true, Username: "u", Password: "p"}, mail.TLS, "u", "p", ""},
		{"wrong password", mailtest.Options{Certificate: trusted, Username: "u", Password: "p"}, mail.STARTTLS, "u", "q", "535"},
		{"password asked for", mailtest.Options{Certificate: trusted, Username: "u", Password: "p"}, mail.STARTTLS, "", "", "502"},
		{"no starttls", mailtest.Options{}, mail.STARTTLS, "", "", "STARTTLS"},
		{"no tls", mailtest.Options{}, mail.TLS, "", "", "tls"},
		{"starttls of a stranger", mailtest.Options{Certificate: stranger}, mail.STARTTLS, "", "", "certificate"},
		{"tls of a stranger", mailtest.Options{Certificate: stranger, TLS: true}, mail.TLS, "", "", "certificate"},
		{"password in the clear", mailtest.Options{Username: "u", Password: "p"}, mail.None, "u", "p", "in the clear"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := mailtest.Start(t, c.server)
			to := at(s, c.encryption)
			to.Username, to.Password = c.user, c.pass
			err := to.Send(t.Context(), letter)
			taken := len(s.Letters())
			if c.problem == "" && (err != nil || taken != 1) {
				t.Errorf("%v, %d taken", err, taken)
			}
			if c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem) || taken != 0) {
				t.Errorf("%v, %d taken, want %q", err, taken, c.problem)
			}
		})
	}
}

func TestUndeliverable(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]bool{550: true, 553: true, 450: false, 451: false} {
		s := mailtest.Start(t, mailtest.Options{Refuse: func(string) error { return &smtp.SMTPError{Code: code, Message: "not now or never"} }})
		err := at(s, mail.None).Send(t.Context(), letter)
		if _, got := errors.AsType[mail.Undeliverable](err); err == nil || got != want {
			t.Errorf("%d: undeliverable %v, %v", code, got, err)
		}
	}
	s := mailtest.Start(t, mailtest.Options{})
	to := at(s, mail.None)
	s.Stop()
	err := to.Send(t.Context(), letter)
	if _, got := errors.AsType[mail.Undeliverable](err); err == nil || got {
		t.Errorf("a server that is down: %v", err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	good := mail.Server{Host: "smtp.example.com", Port: 587, From: "Tollgate <no-reply@example.com>", Encryption: mail.STARTTLS}
	if field, err := good.Check(); err != nil || field != "" {
		t.Error(err)
	}
	fields := map[string]string{"no host": "host", "a URL": "host", "host and port": "host", "port 0": "port", "port 70000": "port", "no sender": "from",
		"a name only": "from", "two senders": "from", "odd encryption": "encryption", "a long password": "password"}
	for name, change := range map[string]func(*mail.Server){
		"no host": func(s *mail.Server) { s.Host = "" }, "a URL": func(s *mail.Server) { s.Host = "smtp://example.com" },
		"host and port": func(s *mail.Server) { s.Host = "example.com:25" }, "port 0": func(s *mail.Server) { s.Port = 0 }, "port 70000": func(s *mail.Server) { s.Port = 70000 },
		"no sender": func(s *mail.Server) { s.From = "" }, "a name only": func(s *mail.Server) { s.From = "Tollgate" },
		"two senders": func(s *mail.Server) { s.From = "a@example.com, b@example.com" }, "odd encryption": func(s *mail.Server) { s.Encryption = "ssl" },
		"a long password": func(s *mail.Server) { s.Password = strings.Repeat("x", 1025) },
	} {
		s := good
		change(&s)
		if field, err := s.Check(); model.KindOf(err) != model.Invalid || field != fields[name] {
			t.Errorf("%s: %q, %v", name, field, err)
		}
	}
	for address, want := range map[string]bool{"a@example.com": true, "Ada <a@example.com>": false, "a@example.com\r\nBcc: b@example.com": false, "": false, "a@b@c": false,
		strings.Repeat("a", 250) + "@example.com": false} {
		if err := mail.CheckAddress(address); (err == nil) != want {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestParts(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"no link":                          "[{no link false}]",
		"https://a.example/x":              "[{https://a.example/x true}]",
		"Sign in: http://a.example/ now":   "[{Sign in:  false} {http://a.example/ true} { now false}]",
		"javascript:alert(1) \"http://x\"": `[{javascript:alert(1) "http://x" false}]`,
		`http://a.example/"onclick=x`:      `[{http://a.example/"onclick=x false}]`,
	} {
		if got := fmt.Sprint(mail.Parts(line)); got != want {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
}
