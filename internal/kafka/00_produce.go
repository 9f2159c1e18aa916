package kafka

import (
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
	"thalweg/internal/kwire"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// Produce
//
// Appends record batches, one per partition, as they came. A batch is checked
// inside and out, compressed or not; what is wrong with one is no matter of the
// others. acks -1 and 1 are answered when the batch is durable, as --durability
// says; 0 is not answered, and an error then ends the connection. An idempotent
// producer's repeat is answered with the offset it got first. A transaction's
// batches are taken while it is open and the partition is part of it; from version
// 12 on the partition becomes part of it by being written to (KIP-890).
//
// Errors: TOPIC_AUTHORIZATION_FAILED, TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
// CORRUPT_MESSAGE for a checksum, INVALID_RECORD for what is in a batch,
// MESSAGE_TOO_LARGE, INVALID_TIMESTAMP, INVALID_REQUIRED_ACKS,
// UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, OUT_OF_ORDER_SEQUENCE_NUMBER,
// INVALID_PRODUCER_EPOCH, INVALID_PRODUCER_ID_MAPPING, INVALID_TXN_STATE
// (TRANSACTION_ABORTABLE in version 11); POLICY_VIOLATION for a closed shard of a stream;
// NOT_ENOUGH_REPLICAS, after which clients try again, when memory or disk are
// spent, beyond the shard's rate where AWS's limits hold, and for a transaction that
// begins in a shard that is about to be closed; KAFKA_STORAGE_ERROR when the log is
// read-only.
//
// Status: done

// maxAppendBytes bounds one append; a larger request makes several.
const maxAppendBytes = 16 << 20

// producing is one Produce under way.
type producing struct {
	header  kwire.Header
	in      kwire.ProduceRequest
	parts   []part        // one per partition, in order
	pause   time.Duration // for the client, by its quota
	left    atomic.Int32
	ready   chan struct{}
	cluster *brokers.Cluster
}

// part is one partition's share.
type part struct {
	topic  *brokers.Topic
	index  int32
	entry  log.Entry
	result log.Result
	err    *brokers.Error
}

// produce serves a Produce. It owns f, which holds the batches.
func (c *conn) produce(h kwire.Header, rest []byte, f *frame) error {
	p, err := c.parseProduce(h, rest)
	if err != nil {
		f.release()
		return err
	}
	p.pause = c.door.quotas.spend(c, brokers.ProducerByteRate, h.ClientID, int64(len(*f.buf)))
	c.mute(p.pause)
	leave := p.check(c)
	f.uncharge() // the log charges what it takes
	c.appends.Add(1)
	p.append(c.door.log, func() {
		f.charge() // it is there until the answer is sent
		c.appends.Done()
	})
	leave()
	return c.queue(&reply{ready: p.ready, make: p.response, done: f.release})
}

func (c *conn) parseProduce(h kwire.Header, rest []byte) (*producing, error) {
	req := kmsg.ProduceRequest{Version: h.Version}
	if req.IsFlexible() {
		var err error
		if rest, err = kwire.SkipTags(rest); err != nil {
			return nil, err
		}
	}
	in, err := kwire.ParseProduce(rest, h.Version)
	if err != nil {
		return nil, err
	}
	return &producing{header: h, in: in, ready: make(chan struct{}), cluster: c.door.cluster}, nil
}

// check finds each partition and holds its batch against the rules. A transaction
// that batches belong to does not end before leave is called.
func (p *producing) check(c *conn) (leave func()) {
	var txn *brokers.Txn
	var noTxn *brokers.Error
	leave = func() {}
	if p.in.Transactional && !c.may(brokers.OpWrite, brokers.TxnKind, p.in.TransactionalID) {
		noTxn = txnDenied()
	} else if p.in.Transactional {
		if txn, noTxn = p.cluster.Transactions().Enter(c.ctx, p.in.TransactionalID); noTxn == nil {
			leave = txn.Leave
		}
	}
	for i := range p.in.Topics {
		t := &p.in.Topics[i]
		topic, missing := p.find(t)
		name := t.Name
		if topic != nil {
			name = topic.Name()
		}
		if (topic != nil || p.header.Version < 13) && !c.mayTopic(brokers.OpWrite, name) {
			topic, missing = nil, topicDenied()
		}
		for k := range t.Partitions {
			pt := part{topic: topic, index: t.Partitions[k].Index, err: missing}
			switch {
			case p.in.Acks < -1 || p.in.Acks > 1:
				pt.err = refuse(brokers.InvalidRequiredAcks, "Required acks must be -1, 0 or 1.")
			case missing == nil && noTxn != nil:
				pt.err = noTxn
			case missing == nil && p.header.Version < 7 && zstd(t.Partitions[k].Records):
				pt.err = refuse(brokers.UnsupportedCompression, "Produce requests with version 0 to 6 are not allowed to use ZStandard compression")
			case missing == nil:
				pt.entry, pt.err = p.cluster.Entry(topic, pt.index, t.Partitions[k].Records)
			}
			p.parts = append(p.parts, pt)
		}
	}
	p.inTransaction(txn)
	return leave
}

// inTransaction refuses batches that are part of a transaction which is not txn's
// open one. From version 12 on, their partitions become part of it.
func (p *producing) inTransaction(txn *brokers.Txn) {
	var joining []*part
	var joins []brokers.Commit
	for i := range p.parts {
		pt := &p.parts[i]
		if pt.err != nil {
			continue
		}
		producer, epoch, ok := brokers.InTransaction(pt.entry.Batch)
		switch {
		case !ok:
		case txn == nil:
			pt.err = refuse(brokers.InvalidTxnState, "The batch is part of a transaction, and the request names none.")
		case p.header.Version < 12:
			pt.err = txn.Check(pt.topic, pt.index, producer, epoch)
		default:
			if pt.err = txn.Owned(producer, epoch); pt.err == nil {
				pt.entry.FromZero = true // epochs begin with transactions
				joining, joins = append(joining, pt), append(joins, brokers.Commit{Topic: pt.topic.Name(), Partition: pt.index})
			}
		}
	}
	if len(joins) == 0 {
		return
	}
	if err := p.cluster.Transactions().Join(txn, joins); err != nil {
		if err.Code == brokers.ConcurrentTransactions {
			err = refuse(brokers.NotEnoughReplicas, err.Msg) // which all clients try again after
		}
		for _, pt := range joining {
			pt.err = err
		}
	}
}

// zstd tells whether a batch says that it is compressed with Zstandard, which
// clients know since version 7.
func zstd(b []byte) bool {
	h, err := batch.ParseHeader(b)
	return err == nil && h.Attributes&batch.CompressionMask == 4
}

func (p *producing) find(t *kwire.ProduceTopic) (*brokers.Topic, *brokers.Error) {
	if p.header.Version >= 13 {
		if topic := p.cluster.TopicByID(t.ID); topic != nil {
			return topic, nil
		}
		return nil, unknownTopicID()
	}
	if topic := p.cluster.Topic(t.Name); topic != nil {
		return topic, nil
	}
	return nil, unknownTopic()
}

// append gives the log what passed; answered is called, and ready then closed, when
// all of it has been answered.
func (p *producing) append(l log.Log, answered func()) {
	finish := func() {
		if p.left.Add(-1) == 0 {
			answered()
			close(p.ready)
		}
	}
	p.left.Store(1)
	for from := 0; from < len(p.parts); {
		var entries []log.Entry
		var at []int
		bytes := 0
		for ; from < len(p.parts); from++ {
			e := &p.parts[from].entry
			if p.parts[from].err != nil {
				continue
			}
			if bytes += len(e.Batch); bytes > maxAppendBytes && len(entries) > 0 {
				break
			}
			entries, at = append(entries, *e), append(at, from)
		}
		if len(entries) == 0 {
			break
		}
		p.left.Add(1)
		l.Append(log.Request{Entries: entries}, func(r []log.Result) {
			for i := range r {
				p.parts[at[i]].result = r[i]
			}
			finish()
		})
	}
	finish()
}

// response makes the answer once the log has spoken.
func (p *producing) response() ([][]byte, error) {
	resp := kmsg.NewPtrProduceResponse()
	resp.SetVersion(p.header.Version)
	resp.ThrottleMillis = millis(p.pause)
	failed := false
	next := 0
	for i := range p.in.Topics {
		in := &p.in.Topics[i]
		t := kmsg.NewProduceResponseTopic()
		t.Topic, t.TopicID = in.Name, in.ID
		for k := range in.Partitions {
			pt := &p.parts[next]
			next++
			out := kmsg.NewProduceResponseTopicPartition()
			out.Partition, out.BaseOffset, out.LogAppendTime, out.LogStartOffset = in.Partitions[k].Index, -1, -1, -1
			refused := pt.err
			if refused == nil {
				a := p.cluster.Appended(pt.topic, &pt.entry, pt.result)
				refused = a.Err
				out.BaseOffset, out.LogAppendTime, out.LogStartOffset = a.Offset, a.Time, a.LogStart
			}
			out.ErrorCode, out.ErrorMessage = noPartCode(refused, p.header.Version == 11), message(refused)
			if refused != nil {
				for _, r := range refused.Records {
					one := kmsg.NewProduceResponseTopicPartitionErrorRecord()
					one.RelativeOffset, one.ErrorMessage = r.Index, &r.Msg
					out.ErrorRecords = append(out.ErrorRecords, one)
				}
			}
			failed = failed || refused != nil
			t.Partitions = append(t.Partitions, out)
		}
		resp.Topics = append(resp.Topics, t)
	}
	if p.in.Acks == 0 {
		if failed {
			return nil, errRefused // the only way to tell
		}
		return nil, nil
	}
	buf := kwire.AppendResponseHeader(nil, kwire.Produce, p.header.Correlation, resp.IsFlexible())
	buf = resp.AppendTo(buf)
	kwire.PutSize(buf, len(buf)-kwire.SizeLen)
	return [][]byte{buf}, nil
}
