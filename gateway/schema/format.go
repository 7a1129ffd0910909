package schema

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"regexp/syntax"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// format checks a string and returns the message for a wrong one, or "".
type format func(s string) string

// formats are the values of "format" that the service checks. Any other value is
// not checked, and named in the message if a body fails for another reason.
var formats = map[string]format{
	"date-time":    dateTime,
	"email":        says(`string "%s" is not a valid email address`, email),
	"hostname":     says(`string "%s" is not a valid hostname`, hostname),
	"ipv4":         says(`string "%s" is not a valid IPv4 address`, func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is4() }),
	"ipv6":         says(`string "%s" is not a valid IPv6 address`, func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is6() && a.Zone() == "" }),
	"regex":        says(`string "%s" is not a valid ECMA 262 regular expression`, isRegex),
	"uri":          says(`string "%s" is not a valid URI`, uri),
	"json-pointer": says(`input string "%s" is not a valid JSON Pointer`, jsonPointer.MatchString),
	"mac":          says(`input string "%s" is not a valid MAC address`, mac.MatchString),
	"uuid":         says(`input string "%s" is not a valid UUID`, isUUID.MatchString),
	"base64":       base64Text,
	"md5":          hexString(32),
	"sha1":         hexString(40),
	"sha256":       hexString(64),
	"sha512":       hexString(128),
}

func says(message string, ok func(string) bool) format {
	return func(s string) string {
		if ok(s) {
			return ""
		}
		return fmt.Sprintf(message, s)
	}
}

var (
	// Java's UUID.fromString takes groups of any length.
	isUUID      = regexp.MustCompile(`^[0-9A-Fa-f]{1,16}(-[0-9A-Fa-f]{1,16}){4}$`)
	mac         = regexp.MustCompile(`^[A-Za-z0-9]{2}(:[A-Za-z0-9]{2}){5}$`)
	jsonPointer = regexp.MustCompile(`^(/([^~/]|~[01])*)*$`)
	dateTimes   = regexp.MustCompile(`^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,12})?([Zz]|[+-]([01]\d|2[0-3]):?[0-5]\d)$`)
	mailLocal   = regexp.MustCompile(`^("[^"\r\n]*"|[^\s()<>,;:\\"\[\]@.]+(\.[^\s()<>,;:\\"\[\]@.]+)*)$`)
	mailDomain  = regexp.MustCompile(`^(\[[^\]\s]+\]|[\pL\pN-]+(\.[\pL\pN-]+)*)$`)
)

func dateTime(s string) string {
	if dateTimes.MatchString(s) {
		if _, err := time.Parse("2006-01-02T15:04:05", strings.ToUpper(s[:len("2006-01-02T15:04:05")])); err == nil {
			return ""
		}
	}
	return fmt.Sprintf(`string "%s" is invalid against requested date format(s) [yyyy-MM-dd'T'HH:mm:ssZ, yyyy-MM-dd'T'HH:mm:ss.[0-9]{1,12}Z]`, s)
}

// email takes "a@b" and "Name <a@b>", as JavaMail does. (Of JavaMail's rules, comments
// and source routes are left out.)
func email(s string) bool {
	if open := strings.LastIndexByte(s, '<'); open >= 0 && strings.HasSuffix(s, ">") {
		s = s[open+1 : len(s)-1]
	}
	at := strings.LastIndexByte(s, '@')
	return at > 0 && mailLocal.MatchString(s[:at]) && mailDomain.MatchString(s[at+1:])
}

// hostname follows Guava's InternetDomainName: letters of any script, no digit at the
// start of the last label.
func hostname(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return false
	}
	labels := strings.Split(s, ".")
	for i, l := range labels {
		if l == "" || len(l) > 63 || strings.ContainsRune("-_", rune(l[0])) || strings.ContainsRune("-_", rune(l[len(l)-1])) {
			return false
		}
		for _, r := range l {
			if r < utf8.RuneSelf && r != '-' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
				return false
			}
		}
		if i == len(labels)-1 && l[0] >= '0' && l[0] <= '9' {
			return false
		}
	}
	return true
}

// uri takes what java.net.URI takes: relative references too, and letters beyond ASCII.
func uri(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c == 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return false
		}
		if s[i] == '%' {
			if _, ok := hexRune(s[i+1:], 2); !ok {
				return false
			}
		}
	}
	path, _, _ := strings.Cut(s, "#")
	path, _, _ = strings.Cut(path, "?")
	if _, rest, ok := strings.Cut(path, "//"); ok {
		_, path, _ = strings.Cut(rest, "/") // brackets are for addresses in the authority
	}
	if strings.ContainsAny(path, "[]") {
		return false
	}
	u, err := url.Parse(s)
	return err == nil && !strings.Contains(u.EscapedFragment(), "#") && (u.Host != "" || u.Scheme == "" || u.Opaque != "" || u.Path != "")
}

func isRegex(s string) bool {
	if len(s) > maxPattern {
		return false
	}
	re2, err := translate(s)
	if err == nil {
		_, err = syntax.Parse(re2, syntax.Perl)
	}
	_, beyond := errors.AsType[unsupported](err)
	return err == nil || beyond
}

func base64Text(s string) string {
	n := len(utf16.Encode([]rune(s)))
	if n%4 != 0 {
		return fmt.Sprintf("input has illegal length (must be a multiple of 4, found %d)", n)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(s, "="), "=")
	if _, err := base64.RawStdEncoding.DecodeString(text); err == nil && !strings.ContainsAny(text, "\r\n") {
		return ""
	}
	at := 0
	for _, r := range text {
		if r >= utf8.RuneSelf || !(unicode.IsLetter(r) || unicode.IsDigit(r) || r == '+' || r == '/') {
			return fmt.Sprintf(`illegal character "%c" at index %d (not in Base64 alphabet)`, r, at)
		}
		at += utf16.RuneLen(r)
	}
	return ""
}

func hexString(length int) format {
	return func(s string) string {
		if n := len(utf16.Encode([]rune(s))); n != length {
			return fmt.Sprintf("input string has incorrect length (%d, expected %d)", n, length)
		}
		at := 0
		for _, r := range s {
			if !strings.ContainsRune("0123456789abcdefABCDEF", r) {
				return fmt.Sprintf(`illegal character "%c" in input at index %d`, r, at)
			}
			at += utf16.RuneLen(r)
		}
		return ""
	}
}
