package kinesis

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
)

// Every rate is of an operation that exists and knows the error, and users can
// read of it.
func TestCallRates(t *testing.T) {
	page, err := os.ReadFile("../../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	svc := New(nil, nil, nil).Service()
	for name, rate := range callRates {
		op := svc.Op(name)
		if op == nil || !slices.Contains(op.Errors, "LimitExceededException") || rate.PerSecond <= 0 {
			t.Errorf("%s: %v", name, rate)
		}
		if channel := strings.Contains(name, "Channel"); !channel && !bytes.Contains(page, []byte(name)) {
			t.Errorf("%s is not in docs/limits.md", name)
		}
	}
}
