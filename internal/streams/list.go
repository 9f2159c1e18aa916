package streams

import (
	"encoding/binary"
	"sort"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
)

// FilterType says which shards a listing is about, as ListShards names it.
type FilterType string

const (
	AfterShardID    FilterType = "AFTER_SHARD_ID"
	AtTrimHorizon   FilterType = "AT_TRIM_HORIZON"
	FromTrimHorizon FilterType = "FROM_TRIM_HORIZON"
	AtLatest        FilterType = "AT_LATEST"
	OpenAtTimestamp FilterType = "AT_TIMESTAMP"
	FromTimestamp   FilterType = "FROM_TIMESTAMP"
)

// filterTypes gives the types their places in a token. Append only.
var filterTypes = [...]FilterType{"", AfterShardID, AtTrimHorizon, FromTrimHorizon, AtLatest, OpenAtTimestamp, FromTimestamp}

// Filter selects shards. The zero Filter is FROM_TRIM_HORIZON.
type Filter struct {
	Type FilterType
	// Time is in Unix milliseconds, for the two timestamp types. One before the
	// oldest record means the oldest.
	Time int64
}

// Listing is one listing of shards, from page to page.
type Listing struct {
	Filter Filter
	// After is the shard after which the next page begins; -1 is the beginning.
	After int64
}

// Shards returns the next page of at most limit shards, and where the one after
// it begins; more tells whether there is any. See
// docs.aws.amazon.com/kinesis/latest/APIReference/API_ShardFilter.html.
func (s *Service) Shards(r *catalog.Resource, l Listing, limit int) (page []*catalog.Shard, rest Listing, more bool) {
	horizon := max(s.Horizon(r), r.Created)
	for i := range r.Stream.Shards {
		sh := &r.Stream.Shards[i]
		if int64(sh.Number) <= l.After || !l.Filter.selects(sh, horizon) {
			continue
		}
		if len(page) == limit {
			return page, rest, true
		}
		page = append(page, sh)
		rest = Listing{Filter: l.Filter, After: int64(sh.Number)}
	}
	return page, rest, false
}

// selects reports whether f is about sh.
func (f Filter) selects(sh *catalog.Shard, horizon int64) bool {
	at := max(f.Time, horizon)
	openAt := func(t int64) bool { return sh.Created <= t && (sh.Open() || sh.Closed > t) }
	switch f.Type {
	case AtLatest:
		return sh.Open()
	case AtTrimHorizon:
		return openAt(horizon)
	case OpenAtTimestamp:
		return openAt(at)
	case FromTimestamp:
		return !expired(sh, at)
	}
	return !expired(sh, horizon)
}

// List returns at most limit streams of a scope by name, those after the name
// after; more tells whether there are others.
func (s *Service) List(scope catalog.Scope, after string, limit int) (page []*catalog.Resource, more bool) {
	all := s.catalog.List(catalog.KindStream, scope)
	first := sort.Search(len(all), func(i int) bool { return all[i].Name > after })
	for _, r := range all[first:] {
		if !s.visible(r) {
			continue
		}
		if len(page) == limit {
			return page, true
		}
		page = append(page, r)
	}
	return page, false
}

// ErrPageToken is a page token that is none of ours.
var ErrPageToken error = errs.New(errs.Invalid, "Invalid NextToken.")

// ErrPageExpired is a page token past its life.
var ErrPageExpired error = errs.New(errs.Expired, "The pagination token has expired.")

// ShardsToken is the token for the rest of a listing of r's shards.
func (s *Service) ShardsToken(r *catalog.Resource, l Listing) string {
	b := binary.BigEndian.AppendUint64(nil, r.Stream.Number)
	b = binary.BigEndian.AppendUint64(b, uint64(l.After))
	b = binary.BigEndian.AppendUint64(b, uint64(l.Filter.Time))
	kind := 0
	for i, t := range filterTypes {
		if t == l.Filter.Type {
			kind = i
		}
	}
	return s.page(shardsToken, r.Scope, append(b, byte(kind)))
}

// OpenShardsToken reads a token of ShardsToken. Errors: ErrPageToken,
// ErrPageExpired; NotFound when the stream is gone.
func (s *Service) OpenShardsToken(scope catalog.Scope, text string) (*catalog.Resource, Listing, error) {
	p, err := s.openPage(shardsToken, scope, text)
	if err != nil {
		return nil, Listing{}, err
	}
	kind := p[24]
	if int(kind) >= len(filterTypes) {
		return nil, Listing{}, ErrPageToken
	}
	l := Listing{
		After:  int64(binary.BigEndian.Uint64(p[8:])),
		Filter: Filter{Type: filterTypes[kind], Time: int64(binary.BigEndian.Uint64(p[16:]))},
	}
	r := s.catalog.StreamNumber(binary.BigEndian.Uint64(p))
	if !s.visible(r) || r.Scope != scope {
		return nil, l, errs.New(errs.NotFound, "The stream of this NextToken no longer exists.")
	}
	return r, l, nil
}

// StreamsToken is the token for a listing of streams that goes on after a name.
func (s *Service) StreamsToken(scope catalog.Scope, after string) string {
	return s.page(streamsToken, scope, append([]byte{byte(len(after))}, after...))
}

// OpenStreamsToken reads a token of StreamsToken. Errors: ErrPageToken,
// ErrPageExpired.
func (s *Service) OpenStreamsToken(scope catalog.Scope, text string) (after string, err error) {
	p, err := s.openPage(streamsToken, scope, text)
	if err != nil {
		return "", err
	}
	if int(p[0]) >= len(p) {
		return "", ErrPageToken
	}
	return string(p[1 : 1+int(p[0])]), nil
}

func (s *Service) page(kind tokenKind, scope catalog.Scope, payload []byte) string {
	return string(s.seal.appendSealed(nil, kind, scope, clock.Millis(s.clock), payload))
}

func (s *Service) openPage(kind tokenKind, scope catalog.Scope, text string) ([]byte, error) {
	issued, p, err := s.seal.open(kind, scope, []byte(text))
	if err != nil {
		return nil, ErrPageToken
	}
	if clock.Millis(s.clock)-issued > PageLife.Milliseconds() {
		return nil, ErrPageExpired
	}
	return p, nil
}
