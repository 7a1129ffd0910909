// Package mailtest is a mail server for tests: a real one, which keeps what it
// takes and can be told to be difficult.
package mailtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Options say what a Server asks for.
type Options struct {
	Addr               string           // default: a free port of 127.0.0.1
	Certificate        *tls.Certificate // offers STARTTLS
	TLS                bool             // TLS from the first byte, with Certificate
	Username, Password string           // asked for unless empty
	// Refuse answers instead of taking a message for an address.
	Refuse func(to string) error
}

// Letter is a message that was taken.
type Letter struct {
	From, To, Data string
}

// Server runs until the test ends, or Stop.
type Server struct {
	Host string
	Port int

	o      Options
	smtp   *smtp.Server
	listen net.Listener
	mu     sync.Mutex
	taken  []Letter
	notify chan struct{}
}

// Start runs a server.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", o.Addr)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for late := time.Now().Add(time.Minute); errors.Is(err, syscall.EADDRINUSE) && time.Now().Before(late); {
		<-again.C // another program was given a port that one of ours had before
		l, err = net.Listen("tcp", o.Addr)
	}
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr)
	s := &Server{Host: addr.IP.String(), Port: addr.Port, o: o, notify: make(chan struct{}, 100)}
	s.smtp = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{server: s}, nil }))
	s.smtp.Domain = "mail.test"
	s.smtp.ReadTimeout, s.smtp.WriteTimeout = 10*time.Second, 10*time.Second
	s.smtp.ErrorLog = log.New(io.Discard, "", 0)
	if o.Certificate != nil {
		config := &tls.Config{Certificates: []tls.Certificate{*o.Certificate}}
		if s.smtp.TLSConfig = config; o.TLS {
			l = tls.NewListener(l, config)
		}
	} else {
		s.smtp.AllowInsecureAuth = true
	}
	s.listen = l
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.smtp.Serve(l)
	}()
	t.Cleanup(func() {
		s.Stop()
		<-done
	})
	return s
}

// Stop ends the server; connections are cut.
func (s *Server) Stop() {
	_ = s.listen.Close() // smtp does not know it before Serve has begun
	_ = s.smtp.Close()
}

// Letters are the messages that were taken, in order.
func (s *Server) Letters() []Letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Letter(nil), s.taken...)
}

// Wait returns when n messages were taken, or fails the test.
func (s *Server) Wait(t testing.TB, n int) []Letter {
	t.Helper()
	late := time.After(2 * time.Minute)
	for {
		if l := s.Letters(); len(l) >= n {
			return l
		}
		select {
		case <-s.notify:
		case <-late:
			t.Fatalf("the mail server took %d messages, want %d", len(s.Letters()), n)
		}
	}
}

type session struct {
	server   *Server
	signedIn bool
	letter   Letter
}

// AuthMechanisms and Auth are what smtp.AuthSession asks for.
func (s *session) AuthMechanisms() []string {
	if s.server.o.Username == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if username != s.server.o.Username || password != s.server.o.Password {
			return smtp.ErrAuthFailed
		}
		s.signedIn = true
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.server.o.Username != "" && !s.signedIn {
		return smtp.ErrAuthRequired
	}
	s.letter = Letter{From: from}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.server.o.Refuse != nil {
		if err := s.server.o.Refuse(to); err != nil {
			return err
		}
	}
	s.letter.To = to
	return nil
}

func (s *session) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.letter.Data = string(b)
	s.server.mu.Lock()
	s.server.taken = append(s.server.taken, s.letter)
	s.server.mu.Unlock()
	select {
	case s.server.notify <- struct{}{}:
	default:
	}
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

// Trusted makes a certificate for 127.0.0.1 that this process trusts, as if its
// system did. It is for TestMain: the system's certificates are read once.
func Trusted(dir string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "trusted.pem")
	err = errors.Join(
		os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.Setenv("SSL_CERT_FILE", path))
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
