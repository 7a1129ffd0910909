package awsapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"tollgate/awsapi/sigv4"
)

// Who does not hold a key, or not its secret, learns nothing and changes nothing.
func TestSignatures(t *testing.T) {
	f := newFace(t)
	api := f.call("POST", "/restapis", map[string]any{"name": "Pets"}).want(201).field("id")

	other := f.account("Eve")
	f.send(other, "GET", "/restapis/"+api, nil).wantError(404, "NotFoundException", "Invalid API identifier specified "+other.AccountID+":"+api)
	f.send(other, "DELETE", "/restapis/"+api, nil).want(404)
	if s := string(f.send(other, "GET", "/restapis", nil).want(200).Body); s != `{"item":[]}` {
		t.Errorf("another account sees %s", s)
	}

	wrong := f.owner
	wrong.key.Secret = other.key.Secret
	f.send(wrong, "GET", "/restapis/"+api, nil).want(403)
	unknown := f.owner
	unknown.key.AccessKeyID = "AKIAAAAAAAAAAAAAAAAA"
	f.send(unknown, "GET", "/restapis/"+api, nil).wantError(403, "UnrecognizedClientException", "The security token included in the request is invalid.")
	session := f.owner
	session.key.SessionToken = "a-token-of-sts"
	if r := f.send(session, "GET", "/restapis/"+api, nil).want(403); !strings.Contains(string(r.Body), "session tokens are not issued here") {
		t.Errorf("a session token: %s", r.Body)
	}

	signed := func(at time.Time, change func(*http.Request)) *reply {
		req, err := http.NewRequest("DELETE", f.url+"/restapis/"+api, nil)
		f.must(err)
		sigv4.SignHTTP(req, f.owner.key, "us-east-1", "apigateway", sigv4.HashBody(nil), at)
		change(req)
		return f.do(req)
	}
	signed(time.Now(), func(r *http.Request) { r.URL.Path += "x" }).want(403)
	signed(time.Now(), func(r *http.Request) { r.Method = "GET" }).want(403)
	signed(time.Now().Add(-6*time.Minute), func(*http.Request) {}).want(403)
	signed(time.Now().Add(6*time.Minute), func(*http.Request) {}).want(403)
	f.call("GET", "/restapis/"+api, nil).want(200) // it is still there

	// A presigned address, as long as it holds.
	req, err := http.NewRequest("GET", f.url+"/restapis/"+api, nil)
	f.must(err)
	sigv4.PresignHTTP(req, f.owner.key, "us-east-1", "apigateway", sigv4.HashBody(nil), time.Minute, time.Now())
	f.do(req).want(200)

	// Keys of a role that may only look.
	f.exec(`update member set role = 'viewer' where tenant_id = $1`, other.Tenant)
	f.send(other, "GET", "/restapis", nil).want(200)
	if r := f.send(other, "POST", "/restapis", map[string]any{"name": "x"}).want(403); r.Header.Get("X-Amzn-Errortype") != "AccessDeniedException" {
		t.Errorf("a viewer's key: %s %s", r.Header, r.Body)
	}
	f.must(f.SetAccessKeyEnabled(t.Context(), f.owner.Actor, f.owner.key.AccessKeyID, false))
	f.call("GET", "/restapis/"+api, nil).want(403)
}

// What is no call of the service gets its errors, never a page or a panic.
func TestNonsense(t *testing.T) {
	f := newFace(t)
	f.call("GET", "/restapis/x/y/z/w", nil).want(403)
	f.call("POST", "/restapis", `{"name": `).want(400)
	if r := f.call("POST", "/restapis", `{"name": ["a"]}`).want(400); r.Header.Get("X-Amzn-Errortype") != "SerializationException" {
		t.Errorf("a name that is a list: %s", r.Header)
	}
	f.call("POST", "/restapis", `[]`).want(400)
	f.call("POST", "/restapis", strings.Repeat("x", 17<<20)).want(413)
	f.call("GET", "/restapis?limit=none", nil).want(400)
	f.call("GET", "/restapis?position=%25", nil).want(400)
	f.call("GET", "/restapis/%00", nil).want(400)
}

func TestOtherServices(t *testing.T) {
	f := newFace(t)
	send := func(service, body string, header ...string) *reply {
		req, err := http.NewRequest("POST", f.url+"/", strings.NewReader(body))
		f.must(err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		sigv4.SignHTTP(req, f.owner.key, "eu-west-1", service, sigv4.HashBody([]byte(body)), time.Now())
		return f.do(req)
	}
	who := string(send("sts", "Action=GetCallerIdentity&Version=2011-06-15").want(200).Body)
	for _, s := range []string{"<GetCallerIdentityResult>", "<Account>" + f.owner.AccountID + "</Account>", "arn:aws:iam::" + f.owner.AccountID + ":user/" + f.owner.Name} {
		if !strings.Contains(who, s) {
			t.Errorf("there is no %s in %s", s, who)
		}
	}
	if r := send("sts", "Action=AssumeRole").want(400); !strings.Contains(string(r.Body), "<Code>InvalidAction</Code>") {
		t.Errorf("AssumeRole: %s", r.Body)
	}
	send("iam", "Action=GetUser&UserName=nobody").want(404)
	var groups struct{ LogGroups []any }
	send("logs", "{}", "X-Amz-Target", "Logs_20140328.DescribeLogGroups").want(200).into(&groups)
	if groups.LogGroups == nil {
		t.Error("there is no list of log groups")
	}
	send("dynamodb", "{}").want(400)
}

// Every list goes on where it ended, whatever is added meanwhile.
func TestPages(t *testing.T) {
	f := newFace(t)
	for i := range 7 {
		_, err := f.CreateAPI(t.Context(), f.owner.Actor, string(rune('a'+i)), "")
		f.must(err)
	}
	var names []string
	position := ""
	for page := 0; ; page++ {
		var out struct {
			Position string
			Item     []struct{ Name string }
		}
		f.call("GET", "/restapis?limit=3&position="+position, nil).want(200).into(&out)
		for _, a := range out.Item {
			names = append(names, a.Name)
		}
		if position = out.Position; position == "" {
			break
		}
		_, err := f.CreateAPI(t.Context(), f.owner.Actor, "aa", "")
		f.must(err)
	}
	if b, _ := json.Marshal(names); string(b) != `["a","b","c","d","e","f","g","aa","aa"]` {
		t.Errorf("listed %s", b)
	}
}
