package kinesis

import (
	"slices"
	"testing"
)

// Every rate is of an operation that exists and knows the error.
func TestCallRates(t *testing.T) {
	svc := New(nil).Service()
	for name, rate := range callRates {
		op := svc.Op(name)
		if op == nil || !slices.Contains(op.Errors, "LimitExceededException") || rate.PerSecond <= 0 {
			t.Errorf("%s: %v", name, rate)
		}
	}
}
