package streams

import (
	"fmt"

	"thalweg/internal/errs"
)

// The texts are those that AWS answers with.

// ErrAutoNeedsOnDemand is the strategy AUTO for a provisioned stream.
var ErrAutoNeedsOnDemand error = errs.New(errs.Invalid, "RecordDistributionStrategy AUTO is supported only for streams in ON_DEMAND mode.")

func notFound(account, name string) error {
	return errs.New(errs.NotFound, fmt.Sprintf("Stream %s under account %s not found.", name, account))
}

func shardNotFound(account, name, shard string) error {
	return errs.New(errs.NotFound, fmt.Sprintf("Shard %s in stream %s under account %s does not exist", shard, name, account))
}

// noSuchShard is what the calls say that take a shard for what it is now.
func noSuchShard(account, name, id string) error {
	return errs.New(errs.NotFound, fmt.Sprintf("Could not find shard %s in stream %s under account %s.", id, name, account))
}

func invalid(format string, args ...any) error {
	return errs.New(errs.Invalid, fmt.Sprintf(format, args...))
}
