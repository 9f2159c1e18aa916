package streams

import (
	"context"

	"thalweg/internal/catalog"
)

// DropShards does what Run does when shards of a stream are past their time.
func (s *Service) DropShards(ctx context.Context, key catalog.Key) error {
	return s.dropShards(ctx, key)
}

// Routes is how many streams have a route that puts take.
func (s *Service) Routes() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.routes)
}
