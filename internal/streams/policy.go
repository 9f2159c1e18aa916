package streams

import (
	"context"
	"strings"

	"thalweg/internal/arn"
	"thalweg/internal/catalog"
	"thalweg/internal/errs"
)

// Policy returns the text of the policy attached to a stream or a consumer, ""
// for none and for what is neither.
func (s *Service) Policy(resource arn.ARN) string {
	name, ok := strings.CutPrefix(resource.Resource, "stream/")
	if !ok || resource.Service != "kinesis" {
		return ""
	}
	key := streamKey(catalog.Scope{Account: resource.Account, Region: resource.Region}, name)
	if stream, consumer, ok := strings.Cut(name, "/consumer/"); ok {
		consumer, _, _ = strings.Cut(consumer, ":")
		key.Kind, key.Name = catalog.KindConsumer, stream+"/"+consumer
	}
	r := s.catalog.Get(key)
	if r == nil || r.Kind == catalog.KindConsumer && !strings.HasSuffix(r.ARN, resource.Resource) {
		return "" // or an earlier consumer of that name
	}
	return r.Policy
}

// SetPolicy attaches a policy to a stream in place of the one it has. That it
// means something is the caller's matter. Errors: NotFound, InUse.
func (s *Service) SetPolicy(ctx context.Context, scope catalog.Scope, name, text string) error {
	return s.change(ctx, scope, name, func(tx *catalog.Tx, r *catalog.Resource) error {
		r.Policy = text
		tx.Put(r)
		return nil
	})
}

// DeletePolicy takes the policy off a stream. Errors: NotFound, for a stream
// without one too; InUse.
func (s *Service) DeletePolicy(ctx context.Context, scope catalog.Scope, name string) error {
	return s.change(ctx, scope, name, func(tx *catalog.Tx, r *catalog.Resource) error {
		if err := takePolicy(r); err != nil {
			return err
		}
		tx.Put(r)
		return nil
	})
}

// SetConsumerPolicy is SetPolicy for a consumer. Errors: NotFound.
func (s *Service) SetConsumerPolicy(ctx context.Context, id ConsumerID, text string) error {
	return s.changeConsumer(ctx, id, func(r *catalog.Resource) error {
		r.Policy = text
		return nil
	})
}

// DeleteConsumerPolicy is DeletePolicy for a consumer. Errors: NotFound.
func (s *Service) DeleteConsumerPolicy(ctx context.Context, id ConsumerID) error {
	return s.changeConsumer(ctx, id, takePolicy)
}

func takePolicy(r *catalog.Resource) error {
	if r.Policy == "" {
		return NoPolicy(r)
	}
	r.Policy = ""
	return nil
}

// NoPolicy is the error for a resource that has none.
func NoPolicy(r *catalog.Resource) error {
	return errs.New(errs.NotFound, "No resource policy found for resource ARN "+r.ARN)
}
