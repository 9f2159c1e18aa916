// Package sarama uses the real binary as a Kafka cluster with Sarama, a client that
// shares no code with the ones that the other suites use. It is a module of its
// own, so that what Sarama brings along stays out of the product's.
package sarama

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"thalweg/tests/harness"
)

const partitions = 3

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// config is Sarama's for the newest version that it knows.
func config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.Producer.Return.Successes = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.MaxWaitTime = 100 * time.Millisecond
	return c
}

// start runs a server and makes the topic.
func start(t *testing.T, topics ...string) ([]string, sarama.ClusterAdmin) {
	t.Helper()
	brokers := []string{harness.ForTest(t, harness.Options{Ephemeral: true}).Ready().Kafka}
	admin, err := sarama.NewClusterAdmin(brokers, config())
	if err != nil {
		t.Fatal(err)
	}
	closing(t, admin)
	for _, topic := range topics {
		if err := admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false); err != nil {
			t.Fatal(err)
		}
	}
	return brokers, admin
}

func closing(t *testing.T, c interface{ Close() error }) {
	t.Helper()
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

func producer(t *testing.T, brokers []string, c *sarama.Config) sarama.SyncProducer {
	t.Helper()
	p, err := sarama.NewSyncProducer(brokers, c)
	if err != nil {
		t.Fatal(err)
	}
	closing(t, p)
	return p
}

// messages are n of them, spread over the partitions.
func messages(topic, text string, n int) []*sarama.ProducerMessage {
	out := make([]*sarama.ProducerMessage, n)
	for i := range out {
		out[i] = &sarama.ProducerMessage{Topic: topic, Partition: int32(i % partitions), Key: sarama.StringEncoder(fmt.Sprint(i)),
			Value: sarama.StringEncoder(fmt.Sprintf("%s %d", text, i)), Headers: []sarama.RecordHeader{{Key: []byte("n"), Value: fmt.Append(nil, i)}}}
	}
	return out
}

// consume reads n messages from the start of every partition.
func consume(t *testing.T, brokers []string, c *sarama.Config, topic string, n int) []*sarama.ConsumerMessage {
	t.Helper()
	consumer, err := sarama.NewConsumer(brokers, c)
	if err != nil {
		t.Fatal(err)
	}
	closing(t, consumer)
	all := make(chan *sarama.ConsumerMessage)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	for p := range int32(partitions) {
		from, err := consumer.ConsumePartition(topic, p, sarama.OffsetOldest)
		if err != nil {
			t.Fatal(err)
		}
		defer from.AsyncClose()
		wg.Go(func() {
			for m := range from.Messages() {
				select {
				case all <- m:
				case <-ctx.Done():
				}
			}
		})
	}
	var got []*sarama.ConsumerMessage
	for len(got) < n {
		select {
		case m := <-all:
			got = append(got, m)
		case <-ctx.Done():
			t.Fatalf("%d of %d messages came", len(got), n)
		}
	}
	cancel()
	return got
}

func values(got []*sarama.ConsumerMessage) []string {
	out := make([]string, len(got))
	for i, m := range got {
		out[i] = string(m.Value)
	}
	slices.Sort(out)
	return out
}

// sent are the values of messages.
func sent(list ...[]*sarama.ProducerMessage) []string {
	var out []string
	for _, m := range slices.Concat(list...) {
		out = append(out, string(m.Value.(sarama.StringEncoder)))
	}
	slices.Sort(out)
	return out
}

// TestThereAndBack produces with every codec, idempotently, and consumes.
func TestThereAndBack(t *testing.T) {
	brokers, admin := start(t)
	for _, codec := range []sarama.CompressionCodec{
		sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD,
	} {
		t.Run(codec.String(), func(t *testing.T) {
			c := config()
			c.Producer.Compression, c.Producer.Idempotent, c.Net.MaxOpenRequests = codec, true, 1
			topic := "back-" + codec.String()
			if err := admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false); err != nil {
				t.Fatal(err)
			}
			out := messages(topic, "move", 600)
			if err := producer(t, brokers, c).SendMessages(out); err != nil {
				t.Fatal(err)
			}
			got := consume(t, brokers, c, topic, len(out))
			if !slices.Equal(values(got), sent(out)) {
				t.Errorf("%d other messages came back than were sent", len(got))
			}
			for _, m := range got {
				if len(m.Headers) != 1 || string(m.Headers[0].Value) != string(m.Key) {
					t.Fatalf("message %s has the headers %v", m.Key, m.Headers)
				}
			}
		})
	}
}

