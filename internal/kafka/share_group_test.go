package kafka

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestShareGroup: two members share three partitions; what one gives back comes again,
// what is rejected does not, everything else is accepted once, and the group is listed
// and described as what it is.
func TestShareGroup(t *testing.T) {
	s := newServer(t, 3, nil)
	admin := s.client(t, kgo.DefaultProduceTopic("game"))
	mustCreate(t, admin, "game", 3)
	if got := configure(t, admin, "players", "share.auto.offset.reset", "earliest"); got != 0 {
		t.Fatal(got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	const total = 600
	for i := range total {
		admin.Produce(ctx, &kgo.Record{Value: fmt.Appendf(nil, "%d", i)}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := admin.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	var members []*kgo.Client
	for range 2 {
		members = append(members, s.client(t, kgo.ShareGroup("players"), kgo.ConsumeTopics("game"), kgo.ShareMaxRecords(50),
			kgo.ShareAckCallback(func(_ *kgo.Client, all kgo.ShareAckResults) {
				if err := all.Error(); err != nil {
					t.Error(err)
				}
			})))
	}
	accepted, released, rejected := map[string]int{}, map[string]int{}, map[string]int{}
	for len(accepted)+len(rejected) < total {
		if ctx.Err() != nil {
			t.Fatalf("%d accepted, %d rejected", len(accepted), len(rejected))
		}
		for _, m := range members {
			poll, stop := context.WithTimeout(ctx, 100*time.Millisecond)
			m.PollFetches(poll).EachRecord(func(r *kgo.Record) {
				value := string(r.Value)
				switch {
				case len(value)%2 == 0 && released[value] == 0:
					released[value]++
					r.Ack(kgo.AckRelease)
				case value[len(value)-1] == '7':
					rejected[value]++
					r.Ack(kgo.AckReject)
				default:
					accepted[value]++
					r.Ack(kgo.AckAccept)
				}
			})
			stop()
			if err := m.FlushAcks(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	for value, n := range accepted {
		if n != 1 || rejected[value] != 0 {
			t.Errorf("%s was accepted %d times, rejected %d times", value, n, rejected[value])
		}
	}
	if len(rejected) != total/10 || len(released) != 90 {
		t.Errorf("%d were rejected, %d released", len(rejected), len(released))
	}
	g := ask[*kmsg.ShareGroupDescribeResponse](t, admin, &kmsg.ShareGroupDescribeRequest{Version: 1, GroupIDs: []string{"players"}}).Groups[0]
	if g.ErrorCode != 0 || g.GroupState != "Stable" || g.Assignor != "simple" || len(g.Members) != 2 || len(g.Members[0].SubscribedTopicNames) != 1 {
		t.Fatalf("%+v", g)
	}
	list := ask[*kmsg.ListGroupsResponse](t, s.clientAt(t, s.cluster.Groups().Coordinator("players")), kmsg.NewPtrListGroupsRequest())
	if len(list.Groups) != 1 || list.Groups[0].GroupType != "share" || list.Groups[0].ProtocolType != "share" {
		t.Fatalf("%+v", list.Groups)
	}
	for _, m := range members {
		m.Close()
	}
	deleted := ask[*kmsg.DeleteGroupsResponse](t, admin, &kmsg.DeleteGroupsRequest{Groups: []string{"players"}}).Groups[0]
	if deleted.ErrorCode != 0 {
		t.Fatal(deleted.ErrorCode)
	}
}

// shareClient speaks the protocol of one member over one connection.
type shareClient struct {
	t             *testing.T
	cl            *kgo.Client
	group, member string
	topic         [16]byte
	epoch         int32
	wait          int32 // milliseconds
}

func newShareClient(t *testing.T, cl *kgo.Client, group, member, topic string) *shareClient {
	t.Helper()
	c := &shareClient{t: t, cl: cl, group: group, member: member}
	beat := ask[*kmsg.ShareGroupHeartbeatResponse](t, cl, &kmsg.ShareGroupHeartbeatRequest{GroupID: group, MemberID: member, SubscribedTopicNames: []string{topic}})
	if beat.ErrorCode != 0 || beat.Assignment == nil || len(beat.Assignment.TopicPartitions) != 1 {
		t.Fatalf("%+v", beat)
	}
	c.topic = beat.Assignment.TopicPartitions[0].TopicID
	return c
}

// fetch fetches from partition 0, and says something of what was fetched before.
func (c *shareClient) fetch(most int32, acks ...kmsg.ShareFetchRequestTopicPartitionAcknowledgementBatch) *kmsg.ShareFetchResponse {
	c.t.Helper()
	req := kmsg.NewPtrShareFetchRequest()
	req.GroupID, req.MemberID, req.ShareSessionEpoch, req.MaxRecords, req.BatchSize = &c.group, &c.member, c.epoch, most, most
	req.MaxWaitMillis = c.wait
	req.Topics = []kmsg.ShareFetchRequestTopic{{TopicID: c.topic, Partitions: []kmsg.ShareFetchRequestTopicPartition{{AcknowledgementBatches: acks}}}}
	resp := direct[*kmsg.ShareFetchResponse](c.t, c.cl, req)
	if c.epoch++; resp.ErrorCode != 0 {
		c.epoch--
	}
	return resp
}

// got are the offsets that a response gives, each with its deliveries.
func got(resp *kmsg.ShareFetchResponse) (out string) {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			for _, a := range p.AcquiredRecords {
				out += fmt.Sprintf("%d-%d:%d ", a.FirstOffset, a.LastOffset, a.DeliveryCount)
			}
			if p.ErrorCode != 0 || p.AcknowledgeErrorCode != 0 {
				out += fmt.Sprintf("errors %d %d", p.ErrorCode, p.AcknowledgeErrorCode)
			}
		}
	}
	return out
}

func shareAckOf(first, last int64, types ...int8) kmsg.ShareFetchRequestTopicPartitionAcknowledgementBatch {
	return kmsg.ShareFetchRequestTopicPartitionAcknowledgementBatch{FirstOffset: first, LastOffset: last, AcknowledgeTypes: types}
}

// TestShareFetch: what comes of acknowledgements, epochs of sessions, and records of
// members that go.
func TestShareFetch(t *testing.T) {
	s := newServer(t, 1, nil)
	admin := s.client(t, kgo.DefaultProduceTopic("game"))
	mustCreate(t, admin, "game", 1)
	configure(t, admin, "g", "share.auto.offset.reset", "earliest")
	for i := range 6 {
		if err := admin.ProduceSync(t.Context(), &kgo.Record{Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	a := newShareClient(t, s.client(t), "g", "a", "game")
	gone := s.client(t)
	b := newShareClient(t, gone, "g", "b", "game")
	check := func(what string, resp *kmsg.ShareFetchResponse, want string) {
		t.Helper()
		if out := got(resp); out != want || resp.ErrorCode != 0 {
			t.Errorf("%s: %q and %d, want %q", what, out, resp.ErrorCode, want)
		}
	}
	refused := func(what string, resp *kmsg.ShareFetchResponse, want int16) {
		t.Helper()
		if resp.ErrorCode != want {
			t.Errorf("%s: %d, want %d", what, resp.ErrorCode, want)
		}
	}
	refused("acknowledging in a first fetch", a.fetch(1, shareAckOf(0, 0, 1)), 42)
	a.epoch = 1
	refused("without a session", a.fetch(1), 122)
	a.epoch = 0
	check("the first", a.fetch(2), "0-1:1 ")
	check("the other member", b.fetch(2), "2-3:1 ")
	check("released, and others", a.fetch(2, shareAckOf(0, 1, 1, 2)), "1-1:2 4-4:1 ")
	check("what is another's", a.fetch(1, shareAckOf(2, 2, 1)), "5-5:1 errors 0 121")
	check("out of range", a.fetch(1, shareAckOf(5, 6, 1)), "errors 0 42")
	check("no such type", a.fetch(1, shareAckOf(4, 4, 5)), "errors 0 42")
	check("renewed without saying so", a.fetch(1, shareAckOf(4, 4, 4)), "errors 0 42")
	check("some done before", a.fetch(1, shareAckOf(0, 1, 1)), "")
	a.epoch += 3
	refused("another epoch", a.fetch(1), 123)
	a.epoch -= 3
	gone.Close()
	for out := ""; out != "2-3:2 "; { // the server sees that the connection is gone
		if out = got(a.fetch(10)); out != "" && out != "2-3:2 " {
			t.Fatal(out)
		}
	}
	ack := kmsg.ShareAcknowledgeRequest{GroupID: &a.group, MemberID: &a.member, ShareSessionEpoch: -1, Topics: []kmsg.ShareAcknowledgeRequestTopic{{TopicID: a.topic,
		Partitions: []kmsg.ShareAcknowledgeRequestTopicPartition{{AcknowledgementBatches: []kmsg.ShareAcknowledgeRequestTopicPartitionAcknowledgementBatch{
			{FirstOffset: 2, LastOffset: 4, AcknowledgeTypes: []int8{1, 3, 1}}}}}}}}
	if resp := direct[*kmsg.ShareAcknowledgeResponse](t, a.cl, &ack); resp.ErrorCode != 0 || resp.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatalf("%+v", resp)
	}
	a.epoch = 0
	check("what is left", a.fetch(10), "5-5:2 ")
	if resp := direct[*kmsg.ShareAcknowledgeResponse](t, a.cl, &kmsg.ShareAcknowledgeRequest{GroupID: &a.group, MemberID: &a.member}); resp.ErrorCode != 123 {
		t.Error(resp.ErrorCode)
	}
}

// TestShareFetchWaits: for a record, for one that another member gives back, and for
// the end of another member's time.
func TestShareFetchWaits(t *testing.T) {
	s := newServer(t, 1, nil)
	admin := s.client(t, kgo.DefaultProduceTopic("game"))
	mustCreate(t, admin, "game", 1)
	for _, group := range []string{"g", "short"} {
		if got := configure(t, admin, group, "share.auto.offset.reset", "earliest"); got != 0 {
			t.Fatal(got)
		}
	}
	if got := configure(t, admin, "short", "share.record.lock.duration.ms", "1000"); got != 0 {
		t.Fatal(got)
	}
	a, b := newShareClient(t, s.client(t), "g", "a", "game"), newShareClient(t, s.client(t), "g", "b", "game")
	check := func(what string, by *shareClient, want string, meanwhile func()) {
		t.Helper()
		by.wait = 60_000 // nobody waits so long
		began, done := time.Now(), make(chan struct{})
		go func() {
			defer close(done)
			meanwhile()
		}()
		out := got(by.fetch(1))
		<-done
		if took := time.Since(began); out != want || took > 50*time.Second {
			t.Errorf("%s: %q after %v, want %q", what, out, took, want)
		}
	}
	produce := func() {
		if err := admin.ProduceSync(t.Context(), &kgo.Record{Value: []byte("x")}).FirstErr(); err != nil {
			t.Error(err)
		}
	}
	check("a record", b, "0-0:1 ", produce)
	check("another", a, "1-1:1 ", produce)
	check("what another gives back", b, "1-1:2 ", func() { s.cluster.Shares().Release(t.Context(), "g", "a", a.topic, 0) })
	a, b = newShareClient(t, s.client(t), "short", "a", "game"), newShareClient(t, s.client(t), "short", "b", "game")
	if out := got(a.fetch(2)); out != "0-0:1 1-1:1 " && out != "0-1:1 " {
		t.Fatal(out)
	}
	check("the end of another's time", b, "0-0:2 ", func() {})
}
