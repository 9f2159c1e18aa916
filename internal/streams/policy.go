package streams

import (
	"context"
	"strings"

	"thalweg/internal/arn"
	"thalweg/internal/catalog"
	"thalweg/internal/errs"
)

// Policy returns the text of the policy attached to a stream, "" for none and for
// what is no stream.
func (s *Service) Policy(resource arn.ARN) string {
	name, ok := strings.CutPrefix(resource.Resource, "stream/")
	if !ok || resource.Service != "kinesis" {
		return ""
	}
	r := s.catalog.Get(streamKey(catalog.Scope{Account: resource.Account, Region: resource.Region}, name))
	if r == nil {
		return ""
	}
	return r.Policy
}

// SetPolicy attaches a policy to a stream in place of the one it has. That it
// means something is the caller's matter. Errors: NotFound, InUse.
func (s *Service) SetPolicy(ctx context.Context, scope catalog.Scope, name, text string) error {
	return s.change(ctx, scope, name, func(tx *catalog.Tx, r *catalog.Resource) error {
		if r.Policy != text {
			r.Policy = text
			tx.Put(r)
		}
		return nil
	})
}

// DeletePolicy takes the policy off a stream. Errors: NotFound, for a stream
// without one too; InUse.
func (s *Service) DeletePolicy(ctx context.Context, scope catalog.Scope, name string) error {
	return s.change(ctx, scope, name, func(tx *catalog.Tx, r *catalog.Resource) error {
		if r.Policy == "" {
			return NoPolicy(r)
		}
		r.Policy = ""
		tx.Put(r)
		return nil
	})
}

// NoPolicy is the error for a resource that has none.
func NoPolicy(r *catalog.Resource) error {
	return errs.New(errs.NotFound, "No resource policy found for resource ARN "+r.ARN)
}
