package model

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseLogFormat(t *testing.T) {
	for format, want := range map[string][]LogPart{
		`$context.requestId`: {{Variable: "requestId"}},
		`{"id":"$context.extendedRequestId","ip":"$context.identity.sourceIp"}`:      {{Text: `{"id":"`}, {Variable: "extendedRequestId"}, {Text: `","ip":"`}, {Variable: "identity.sourceIp"}, {Text: `"}`}},
		`$context.requestId. $context.authorizer.claims.cognito:username, $context.`: {{Variable: "requestId"}, {Text: ". "}, {Variable: "authorizer.claims.cognito:username"}, {Text: ", $context."}},
		`$context.requestId-$context.status:x`:                                       {{Variable: "requestId"}, {Text: "-"}, {Variable: "status"}, {Text: ":x"}},
	} {
		if got, err := ParseLogFormat(format); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, %v", format, got, err)
		}
	}
	for _, format := range []string{"", "x", "$context.status", "$context.requestIdFoo", "$contextrequestId"} {
		if got, err := ParseLogFormat(format); KindOf(err) != Invalid {
			t.Errorf("%s: %q, %v", format, got, err)
		}
	}
}

func FuzzLogFormat(f *testing.F) {
	f.Add("$context.requestId $context.authorizer.a:b-c. $$context.$context.")
	f.Fuzz(func(t *testing.T, format string) {
		parts, err := ParseLogFormat(format)
		if err != nil {
			return
		}
		var b strings.Builder
		for _, p := range parts {
			b.WriteString(p.Text)
			if p.Variable != "" {
				b.WriteString("$context." + p.Variable)
			}
		}
		if b.String() != format {
			t.Errorf("%q came apart as %q", format, parts)
		}
	})
}

func TestParseLogDestination(t *testing.T) {
	for text, name := range map[string]string{
		"arn:aws:logs:us-east-1:123456789012:log-group:/aws/apigateway/x":                "/aws/apigateway/x",
		"arn:aws:logs:us-east-1:123456789012:log-group:x:*":                              "x",
		"arn:aws-cn:firehose:cn-north-1:123456789012:deliverystream/amazon-apigateway-x": "amazon-apigateway-x",
	} {
		if d, err := ParseLogDestination(text); err != nil || d.Name != name || d.URL != nil {
			t.Errorf("%s: %+v, %v", text, d, err)
		}
	}
	if d, err := ParseLogDestination("https://logs.example.com/in?x=1"); err != nil || d.URL.Host != "logs.example.com" {
		t.Errorf("%+v, %v", d, err)
	}
	for _, text := range []string{"", "x", "arn:aws:logs:us-east-1:123456789012:log-group:", "arn:aws:firehose:us-east-1:123456789012:deliverystream/x", "ftp://x", "https://", "arn:aws:logs:us-east-1:1:log-group:x"} {
		if d, err := ParseLogDestination(text); KindOf(err) != Invalid {
			t.Errorf("%s: %+v, %v", text, d, err)
		}
	}
}
