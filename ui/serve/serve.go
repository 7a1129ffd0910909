// Package serve is what console and portal have in common below their pages:
// sessions, headers, forms, and answers that are whole or an error.
package serve

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/a-h/templ"

	"tollgate/model"
)

// Policy is the content security policy of every page: nothing inline, nothing
// from elsewhere.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// LetFormsGo lets forms of the page that is being answered lead to other origins,
// after their own page took them.
func LetFormsGo(w http.ResponseWriter, origins []string) {
	w.Header().Set("Content-Security-Policy", strings.Replace(Policy, "form-action 'self'", "form-action 'self' "+strings.Join(origins, " "), 1))
}

// Headers sets what every answer of console and portal has. Pages show what one
// visitor may see, so nothing of them is kept unless a handler says otherwise.
func Headers(next http.Handler, secure bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", Policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
		h.Set("Cache-Control", "no-store")
		if secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// Component renders c whole and only then answers, so that an error on the way
// can still become an error's page.
func Component(w http.ResponseWriter, r *http.Request, status int, c templ.Component) error {
	buf := buffers.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() < 1<<20 {
			buf.Reset()
			buffers.Put(buf)
		}
	}()
	if err := c.Render(r.Context(), buf); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Add("Vary", "HX-Request")
	Bytes(w, r, status, buf.Bytes())
	return nil
}

var (
	buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}
	zips    = sync.Pool{New: func() any {
		z, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
		return z
	}}
)

// Bytes answers with a body whose type is set already, compressed where the
// client takes that and it pays.
func Bytes(w http.ResponseWriter, r *http.Request, status int, b []byte) {
	h := w.Header()
	h.Add("Vary", "Accept-Encoding")
	if len(b) < 1400 || !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") || r.Method == http.MethodHead {
		w.WriteHeader(status)
		_, _ = w.Write(b)
		return
	}
	h.Set("Content-Encoding", "gzip")
	w.WriteHeader(status)
	z := zips.Get().(*gzip.Writer)
	z.Reset(w)
	_, _ = z.Write(b)
	_ = z.Close()
	zips.Put(z)
}

// Status is the HTTP status of an error by its kind; errors without a kind are
// ours.
func Status(err error) int {
	if errors.Is(err, errLate) {
		return http.StatusRequestTimeout
	}
	switch model.KindOf(err) {
	case model.Invalid:
		return http.StatusUnprocessableEntity
	case model.NotFound:
		return http.StatusNotFound
	case model.Conflict:
		return http.StatusConflict
	case model.Limit:
		return http.StatusTooManyRequests
	case model.Denied:
		return http.StatusForbidden
	case model.Unauthenticated:
		return http.StatusUnauthorized
	case model.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// Shown is what a visitor is told of an error: its message, or for an internal
// one an id under which it is in the log.
func Shown(log *slog.Logger, r *http.Request, err error) (status int, message string) {
	status = Status(err)
	if status != http.StatusInternalServerError {
		return status, model.MessageOf(err)
	}
	if r.Context().Err() != nil { // the visitor went away
		return 499, "the request was given up"
	}
	id := model.NewID(10)
	log.Error("a page failed", "id", id, "method", r.Method, "path", r.URL.Path, "error", err)
	return status, "Something went wrong on our side. It is in the log as " + id + "; try again, and tell the operator this id if it stays."
}

// errLate refuses a form that the server's read deadline cut off.
var errLate = model.Errorf(model.Unavailable, "the form did not arrive in time; send it again")

// MaxForm bounds a form without a file, in bytes.
const MaxForm = 1 << 20

// Form reads an ordinary form of at most max bytes (0: MaxForm).
func Form(w http.ResponseWriter, r *http.Request, max int64) error {
	if max == 0 {
		max = MaxForm
	}
	r.Body = http.MaxBytesReader(w, r.Body, max)
	var err error
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		err = r.ParseMultipartForm(min(max, 8<<20))
	} else {
		err = r.ParseForm()
	}
	if err != nil {
		if _, big := err.(*http.MaxBytesError); big {
			return model.Errorf(model.Limit, "the form is larger than %d bytes; send less", max)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return errLate
		}
		return model.Errorf(model.Invalid, "the form could not be read: %v", err)
	}
	for k, vs := range r.Form {
		for _, v := range append(vs, k) {
			if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
				return model.Errorf(model.Invalid, "the field %q holds characters that are not text", strings.ToValidUTF8(k, "�"))
			}
		}
	}
	return nil
}

// Source is the network address that a request comes from. A proxy's word is
// taken only where the operator said that one is in front.
func Source(r *http.Request, behindProxy bool) string {
	if behindProxy {
		if f := r.Header.Values("X-Forwarded-For"); len(f) > 0 {
			all := strings.Split(f[len(f)-1], ",")
			if ip := net.ParseIP(strings.TrimSpace(all[len(all)-1])); ip != nil {
				return ip.String()
			}
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// FromHere reports that a request was made on this machine and for it: neither a
// proxy handed it on, nor a page elsewhere whose name was pointed at this machine.
func FromHere(r *http.Request) bool {
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(h) != "" {
			return false
		}
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = strings.Trim(r.Host, "[]")
	}
	return (host == "localhost" || net.ParseIP(host).IsLoopback()) && net.ParseIP(Source(r, false)).IsLoopback()
}

// SafeNext is a path on this site to go on to, or the fallback: never another
// site's address.
func SafeNext(next, fallback string) string {
	if len(next) > 2000 || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return fallback
	}
	return next
}

// Theme is the visitor's choice: "light", "dark" or, empty, the system's.
func Theme(r *http.Request) string {
	if c, err := r.Cookie(ThemeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return ""
}

// ThemeCookie holds the choice; pages are rendered with it.
const ThemeCookie = "tollgate-theme"

// SetTheme keeps the choice for a year; anything but light and dark forgets it.
func SetTheme(w http.ResponseWriter, theme string, secure bool) {
	c := &http.Cookie{Name: ThemeCookie, Value: theme, Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode}
	if theme != "light" && theme != "dark" {
		c.Value, c.MaxAge = "", -1
	}
	http.SetCookie(w, c)
}

// IsPart reports that htmx asks for a part of a page rather than a whole one.
func IsPart(r *http.Request) bool {
	return r.Header.Get("HX-Request") == "true" && r.Header.Get("HX-Boosted") != "true"
}
