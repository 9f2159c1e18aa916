package errs_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"thalweg/internal/errs"
)

var errSealed error = errs.New(errs.Sealed, "partition is sealed")

func TestText(t *testing.T) {
	for want, err := range map[string]error{
		"partition is sealed":             errSealed,
		"open segment: EOF":               errs.Wrap(errs.Internal, "open segment", io.EOF),
		"read: bytes differ: EOF (try x)": &errs.Error{Kind: errs.Corrupt, Op: "read", Msg: "bytes differ", Hint: "try x", Err: io.EOF},
		"corrupt":                         &errs.Error{Kind: errs.Corrupt},
	} {
		if got := err.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestIsComparesKindAndMessage(t *testing.T) {
	same := errs.New(errs.Sealed, "partition is sealed")
	wrapped := fmt.Errorf("append: %w", errs.Wrap(errs.Internal, "write", errSealed))
	for _, err := range []error{errSealed, same, wrapped} {
		if !errors.Is(err, errSealed) {
			t.Errorf("%v is not %v", err, errSealed)
		}
	}
	for _, err := range []error{errs.New(errs.Sealed, "other"), errs.New(errs.Fenced, "partition is sealed"), io.EOF} {
		if errors.Is(err, errSealed) {
			t.Errorf("%v is %v", err, errSealed)
		}
	}
	if !errors.Is(errs.Wrap(errs.Internal, "x", io.EOF), io.EOF) {
		t.Error("cause is hidden")
	}
}

func TestKindOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want errs.Kind
	}{
		{nil, errs.Internal},
		{io.EOF, errs.Internal},
		{errSealed, errs.Sealed},
		{fmt.Errorf("x: %w", errSealed), errs.Sealed},
		{errs.Wrap(errs.Corrupt, "x", errSealed), errs.Corrupt},
	} {
		if got := errs.KindOf(c.err); got != c.want {
			t.Errorf("kind of %v: %v, want %v", c.err, got, c.want)
		}
	}
}

func TestEveryKindHasItsName(t *testing.T) {
	seen := map[string]bool{}
	for k := errs.Internal; k <= errs.Closed; k++ {
		if s := k.String(); s == "unknown" || s == "" || seen[s] {
			t.Errorf("kind %d is called %q", k, s)
		}
		seen[k.String()] = true
	}
	if s := (errs.Closed + 1).String(); s != "unknown" {
		t.Errorf("a kind beyond the last is called %q: name it in kindNames and in this test", s)
	}
}
