package kafka

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// topicRef is a topic as a request names it.
type topicRef struct {
	name  string
	named bool
	id    brokers.TopicID
}

// once leaves out of a request what it names again, where the answer to a name may
// be far larger than the name: some bytes would be gigabytes.
func once(req kmsg.Request) {
	switch in := req.(type) {
	case *kmsg.MetadataRequest:
		in.Topics = distinct(in.Topics, func(t *kmsg.MetadataRequestTopic) topicRef {
			return topicRef{deref(t.Topic), t.Topic != nil, t.TopicID}
		})
	case *kmsg.OffsetFetchRequest:
		in.Topics = distinctParts(in.Topics, func(t *kmsg.OffsetFetchRequestTopic) (topicRef, *[]int32) {
			return topicRef{name: t.Topic}, &t.Partitions
		})
		in.Groups = distinct(in.Groups, func(g *kmsg.OffsetFetchRequestGroup) string { return g.Group })
		for i := range in.Groups {
			in.Groups[i].Topics = distinctParts(in.Groups[i].Topics, func(t *kmsg.OffsetFetchRequestGroupTopic) (topicRef, *[]int32) {
				return topicRef{name: t.Topic, id: t.TopicID}, &t.Partitions
			})
		}
	case *kmsg.DescribeGroupsRequest:
		in.Groups = distinct(in.Groups, itself)
	case *kmsg.ConsumerGroupDescribeRequest:
		in.Groups = distinct(in.Groups, itself)
	case *kmsg.ShareGroupDescribeRequest:
		in.GroupIDs = distinct(in.GroupIDs, itself)
	case *kmsg.DescribeShareGroupOffsetsRequest:
		in.Groups = distinct(in.Groups, func(g *kmsg.DescribeShareGroupOffsetsRequestGroup) string { return g.GroupID })
		for i := range in.Groups {
			in.Groups[i].Topics = distinctParts(in.Groups[i].Topics, func(t *kmsg.DescribeShareGroupOffsetsRequestGroupTopic) (topicRef, *[]int32) {
				return topicRef{name: t.Topic}, &t.Partitions
			})
		}
	case *kmsg.DescribeTransactionsRequest:
		in.TransactionalIDs = distinct(in.TransactionalIDs, itself)
	case *kmsg.DescribeConfigsRequest:
		type resource struct {
			kind kmsg.ConfigResourceType
			name string
		}
		in.Resources = distinct(in.Resources, func(r *kmsg.DescribeConfigsRequestResource) resource { return resource{r.ResourceType, r.ResourceName} })
	case *kmsg.DescribeLogDirsRequest:
		in.Topics = distinctParts(in.Topics, func(t *kmsg.DescribeLogDirsRequestTopic) (topicRef, *[]int32) {
			return topicRef{name: t.Topic}, &t.Partitions
		})
	case *kmsg.DescribeProducersRequest:
		in.Topics = distinctParts(in.Topics, func(t *kmsg.DescribeProducersRequestTopic) (topicRef, *[]int32) {
			return topicRef{name: t.Topic}, &t.Partitions
		})
	}
}

func itself(s *string) string { return *s }

// distinct leaves of a list the first with each key. One that is nil stays so.
func distinct[T any, K comparable](list []T, key func(*T) K) []T {
	if len(list) < 2 {
		return list
	}
	seen := map[K]struct{}{}
	return slices.DeleteFunc(list, func(v T) bool { return again(seen, key(&v)) })
}

// distinctParts leaves in a list of topics each partition once, and no topic of
// which that leaves none.
func distinctParts[T any](list []T, of func(*T) (topicRef, *[]int32)) []T {
	type part struct {
		topic topicRef
		n     int32
	}
	seen := map[part]struct{}{}
	out := list[:0]
	for i := range list {
		topic, parts := of(&list[i])
		had := len(*parts) > 0
		*parts = slices.DeleteFunc(*parts, func(n int32) bool { return again(seen, part{topic, n}) })
		if !had || len(*parts) > 0 {
			out = append(out, list[i])
		}
	}
	return out
}

// again tells whether k was seen before, and notes that it is.
func again[K comparable](seen map[K]struct{}, k K) bool {
	n := len(seen)
	seen[k] = struct{}{}
	return len(seen) == n
}
