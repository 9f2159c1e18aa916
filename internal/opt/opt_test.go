package opt_test

import (
	"testing"

	"thalweg/internal/opt"
)

func TestAbsentIsNotZero(t *testing.T) {
	var absent opt.V[int]
	if absent.Set || absent.Or(7) != 7 {
		t.Errorf("the zero value holds something: %+v", absent)
	}
	if zero := opt.Of(0); !zero.Set || zero.Or(7) != 0 {
		t.Errorf("a zero that is there was taken for absent: %+v", zero)
	}
	if absent == opt.Of(0) {
		t.Error("absent equals zero")
	}
}
