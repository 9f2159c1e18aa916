package brokers

import (
	"context"
	"errors"
	"math"
	"slices"
	"sort"

	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// Places in time that ListOffsets knows beside milliseconds.
const (
	Latest        = -1
	Earliest      = -2
	MaxTimestamp  = -3
	EarliestLocal = -4
	LatestTiered  = -5
	// EarliestPending is the first that is to be tiered.
	EarliestPending = -6
)

// Offset is a place in a partition: -1 for none.
type Offset struct {
	Offset, Time int64
	Epoch        int32
}

// OffsetAt finds the offset for a place in time: of the first record whose time
// is not before it, or of the named place.
func (c *Cluster) OffsetAt(ctx context.Context, t *Topic, i int32, at int64, committed bool) (Offset, *Error) {
	p, ok := t.Partition(i)
	if !ok {
		return Offset{}, refuse(UnknownTopic, "This server does not host this topic-partition.")
	}
	info, err := c.log.Info(p)
	if err != nil {
		return Offset{}, logError(err)
	}
	end := info.End
	if committed {
		end = info.Stable
	}
	o := Offset{Offset: -1, Time: -1, Epoch: info.LeaderEpoch}
	switch at {
	case Latest:
		o.Offset = end
	case Earliest, EarliestLocal:
		o.Offset = info.Start
	case LatestTiered, EarliestPending: // nothing is tiered
	case MaxTimestamp:
		var latest int64
		if latest, err = c.log.LatestTimestamp(p, end); err == nil && latest >= 0 {
			o.Offset, o.Time, err = c.firstFrom(ctx, p, end, latest)
		}
	default:
		if at < 0 {
			return Offset{}, refuse(UnsupportedVersion, "There is no timestamp %d.", at)
		}
		o.Offset, o.Time, err = c.firstFrom(ctx, p, end, at)
	}
	if err != nil {
		return Offset{}, logError(err)
	}
	if o.Offset < 0 {
		o.Epoch = -1
	}
	return o, nil
}

// firstFrom finds the first record of a partition below end whose time is not before
// at; -1 is none.
func (c *Cluster) firstFrom(ctx context.Context, p log.PartitionID, end, at int64) (offset, time int64, err error) {
	for from := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return -1, -1, err
		}
		if from, err = c.log.OffsetForTimestamp(p, from, at); err != nil || from < 0 || from >= end {
			return -1, -1, err
		}
		got, err := c.log.Read(p, from, 1, log.Uncommitted)
		if errors.Is(err, log.ErrOutOfRange) && from < got.Start {
			from = got.Start // trimmed meanwhile, or its batch reaches over the start
			got, err = c.log.Read(p, from, 1, log.Uncommitted)
		}
		if err != nil {
			return -1, -1, err
		}
		offset, next := int64(-1), end
		if len(got.List) > 0 {
			b := got.List[0]
			next = b.Base + int64(b.Count)
			offset, time = c.firstAt(b.Bytes, at)
		}
		got.Release()
		if offset >= 0 {
			return offset, time, nil
		}
		from = next // its header says more than its records
	}
}

// firstAt finds the first record of a batch whose time is not before at.
func (c *Cluster) firstAt(b []byte, at int64) (offset, time int64) {
	d := c.unpacks.Get()
	defer c.unpacks.Put(d)
	b, err := d.Decompress(b)
	if err != nil {
		return -1, -1
	}
	it, err := batch.Records(b)
	if err != nil {
		return -1, -1
	}
	for it.Next() {
		if r := it.Record(); r.Timestamp >= at {
			return r.Offset, r.Timestamp
		}
	}
	return -1, -1
}

// EpochEnd finds where a leader epoch ended: the first offset of a later one, or
// the partition's end for the present one. It answers with the epoch that was
// found, the largest up to the one asked for.
func (c *Cluster) EpochEnd(t *Topic, i, epoch int32) (found int32, end int64, refused *Error) {
	p, ok := t.Partition(i)
	if !ok {
		return -1, -1, refuse(UnknownTopic, "This server does not host this topic-partition.")
	}
	info, err := c.log.Info(p)
	if err != nil {
		return -1, -1, logError(err)
	}
	if epoch > info.LeaderEpoch || epoch < 0 {
		return -1, -1, nil
	}
	if epoch == info.LeaderEpoch {
		return epoch, info.End, nil
	}
	// Epochs rise with offsets: the first offset whose batch has a later one.
	n := min(info.End-info.Start, math.MaxInt32)
	first := int64(sort.Search(int(n), func(k int) bool {
		e, readErr := c.epochAt(p, info.Start+int64(k))
		if readErr != nil {
			err = readErr
		}
		return e > epoch
	})) + info.Start
	if err != nil {
		return -1, -1, logError(err)
	}
	if first == info.Start {
		return epoch, first, nil
	}
	found, err = c.epochAt(p, first-1)
	if err != nil {
		return -1, -1, logError(err)
	}
	return found, first, nil
}

func (c *Cluster) epochAt(p log.PartitionID, offset int64) (int32, error) {
	got, err := c.log.Read(p, offset, 1, log.Uncommitted)
	if err != nil {
		return 0, err
	}
	defer got.Release()
	if len(got.List) == 0 {
		return math.MaxInt32, nil
	}
	h, err := batch.ParseHeader(got.List[0].Bytes)
	return h.LeaderEpoch, err
}

// CheckEpoch refuses a client that knows a later leader than there is, or an
// earlier one.
func CheckEpoch(info log.Info, epoch int32) *Error {
	switch {
	case epoch < 0 || epoch == info.LeaderEpoch:
		return nil
	case epoch < info.LeaderEpoch:
		return refuse(FencedLeaderEpoch, "The leader epoch in the request is older than the epoch on the broker.")
	}
	return refuse(UnknownLeaderEpoch, "The leader epoch in the request is newer than the epoch on the broker.")
}

// Trim removes the records of a partition below offset; -1 is all that are
// readable. It returns the new log start.
func (c *Cluster) Trim(t *Topic, i int32, offset int64) (int64, *Error) {
	p, ok := t.Partition(i)
	if !ok {
		return -1, refuse(UnknownTopic, "This server does not host this topic-partition.")
	}
	switch {
	case t.OwnedByStreams():
		return -1, refuse(PolicyViolation, "Topic %s is a Kinesis data stream, whose records expire by age only (DecreaseStreamRetentionPeriod).", t.Name())
	case t.Internal() || t.limits.keyed && !slices.Contains(splitList(t.Config("cleanup.policy")), "delete"):
		return -1, refuse(PolicyViolation, "The records of topic %s cannot be deleted: its cleanup.policy has no delete.", t.Name())
	}
	info, err := c.log.Info(p)
	if err != nil {
		return -1, logError(err)
	}
	if offset == -1 {
		offset = info.End
	}
	if offset < 0 || offset > info.End {
		return -1, refuse(OffsetOutOfRange, "The requested offset is not within the range of offsets maintained by the server.")
	}
	r, err := log.Do(c.log, log.Request{Entries: []log.Entry{{Kind: log.Trim, Partition: p, Offset: offset}}})
	if err != nil {
		return -1, logError(err)
	}
	return r[0].Offset, nil
}
