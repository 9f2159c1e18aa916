package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/tests/harness"
)

// TestGroupThroughKills: a group of three, one of them static, reads what is
// produced while the server is killed. Every record is seen, and no commit that
// was acknowledged is ever taken back.
func TestGroupThroughKills(t *testing.T) {
	t.Parallel() // most of its time it waits
	groupThroughKills(t)
}

// TestConsumerGroupThroughKills is the same of a group whose server assigns.
func TestConsumerGroupThroughKills(t *testing.T) {
	t.Parallel() // most of its time it waits
	groupThroughKills(t, kgo.ServerSideBalancer())
}

func groupThroughKills(t *testing.T, more ...kgo.Opt) {
	server := harness.ForTest(t, harness.Options{})
	admin := newClient(t, server)
	createTopic(t, admin, "players", partitions)
	stop := make(chan struct{})
	produced := make(chan struct{}) // closed when nothing more will be acknowledged
	var acked, producing atomic.Int64
	producing.Store(partitions)
	acks := make([][]ack, partitions)
	seen := &sightings{values: map[int32]map[int64]bool{}, committed: map[int32]int64{}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := harness.Parallel(ctx, partitions+4, func(ctx context.Context, i int) error {
		switch {
		case i < partitions:
			var err error
			acks[i], err = produce(ctx, newClient(t, server, kgo.ProducerLinger(0), kgo.MaxBufferedRecords(64)), int32(i), stop, &acked)
			if producing.Add(-1) == 0 {
				close(produced)
			}
			return err
		case i < partitions+3:
			opts := []kgo.Opt{kgo.ConsumerGroup("g"), kgo.ConsumeTopics("players"), kgo.DisableAutoCommit(), kgo.SessionTimeout(6 * time.Second),
				kgo.HeartbeatInterval(100 * time.Millisecond), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}
			if opts = append(opts, more...); i == partitions {
				opts = append(opts, kgo.InstanceID("one"))
			}
			return seen.consume(ctx, newClient(t, server, opts...), produced, &acked)
		}
		defer close(stop)
		return killer(ctx, server, &acked, t.Logf)
	})
	if err != nil {
		t.Fatal(err)
	}
	for p := range acks {
		for _, a := range acks[p] {
			if !seen.values[int32(p)][a.offset] {
				t.Fatalf("partition %d: offset %d was acknowledged and never seen", p, a.offset)
			}
		}
	}
	if err := errors.Join(server.Kill(), server.Verify(t.Context()), server.Restart(t.Context())); err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrOffsetFetchRequest()
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = "g"
	req.Groups, req.Group = append(req.Groups, g), "g"
	resp, err := req.RequestWith(t.Context(), newClient(t, server))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, g := range resp.Groups {
		for _, topic := range g.Topics {
			for _, p := range topic.Partitions {
				found++
				if p.Offset < seen.committed[p.Partition] {
					t.Errorf("partition %d: %d was committed, and it is at %d", p.Partition, seen.committed[p.Partition], p.Offset)
				}
			}
		}
	}
	if found != partitions {
		t.Errorf("%d partitions have an offset: %+v", found, resp)
	}
}

// sightings is what the members of a group saw, and what they were told was
// committed.
type sightings struct {
	mu        sync.Mutex
	values    map[int32]map[int64]bool
	committed map[int32]int64
	count     int64
}

// consume reads and commits until producing has stopped and everything that was
// acknowledged has been seen by someone.
func (s *sightings) consume(ctx context.Context, cl *kgo.Client, produced <-chan struct{}, acked *atomic.Int64) error {
	for {
		select {
		case <-produced:
			s.mu.Lock()
			done := s.count >= acked.Load()
			s.mu.Unlock()
			if done {
				return nil
			}
		default:
		}
		poll, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		fetches := cl.PollFetches(poll)
		cancel()
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%d of %d seen: %w", s.count, acked.Load(), err)
		}
		s.mu.Lock()
		fetches.EachRecord(func(r *kgo.Record) {
			if s.values[r.Partition] == nil {
				s.values[r.Partition] = map[int64]bool{}
			}
			if !s.values[r.Partition][r.Offset] {
				s.values[r.Partition][r.Offset] = true
				s.count++
			}
		})
		s.mu.Unlock()
		commit, cancel := context.WithTimeout(ctx, 2*time.Second)
		cl.CommitOffsetsSync(commit, cl.UncommittedOffsets(), func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
			if err != nil {
				return
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, topic := range resp.Topics {
				for _, p := range topic.Partitions {
					if at, ok := cl.CommittedOffsets()["players"][p.Partition]; ok && p.ErrorCode == 0 {
						s.committed[p.Partition] = max(s.committed[p.Partition], at.Offset)
					}
				}
			}
		})
		cancel()
	}
}
