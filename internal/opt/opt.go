// Package opt holds a value that may be absent, without a pointer.
//
// The generated AWS shapes use it for every scalar member, because AWS tells an
// absent member from an empty or zero one in both directions.
package opt

// V is a value or nothing. The zero V is nothing.
type V[T any] struct {
	V   T
	Set bool
}

// Of returns a V that holds v.
func Of[T any](v T) V[T] { return V[T]{V: v, Set: true} }

// Or returns the value, or def when there is none.
func (o V[T]) Or(def T) T {
	if o.Set {
		return o.V
	}
	return def
}
