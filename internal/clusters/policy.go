package clusters

import (
	"context"
	"strings"

	"thalweg/internal/arn"
	"thalweg/internal/catalog"
	"thalweg/internal/errs"
)

// Policy returns the text of the policy of the cluster that an ARN is of: its own,
// or one of a topic, group or transactional id in it; "" for none.
func (s *Service) Policy(resource arn.ARN) string {
	parts := strings.SplitN(resource.Resource, "/", 4)
	if resource.Service != "kafka" || len(parts) < 3 {
		return ""
	}
	switch parts[0] {
	case "cluster", "topic", "group", "transactional-id":
	default:
		return ""
	}
	r := s.o.Catalog.Get(Key(catalog.Scope{Account: resource.Account, Region: resource.Region}, parts[1]))
	if r == nil || r.Cluster.UUID+"-1" != parts[2] {
		return ""
	}
	return r.Policy
}

// SetPolicy attaches a policy to a cluster in place of the one it has. That it means
// something is the caller's matter; version, if not "", must be that of
// PolicyVersion. Errors: NotFound, Invalid, those of the log.
func (s *Service) SetPolicy(ctx context.Context, r *catalog.Resource, version, text string) error {
	return s.change(ctx, r, func(_ *catalog.Tx, r *catalog.Resource) error {
		if version != "" && version != PolicyVersion(r) {
			return errs.New(errs.Invalid, "The current version of the policy is not the one that was given.")
		}
		r.Policy = text
		return nil
	})
}

// DeletePolicy takes the policy off a cluster. Errors: NotFound, those of the log.
func (s *Service) DeletePolicy(ctx context.Context, r *catalog.Resource) error {
	return s.change(ctx, r, func(_ *catalog.Tx, r *catalog.Resource) error {
		if r.Policy == "" {
			return ErrNoPolicy
		}
		r.Policy = ""
		return nil
	})
}

// ErrNoPolicy is a cluster without a policy.
var ErrNoPolicy error = errs.New(errs.NotFound, "The cluster has no policy.")

// PolicyVersion is the version of a cluster's policy: another for every text.
func PolicyVersion(r *catalog.Resource) string { return versionOf(r.Cluster.UUID + r.Policy) }
