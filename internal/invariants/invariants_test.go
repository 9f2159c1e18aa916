package invariants_test

import (
	"testing"

	"thalweg/internal/invariants"
)

func TestCheckPanicsOnlyWhenEnabled(t *testing.T) {
	invariants.Check(true, "fine")
	defer func() {
		got := recover()
		if invariants.Enabled && got != "invariant: 2 is not 1" {
			t.Errorf("panic %v", got)
		}
		if !invariants.Enabled && got != nil {
			t.Errorf("panic %v in a build without invariants", got)
		}
	}()
	invariants.Check(false, "%d is not %d", 2, 1)
}
