package serve

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"time"
)

// SignUpSecret is what tells the browser that signs up from others in which the
// mail's link may be opened. Every sign-up sets it, so it tells nobody anything.
func SignUpSecret(w http.ResponseWriter, r *http.Request, secure bool) string {
	if s := SignUpCookie(r, secure); s != "" {
		return s
	}
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	c := signUpCookie(base64.RawURLEncoding.EncodeToString(b[:]), 24*time.Hour, secure)
	http.SetCookie(w, c)
	return c.Value
}

// SignUpCookie is the secret that the browser keeps, empty if none.
func SignUpCookie(r *http.Request, secure bool) string {
	c, err := r.Cookie(signUpCookie("", 0, secure).Name)
	if err != nil || len(c.Value) != idLength {
		return ""
	}
	return c.Value
}

// EndSignUp makes the browser forget its secret.
func EndSignUp(w http.ResponseWriter, secure bool) {
	http.SetCookie(w, signUpCookie("", -time.Second, secure))
}

func signUpCookie(value string, age time.Duration, secure bool) *http.Cookie {
	c := &http.Cookie{Name: "tollgate-sign-up", Value: value, Path: "/", MaxAge: int(age.Seconds()), HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode}
	if secure {
		c.Name = "__Host-" + c.Name
	}
	return c
}
