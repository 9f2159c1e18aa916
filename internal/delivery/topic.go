package delivery

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/errs"
	"thalweg/internal/ids"
	"thalweg/internal/log"
)

const (
	// lookEvery is how often a topic elsewhere is asked what it has.
	lookEvery = time.Second
	// elsewhere is the generation of the partitions that name those of a topic that is
	// not in the log. The delivery stream's own are of generation 0.
	elsewhere = 1
	// guessedBytes is what a record is taken to have before there was one.
	guessedBytes = 1 << 10
)

// Bounds are where a partition of a topic begins, and where nothing is readable yet.
type Bounds struct {
	Partition     int32
	Start, Stable int64
}

// Remote are topics of Kafka clusters that are not this server's; a cluster is named by
// its ARN. Errors: NotFound, Denied, and Throttled for what may be otherwise later.
type Remote interface {
	// Has tells whether there is such a cluster for an account.
	Has(account, cluster string) bool
	// Bounds returns those of all partitions, by number.
	Bounds(ctx context.Context, cluster, topic string) ([]Bounds, error)
	// Offsets returns the first offset of each partition that is of a time (Unix
	// milliseconds) or later, the end where there is none; the end too for -1.
	Offsets(ctx context.Context, cluster, topic string, at int64) (map[int32]int64, error)
	// Read yields the committed records of a partition, as source's read does. A record
	// has its offset, key, time and value.
	Read(ctx context.Context, cluster, topic string, partition int32, from, to int64,
		yield func(*dest.Record) (keep bool, err error)) (next int64, err error)
}

// arrivals is what is known of the records of a topic elsewhere that no plan has.
type arrivals struct {
	since int64 // when there were some first, Unix milliseconds; 0 there are none
	mean  int64 // bytes of a record, of the last plan; 0 there was none
}

// topicSource is the partitions of a topic elsewhere.
type topicSource struct {
	s    *Service
	line *line
	r    *catalog.Resource
}

func (d *topicSource) told() bool { return false }

func (d *topicSource) all() ([]place, error) { return d.places() }

func (d *topicSource) places() ([]place, error) {
	src := d.r.Delivery.Source
	if err := d.s.reachable(d.r.Account, src.ARN); err != nil {
		return nil, err
	}
	bounds, err := d.s.o.Remote.Bounds(d.s.o.Group.Context(), src.ARN, src.Topic)
	if err != nil {
		return nil, again(err)
	}
	var out []place
	for _, b := range bounds {
		shard := ids.Shard(b.Partition)
		p := place{partition: elsewherePartition(d.r.Delivery, b.Partition), shard: shard, end: b.Stable, tip: b.Stable, first: b.Start}
		next := startIn(d.line, src, shard, p.partition)
		if next > b.Stable {
			return nil, errs.New(errs.Throttled, fmt.Sprintf("partition %d of the topic %s ends at %d, and offset %d was delivered or "+
				"begun with: it is not the topic that it was", b.Partition, src.Topic, b.Stable, next-1))
		}
		p.next = max(next, b.Start)
		out = append(out, p)
	}
	return out, nil
}

// elsewherePartition names a partition of the topic elsewhere that d reads.
func elsewherePartition(d *catalog.Delivery, number int32) log.PartitionID {
	return log.PartitionID{Stream: d.Number, Generation: elsewhere, Index: uint32(number)}
}

// Reaches tells whether an account's delivery streams may read the topics of a cluster
// elsewhere.
func (s *Service) Reaches(account, cluster string) bool {
	return s.o.Remote != nil && s.o.Remote.Has(account, cluster)
}

// reachable refuses a cluster that is not, or not any more, an account's to read.
func (s *Service) reachable(account, cluster string) error {
	if !s.Reaches(account, cluster) {
		return errs.New(errs.Throttled, "the server was not started with a Kafka cluster "+cluster+" that account "+account+" may read")
	}
	return nil
}

// again makes of an error one that is no end: what a cluster elsewhere has not, it may
// have again.
func again(err error) error { return errs.Wrap(errs.Throttled, "ask the source", err) }

func (d *topicSource) oldest(at []place) (arrival, untold int64, err error) {
	pending := int64(0)
	for _, p := range at {
		pending += p.end - p.next
	}
	d.line.mu.Lock()
	defer d.line.mu.Unlock()
	a := &d.line.arrivals
	switch {
	case pending == 0:
		a.since = 0
	case a.since == 0:
		a.since = clock.Millis(d.s.clock)
	}
	mean := a.mean
	if mean == 0 {
		mean = guessedBytes
	}
	return a.since, pending * mean, nil
}

func (d *topicSource) read(p place, to int64, yield func(*dest.Record) (bool, error)) (int64, error) {
	src := d.r.Delivery.Source
	now := clock.Millis(d.s.clock)
	next, err := d.s.o.Remote.Read(d.s.o.Group.Context(), src.ARN, src.Topic, int32(p.partition.Index), p.next, to,
		func(r *dest.Record) (bool, error) {
			r.Partition, r.Arrival = p.partition, now // the producer's clock may say anything
			r.ID = RecordID(p.partition, r.Offset)
			r.ShardID = strconv.Itoa(int(p.partition.Index))
			return yield(r)
		})
	return next, enough(err)
}

func (d *topicSource) offset(p place, at int64) (int64, error) {
	src := d.r.Delivery.Source
	all, err := d.s.o.Remote.Offsets(d.s.o.Group.Context(), src.ARN, src.Topic, at)
	return all[int32(p.partition.Index)], err
}

// beginElsewhere fills where delivery begins in a topic elsewhere.
func (s *Service) beginElsewhere(ctx context.Context, account string, src *catalog.DeliverySource, now int64) error {
	if err := s.reachable(account, src.ARN); err != nil {
		return err
	}
	all, err := s.o.Remote.Offsets(ctx, src.ARN, src.Topic, src.ReadFrom)
	if err != nil {
		return err
	}
	src.Started, src.Starts = now, nil
	for number := range int32(len(all)) {
		src.Starts = append(src.Starts, catalog.QueueStart{Shard: ids.Shard(number), Offset: all[number]})
	}
	return nil
}
