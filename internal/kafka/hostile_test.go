package kafka

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// times makes a list of n times the same.
func times[T any](n int, v T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// TestPatternsTellNothing: a member whose pattern another has already is not given the
// topics that only the other may know of.
func TestPatternsTellNothing(t *testing.T) {
	g := enforced(t)
	admin := g.admin(t)
	setPassword(t, admin, "mallory", "secret")
	mustCreate(t, admin, "hidden", 4)
	grant(t, admin, rule(brokers.GroupKind, "g", brokers.PatternLiteral, "User:mallory", brokers.OpRead, brokers.PermissionAllow))
	beat := func(cl *kgo.Client, member string) *kmsg.ConsumerGroupHeartbeatResponse {
		req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		pattern := "hid.*"
		req.Group, req.MemberID, req.RebalanceTimeoutMillis, req.SubscribedTopicRegex, req.Topics = "g", member, 1000, &pattern, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		return direct[*kmsg.ConsumerGroupHeartbeatResponse](t, cl, req)
	}
	if got := beat(admin, "a"); got.Assignment == nil || len(got.Assignment.Topics) != 1 {
		t.Fatalf("who may is given %+v", got)
	}
	leave := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	mallory := g.by(t, as256("mallory", "secret"))
	if got := beat(mallory, "b"); got.Assignment != nil && len(got.Assignment.Topics) > 0 {
		t.Fatalf("who may not is given %+v", got.Assignment)
	}
	leave.Group, leave.MemberID, leave.MemberEpoch, leave.RebalanceTimeoutMillis = "g", "a", -1, -1
	direct[*kmsg.ConsumerGroupHeartbeatResponse](t, admin, leave)
	if got := beat(mallory, "b"); got.ErrorCode != 0 || got.Assignment == nil || len(got.Assignment.Topics) > 0 {
		t.Errorf("who may not, and is alone, is given %d %+v", got.ErrorCode, got.Assignment)
	}
}

// TestNamedTwiceAnsweredOnce: an answer is no longer for naming something again, so
// that a request of some bytes is no answer of gigabytes.
func TestNamedTwiceAnsweredOnce(t *testing.T) {
	const n = 1000
	s := newServer(t, 1, nil)
	cl := s.client(t)
	mustCreate(t, cl, "game", 3)
	id := s.cluster.Topic("game").ID()

	meta := kmsg.NewPtrMetadataRequest()
	meta.Version = 12
	meta.Topics = times(n, kmsg.MetadataRequestTopic{TopicID: id})
	meta.Topics = append(meta.Topics, times(n, kmsg.MetadataRequestTopic{Topic: kmsg.StringPtr("game")})...)
	configs := kmsg.NewPtrDescribeConfigsRequest()
	configs.Resources = times(n, kmsg.DescribeConfigsRequestResource{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "game"})
	dirs := kmsg.NewPtrDescribeLogDirsRequest()
	dirs.Topics = times(n, kmsg.DescribeLogDirsRequestTopic{Topic: "game", Partitions: []int32{0, 1}})
	producers := kmsg.NewPtrDescribeProducersRequest()
	producers.Topics = times(n, kmsg.DescribeProducersRequestTopic{Topic: "game", Partitions: times[int32](n/20, 2)})
	groups := kmsg.NewPtrDescribeGroupsRequest()
	groups.Groups = times(n, "g")
	consumers := kmsg.NewPtrConsumerGroupDescribeRequest()
	consumers.Groups = times(n, "g")
	shares := kmsg.NewPtrShareGroupDescribeRequest()
	shares.GroupIDs = times(n, "g")
	starts := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
	starts.Groups = times(3, kmsg.DescribeShareGroupOffsetsRequestGroup{GroupID: "g", Topics: times(n, kmsg.DescribeShareGroupOffsetsRequestGroupTopic{Topic: "game", Partitions: times[int32](n/20, 1)})})
	txns := kmsg.NewPtrDescribeTransactionsRequest()
	txns.TransactionalIDs = times(n, "t")
	offsets := kmsg.NewPtrOffsetFetchRequest()
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group, g.Topics = "g", times(n, kmsg.OffsetFetchRequestGroupTopic{Topic: "game", Partitions: times[int32](n/20, 1)})
	offsets.Groups = times(3, g)
	part := kmsg.NewFetchRequestTopicPartition()
	part.PartitionMaxBytes = 1
	fetch := kmsg.NewPtrFetchRequest()
	fetch.MaxBytes = 1 << 20
	fetch.Topics = times(n/20, kmsg.FetchRequestTopic{Topic: "game", Partitions: times(n/20, part)})
	old := kmsg.NewPtrOffsetFetchRequest()
	old.Group, old.Topics = "g", times(n, kmsg.OffsetFetchRequestTopic{Topic: "game", Partitions: times[int32](n/20, 1)})

	for _, try := range []struct {
		version int16
		req     kmsg.Request
		resp    kmsg.Response
		want    string
		got     func(kmsg.Response) string
	}{
		{12, meta, kmsg.NewPtrMetadataResponse(), "2", func(r kmsg.Response) string { return fmt.Sprint(len(r.(*kmsg.MetadataResponse).Topics)) }},
		{4, configs, kmsg.NewPtrDescribeConfigsResponse(), "1", func(r kmsg.Response) string { return fmt.Sprint(len(r.(*kmsg.DescribeConfigsResponse).Resources)) }},
		{2, dirs, kmsg.NewPtrDescribeLogDirsResponse(), "1", func(r kmsg.Response) string { return fmt.Sprint(len(r.(*kmsg.DescribeLogDirsResponse).Dirs[0].Topics)) }},
		{0, producers, kmsg.NewPtrDescribeProducersResponse(), "1 1", func(r kmsg.Response) string {
			list := r.(*kmsg.DescribeProducersResponse).Topics
			return fmt.Sprint(len(list), len(list[0].Partitions))
		}},
		{5, groups, kmsg.NewPtrDescribeGroupsResponse(), "1", func(r kmsg.Response) string { return fmt.Sprint(len(r.(*kmsg.DescribeGroupsResponse).Groups)) }},
		{0, consumers, kmsg.NewPtrConsumerGroupDescribeResponse(), "1", func(r kmsg.Response) string { return fmt.Sprint(len(r.(*kmsg.ConsumerGroupDescribeResponse).Groups)) }},
		{1, shares, kmsg.NewPtrShareGroupDescribeResponse(), "1", func(r kmsg.Response) string { return fmt.Sprint(len(r.(*kmsg.ShareGroupDescribeResponse).Groups)) }},
		{1, starts, kmsg.NewPtrDescribeShareGroupOffsetsResponse(), "1 1 1", func(r kmsg.Response) string {
			list := r.(*kmsg.DescribeShareGroupOffsetsResponse).Groups
			return fmt.Sprint(len(list), len(list[0].Topics), len(list[0].Topics[0].Partitions))
		}},
		{0, txns, kmsg.NewPtrDescribeTransactionsResponse(), "1", func(r kmsg.Response) string {
			return fmt.Sprint(len(r.(*kmsg.DescribeTransactionsResponse).TransactionStates))
		}},
		{8, offsets, kmsg.NewPtrOffsetFetchResponse(), "1 1 1", func(r kmsg.Response) string {
			list := r.(*kmsg.OffsetFetchResponse).Groups
			return fmt.Sprint(len(list), len(list[0].Topics), len(list[0].Topics[0].Partitions))
		}},
		{11, fetch, kmsg.NewPtrFetchResponse(), "1 1", func(r kmsg.Response) string {
			list := r.(*kmsg.FetchResponse).Topics
			return fmt.Sprint(len(list), len(list[0].Partitions))
		}},
		{5, old, kmsg.NewPtrOffsetFetchResponse(), "1 1", func(r kmsg.Response) string {
			list := r.(*kmsg.OffsetFetchResponse).Topics
			return fmt.Sprint(len(list), len(list[0].Partitions))
		}},
	} {
		try.req.SetVersion(try.version)
		try.resp.SetVersion(try.version)
		r := s.raw(t)
		r.write(frameOf(try.req, 1))
		_, body := r.read()
		if try.resp.IsFlexible() {
			body = body[1:]
		}
		if err := try.resp.ReadFrom(body); err != nil {
			t.Fatalf("%T: %v", try.req, err)
		}
		if got := try.got(try.resp); got != try.want {
			t.Errorf("%T: answered %s times, want %s", try.req, got, try.want)
		}
	}
}
