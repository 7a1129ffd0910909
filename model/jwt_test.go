package model

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestJWTConfigurations(t *testing.T) {
	const claim = `{"claimName": "org", "expectedValues": ["a"], "format": "SINGLE_STRING"}`
	issuer := func(url, audiences, claims string) string {
		return fmt.Sprintf(`{"issuers": [{"issuer": %q, "audiences": [%s], "additionalClaims": [%s]}]}`, url, audiences, claims)
	}
	for text, want := range map[string]string{
		issuer("https://a.example.com/", `"a"`, claim):                                               "",
		`{"issuer": "https://a.example.com", "audience": ["a"]}`:                                     "",
		`{"DefaultAlgorithms": ["EdDSA"], "Issuers": [{"Issuer": "https://a", "Audiences": ["x"]}]}`: "",
		`{}`:                               "a jwtConfiguration with issuers",
		`null`:                             "a jwtConfiguration with issuers",
		`[]`:                               "a jwtConfiguration with issuers",
		issuer("http://a", `"a"`, ""):      "https address",
		issuer("https://a?x", `"a"`, ""):   "https address",
		issuer("https://a#", `"a"`, ""):    "https address",
		issuer("https://u:p@a", `"a"`, ""): "https address",
		issuer("https://", `"a"`, ""):      "https address",
		issuer("HTTPS://a", `"a"`, ""):     "https address",
		issuer("https://a", "", ""):        "audiences",
		issuer("https://a", `""`, ""):      "audience without text",
		issuer("https://a", strings.Repeat(`"a",`, 50)+`"a"`, ""):                                                 "at most 50",
		issuer("https://a", `"a"`, strings.Replace(claim, "org", "aud", 1)):                                       "checked anyway",
		issuer("https://a", `"a"`, strings.Replace(claim, "SINGLE_STRING", "STRING_ARRAY", 1)):                    "the only one is SINGLE_STRING",
		issuer("https://a", `"a"`, strings.Replace(claim, `"a"`, `""`, 1)):                                        "expected value",
		`{"defaultAlgorithms": ["HS256"], "issuers": [{"issuer": "https://a", "audiences": ["x"]}]}`:              "no algorithm of tokens",
		`{"defaultAlgorithms": ["none"], "issuers": [{"issuer": "https://a", "audiences": ["x"]}]}`:               "no algorithm of tokens",
		`{"issuers": [{"issuer": "https://a", "audiences": ["x"]}, {"issuer": "https://a", "audiences": ["x"]}]}`: "twice",
		`{"x": "` + strings.Repeat("x", MaxJWTBytes) + `"}`:                                                       "at most 65536",
	} {
		c, err := ParseJWT([]byte(text))
		if want == "" {
			if err != nil || len(c.Issuers) != 1 || len(c.Algorithms) == 0 || len(c.Issuers[0].Audiences) != 1 {
				t.Errorf("%s: %+v %v", text, c, err)
				continue
			}
			b, _ := json.Marshal(c)
			if _, err := ParseJWT(b); err != nil {
				t.Errorf("%s: %v", b, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.200s: %v instead of %s", text, err, want)
		}
	}
}

func TestUserPools(t *testing.T) {
	pools, err := ParseUserPools(" us-east-1_a=https://a.example.com , arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_b=http://b.internal:3000/x,")
	if err != nil {
		t.Fatal(err)
	}
	for arn, want := range map[string]string{
		"arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_a":         "https://a.example.com",
		"arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_b":         "http://b.internal:3000/x",
		"arn:aws:cognito-idp:us-east-1:999999999999:userpool/us-east-1_b":         "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_b",
		"arn:aws-cn:cognito-idp:cn-north-1:123456789012:userpool/cn-north-1_c":    "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_c",
		"https://issuer.example.com/":                                             "https://issuer.example.com/",
		"http://issuer.example.com":                                               "",
		"arn:aws:cognito-idp:us-east-1:123456789012:userpool/../x":                "",
		"arn:aws:cognito-idp:evil.example.com/:123456789012:userpool/us-east-1_a": "",
		"us-east-1_a": "",
		"":            "",
	} {
		got, err := pools.Issuer(arn)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q %v", arn, got, err)
		}
	}
	for _, text := range []string{"a", "a=b", "a=ftp://x", "a=https://x,a=https://y", "a b=https://x", "=https://x", "a=http://", "a=https://x?y"} {
		if _, err := ParseUserPools(text); err == nil {
			t.Errorf("%s names user pools", text)
		}
	}
}
