package arn_test

import (
	"testing"

	"thalweg/internal/arn"
)

func TestParse(t *testing.T) {
	cases := map[string]bool{
		"arn:aws:kinesis:us-east-1:000000000000:stream/a":                true,
		"arn:aws:kinesis:us-east-1:000000000000:stream/a/consumer/b:123": true,
		"arn:aws:s3:::bucket/key":                                        true,
		"":                                                               false,
		"arn:aws:kinesis:us-east-1:000000000000":                         false,
		"arn:aws:kinesis:us-east-1:000000000000:":                        false,
		"arn::kinesis:us-east-1:000000000000:x":                          false,
		"ARN:aws:kinesis:us-east-1:000000000000:x":                       false,
	}
	for s, want := range cases {
		a, ok := arn.Parse(s)
		if ok != want || ok && a.String() != s {
			t.Errorf("%q: %v %v", s, a, ok)
		}
	}
}

func TestPartition(t *testing.T) {
	for region, want := range map[string]string{
		"us-east-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov", "local": "aws",
	} {
		if got := arn.New("kinesis", region, "1", "x").Partition; got != want {
			t.Errorf("%s: %s", region, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("arn:aws:kinesis:us-east-1:000000000000:stream/a")
	f.Fuzz(func(t *testing.T, s string) {
		if a, ok := arn.Parse(s); ok && a.String() != s {
			t.Fatalf("%q became %q", s, a)
		}
	})
}
