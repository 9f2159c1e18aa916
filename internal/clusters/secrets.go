package clusters

// Secret is what a secret holds.
type Secret struct{ Username, Password string }

// Secrets finds secrets by the names in their ARNs.
type Secrets interface {
	// Secret returns the secret of that name. Errors: NotFound; Invalid for one that
	// is not of a user.
	Secret(name string) (Secret, error)
}
