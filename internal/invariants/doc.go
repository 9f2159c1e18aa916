// Package invariants holds checks that are on in tests and race builds (tag
// invariants or race) and cost nothing in a release.
//
// A failed check panics: it is a bug of ours, never a user's input.
package invariants

import "fmt"

// Check panics with the formatted message when the build has invariants on and
// ok is false.
func Check(ok bool, format string, args ...any) {
	if Enabled && !ok {
		panic("invariant: " + fmt.Sprintf(format, args...))
	}
}
