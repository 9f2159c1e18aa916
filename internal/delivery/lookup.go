package delivery

import (
	"slices"
	"strings"

	"thalweg/internal/catalog"
	"thalweg/internal/errs"
)

// Lookup returns the delivery stream of that name, in whatever state. Errors:
// NotFound.
func (s *Service) Lookup(scope catalog.Scope, name string) (*catalog.Resource, error) {
	if r := s.catalog.Get(deliveryKey(scope, name)); r != nil {
		return r, nil
	}
	return nil, notFound(deliveryKey(scope, name))
}

// List returns at most limit delivery streams of a scope by name, those after the
// name after and of the type kind, if any; more tells whether there are others.
func (s *Service) List(scope catalog.Scope, kind, after string, limit int) (page []*catalog.Resource, more bool) {
	for _, r := range s.catalog.List(catalog.KindDelivery, scope) {
		if r.Name <= after || kind != "" && r.Delivery.Type != kind {
			continue
		}
		if len(page) == limit {
			return page, true
		}
		page = append(page, r)
	}
	return page, false
}

// deliveries are all that deliver: delivery streams and channels.
func (s *Service) deliveries() []*catalog.Resource {
	return append(s.catalog.All(catalog.KindDelivery), s.catalog.All(catalog.KindChannel)...)
}

// All returns the delivery streams of every account and region.
func (s *Service) All() []*catalog.Resource { return s.catalog.All(catalog.KindDelivery) }

// Tag is one tag.
type Tag struct{ Key, Value string }

// Tags returns at most limit tags of r by key, those after the key after.
func Tags(r *catalog.Resource, after string, limit int) (page []Tag, more bool) {
	for k, v := range r.Tags {
		if k > after {
			page = append(page, Tag{k, v})
		}
	}
	slices.SortFunc(page, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
	if len(page) > limit {
		return page[:limit], true
	}
	return page, false
}

// usable is a delivery stream that records can be put to. Errors: NotFound, Invalid
// for one with a source.
func (s *Service) usable(scope catalog.Scope, name string) (*catalog.Resource, error) {
	r, err := s.Lookup(scope, name)
	switch {
	case err != nil:
		return nil, err
	case r.State == catalog.Deleting:
		return nil, notFound(r.Key)
	case r.Delivery.Type != DirectPut:
		return nil, errs.New(errs.Invalid, "This operation is not permitted on "+r.Delivery.Type+" delivery stream type.")
	}
	return r, nil
}

// VersionID is the VersionId of a delivery stream.
func VersionID(d *catalog.Delivery) string { return versionText(d.Destination.Version) }
