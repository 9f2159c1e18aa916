package delivery

import (
	"fmt"

	"thalweg/internal/errs"
)

// The messages are AWS's own texts, as far as they are known.

func notFound(account, name string) error {
	return errs.New(errs.NotFound, fmt.Sprintf("Firehose %s under account %s not found.", name, account))
}

func invalid(format string, args ...any) error {
	return errs.New(errs.Invalid, fmt.Sprintf(format, args...))
}

func inUse(account, name string, state string) error {
	return errs.New(errs.InUse, fmt.Sprintf("Firehose %s under accountId %s is not ACTIVE, instead in state %s", name, account, state))
}
