//go:build invariants || race

package invariants

// Enabled is whether checks run in this build.
const Enabled = true
