package kafka

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// TestGroup: consumers of one group share a topic's partitions, each record goes
// to one of them, and when one leaves the others take over from what was
// committed.
func TestGroup(t *testing.T) {
	for name, balancer := range map[string]kgo.GroupBalancer{
		"range": kgo.RangeBalancer(), "sticky": kgo.StickyBalancer(), "cooperative": kgo.CooperativeStickyBalancer(),
	} {
		t.Run(name, func(t *testing.T) { testGroup(t, kgo.Balancers(balancer)) })
	}
}

func testGroup(t *testing.T, balancer kgo.Opt) {
	const partitions, records = 6, 600
	s := newServer(t, 3, nil)
	producer := s.client(t, kgo.DefaultProduceTopic("game"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	mustCreate(t, producer, "game", partitions)
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	produce := func(from, to int) {
		for i := from; i < to; i++ {
			producer.Produce(ctx, &kgo.Record{Partition: int32(i % partitions), Value: fmt.Append(nil, i)}, func(_ *kgo.Record, err error) {
				if err != nil {
					t.Errorf("produce: %v", err)
				}
			})
		}
		if err := producer.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	member := func() *kgo.Client {
		return s.client(t, kgo.ConsumerGroup("players"), kgo.ConsumeTopics("game"), balancer,
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.HeartbeatInterval(50*time.Millisecond))
	}
	seen := map[string]int{}
	consume := func(until int, members ...*kgo.Client) {
		for n := 0; len(seen) < until; n++ {
			m := members[n%len(members)]
			poll, stop := context.WithTimeout(ctx, 100*time.Millisecond)
			m.PollFetches(poll).EachRecord(func(r *kgo.Record) { seen[string(r.Value)]++ })
			stop()
			if err := ctx.Err(); err != nil {
				t.Fatalf("%d of %d records: %v", len(seen), until, err)
			}
			if err := m.CommitUncommittedOffsets(ctx); err != nil {
				t.Logf("commit: %v", err) // a rebalance came between
			}
		}
	}
	a := member()
	produce(0, records/3)
	consume(records/3, a)
	b, c := member(), member()
	produce(records/3, 2*records/3)
	consume(2*records/3, a, b, c)
	b.LeaveGroup()
	produce(2*records/3, records)
	consume(records, a, c)

	list := ask[*kmsg.ListGroupsResponse](t, s.clientAt(t, s.cluster.Groups().Coordinator("players")), kmsg.NewPtrListGroupsRequest())
	if len(list.Groups) != 1 || list.Groups[0].Group != "players" || list.Groups[0].ProtocolType != "consumer" {
		t.Errorf("groups: %+v", list.Groups)
	}
	describe := kmsg.NewPtrDescribeGroupsRequest()
	describe.Groups = []string{"players"}
	for {
		g := ask[*kmsg.DescribeGroupsResponse](t, producer, describe).Groups[0]
		if g.State == "Stable" && len(g.Members) == 2 && len(g.Members[0].MemberAssignment) > 0 {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("players: %+v", g)
		}
	}
	describe.Groups = []string{"none"}
	if g := ask[*kmsg.DescribeGroupsResponse](t, producer, describe).Groups[0]; g.ErrorCode != 69 || g.State != "Dead" {
		t.Errorf("none: %+v", g)
	}
	del := kmsg.NewPtrDeleteGroupsRequest()
	del.Groups = []string{"players"}
	if got := ask[*kmsg.DeleteGroupsResponse](t, producer, del); got.Groups[0].ErrorCode != 68 {
		t.Errorf("delete with members: %+v", got)
	}
	a.LeaveGroup()
	c.LeaveGroup()
	if sum := committedSum(t, producer, "players"); sum != records {
		t.Errorf("%d offsets are committed, want %d", sum, records)
	}
	if got := ask[*kmsg.DeleteGroupsResponse](t, producer, del); got.Groups[0].ErrorCode != 0 {
		t.Errorf("delete: %+v", got)
	}
	if got := ask[*kmsg.DeleteGroupsResponse](t, producer, del); got.Groups[0].ErrorCode != 69 {
		t.Errorf("delete again: %+v", got)
	}
}

// clientAt is a client that knows one broker only as its first.
func (s *server) clientAt(t *testing.T, broker int32) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.door.Bound()[broker-1].Addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// committedSum is the sum of all that a group has committed.
func committedSum(t *testing.T, cl *kgo.Client, group string) (sum int64) {
	t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	req.Groups, req.Group = append(req.Groups, g), group
	for _, g := range ask[*kmsg.OffsetFetchResponse](t, cl, req).Groups {
		if g.ErrorCode != 0 {
			t.Fatalf("%+v", g)
		}
		for _, tp := range g.Topics {
			for _, p := range tp.Partitions {
				sum += p.Offset
			}
		}
	}
	return sum
}

// TestMembersAreKept: what a member offered is its own when the buffers of its
// connection have been used for other requests.
func TestMembersAreKept(t *testing.T) {
	s := newServer(t, 1, nil)
	cl := s.client(t)
	r := s.raw(t)
	join := kmsg.NewPtrJoinGroupRequest()
	join.Version, join.Group, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis, join.ProtocolType = 3, "g", 10_000, 10_000, "consumer"
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "range", []byte("what it offered")
	join.Protocols = append(join.Protocols, p)
	r.write(frameOf(join, 1))
	_, body := r.read()
	joined := &kmsg.JoinGroupResponse{Version: 3}
	if err := joined.ReadFrom(body); err != nil || joined.ErrorCode != 0 {
		t.Fatalf("%+v, %v", joined, err)
	}
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Version, sync.Group, sync.Generation, sync.MemberID = 2, "g", joined.Generation, joined.MemberID
	a := kmsg.NewSyncGroupRequestGroupAssignment()
	a.MemberID, a.MemberAssignment = joined.MemberID, []byte("what it was given")
	sync.GroupAssignment = append(sync.GroupAssignment, a)
	r.write(frameOf(sync, 2))
	r.read()
	for i := range int32(200) {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.Version, req.CoordinatorKey = 2, fmt.Sprintf("%0100d", i)
		r.write(frameOf(req, 3+i))
		r.read()
	}
	describe := kmsg.NewPtrDescribeGroupsRequest()
	describe.Groups = []string{"g"}
	g := ask[*kmsg.DescribeGroupsResponse](t, cl, describe).Groups[0]
	if len(g.Members) != 1 || string(g.Members[0].ProtocolMetadata) != "what it offered" || string(g.Members[0].MemberAssignment) != "what it was given" {
		t.Errorf("%+v", g)
	}
}

// TestOffsets: what is committed comes back with its metadata; where nothing was,
// the answer is -1 and no error.
func TestOffsets(t *testing.T) {
	s := newServer(t, 1, nil)
	cl := s.client(t)
	mustCreate(t, cl, "game", 2)
	commit := func(group string, partition int32, offset int64, metadata string, generation int32) int16 {
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group, req.Generation = group, generation
		rt := kmsg.NewOffsetCommitRequestTopic()
		rt.Topic = "game"
		if top := s.cluster.Topic("game"); top != nil {
			rt.TopicID = top.ID()
		}
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.Metadata = partition, offset, &metadata
		rt.Partitions = append(rt.Partitions, p)
		req.Topics = append(req.Topics, rt)
		return ask[*kmsg.OffsetCommitResponse](t, cl, req).Topics[0].Partitions[0].ErrorCode
	}
	fetch := func(group string) string {
		r := s.raw(t)
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Version = 8
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group = group
		gt := kmsg.NewOffsetFetchRequestGroupTopic()
		gt.Topic, gt.Partitions = "game", []int32{0, 1}
		g.Topics = append(g.Topics, gt)
		req.Groups = append(req.Groups, g)
		r.write(frameOf(req, 1))
		_, body := r.read()
		resp := &kmsg.OffsetFetchResponse{Version: 8}
		if err := resp.ReadFrom(body[1:]); err != nil {
			t.Fatal(err)
		}
		out := fmt.Sprint(resp.Groups[0].ErrorCode)
		for _, p := range resp.Groups[0].Topics[0].Partitions {
			out += fmt.Sprintf(" %d:%d:%s:%d", p.Partition, p.Offset, *p.Metadata, p.ErrorCode)
		}
		return out
	}
	if got := fetch("none"); got != "0 0:-1::0 1:-1::0" {
		t.Errorf("a group that there is not: %s", got)
	}
	for name, tc := range map[string]struct {
		got, want int16
	}{
		"first":              {commit("g", 0, 5, "note", -1), 0},
		"no such partition":  {commit("g", 7, 5, "", -1), 3},
		"metadata":           {commit("g", 0, 6, string(make([]byte, 5000)), -1), 12},
		"generation of none": {commit("other", 0, 5, "", 3), 69},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: code %d, want %d", name, tc.got, tc.want)
		}
	}
	if got := fetch("g"); got != "0 0:5:note:0 1:-1::0" {
		t.Errorf("committed: %s", got)
	}
	del := kmsg.NewPtrDeleteTopicsRequest()
	name := "game"
	dt := kmsg.NewDeleteTopicsRequestTopic()
	dt.Topic = &name
	del.Topics = append(del.Topics, dt)
	if got := ask[*kmsg.DeleteTopicsResponse](t, cl, del); got.Topics[0].ErrorCode != 0 {
		t.Fatalf("%+v", got)
	}
	mustCreate(t, cl, "game", 2)
	if got := commit("g", 1, 1, "", -1); got != 0 { // behind the removal
		t.Errorf("commit: %d", got)
	}
	if got := fetch("g"); got != "0 0:-1::0 1:1::0" {
		t.Errorf("a topic made anew: %s", got)
	}
}

// TestCommitsOfOldClients: versions 2 to 4 say how long an offset is kept.
func TestCommitsOfOldClients(t *testing.T) {
	s := newServer(t, 1, nil)
	cl := s.client(t)
	mustCreate(t, cl, "game", 1)
	r := s.raw(t)
	for _, group := range []string{"short", "long"} {
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Version, req.Group, req.RetentionTimeMillis = 3, group, map[string]int64{"short": 1, "long": -1}[group]
		rt := kmsg.NewOffsetCommitRequestTopic()
		rt.Topic, rt.Partitions = "game", []kmsg.OffsetCommitRequestTopicPartition{{Offset: 5}}
		req.Topics = append(req.Topics, rt)
		r.write(frameOf(req, 1))
		_, body := r.read()
		resp := &kmsg.OffsetCommitResponse{Version: 3}
		if err := resp.ReadFrom(body); err != nil || resp.Topics[0].Partitions[0].ErrorCode != 0 {
			t.Fatal(err, resp)
		}
	}
	committed := func(group string) bool {
		found := false
		if err := s.cluster.Groups().FetchAll(t.Context(), group, func(string, int32, brokers.Fetched) { found = true }); err != nil {
			t.Fatal(err)
		}
		return found
	}
	for committed("short") {
		if t.Context().Err() != nil {
			t.Fatal("it is kept")
		}
	}
	if !committed("long") {
		t.Fatal("it is kept with its group")
	}
}
