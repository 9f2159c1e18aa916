package kafka

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// configure sets one entry of a group's configuration.
func configure(t *testing.T, cl *kgo.Client, group, name, value string) int16 {
	t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeGroupConfig, group
	entry := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	entry.Name, entry.Value = name, &value
	res.Configs = append(res.Configs, entry)
	req.Resources = append(req.Resources, res)
	return ask[*kmsg.IncrementalAlterConfigsResponse](t, cl, req).Resources[0].ErrorCode
}

// TestConsumerGroup: members whose server assigns share a topic, take over from
// one that leaves, and are listed and described as what they are.
func TestConsumerGroup(t *testing.T) {
	s := newServer(t, 3, nil)
	admin := s.client(t, kgo.DefaultProduceTopic("game"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	mustCreate(t, admin, "game", 4)
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	if got := configure(t, admin, "players", "consumer.heartbeat.interval.ms", "1000"); got != 0 {
		t.Fatal(got)
	}
	if got := configure(t, admin, "players", "consumer.heartbeat.interval.ms", "1"); got != 40 {
		t.Fatal(got)
	}
	member := func() *kgo.Client {
		return s.client(t, kgo.ConsumerGroup("players"), kgo.ConsumeTopics("game"), kgo.ServerSideBalancer(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	}
	seen := map[string]bool{}
	read := func(upTo int, members ...*kgo.Client) {
		t.Helper()
		for len(seen) < upTo {
			for _, m := range members {
				poll, stop := context.WithTimeout(ctx, 50*time.Millisecond)
				m.PollFetches(poll).EachRecord(func(r *kgo.Record) { seen[string(r.Value)] = true })
				stop()
			}
			if ctx.Err() != nil {
				t.Fatalf("%d of %d are seen", len(seen), upTo)
			}
		}
	}
	produce := func(value string) {
		t.Helper()
		for p := range int32(4) {
			if err := admin.ProduceSync(ctx, &kgo.Record{Partition: p, Value: []byte(value + string('0'+p))}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	describe := kmsg.NewPtrConsumerGroupDescribeRequest()
	describe.Groups = []string{"players"}
	await := func(members int) kmsg.ConsumerGroupDescribeResponseGroup {
		t.Helper()
		for {
			g := ask[*kmsg.ConsumerGroupDescribeResponse](t, admin, describe).Groups[0]
			if g.State == "Stable" && len(g.Members) == members {
				return g
			}
			if ctx.Err() != nil {
				t.Fatalf("%+v", g)
			}
		}
	}
	a := member()
	produce("one")
	read(4, a)
	b := member()
	g := await(2)
	if g.AssignorName != "uniform" || g.Epoch != g.AssignmentEpoch {
		t.Errorf("%+v", g)
	}
	for _, m := range g.Members {
		if tp := m.Assignment.TopicPartitions; len(tp) != 1 || tp[0].Topic != "game" || len(tp[0].Partitions) != 2 || m.MemberEpoch != g.Epoch || m.MemberType != 1 {
			t.Errorf("%+v", m)
		}
	}
	produce("two")
	read(8, a, b)
	list := ask[*kmsg.ListGroupsResponse](t, s.clientAt(t, s.cluster.Groups().Coordinator("players")), kmsg.NewPtrListGroupsRequest())
	if len(list.Groups) != 1 || list.Groups[0].GroupType != "consumer" || list.Groups[0].ProtocolType != "consumer" || list.Groups[0].GroupState != "Stable" {
		t.Errorf("%+v", list.Groups)
	}
	b.LeaveGroup()
	await(1)
	produce("three")
	read(12, a)
	a.LeaveGroup()
	configs := kmsg.NewPtrDescribeConfigsRequest()
	res := kmsg.NewDescribeConfigsRequestResource()
	res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeGroupConfig, "players"
	configs.Resources = append(configs.Resources, res)
	got := ask[*kmsg.DescribeConfigsResponse](t, admin, configs).Resources[0].Configs
	if len(got) != 10 || *got[0].Value != "1000" || got[0].Source != kmsg.ConfigSourceGroupConfig || *got[1].Value != "45000" || got[1].Source != kmsg.ConfigSourceDefaultConfig {
		t.Errorf("%+v", got)
	}
}
