package delivery

import (
	"fmt"

	"thalweg/internal/catalog"
	"thalweg/internal/errs"
)

// The messages are AWS's own texts, as far as they are known.

func notFound(k catalog.Key) error {
	kind := "Firehose"
	if k.Kind == catalog.KindChannel {
		kind = "Channel"
	}
	return errs.New(errs.NotFound, fmt.Sprintf("%s %s under account %s not found.", kind, k.Name, k.Account))
}

func invalid(format string, args ...any) error {
	return errs.New(errs.Invalid, fmt.Sprintf(format, args...))
}

func inUse(k catalog.Key, state catalog.State) error {
	if k.Kind == catalog.KindChannel {
		return errs.New(errs.InUse, fmt.Sprintf("Channel %s under account %s is not ACTIVE, instead in state %s.", k.Name, k.Account, state))
	}
	return errs.New(errs.InUse, fmt.Sprintf("Firehose %s under accountId %s is not ACTIVE, instead in state %s", k.Name, k.Account, state))
}
