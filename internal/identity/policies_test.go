package identity

import (
	"fmt"
	"strings"
	"testing"

	"thalweg/internal/arn"
	"thalweg/internal/awsapi"
	"thalweg/internal/clock"
)

// attached are policies by the resource part of an ARN.
type attached map[string]string

func (a attached) Policy(resource arn.ARN) string { return a[resource.Resource] }

func TestPolicies(t *testing.T) {
	const streams = "arn:aws:kinesis:us-east-1:222222222222:"
	policies := attached{
		"stream/shared": `{"Statement":{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"kinesis:*","Resource":"*"}}`,
		"stream/denied": `{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}`,
		"stream/secure": `{"Statement":{"Effect":"Allow","Principal":"*","Action":"kinesis:PutRecord","Resource":"*",
			"Condition":{"Bool":{"aws:SecureTransport":"true"},"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}}`,
		"stream/newer": `{"Statement":{"Effect":"Allow","NotPrincipal":"*","Action":"*","Resource":"*"}}`,
	}
	u := New(Config{Clock: clock.NewManual(start), Keys: &Keys{}, Policies: policies})
	caller := func(account, user string) awsapi.Caller {
		return awsapi.Caller{Account: account, PrincipalARN: PrincipalARN(account, user), Region: "us-east-1", SourceIP: "10.0.0.1"}
	}
	stranger, owner, root := caller(accountA, "alice"), caller(accountB, "bob"), caller(accountB, Root)
	secure := stranger
	secure.Secure = true
	const silent, explicit = "because no resource-based policy allows the ", "with an explicit deny in a resource-based policy"
	for _, c := range []struct {
		caller           awsapi.Caller
		action, resource string
		refused          string // "" is allowed
	}{
		{stranger, "kinesis:PutRecord", "stream/shared", ""},
		{stranger, "kinesis:DeleteStream", "stream/shared", ""},
		{caller("333333333333", "eve"), "kinesis:PutRecord", "stream/shared", silent},
		{stranger, "kinesis:PutRecord", "stream/shared/consumer/c:1", silent},
		{stranger, "kinesis:PutRecord", "stream/none", silent},
		{owner, "kinesis:PutRecord", "stream/shared", ""},
		{owner, "kinesis:PutRecord", "stream/none", ""},
		{owner, "kinesis:PutRecord", "stream/denied", explicit},
		{root, "kinesis:PutRecord", "stream/denied", explicit},
		{stranger, "kinesis:PutRecord", "stream/denied", explicit},
		{secure, "kinesis:PutRecord", "stream/secure", ""},
		{stranger, "kinesis:PutRecord", "stream/secure", silent},
		{secure, "kinesis:GetRecords", "stream/secure", silent},
		// The policies are the owner's, and the root user can always mend them.
		{stranger, "kinesis:PutResourcePolicy", "stream/shared", silent},
		{stranger, "kinesis:GetResourcePolicy", "stream/shared", silent},
		{owner, "kinesis:PutResourcePolicy", "stream/shared", ""},
		{owner, "kinesis:DeleteResourcePolicy", "stream/denied", explicit},
		{root, "kinesis:DeleteResourcePolicy", "stream/denied", ""},
		{root, "kinesis:PutResourcePolicy", "stream/newer", ""},
		// A policy that cannot be read lets nobody in.
		{owner, "kinesis:PutRecord", "stream/newer", explicit},
		{stranger, "kinesis:PutRecord", "stream/newer", explicit},
	} {
		err := u.Authorize(c.caller, c.action, streams+c.resource)
		if (err == nil) != (c.refused == "") || err != nil && (err.Code != "AccessDeniedException" || !strings.Contains(err.Message, c.refused)) {
			t.Errorf("%s: %s on %s: %v", c.caller.PrincipalARN, c.action, c.resource, err)
		}
	}

	policies["stream/shared"] = policies["stream/denied"] // from the next request on
	if err := u.Authorize(stranger, "kinesis:PutRecord", streams+"stream/shared"); err == nil {
		t.Error("the policy before is still in force")
	}
	delete(policies, "stream/denied")
	if err := u.Authorize(owner, "kinesis:PutRecord", streams+"stream/denied"); err != nil {
		t.Error(err)
	}
}

// TestPoliciesKnowOnePartition has no way around a policy by an ARN that is written
// otherwise and names the same.
func TestPoliciesKnowOnePartition(t *testing.T) {
	policies := attached{"stream/s": `{"Statement":[
		{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},
		{"Effect":"Deny","Principal":"*","Action":"*","Resource":"arn:aws:kinesis:us-east-1:222222222222:stream/s"}]}`}
	u := New(Config{Clock: clock.NewManual(start), Keys: &Keys{}, Policies: policies})
	for _, account := range []string{accountA, accountB} {
		c := awsapi.Caller{Account: account, PrincipalARN: PrincipalARN(account, "bob"), Region: "us-east-1"}
		for _, partition := range []string{"aws", "aws-cn", "aws1", "aws2"} {
			resource := "arn:" + partition + ":kinesis:us-east-1:222222222222:stream/s"
			if err := u.Authorize(c, "kinesis:PutRecord", resource); err == nil {
				t.Errorf("%s may put to %s", account, resource)
			}
		}
	}
	if n := len(u.policies.read); n != 1 {
		t.Errorf("one policy was kept %d times", n)
	}
}

// Policies of resources that come and go do not pile up.
func TestPoliciesKeptAreBounded(t *testing.T) {
	var c policies
	text := `{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"` + strings.Repeat("x", 19<<10) + `"}}`
	for i := range 2000 {
		if c.get(fmt.Sprint(i), text) == nil {
			t.Fatal("not read")
		}
		kept := 0
		for _, r := range c.read {
			kept += len(r.text)
		}
		if kept > maxRead || kept != c.bytes {
			t.Fatalf("%d bytes are kept after %d policies, and %d counted", kept, i+1, c.bytes)
		}
	}
}

func BenchmarkAuthorize(b *testing.B) {
	const resource = "arn:aws:kinesis:us-east-1:222222222222:stream/s"
	for name, policies := range map[string]attached{
		"none": nil,
		"one":  {"stream/s": `{"Statement":{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"kinesis:PutRecord","Resource":"*"}}`},
	} {
		b.Run(name, func(b *testing.B) {
			u := New(Config{Clock: clock.NewManual(start), Keys: &Keys{}, Policies: policies})
			c := awsapi.Caller{Account: accountB, PrincipalARN: PrincipalARN(accountB, "bob")}
			for b.Loop() {
				if err := u.Authorize(c, "kinesis:PutRecord", resource); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
