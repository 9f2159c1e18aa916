package clusters

import (
	"context"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"thalweg/internal/catalog"
	"thalweg/internal/errs"
)

// Bounds on tags, as AWS's.
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

// CheckTags refuses what AWS does not take as tags.
func CheckTags(tags map[string]string) error {
	if len(tags) > maxTags {
		return errs.New(errs.Invalid, "A resource can have 50 tags at most.")
	}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		v := tags[k]
		switch {
		case k == "" || utf8.RuneCountInString(k) > maxTagKey:
			return errs.New(errs.Invalid, "The key of a tag has 1 to 128 characters.")
		case utf8.RuneCountInString(v) > maxTagValue:
			return errs.New(errs.Invalid, "The value of the tag "+k+" has more than 256 characters.")
		case strings.HasPrefix(strings.ToLower(k), "aws:"):
			return errs.New(errs.Invalid, "The key of a tag does not begin with aws:.")
		}
	}
	return nil
}

// Tag adds tags to a resource, or gives those it has another value. Errors:
// NotFound, Invalid, those of the log.
func (s *Service) Tag(ctx context.Context, r *catalog.Resource, tags map[string]string) error {
	return s.retag(ctx, r, func(have map[string]string) error {
		maps.Copy(have, tags)
		return CheckTags(have)
	})
}

// Untag takes tags away, those of them that are there. Errors: NotFound, those of
// the log.
func (s *Service) Untag(ctx context.Context, r *catalog.Resource, keys []string) error {
	return s.retag(ctx, r, func(have map[string]string) error {
		for _, k := range keys {
			delete(have, k)
		}
		return nil
	})
}

func (s *Service) retag(ctx context.Context, of *catalog.Resource, fn func(map[string]string) error) error {
	return s.o.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		r := tx.Get(of.Key)
		if r == nil || r.ARN != of.ARN {
			return ErrNotFound
		}
		r = r.Clone()
		if r.Tags == nil {
			r.Tags = map[string]string{}
		}
		if err := fn(r.Tags); err != nil {
			return err
		}
		tx.Put(r)
		return nil
	})
}