// member is one of a group: it marks what it is given.
type member struct {
	mu  sync.Mutex
	got map[string]int // guarded by mu; how often each value came

	given chan int // partitions, at each assignment
	seen  chan struct{}
}

func newMember() *member {
	return &member{got: map[string]int{}, given: make(chan int, 100), seen: make(chan struct{}, 10_000)}
}

func (m *member) Setup(s sarama.ConsumerGroupSession) error {
	m.given <- len(s.Claims()["shared"])
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *member) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case msg, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			m.mu.Lock()
			m.got[string(msg.Value)]++
			m.mu.Unlock()
			s.MarkMessage(msg, "")
			m.seen <- struct{}{}
		case <-s.Context().Done():
			return nil
		}
	}
}

// TestGroup shares a topic between two members by each strategy, and a third that
// comes later goes on where they were.
func TestGroup(t *testing.T) {
	for _, strategy := range []sarama.BalanceStrategy{
		sarama.NewBalanceStrategyRange(), sarama.NewBalanceStrategyRoundRobin(), sarama.NewBalanceStrategySticky(),
	} {
		t.Run(strategy.Name(), func(t *testing.T) {
			brokers, admin := start(t, "shared")
			c := config()
			c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy}
			c.Consumer.Group.Heartbeat.Interval = 100 * time.Millisecond
			members := []*member{newMember(), newMember()}
			leave := join(t, brokers, c, members...)
			shares := []int{0, 0}
			for shares[0]+shares[1] != partitions || shares[0] == 0 || shares[1] == 0 {
				select {
				case shares[0] = <-members[0].given:
				case shares[1] = <-members[1].given:
				case <-time.After(30 * time.Second):
					t.Fatalf("the members have %v partitions", shares)
				}
			}
			out := messages("shared", "first", 300)
			if err := producer(t, brokers, c).SendMessages(out); err != nil {
				t.Fatal(err)
			}
			await(t, len(out), members...)
			leave()
			once(t, out, members...)

			more := messages("shared", "second", 30)
			if err := producer(t, brokers, c).SendMessages(more); err != nil {
				t.Fatal(err)
			}
			third := newMember()
			leave = join(t, brokers, c, third)
			await(t, len(more), third)
			leave()
			once(t, more, third)

			offsets, err := admin.ListConsumerGroupOffsets("g", map[string][]int32{"shared": {0, 1, 2}})
			if err != nil {
				t.Fatal(err)
			}
			for p := range int32(partitions) {
				if b := offsets.GetBlock("shared", p); b == nil || b.Offset != 110 {
					t.Errorf("partition %d: committed is %+v, want 110", p, b)
				}
			}
			if err := admin.DeleteConsumerGroup("g"); err != nil {
				t.Error(err)
			}
		})
	}
}

// join lets members consume until the returned function is called.
func join(t *testing.T, brokers []string, c *sarama.Config, members ...*member) (leave func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, m := range members {
		group, err := sarama.NewConsumerGroup(brokers, "g", c)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := group.Consume(ctx, []string{"shared"}, m); err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("consume: %v", err)
					break
				}
			}
			if err := group.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// await waits until members have seen n messages between them.
func await(t *testing.T, n int, members ...*member) {
	t.Helper()
	limit := time.After(30 * time.Second)
	all := make(chan struct{})
	done := make(chan struct{})
	defer close(done)
	for _, m := range members {
		go func() {
			for {
				select {
				case <-m.seen:
					select {
					case all <- struct{}{}:
					case <-done:
						return
					}
				case <-done:
					return
				}
			}
		}()
	}
	for i := range n {
		select {
		case <-all:
		case <-limit:
			t.Fatalf("%d of %d messages came", i, n)
		}
	}
}

// once holds what members saw against what was sent.
func once(t *testing.T, out []*sarama.ProducerMessage, members ...*member) {
	t.Helper()
	got := map[string]int{}
	for _, m := range members {
		m.mu.Lock()
		for v, n := range m.got {
			got[v] += n
		}
		m.mu.Unlock()
	}
	for _, v := range sent(out) {
		if got[v] != 1 {
			t.Fatalf("%q came %d times", v, got[v])
		}
		delete(got, v)
	}
	if len(got) > 0 {
		t.Fatalf("%d messages came that were not sent", len(got))
	}
}

