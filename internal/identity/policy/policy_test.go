package policy

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"thalweg/internal/errs"
)

const stream = "arn:aws:kinesis:us-east-1:111111111111:stream/orders"

// asked is a request by a user of another account.
func asked() *Request {
	return &Request{
		Principal: "arn:aws:iam::222222222222:user/bob", Account: "222222222222", Action: "kinesis:PutRecord",
		Resource: stream, Region: "us-east-1", SourceIP: "10.1.2.3", Secure: true,
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

func mustParse(t *testing.T, text string) *Policy {
	t.Helper()
	p, err := Parse(text)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return p
}

// statementOf is a policy of one statement that allows, with some of its members
// replaced.
func statementOf(members ...string) string {
	all := map[string]string{"Effect": `"Allow"`, "Principal": `"*"`, "Action": `"kinesis:*"`, "Resource": `"*"`}
	for i := 0; i < len(members); i += 2 {
		if all[members[i]] = members[i+1]; members[i+1] == "" {
			delete(all, members[i])
		}
	}
	var list []string
	for name, v := range all {
		list = append(list, `"`+name+`":`+v)
	}
	return `{"Version":"2012-10-17","Id":"p","Statement":[{` + strings.Join(list, ",") + `}]}`
}

func TestStatements(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       Effect
	}{
		{"everybody", statementOf(), Allow},
		{"everybody as AWS", statementOf("Principal", `{"AWS":"*"}`), Allow},
		{"the account", statementOf("Principal", `{"AWS":"222222222222"}`), Allow},
		{"the account's root", statementOf("Principal", `{"AWS":["333333333333","arn:aws:iam::222222222222:root"]}`), Allow},
		{"the user", statementOf("Principal", `{"AWS":"arn:aws:iam::222222222222:user/bob"}`), Allow},
		{"another user", statementOf("Principal", `{"AWS":"arn:aws:iam::222222222222:user/bo"}`), Silent},
		{"another account", statementOf("Principal", `{"AWS":"333333333333"}`), Silent},
		{"a service", statementOf("Principal", `{"Service":"firehose.amazonaws.com"}`), Silent},
		{"a service or the account", statementOf("Principal", `{"Service":"firehose.amazonaws.com","AWS":"222222222222"}`), Allow},
		{"the action", statementOf("Action", `"kinesis:PutRecord"`), Allow},
		{"in other letters", statementOf("Action", `"Kinesis:putrecord"`), Allow},
		{"every action", statementOf("Action", `"*"`), Allow},
		{"by wildcard", statementOf("Action", `["kinesis:Get*","kinesis:?utRec*d"]`), Allow},
		{"another action", statementOf("Action", `["kinesis:PutRecords","kinesis:PutRecor","s3:PutRecord"]`), Silent},
		{"not another action", statementOf("Action", "", "NotAction", `"kinesis:Get*"`), Allow},
		{"not this action", statementOf("Action", "", "NotAction", `["kinesis:Put*"]`), Silent},
		{"the resource", statementOf("Resource", `"`+stream+`"`), Allow},
		{"its wildcard", statementOf("Resource", `"arn:aws:kinesis:*:111111111111:stream/ord*"`), Allow},
		{"another resource", statementOf("Resource", `["`+stream+`s","`+stream+`/consumer/c:1"]`), Silent},
		{"denied", statementOf("Effect", `"Deny"`), Deny},
		{"one statement without a list", `{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}`, Allow},
		{"deny outweighs allow", `{"Statement":[
			{"Sid":"a","Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},
			{"Sid":"b","Effect":"Deny","Principal":{"AWS":"222222222222"},"Action":"kinesis:Put*","Resource":"*"},
			{"Sid":"c","Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`, Deny},
		{"a deny of something else", `{"Statement":[
			{"Effect":"Deny","Principal":"*","Action":"kinesis:Get*","Resource":"*"},
			{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`, Allow},
	} {
		if got := mustParse(t, c.text).Decide(asked()); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

func TestConditions(t *testing.T) {
	for _, c := range []struct {
		condition string
		want      bool
	}{
		{`{"StringEquals":{"aws:PrincipalAccount":"222222222222"}}`, true},
		{`{"StringEquals":{"aws:PrincipalAccount":["1","222222222222"]}}`, true},
		{`{"StringEquals":{"aws:PrincipalAccount":222222222222}}`, true},
		{`{"StringEquals":{"aws:principalaccount":"333333333333"}}`, false},
		{`{"StringNotEquals":{"aws:PrincipalAccount":["1","222222222222"]}}`, false},
		{`{"StringNotEquals":{"aws:PrincipalAccount":["1","2"]}}`, true},
		{`{"StringEqualsIgnoreCase":{"aws:username":"BOB"}}`, true},
		{`{"StringNotEqualsIgnoreCase":{"aws:username":"BOB"}}`, false},
		{`{"StringLike":{"aws:username":"b?b"}}`, true},
		{`{"StringNotLike":{"aws:username":"b*"}}`, false},
		{`{"StringEquals":{"aws:PrincipalType":"User"}}`, true},
		{`{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::222222222222:user/*"}}`, true},
		{`{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::*:user/bob"}}`, true},
		{`{"ArnLike":{"aws:PrincipalArn":"arn:*:user/bob:::"}}`, false},
		{`{"ArnLike":{"aws:PrincipalArn":"*"}}`, true},
		{`{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::222222222222:user/*"}}`, false},
		{`{"Bool":{"aws:SecureTransport":"true"}}`, true},
		{`{"Bool":{"aws:SecureTransport":false}}`, false},
		{`{"Bool":{"aws:PrincipalIsAWSService":"false"}}`, true},
		{`{"IpAddress":{"aws:SourceIp":["192.168.0.0/16","10.0.0.0/8"]}}`, true},
		{`{"IpAddress":{"aws:SourceIp":"10.1.2.3"}}`, true},
		{`{"IpAddress":{"aws:SourceIp":"2001:db8::/32"}}`, false},
		{`{"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`, false},
		{`{"DateGreaterThan":{"aws:CurrentTime":"2026-01-02T03:04:04Z"}}`, true},
		{`{"DateGreaterThan":{"aws:CurrentTime":"2026-01-02T03:04:05Z"}}`, false},
		{`{"DateGreaterThanEquals":{"aws:CurrentTime":"2026-01-02T03:04:05Z"}}`, true},
		{`{"DateLessThan":{"aws:EpochTime":"1767323046"}}`, true},
		{`{"DateLessThanEquals":{"aws:CurrentTime":"2026-01-02"}}`, false},
		{`{"DateEquals":{"aws:CurrentTime":"2026-01-02T04:04:05+01:00"}}`, true},
		{`{"DateNotEquals":{"aws:CurrentTime":"2026-01-02T03:04:05Z"}}`, false},
		{`{"NumericLessThan":{"aws:EpochTime":1767323045}}`, false},
		{`{"StringEquals":{"aws:RequestedRegion":"us-east-1","aws:ResourceAccount":"111111111111"}}`, true},
		{`{"StringEquals":{"aws:RequestedRegion":"us-east-1","aws:ResourceAccount":"222222222222"}}`, false},
		{`{"StringEquals":{"aws:username":"bob"},"Bool":{"aws:SecureTransport":"false"}}`, false},
		// What is never there: equal to nothing, different from everything.
		{`{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}`, false},
		{`{"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}}`, true},
		{`{"StringEqualsIfExists":{"aws:PrincipalOrgID":"o-1"}}`, true},
		{`{"StringEqualsIfExists":{"aws:username":"alice"}}`, false},
		{`{"Null":{"aws:PrincipalTag/team":"true"}}`, true},
		{`{"Null":{"aws:username":true}}`, false},
		{`{"Null":{"aws:CurrentTime":"false"}}`, true},
		{`{"NumericLessThan":{"aws:MultiFactorAuthAge":"300"}}`, false},
	} {
		if got := mustParse(t, statementOf("Condition", c.condition)).Decide(asked()) == Allow; got != c.want {
			t.Errorf("%s: got %v", c.condition, got)
		}
	}
	root := asked()
	root.Principal, root.SourceIP = "arn:aws:iam::222222222222:root", ""
	for condition, want := range map[string]bool{
		`{"StringEquals":{"aws:PrincipalType":"Account"}}`: true,
		`{"StringLike":{"aws:username":"*"}}`:              false,
		`{"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`:   true,
	} {
		if got := mustParse(t, statementOf("Condition", condition)).Decide(root) == Allow; got != want {
			t.Errorf("%s by root: got %v", condition, got)
		}
	}
}

// What cannot be done is refused when the policy is read, with what it is.
func TestRefused(t *testing.T) {
	for text, says := range map[string]string{
		``:                               "not valid JSON",
		`{`:                              "not valid JSON",
		`[]`:                             "not a JSON object",
		`{} {}`:                          "follows its end",
		`{"Statement":[]}`:               "no Statement",
		`{"Version":"2012-10-17"}`:       "no Statement",
		`{"Statement":["a"]}`:            "not a JSON object",
		"{\"Statement\":\"\xff\"}":       "UTF-8",
		strings.Repeat(" ", MaxBytes+1):  "20481 bytes",
		strings.Repeat("[", MaxBytes):    "nested",
		statementOf("Effect", ""):        "no Effect",
		statementOf("Effect", `"allow"`): "Allow or Deny",
		statementOf("Principal", ""):     "no Principal",
		statementOf("Action", ""):        "no Action",
		statementOf("Resource", ""):      "no Resource",
		`{"Statement":[{"Effect":"Allow","Effect":"Deny"}]}`:                         "twice",
		`{"Version":"2020-01-01","Statement":[]}`:                                    "Version",
		`{"Id":1,"Statement":[]}`:                                                    "Id",
		`{"Statements":[]}`:                                                          `"Statements"`,
		statementOf("NotPrincipal", `"*"`):                                           `"NotPrincipal"`,
		statementOf("NotResource", `"*"`):                                            `"NotResource"`,
		statementOf("NotAction", `"*"`):                                              "both",
		statementOf("Action", `[]`):                                                  "empty",
		statementOf("Action", `"PutRecord"`):                                         `"PutRecord"`,
		statementOf("Action", `{"a":1}`):                                             "string",
		statementOf("Sid", `"a-b"`):                                                  "Sid",
		statementOf("Principal", `{}`):                                               "Principal",
		statementOf("Principal", `"222222222222"`):                                   "Principal",
		statementOf("Principal", `{"Federated":"x"}`):                                `"Federated"`,
		statementOf("Principal", `{"AWS":"arn:aws:iam::222222222222:user/*"}`):       "user/*",
		statementOf("Principal", `{"AWS":"bob"}`):                                    `"bob"`,
		statementOf("Principal", `{"Service":"firehose"}`):                           "firehose",
		statementOf("Resource", `"arn:aws:kinesis:*:*:stream/${aws:username}"`):      "variable",
		statementOf("Condition", `[]`):                                               "Condition",
		statementOf("Condition", `{"StringEquals":{}}`):                              "keys",
		statementOf("Condition", `{"StringIs":{"aws:username":"a"}}`):                `"StringIs"`,
		statementOf("Condition", `{"StringEqualsNot":{"aws:username":"a"}}`):         `"StringEqualsNot"`,
		statementOf("Condition", `{"NotStringEquals":{"aws:username":"a"}}`):         `"NotStringEquals"`,
		statementOf("Condition", `{"DateNotLessThan":{"aws:CurrentTime":"1"}}`):      `"DateNotLessThan"`,
		statementOf("Condition", `{"NullIfExists":{"aws:username":"true"}}`):         `"NullIfExists"`,
		statementOf("Condition", `{"ForAllValues:StringEquals":{"aws:x":"a"}}`):      "ForAllValues",
		statementOf("Condition", `{"StringEquals":{"aws:UserAgent":"a"}}`):           "aws:UserAgent",
		statementOf("Condition", `{"StringEquals":{"aws:CurrentTime":"a"}}`):         "aws:CurrentTime",
		statementOf("Condition", `{"DateEquals":{"aws:CurrentTime":"now"}}`):         `"now"`,
		statementOf("Condition", `{"NumericEquals":{"aws:EpochTime":"NaN"}}`):        `"NaN"`,
		statementOf("Condition", `{"IpAddress":{"aws:SourceIp":"10.0.0.0/33"}}`):     "10.0.0.0/33",
		statementOf("Condition", `{"Bool":{"aws:SecureTransport":"yes"}}`):           `"yes"`,
		statementOf("Condition", `{"ArnLike":{"aws:PrincipalArn":"bob"}}`):           `"bob"`,
		statementOf("Condition", `{"Null":{"aws:username":["true","false"]}}`):       "one value",
		statementOf("Condition", `{"StringEquals":{"aws:username":"${aws:other}"}}`): "variable",
		`{"Statement":[{"Sid":"a","Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},
		  {"Sid":"a","Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`: "Sid",
	} {
		_, err := Parse(text)
		if errs.KindOf(err) != errs.Invalid || !strings.Contains(err.Error(), says) {
			t.Errorf("%.120s: got %v, want %s", text, err, says)
		}
	}
}

// TestMatch holds match against the same pattern as a regular expression.
func TestMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab*?]{0,8}`).Draw(t, "pattern")
		text := rapid.StringMatching(`[ab]{0,10}`).Draw(t, "text")
		re := regexp.MustCompile("^" + strings.NewReplacer("*", ".*", "?", ".").Replace(pattern) + "$")
		if got := match(pattern, text); got != re.MatchString(text) {
			t.Fatalf("match(%q, %q) is %v", pattern, text, got)
		}
	})
}

// FuzzParse: no text makes Parse or Decide fail otherwise than by an Invalid
// error, the same text always decides the same, and what a policy that denies
// everybody everything is put beside is denied.
func FuzzParse(f *testing.F) {
	f.Add(statementOf("Condition", `{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"DateLessThan":{"aws:CurrentTime":"2030-01-01"}}`),
		"arn:aws:iam::222222222222:user/bob", stream)
	f.Add(`{"Statement":{"Effect":"Deny","Principal":{"AWS":["222222222222"]},"NotAction":["kinesis:Get*"],"Resource":"*"}}`, "", "*")
	f.Add(`{"Statement":[{"Effect":"Allow","Effect":"Deny"}]}`, "x", "y")
	f.Add(`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*a*a*a*a*b"}}`, ":root", strings.Repeat("a", 200))
	f.Fuzz(func(t *testing.T, text, principal, resource string) {
		p, err := Parse(text)
		if err != nil {
			if errs.KindOf(err) != errs.Invalid {
				t.Fatal(err)
			}
			return
		}
		r := asked()
		r.Principal, r.Resource = principal, resource
		again, err := Parse(text)
		if err != nil || p.Decide(r) != again.Decide(r) {
			t.Fatalf("decided differently the second time: %v", err)
		}
		p.statements = append(p.statements, mustParse(t, statementOf("Effect", `"Deny"`, "Action", `"*"`)).statements...)
		if p.Decide(r) != Deny {
			t.Fatal("something outweighs a deny")
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	p, err := Parse(statementOf("Principal", `{"AWS":"222222222222"}`, "Resource", `"`+stream+`"`))
	if err != nil {
		b.Fatal(err)
	}
	r := asked()
	for b.Loop() {
		if p.Decide(r) != Allow {
			b.Fatal("not allowed")
		}
	}
}
