package lake

import "thalweg/internal/errs"

// Errors of a Catalog, compared with errors.Is; others have the Kind Invalid, or InUse
// for a commit that came too late ([Conflict]).
var (
	ErrNoNamespace error = errs.New(errs.NotFound, "the namespace does not exist")
	ErrNamespace   error = errs.New(errs.Exists, "the namespace exists")
	ErrNotEmpty    error = errs.New(errs.InUse, "the namespace is not empty")
	ErrNoTable     error = errs.New(errs.NotFound, "the table does not exist")
	ErrTable       error = errs.New(errs.Exists, "the table exists")
	errVersion     error = errs.New(errs.Unsupported, "tables of format version 2 are served, no others")
	ErrLimit       error = errs.New(errs.LimitExceeded, "there are too many namespaces or tables")
)

// Conflict is a commit whose requirements do not hold: the table has changed.
type Conflict struct{ Why string }

func (c *Conflict) Error() string { return c.Why }

func conflict(why string) error { return &Conflict{why} }

func invalid(why string) error { return errs.New(errs.Invalid, why) }
