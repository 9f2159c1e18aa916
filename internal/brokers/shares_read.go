package brokers

import (
	"context"
	"errors"
	"strings"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// ShareRead is what a member of a share group wants of a partition.
type ShareRead struct {
	Group, Member string
	Topic         *Topic
	Partition     int32
	MaxBytes      int
	MaxRecords    int
	// Strict has it get no more records than that; else it gets whole batches.
	Strict bool
	// BatchSize is how many records it likes to acknowledge at once.
	BatchSize int
}

func (r *ShareRead) key() shareKey { return shareKey{r.Group, r.Topic.ID(), r.Partition} }

// Acquire gives a member records that are to be delivered, with the batches that
// they are in. Records that are found to be nobody's are passed over.
func (ss *Shares) Acquire(ctx context.Context, r *ShareRead) (log.Batches, []Acquired, *Error) {
	at, ok := r.Topic.Partition(r.Partition)
	if !ok {
		return log.Batches{}, nil, refuse(UnknownTopic, "")
	}
	set := ss.cluster.shareSettings(r.Group)
	e, err := ss.begin(ctx, r.key(), at, &set)
	if err != nil {
		return log.Batches{}, nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.dead {
		return log.Batches{}, nil, refuse(UnknownTopic, "The group does not read this topic-partition any more.")
	}
	got, list, failed := ss.read(ctx, e, at, r, &set)
	ss.account(e)
	if e.state.part.changed {
		ss.save(e) // nobody is told of what it says
	}
	if failed != nil {
		return log.Batches{}, nil, logError(failed)
	}
	return got, list, nil
}

// begin finds a share partition, whose start is durable when this returns. A group
// that there is not begins nothing.
func (ss *Shares) begin(ctx context.Context, k shareKey, at log.PartitionID, set *ShareSettings) (*shared, *Error) {
	e, err := ss.find(ctx, k, true)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.begun || e.dead {
		return e, nil
	}
	// Who removes the group looks for what it has begun after that.
	is, err := ss.cluster.groups.IsShare(ctx, k.group)
	if err == nil && !is {
		err = refuse(UnknownTopic, "") // which clients take as Apache Kafka's word for it
	}
	var start int64
	if err == nil {
		start, err = ss.cluster.shareStart(ctx, at, set)
	}
	if err == nil {
		e.state.part = sharePartition{start: start, next: start}
		err = <-ss.save(e).done // nobody else reads before it is known
	}
	if err != nil {
		ss.drop(e)
		return nil, err
	}
	e.begun = true
	return e, nil
}

// shareStart is where a group begins to read a partition.
func (c *Cluster) shareStart(ctx context.Context, p log.PartitionID, set *ShareSettings) (int64, *Error) {
	info, err := c.log.Info(p)
	if err != nil {
		return 0, logError(err)
	}
	back, ok := strings.CutPrefix(set.Reset, byDuration)
	switch {
	case ok:
		age, _ := isoMillis(back) // it was checked when it was set
		at, _, err := c.firstFrom(ctx, p, info.End, clock.Millis(c.clock)-age)
		if err != nil {
			return 0, logError(err)
		}
		if at >= 0 {
			return at, nil
		}
	case set.Reset == "earliest":
		return info.Start, nil
	}
	return info.End, nil
}

// read reads on until there is something for the member, or nothing more; the
// share partition's mu is held.
func (ss *Shares) read(ctx context.Context, e *shared, at log.PartitionID, r *ShareRead, set *ShareSettings) (log.Batches, []Acquired, error) {
	part := &e.state.part
	isolation := log.Uncommitted
	if set.Committed {
		isolation = log.Committed
	}
	want := shareWant{member: r.Member, most: r.MaxRecords, strict: r.Strict, size: r.BatchSize}
	for ctx.Err() == nil {
		now := clock.Millis(ss.cluster.clock)
		info, err := ss.cluster.log.Info(at)
		if err != nil {
			return log.Batches{}, nil, err
		}
		part.trim(info.Start)
		part.expire(now, set)
		from, ok := part.from(set)
		if !ok {
			break
		}
		room := spanBytes + int64(len(r.Member))
		if !ss.cluster.memory.TryAcquire(room) {
			return log.Batches{}, nil, log.ErrOverloaded
		}
		ss.cluster.memory.Release(room) // account takes what it comes to
		got, err := ss.cluster.log.Read(at, from, max(r.MaxBytes, 1), isolation)
		switch {
		case errors.Is(err, log.ErrOutOfRange) && from < got.Start:
			continue // trimmed meanwhile
		case err != nil:
			return log.Batches{}, nil, err
		case len(got.List) == 0:
			got.Release()
			return log.Batches{}, nil, nil
		}
		list := part.acquire(now, from, extents(&got), &want, set)
		if len(list) > 0 {
			keep(&got, list)
			return got, list, nil
		}
		got.Release() // what was read is nobody's
	}
	return log.Batches{}, nil, nil
}

// extents are the batches of a read. Nobody is to see markers of transactions, nor
// records of those that were aborted.
func extents(got *log.Batches) []extent {
	out := make([]extent, len(got.List))
	for i := range got.List {
		b := &got.List[i]
		x := extent{first: b.Base, last: b.Base + int64(b.Count) - 1}
		if h, err := batch.ParseHeader(b.Bytes); err == nil && h.Attributes&(batch.Control|batch.Transactional) != 0 {
			x.void = h.Attributes&batch.Control != 0
			for _, a := range got.Aborted {
				x.void = x.void || a.ProducerID == h.ProducerID && a.FirstOffset <= x.first && x.first <= a.LastOffset
			}
		}
		out[i] = x
	}
	return out
}

// keep leaves only batches of which something was acquired.
func keep(got *log.Batches, list []Acquired) {
	out := got.List[:0]
	for _, b := range got.List {
		for _, a := range list {
			if a.First < b.Base+int64(b.Count) && b.Base <= a.Last {
				out = append(out, b)
				break
			}
		}
	}
	got.List = out
}

// ShareWait is what a member waits for that has got nothing.
type ShareWait struct {
	// At is where records will come, if Grows.
	At    log.Position
	Grows bool
	// Lock is how long it is until another member's time is over; 0 is for ever.
	Lock time.Duration
}

// Waits tells what to wait for in a partition that a read has found nothing in.
func (ss *Shares) Waits(ctx context.Context, r *ShareRead) (out ShareWait) {
	e, err := ss.find(ctx, r.key(), false)
	at, ok := r.Topic.Partition(r.Partition)
	if err != nil || e == nil || !ok {
		return out
	}
	info, failed := ss.cluster.log.Info(at)
	if failed != nil {
		return out
	}
	set := ss.cluster.shareSettings(r.Group)
	e.mu.Lock()
	defer e.mu.Unlock()
	part := &e.state.part
	out.At = log.Position{Partition: at, Offset: part.next}
	if end := part.lockEnd(); end > 0 {
		out.Lock = time.Duration(max(end-clock.Millis(ss.cluster.clock), 1)) * time.Millisecond
	}
	if set.Committed && part.next >= info.Stable {
		out.At.Offset = max(part.next, info.End) // what is there cannot be read yet
	}
	out.Grows = part.room(&set) > 0 && !(info.Sealed && out.At.Offset >= info.End)
	return out
}

// Acknowledge does what a member says of records of a partition, all of it or
// nothing. It is durable when the function that it returns has returned.
func (ss *Shares) Acknowledge(ctx context.Context, group, member string, t *Topic, partition int32, acks []Ack) func() *Error {
	answer := func(err *Error) func() *Error { return func() *Error { return err } }
	e, err := ss.find(ctx, shareKey{group, t.ID(), partition}, false)
	if err != nil {
		return answer(err)
	}
	unread := refuse(UnknownTopic, "The group does not read this topic-partition.")
	if e == nil {
		return answer(unread)
	}
	set := ss.cluster.shareSettings(group)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.dead || !e.begun {
		return answer(unread)
	}
	now := clock.Millis(ss.cluster.clock)
	part := &e.state.part
	part.expire(now, &set)
	err = part.acknowledge(now, member, acks, e.writes+1, &set)
	if !part.changed {
		return answer(err)
	}
	w := ss.save(e)
	ss.account(e)
	return func() *Error {
		if failed := ss.finish(e, w); err == nil {
			return failed
		}
		return err
	}
}

// Lock is how long a member of a group may have a record, milliseconds.
func (ss *Shares) Lock(group string) int32 { return int32(ss.cluster.shareSettings(group).Lock) }

// Release takes back what a member has of a partition.
func (ss *Shares) Release(ctx context.Context, group, member string, topic TopicID, partition int32) {
	e, err := ss.find(ctx, shareKey{group, topic, partition}, false)
	if err != nil || e == nil {
		return
	}
	set := ss.cluster.shareSettings(group)
	e.mu.Lock()
	given := e.begun && !e.dead && e.state.part.release(member, &set)
	if given {
		ss.save(e) // if it is lost, so is what the member had
		ss.account(e)
	}
	e.mu.Unlock()
	if given {
		ss.wake(group)
	}
}
