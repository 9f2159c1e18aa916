package streams

import (
	"context"

	"thalweg/internal/catalog"
)

// DropShards does what Run does when shards of a stream are past their time.
func (s *Service) DropShards(ctx context.Context, key catalog.Key) error {
	return s.dropShards(ctx, key)
}
