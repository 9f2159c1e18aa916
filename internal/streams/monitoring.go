package streams

import (
	"context"
	"slices"

	"thalweg/internal/catalog"
)

// ShardMetrics are the names of the enhanced metrics, in the order in which they
// are listed. See docs.aws.amazon.com/streams/latest/dev/monitoring-with-cloudwatch.html.
func ShardMetrics() []string {
	return []string{"IncomingBytes", "IncomingRecords", "OutgoingBytes", "OutgoingRecords",
		"WriteProvisionedThroughputExceeded", "ReadProvisionedThroughputExceeded", "IteratorAgeMilliseconds"}
}

// allMetrics stands for all of them in a request.
const allMetrics = "ALL"

// SetMonitoring switches shard metrics of a stream on or off and returns those
// that were on and those that are. Errors: NotFound, InUse.
func (s *Service) SetMonitoring(ctx context.Context, scope catalog.Scope, name string, metrics []string, on bool) (before, after *catalog.Resource, err error) {
	err = s.change(ctx, scope, name, func(tx *catalog.Tx, r *catalog.Resource) error {
		before, after = r.Clone(), r
		all := slices.Contains(metrics, allMetrics)
		kept := []string(nil)
		for _, m := range ShardMetrics() {
			named := all || slices.Contains(metrics, m)
			if named && on || !named && slices.Contains(r.Stream.ShardMetrics, m) {
				kept = append(kept, m)
			}
		}
		if !slices.Equal(kept, r.Stream.ShardMetrics) {
			r.Stream.ShardMetrics = kept
			tx.Put(r)
		}
		return nil
	})
	return before, after, err
}
