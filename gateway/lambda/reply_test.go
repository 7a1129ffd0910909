package lambda

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// What a function may answer, and what the caller gets of it.
func TestParseReply(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{"statusCode": 200}`, "200|Content-Type: application/json||"},
		{`{}`, "200|Content-Type: application/json||"},
		{` { "statusCode" : "201" , "body" : "a\u00e9\n" } `, "201|Content-Type: application/json||aé\n"},
		{`{"statusCode": null, "headers": null, "multiValueHeaders": null, "body": null, "isBase64Encoded": null}`, "200|Content-Type: application/json||"},
		{`{"headers": {"X-A": "1", "x-b": true, "X-C": 1.5, "X-D": null, "content-type": "text/plain"}}`, "200|X-A: 1|x-b: true|X-C: 1.5|content-type: text/plain||"},
		{`{"multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"], "X-None": []}}`, "200|Set-Cookie: a=1|Set-Cookie: b=2|Content-Type: application/json||"},
		{`{"headers": {"X-A": "1", "X-B": "2"}, "multiValueHeaders": {"x-a": ["2", "3"], "X-B": ["2"]}}`, "200|X-A: 1|x-a: 2|x-a: 3|X-B: 2|Content-Type: application/json||"},
		{`{"headers": {"Content-Length": "5", "Connection": "close", "date": "d", "Server": "s", "WWW-Authenticate": "Basic", "Transfer-Encoding": "chunked", "Keep-Alive": "x"}}`,
			"200|x-amzn-Remapped-Content-Length: 5|x-amzn-Remapped-Connection: close|x-amzn-Remapped-date: d|x-amzn-Remapped-Server: s|x-amzn-Remapped-WWW-Authenticate: Basic|Content-Type: application/json||"},
		{`{"isBase64Encoded": true, "body": "aGk="}`, "200|Content-Type: application/json||aGk= base64"},
		{`{"isBase64Encoded": "true", "body": "\ud83d\ude00\ud800x"}`, "200|Content-Type: application/json||😀\uFFFDx base64"},
		{`{"body": "a", "body": "b"}`, "200|Content-Type: application/json||b"},
		{`{"statusCode": 200, "wrong": 1}`, ""}, {`{"StatusCode": 200}`, ""}, {`{"cookies": ["a=1"]}`, ""},
		{`{"statusCode": "x"}`, ""}, {`{"statusCode": 200.5}`, ""}, {`{"statusCode": 99}`, ""}, {`{"statusCode": 101}`, ""}, {`{"statusCode": 600}`, ""}, {`{"statusCode": {}}`, ""}, {`{"statusCode": -200}`, ""},
		{`{"body": {"a": 1}}`, ""}, {`{"body": 1}`, ""}, {`{"body": ["a"]}`, ""},
		{`{"headers": []}`, ""}, {`{"headers": {"X": {}}}`, ""}, {`{"headers": {"X": ["a"]}}`, ""}, {`{"headers": {"": "a"}}`, ""}, {`{"headers": {"a b": "a"}}`, ""},
		{`{"headers": {"X": "a\r\nY: b"}}`, ""}, {`{"headers": {"X": "\u0000"}}`, ""},
		{`{"multiValueHeaders": {"X": "a"}}`, ""}, {`{"multiValueHeaders": {"X": [{}]}}`, ""}, {`{"isBase64Encoded": 1}`, ""}, {`{"isBase64Encoded": "yes"}`, ""},
		{``, ""}, {`null`, ""}, {`"text"`, ""}, {`[]`, ""}, {`{`, ""}, {`{"statusCode": 200`, ""}, {`{"statusCode": 200}x`, ""}, {`{"statusCode": 200,}`, ""}, {`{"body": "` + "\n" + `"}`, ""}, {`{"body": "\x"}`, ""}, {`{"body": "\u12"}`, ""},
		{`{"statusCode": 0200}`, ""}, {`{"headers": ` + strings.Repeat(`{"a":`, 100_000), ""}, {strings.Repeat("[", 100_000), ""},
		{`{"headers": {"X": "` + strings.Repeat("x", maxReplyHeaders) + `"}}`, ""}, {`{"multiValueHeaders": {"X": [` + strings.Repeat(`"a",`, 600) + `"a"]}}`, ""},
	} {
		r, err := ParseReply([]byte(c.in))
		have := ""
		if err == nil {
			have = strings.Join([]string{itoa(r.Status), strings.ReplaceAll(lines(&r), "\r\n", "|"), string(r.Body)}, "|")
			if r.Base64 {
				have += " base64"
			}
		} else if !errors.Is(err, ErrMalformed) {
			t.Errorf("%.60s: %v", c.in, err)
		}
		if have != c.want {
			t.Errorf("%.200s: %q, %v", c.in, have, err)
		}
	}
}

// lines are the headers that are sent.
func lines(r *Reply) string {
	var b strings.Builder
	r.Sent(func(name, value string) { b.WriteString(name + ": " + value + "\r\n") })
	return b.String()
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

func TestBinary(t *testing.T) {
	b := NewBinary([]string{"image/png", "Application/Octet-Stream"})
	for accept, want := range map[string]bool{"image/png": true, "image/png, text/html": true, "text/html, image/png": false, "IMAGE/PNG;q=0.8": true, "image/*": false, "": false, "*/*": false} {
		if b.Wanted([]byte(accept)) != want {
			t.Errorf("%q", accept)
		}
	}
	if all := NewBinary([]string{"*/*"}); !all.Has(nil) || !all.Wanted([]byte("text/plain")) || Binary(nil).Has([]byte("image/png")) {
		t.Error("*/* is everything, and nothing is nothing")
	}
	r := Reply{Body: []byte("aGk="), Base64: true}
	if out, err := r.Decode(true); string(out) != "hi" || err != nil {
		t.Error(string(out), err)
	}
	if out, _ := r.Decode(false); string(out) != "aGk=" {
		t.Error(string(out))
	}
	r.Body = []byte("?")
	if _, err := r.Decode(true); err == nil {
		t.Error("that was no base64")
	}
}

func TestParseAuthorization(t *testing.T) {
	a, err := ParseAuthorization([]byte(`{"principalId": "me", "policyDocument": {"Version": "2012-10-17", "Statement": []}, "context": {"s": "a", "n": 1.50, "b": true, "z": null}, "usageIdentifierKey": "k", "more": []}`))
	if err != nil {
		t.Fatal(err)
	}
	if a.Principal != "me" || a.UsageKey != "k" || !strings.HasPrefix(string(a.Policy), `{"Version"`) || len(a.Context) != 3 || a.Context[0] != [2]string{"s", "a"} || a.Context[1] != [2]string{"n", "1.50"} || a.Context[2] != [2]string{"b", "true"} {
		t.Errorf("%+v", a)
	}
	for _, bad := range []string{``, `null`, `[]`, `{}`, `{"principalId": 1, "policyDocument": {}}`, `{"principalId": "", "policyDocument": {}}`, `{"principalId": "me"}`, `{"principalId": "me", "policyDocument": "x"}`,
		`{"principalId": "me", "policyDocument": {}, "context": {"a": {}}}`, `{"principalId": "me", "policyDocument": {}, "context": {"a": []}}`, `{"principalId": "me", "policyDocument": {}, "context": "x"}`,
		`{"principalId": "me", "policyDocument": {}, "usageIdentifierKey": 1}`, `{"principalId": "me", "policyDocument": {}, "context": {"a": "` + strings.Repeat("x", MaxAuthorization) + `"}}`,
		`{"principalId": "me", "policyDocument": {}, "context": {` + strings.Repeat(`"a":1,`, 501) + `"b":1}}`, strings.Repeat("[", 60_000)} {
		if _, err := ParseAuthorization([]byte(bad)); !errors.Is(err, ErrAuthorization) {
			t.Errorf("%.80s: %v", bad, err)
		}
	}
	if !Unauthorized([]byte(`{"errorMessage": "Unauthorized", "errorType": "Error"}`)) || Unauthorized([]byte(`{"errorMessage": "unauthorized!"}`)) || Unauthorized([]byte(`"Unauthorized"`)) {
		t.Error("Unauthorized")
	}
}

// What is taken is what the standard library reads, and never more than JSON.
func FuzzReply(f *testing.F) {
	f.Add([]byte(`{"statusCode": 200, "headers": {"A": "b"}, "multiValueHeaders": {"A": ["c"]}, "body": "\ud83d\ude00", "isBase64Encoded": false}`))
	f.Add([]byte(`{"statusCode": "404"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := ParseReply(in)
		if err != nil {
			return
		}
		var std struct{ Body *string }
		if err := json.Unmarshal(in, &std); err != nil {
			t.Fatalf("%q: %v", in, err)
		}
		body := ""
		if std.Body != nil {
			body = *std.Body
		}
		if strings.ToValidUTF8(string(r.Body), "\uFFFD") != strings.ToValidUTF8(body, "\uFFFD") && !strings.Contains(body, "\uFFFD") && strings.Count(strings.ToLower(string(in)), "body") == 1 {
			t.Errorf("%q: %q is not %q", in, r.Body, body)
		}
		if r.Status < 200 || r.Status > 599 {
			t.Errorf("status %d", r.Status)
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(lines(&r), "\r\n"), "\r\n") {
			if name, _, ok := strings.Cut(line, ": "); !ok || !token(name) || strings.ContainsAny(line, "\r\n\x00") {
				t.Errorf("%q", line)
			}
		}
	})
}

func FuzzAuthorization(f *testing.F) {
	f.Add([]byte(`{"principalId": "me", "policyDocument": {"Version": "2012-10-17"}, "context": {"a": 1}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		if a, err := ParseAuthorization(in); err == nil && (a.Principal == "" || !json.Valid(a.Policy)) {
			t.Errorf("%q: %+v", in, a)
		}
		_ = FailureMessage(in)
	})
}

func BenchmarkParseReply(b *testing.B) {
	body, _ := json.Marshal(strings.Repeat(`{"id": 12345, "name": "some name"},`, 30))
	in := []byte(`{"statusCode": 200, "headers": {"Content-Type": "application/json", "X-A": "b"}, "body": ` + string(body) + `}`)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseReply(in); err != nil {
			b.Fatal(err)
		}
	}
}