// TestTransactions commits and aborts; offsets of a group go with a transaction; a
// second producer of the same id fences the first.
func TestTransactions(t *testing.T) {
	brokers, admin := start(t, "ledger")
	c := config()
	c.Producer.Idempotent, c.Net.MaxOpenRequests, c.Producer.Transaction.ID = true, 1, "teller"
	first := producer(t, brokers, c)
	offset := int64(7)
	var kept [][]*sarama.ProducerMessage
	for i, commit := range []bool{true, false, true} {
		out := messages("ledger", fmt.Sprint("transaction ", i), 30)
		if err := errors.Join(first.BeginTxn(), first.SendMessages(out)); err != nil {
			t.Fatal(err)
		}
		at := map[string][]*sarama.PartitionOffsetMetadata{"ledger": {{Partition: 0, Offset: offset}}}
		if err := first.AddOffsetsToTxn(at, "source"); err != nil {
			t.Fatal(err)
		}
		end := first.AbortTxn
		if commit {
			kept, end = append(kept, out), first.CommitTxn
			offset++
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
	}
	reader := config()
	reader.Consumer.IsolationLevel = sarama.ReadCommitted
	if got := values(consume(t, brokers, reader, "ledger", 60)); !slices.Equal(got, sent(kept...)) {
		t.Errorf("readers of committed messages see %v", got)
	}
	if got := consume(t, brokers, config(), "ledger", 90); len(got) != 90 {
		t.Errorf("readers of everything see %d messages", len(got))
	}
	offsets, err := admin.ListConsumerGroupOffsets("source", map[string][]int32{"ledger": {0}})
	if err != nil || offsets.GetBlock("ledger", 0).Offset != 8 {
		t.Errorf("the group is at %+v, %v", offsets.GetBlock("ledger", 0), err)
	}

	second := producer(t, brokers, c)
	if err := errors.Join(second.BeginTxn(), second.SendMessages(messages("ledger", "second", 3)), second.CommitTxn()); err != nil {
		t.Fatal(err)
	}
	err = errors.Join(first.BeginTxn(), first.SendMessages(messages("ledger", "zombie", 3)))
	if err == nil {
		err = first.CommitTxn()
	}
	if list := (sarama.ProducerErrors)(nil); errors.As(err, &list) {
		err = list[0].Err
	}
	if !errors.Is(err, sarama.ErrInvalidProducerEpoch) && !errors.Is(err, sarama.ErrProducerFenced) {
		t.Errorf("the first producer is not fenced: %v", err)
	}
}

// TestAdmin looks at and changes what there is.
func TestAdmin(t *testing.T) {
	brokers, admin := start(t, "table")
	if err := producer(t, brokers, config()).SendMessages(messages("table", "row", 30)); err != nil {
		t.Fatal(err)
	}
	if list, err := admin.ListTopics(); err != nil || list["table"].NumPartitions != partitions {
		t.Errorf("topics %v, %v", list, err)
	}
	retention := "7200000"
	if err := admin.AlterConfig(sarama.TopicResource, "table", map[string]*string{"retention.ms": &retention}, false); err != nil {
		t.Error(err)
	}
	entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: "table", ConfigNames: []string{"retention.ms"}})
	if err != nil || len(entries) != 1 || entries[0].Value != retention {
		t.Errorf("configuration %+v, %v", entries, err)
	}
	if err := admin.DeleteRecords("table", map[int32]int64{0: 4}); err != nil {
		t.Error(err)
	}
	offsets, err := admin.ListOffsets(map[string]map[int32]int64{"table": {0: sarama.OffsetOldest}}, nil)
	if err != nil || offsets["table"][0].Offset != 4 {
		t.Errorf("oldest offset %+v, %v", offsets, err)
	}
	if err := admin.CreatePartitions("table", 5, nil, false); err != nil {
		t.Error(err)
	}
	if described, err := admin.DescribeTopics([]string{"table"}); err != nil || len(described[0].Partitions) != 5 {
		t.Errorf("described %+v, %v", described, err)
	}
	if err := admin.DeleteTopic("table"); err != nil {
		t.Error(err)
	}
	var refused *sarama.TopicError
	if err := admin.CreateTopic("bad/name", &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false); !errors.As(err, &refused) || refused.Err != sarama.ErrInvalidTopic {
		t.Errorf("a bad name: %v", err)
	}
}
