package remote

import (
	"context"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/delivery/dest"
	"thalweg/internal/errs"
	"thalweg/internal/log/batch"
)

// Read implements delivery.Remote.
func (c *Clusters) Read(ctx context.Context, arn, topic string, partition int32, from, to int64,
	yield func(*dest.Record) (keep bool, err error)) (next int64, err error) {
	one, err := c.cluster(arn)
	if err != nil {
		return from, err
	}
	op := "read the topic " + topic
	leader := int32(-1)
	unpack := batch.NewDecompressor(maxUnpacked)
	for next = from; next < to; {
		if leader < 0 {
			leaders, err := one.leaders(ctx, topic)
			if err != nil {
				return next, told(op, err)
			}
			var there bool
			if leader, there = leaders[partition]; !there || leader < 0 {
				return next, told(op, kerr.LeaderNotAvailable)
			}
		}
		got, err := one.fetch(ctx, leader, topic, partition, next)
		if err != nil {
			return next, told(op, err)
		}
		page := page{topic: topic, got: got, unpack: unpack}
		was := next
		if next, err = page.read(next, to, yield); err != nil {
			return next, err
		}
		if next == was { // a cluster that has lost what it had said to have
			return next, errs.New(errs.Throttled, "the topic "+topic+" ends at "+strconv.FormatInt(next, 10)+" before it is at its end")
		}
	}
	return next, nil
}

// fetch asks a partition's leader for what is at an offset.
func (c *cluster) fetch(ctx context.Context, leader int32, topic string, partition int32, offset int64) (*kmsg.FetchResponseTopicPartition, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.SessionEpoch, req.IsolationLevel = fetchBytes, -1, 1
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, fetchBytes
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	answer, err := c.client.Broker(int(leader)).RetriableRequest(ctx, req)
	if err != nil {
		return nil, err
	}
	resp, ok := answer.(*kmsg.FetchResponse)
	switch {
	case !ok:
		return nil, errs.New(errs.Internal, "the answer is of another request")
	case resp.ErrorCode != 0:
		return nil, kerr.ErrorForCode(resp.ErrorCode)
	case len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 || resp.Topics[0].Partitions[0].Partition != partition:
		return nil, errs.New(errs.Internal, "the answer is of another partition")
	}
	got := &resp.Topics[0].Partitions[0]
	return got, kerr.ErrorForCode(got.ErrorCode)
}

// page is what a broker sent of a partition.
type page struct {
	topic   string
	got     *kmsg.FetchResponseTopicPartition
	unpack  *batch.Decompressor
	aborted map[int64]bool // producers whose transaction here came to nothing
	taken   int            // of the answer's aborted transactions
}

// read yields the records from next on and before to, and returns what follows the
// last that was kept or left out.
func (p *page) read(next, to int64, yield func(*dest.Record) (bool, error)) (int64, error) {
	for b := p.got.RecordBatches; next < to; {
		if len(b) > 16 && b[16] < 2 {
			return next, errs.New(errs.Unsupported, "the topic "+p.topic+" has messages of a format before Apache Kafka 0.11")
		}
		h, err := batch.ParseHeader(b)
		if err != nil { // the part of a batch that did not fit any more
			return next, nil
		}
		one := b[:h.Size()]
		b = b[h.Size():]
		end := h.BaseOffset + int64(h.LastOffsetDelta) + 1
		if end <= next {
			continue
		}
		if !batch.CheckCRC(one, h) {
			return next, errs.Wrap(errs.Corrupt, "read the topic "+p.topic, batch.ErrChecksum)
		}
		if !p.dropped(h, one) {
			if next, err = p.records(one, next, to, yield); err != nil {
				return next, err
			}
		}
		next = min(max(next, end), to)
	}
	return next, nil
}

// dropped tells whether a batch is none that readers see: a marker, or a part of a
// transaction that was aborted.
func (p *page) dropped(h batch.Header, b []byte) bool {
	for p.taken < len(p.got.AbortedTransactions) && p.got.AbortedTransactions[p.taken].FirstOffset <= h.BaseOffset+int64(h.LastOffsetDelta) {
		if p.aborted == nil {
			p.aborted = map[int64]bool{}
		}
		p.aborted[p.got.AbortedTransactions[p.taken].ProducerID] = true
		p.taken++
	}
	if h.Attributes&batch.Control != 0 {
		delete(p.aborted, h.ProducerID) // whichever end it is
		return true
	}
	return h.Attributes&batch.Transactional != 0 && p.aborted[h.ProducerID]
}

func (p *page) records(b []byte, next, to int64, yield func(*dest.Record) (bool, error)) (int64, error) {
	plain, err := p.unpack.Decompress(b)
	if err != nil {
		return next, errs.Wrap(errs.Corrupt, "read the topic "+p.topic, err)
	}
	it, err := batch.Records(plain)
	if err != nil {
		return next, errs.Wrap(errs.Corrupt, "read the topic "+p.topic, err)
	}
	for it.Next() {
		r := it.Record()
		if r.Offset < next {
			continue
		}
		if r.Offset >= to {
			break
		}
		keep, err := yield(&dest.Record{Offset: r.Offset, PartitionKey: string(r.Key), Arrival: r.Timestamp, Data: r.Value})
		if keep {
			next = r.Offset + 1
		}
		if err != nil {
			return next, err
		}
	}
	if err := it.Err(); err != nil {
		return next, errs.Wrap(errs.Corrupt, "read the topic "+p.topic, err)
	}
	return next, nil
}
