package serve

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"github.com/gorilla/sessions"
)

// ErrNoSession is what Load answers for an id that stands for nobody, or nobody
// any more.
var ErrNoSession = errors.New("serve: no such session")

// Sessions is a gorilla/sessions store whose sessions live behind functions. A
// browser has a random id in its cookie; only the id's SHA-256 goes further, so
// what is stored opens nothing.
type Sessions struct {
	Cookie string // without prefix: see Name
	Path   string // where the cookie is sent; "/" with a prefixed name
	Secure bool   // the public address is https
	MaxAge time.Duration

	Load func(ctx context.Context, idHash []byte) (map[any]any, error)
	Put  func(ctx context.Context, idHash []byte, values map[any]any) error
	End  func(ctx context.Context, idHash []byte) error
}

// Name is the cookie's. The __Host- prefix keeps other hosts of a domain from
// setting it; browsers accept it over https only.
func (s *Sessions) Name() string {
	if s.Secure {
		return "__Host-" + s.Cookie
	}
	return s.Cookie
}

func (s *Sessions) options() *sessions.Options {
	return &sessions.Options{Path: "/", MaxAge: int(s.MaxAge.Seconds()), HttpOnly: true, Secure: s.Secure, SameSite: http.SameSiteLaxMode}
}

// Get is the request's session, read once.
func (s *Sessions) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

// New reads the session that the request's cookie names. Without one it is new,
// which is no error.
func (s *Sessions) New(r *http.Request, name string) (*sessions.Session, error) {
	ss := sessions.NewSession(s, name)
	ss.Options, ss.IsNew = s.options(), true
	c, err := r.Cookie(name)
	if err != nil || len(c.Value) != idLength {
		return ss, nil
	}
	values, err := s.Load(r.Context(), IDHash(c.Value))
	if errors.Is(err, ErrNoSession) {
		return ss, nil
	}
	if err != nil {
		return ss, err
	}
	ss.ID, ss.IsNew, ss.Values = c.Value, false, values
	return ss, nil
}

// Save stores the session under its id, a fresh one if it has none, and sets the
// cookie. A negative MaxAge ends it.
func (s *Sessions) Save(r *http.Request, w http.ResponseWriter, ss *sessions.Session) error {
	if ss.Options.MaxAge < 0 {
		var err error
		if ss.ID != "" {
			err = s.End(r.Context(), IDHash(ss.ID))
		}
		http.SetCookie(w, sessions.NewCookie(ss.Name(), "", ss.Options))
		return err
	}
	fresh := ss.ID == ""
	if fresh {
		ss.ID = newID()
	}
	if err := s.Put(r.Context(), IDHash(ss.ID), ss.Values); err != nil {
		return err
	}
	if fresh {
		http.SetCookie(w, sessions.NewCookie(ss.Name(), ss.ID, ss.Options))
	}
	return nil
}

// Rotate makes the session live on under another id: what was known of it before
// a sign-in is worth nothing after. Save is called next.
func (s *Sessions) Rotate(ctx context.Context, ss *sessions.Session) error {
	if ss.ID == "" {
		return nil
	}
	err := s.End(ctx, IDHash(ss.ID))
	ss.ID = ""
	return err
}

var idLength = base64.RawURLEncoding.EncodedLen(32)

func newID() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// IDHash is what is stored of a session's id: it has too many bits to be guessed,
// so a plain hash is enough.
func IDHash(id string) []byte {
	h := sha256.Sum256([]byte(id))
	return h[:]
}
