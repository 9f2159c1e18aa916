package kinesis

import (
	"context"
	"strings"
	"testing"

	"thalweg/internal/arn"
	"thalweg/internal/awsapi"
	"thalweg/internal/catalog"
)

// FuzzKeyOf reads key ids: what is accepted names one key in every form, and what
// is not is refused with an error of KMS.
func FuzzKeyOf(f *testing.F) {
	const id = "01234567-89ab-cdef-0123-456789abcdef"
	for _, s := range []string{
		"", id, strings.ToUpper(id), id[1:], "mrk-0123456789abcdef0123456789abcdef", "mrk-" + id, "alias/", "alias/a_b/c-D", "alias/aws/kinesis",
		"alias/aws/s3", "arn:aws:kms:us-east-1:000000000000:key/" + id, "arn:aws:kms:us-east-1:000000000000:alias/k", "arn:aws:kms", "arn:::::x",
		"arn:aws-cn:kms:us-east-1:000000000000:key/" + id,
	} {
		f.Add(s)
	}
	scope := catalog.Scope{Account: "000000000000", Region: "us-east-1"}
	f.Fuzz(func(t *testing.T, text string) {
		key, err := keyOf(context.Background(), scope, text)
		if key.Text != text {
			t.Errorf("%q is shown as %q", text, key.Text)
		}
		if err != nil {
			if e, ok := err.(*awsapi.Error); !ok || !strings.HasPrefix(e.Code, "KMS") || e.Message == "" {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		again, err := keyOf(context.Background(), scope, arn.New("kms", scope.Region, scope.Account, key.Name).String())
		if err != nil || again.Name != key.Name {
			t.Errorf("%q names %q, whose ARN names %q: %v", text, key.Name, again.Name, err)
		}
	})
}
