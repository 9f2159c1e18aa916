// Package log is the one durable log under every service: the interface, its
// types, and what each call guarantees. log/disk implements it on one machine;
// log/kafkalog maps it to Apache Kafka; log/logtest is the suite that every
// implementation passes.
//
// The unit is a Kafka record batch (magic 2). A partition is a sequence of
// batches; each record in it has an offset, counted from 0 without gaps that a
// reader could see as loss (compaction and trimming remove from it, never
// renumber).
//
// Guarantees:
//   - Acknowledged means safe under the durability asked for. No reader is shown
//     an offset that a crash could take back.
//   - Offsets of a partition rise in the order of acknowledgement; two appends
//     made one after the other from one goroutine land in that order.
//   - Arrival times (milliseconds, the log's clock) never fall within a partition.
//   - An atomic append happens whole or not at all, across partitions and kinds
//     of entry, through any crash.
//   - A failed write or sync makes the log read-only until it is opened again;
//     nothing is retried as if it had worked.
//
// On Apache Kafka: Append is a produce, every other change and an atomic one a
// batch of a journal that is then done (docs/adr/0048), Create and Delete are
// topics, Seal is a seal record, Fence a number in the journal, Trim a
// DeleteRecords, Watch a long fetch; arrival is LogAppendTime.
package log

import (
	"context"
	"fmt"
	"math"
	"time"

	"thalweg/internal/errs"
)

// PartitionID names a partition for ever. Stream numbers are never reused;
// Generation rises when a stream of the same number is redrawn. Stream 0 is the
// log's own (metadata).
type PartitionID struct {
	Stream     uint64
	Generation uint32
	Index      uint32
}

func (p PartitionID) String() string {
	return fmt.Sprintf("%d.%d.%d", p.Stream, p.Generation, p.Index)
}

// Kind is what an entry of an append does. Values are on disk: append only.
type Kind uint8

const (
	// Data appends Batch.
	Data Kind = iota
	// Create makes the partition, with Config. An existing one is ErrExists.
	Create
	// Configure replaces the partition's Config.
	Configure
	// Seal ends the partition: nothing is ever appended after it. Sealing a
	// sealed partition is no error; the result's offset is the end. While a
	// transaction is open in it, whose end could not be told any more, it is
	// ErrInTransaction.
	Seal
	// Trim raises the log start to Offset (bounded by the end). A lower Offset
	// changes nothing. The result's offset is the log start.
	Trim
	// Fence raises the partition's writer epoch by one; the result's Epoch is
	// the new one. Entries that name a lower ExpectedEpoch then fail.
	Fence
	// Delete removes the partition and its data.
	Delete
)

// Config is what a partition keeps to.
type Config struct {
	// MaxAge is how long a record is kept after arrival; 0 is for ever.
	MaxAge time.Duration
	// MaxBytes is how much is kept, in bytes of batches as they are stored, oldest
	// first to go; 0 is without bound.
	MaxBytes int64
	// KeyID is the key under which batches are encrypted from now on, wherever they
	// are stored; 0 is none. Batches there already stay as they are. A log without
	// that key refuses the entry. Control batches, which hold nothing of a client's,
	// are not encrypted.
	KeyID uint32
	// Compaction says whether only the last record of every key is kept.
	Compaction Compaction
}

// Compaction is when and how a partition is compacted: of every key the last record
// stays, at its offset, and a reader passes over the offsets of the others. A record
// without a value (a tombstone) goes too, once it has told its time; so do the
// records of aborted transactions, those without a key, and the markers of
// transactions that nothing is left of. Nothing at or above the stable offset is
// touched. The zero Compaction is none.
type Compaction struct {
	On bool
	// MinDirty is how large a part of a partition's bytes must not be compacted yet
	// for a pass to be worth it, 0 to 1.
	MinDirty float64
	// MinBytes and MinWait are how many such bytes there must be, or how long the
	// first of them must be there; either is enough.
	MinBytes int64
	MinWait  time.Duration
	// MinLag is how long a record is left alone after arrival. MaxLag is after how long
	// there is a pass for it in any case; 0 is never.
	MinLag, MaxLag time.Duration
	// Tombstones is how long a tombstone, or a marker, stays after the first pass that
	// meets it.
	Tombstones time.Duration
}

// NoTimestamp is before every timestamp.
const NoTimestamp = math.MinInt64

// AnyEpoch as ExpectedEpoch fences nothing. It is the zero value on purpose:
// real epochs start at 1 with the first Fence.
const AnyEpoch uint32 = 0

// Entry is one change to one partition.
type Entry struct {
	Kind      Kind
	Partition PartitionID
	// Batch (Data) is one whole record batch, magic 2, with a valid CRC. The log
	// owns it until done is called, and writes base offset and leader epoch into
	// it in place (the batch CRC covers neither). The count of records is the
	// batch's lastOffsetDelta + 1.
	Batch []byte
	// ExpectedEpoch (Data, Configure, Seal, Trim, Delete) is the writer epoch the
	// caller holds, or AnyEpoch.
	ExpectedEpoch uint32
	// FromZero (Data) tells that an idempotent producer of which nothing is known
	// with its epoch must begin with sequence 0; else it may begin with any, as what
	// was known may have expired. Apache Kafka asks by the version of the Produce.
	FromZero bool
	// Offset (Trim) is the new log start.
	Offset int64
	// Config (Create, Configure).
	Config Config
}

// Durability is when an append is acknowledged.
type Durability uint8

const (
	// Default is what the log was opened with.
	Default Durability = iota
	// Durable is after fdatasync: survives power loss.
	Durable
	// Written is after write: survives the process, not the machine.
	Written
)

// Request is one append: entries that share a fate when Atomic, and their
// order in each partition in any case.
type Request struct {
	Entries    []Entry
	Atomic     bool
	Durability Durability
}

// Result is what became of one entry.
type Result struct {
	// Offset: Data, the base offset; Seal, the end; Trim, the log start.
	Offset int64
	// Arrival (Data) is the batch's arrival, Unix milliseconds.
	Arrival int64
	// KeyID (Data) is the key under which the batch was encrypted, 0 if it was not
	// or is a duplicate.
	KeyID uint32
	// Epoch (Fence) is the new writer epoch.
	Epoch uint32
	// Duplicate (Data) tells that an idempotent producer had this batch
	// acknowledged before, at Offset; nothing was written.
	Duplicate bool
	Err       error
}

// Log is the durable log. It is safe for concurrent use.
type Log interface {
	// Append queues req and returns at once; done is called exactly once, with a
	// result per entry, when the entries are safe or refused. done runs on the
	// log's goroutine and must neither block nor call Append synchronously
	// expecting progress. The order of entries and of calls from one goroutine is
	// kept per partition. In an atomic request one entry's error refuses all:
	// the others then carry [ErrAborted].
	//
	// Errors: ErrNotFound, ErrExists, ErrSealed, ErrInTransaction, ErrFenced, ErrReadOnly,
	// ErrNoSpace, ErrOverloaded, ErrInvalidBatch, ErrTooLarge,
	// ErrOutOfOrderSequence, ErrProducerFenced, ErrClosed.
	Append(req Request, done func([]Result))

	// Read returns batches from the one that holds offset on, up to maxBytes of
	// batch bytes (at least one batch if there is any), all below the durable
	// end. It never blocks on a writer. At the end it returns no batches. The
	// caller releases the result. Errors: ErrNotFound, ErrOutOfRange (the
	// returned Start and End are then set), a Corrupt error that names the range, an
	// Unsupported one that names a key which is not there.
	Read(p PartitionID, offset int64, maxBytes int, isolation Isolation) (Batches, error)

	// Watch returns a waiter that fires once as soon as, summed over the
	// positions, at least minBytes (>= 1) of readable batches, as they are stored,
	// lie at or after each position's offset, or one of the partitions is sealed,
	// deleted or unreadable. It fires at once if that is so already.
	Watch(at []Position, minBytes int64) *Waiter

	// Info describes a partition: ErrNotFound if there is none.
	Info(p PartitionID) (Info, error)
	// Partitions lists all partitions, sorted.
	Partitions() []PartitionID
	// OffsetForTime returns the base offset of the first batch that arrived at or
	// after arrival (Unix ms), and its arrival; the end offset and -1 when there
	// is none. Never below the log start.
	OffsetForTime(p PartitionID, arrival int64) (offset, at int64, err error)
	// OffsetForTimestamp returns the base offset of the first batch that ends after
	// from and whose maximum timestamp, the sender's, is not before timestamp; -1 when
	// there is none. Markers of transactions have no timestamp.
	OffsetForTimestamp(p PartitionID, from, timestamp int64) (offset int64, err error)
	// LatestTimestamp returns the highest maximum timestamp of the batches that begin
	// below end; NoTimestamp when there is none.
	LatestTimestamp(p PartitionID, end int64) (int64, error)

	// Producers are the producers with an id that the partition knows of, by id, as of
	// everything acknowledged and, maybe, of what is about to be. Errors: ErrNotFound,
	// ErrClosed.
	Producers(p PartitionID) ([]Producer, error)

	// State tells whether the log takes writes, and if not, why.
	State() State
	// Close stops the log in order. Appends not yet acknowledged get ErrClosed
	// or their result, never both.
	Close(ctx context.Context) error
}

// Isolation is what a reader may see.
type Isolation uint8

const (
	// Uncommitted shows everything below the high watermark.
	Uncommitted Isolation = iota
	// Committed shows everything below the last stable offset, with the aborted
	// transactions named in the result.
	Committed
)

// Position is a place in a partition.
type Position struct {
	Partition PartitionID
	Offset    int64
}

// Batch is one stored batch. Bytes is a whole record batch with base offset and
// leader epoch filled in, valid until the Batches it came in is released, and
// must not be changed.
type Batch struct {
	Base    int64 // offset of its first record
	Count   int32 // records by offset: lastOffsetDelta + 1
	Arrival int64 // Unix ms
	// KeyID is the key under which it is stored encrypted, 0 if it is not. Bytes are
	// never encrypted.
	KeyID uint32
	Bytes []byte
}

// Batches is what a Read found. Release it exactly once; the zero value may be
// released too.
type Batches struct {
	List []Batch
	// Start is the log start, End the high watermark (one past the last durable
	// offset), Stable the last stable offset (<= End).
	Start, End, Stable int64
	// Aborted are the aborted transactions that overlap List (Committed only).
	Aborted []AbortedTxn
	Free    func()
}

// Release gives the memory back.
func (b *Batches) Release() {
	if b.Free != nil {
		b.Free()
		b.Free = nil
	}
	b.List = nil
}

// AbortedTxn is a transaction of a producer that ended in an abort.
type AbortedTxn struct {
	ProducerID  int64
	FirstOffset int64
	LastOffset  int64
}

// Info describes a partition.
type Info struct {
	Config Config
	// Start, End, Stable as in Batches.
	Start, End, Stable int64
	Sealed             bool
	Epoch              uint32 // writer epoch
	LeaderEpoch        int32  // rises at every unclean start
	Bytes              int64  // stored batch bytes between Start and End, about
	FirstArrival       int64  // of the batch at Start, -1 when empty
	LastArrival        int64  // of the last batch ever, -1 when there was none
}

// Producer is what a partition knows of a producer with an id. It is forgotten when
// nothing has come from it for long, a day say.
type Producer struct {
	ID           int64
	Epoch        int16
	LastSequence int32 // -1 is none of its epoch
	LastArrival  int64
	TxnStart     int64 // first offset of its open transaction, -1 is none
}

// State is a log's health.
type State struct {
	// Writable is false once latched; Reason then says why.
	Writable bool
	Reason   string
	// Full tells that the disk or --max-disk leaves no room right now.
	Full bool
}

// Waiter is one pending Watch.
type Waiter struct {
	// C is closed when the watch fires.
	C <-chan struct{}
	// Stop ends the watch and frees it; C may or may not be closed after it.
	// It may be called more than once.
	Stop func()
}

// Sentinel errors, compared with errors.Is.
var (
	ErrNotFound           error = errs.New(errs.NotFound, "partition does not exist")
	ErrExists             error = errs.New(errs.Exists, "partition exists")
	ErrSealed             error = errs.New(errs.Sealed, "partition is sealed")
	ErrInTransaction      error = errs.New(errs.InUse, "a transaction is open in the partition")
	ErrFenced             error = errs.New(errs.Fenced, "a newer writer has taken over")
	ErrReadOnly           error = errs.New(errs.ReadOnly, "log is read-only")
	ErrNoSpace            error = errs.New(errs.NoSpace, "no space left for the log")
	ErrOverloaded         error = errs.New(errs.Throttled, "log is over its memory budget")
	ErrInvalidBatch       error = errs.New(errs.Invalid, "record batch is not valid")
	ErrTooLarge           error = errs.New(errs.Invalid, "record batch is too large")
	ErrOutOfOrderSequence error = errs.New(errs.Invalid, "producer sequence is out of order")
	ErrProducerFenced     error = errs.New(errs.Fenced, "producer epoch is not the newest")
	ErrOutOfRange         error = errs.New(errs.OutOfRange, "offset is out of range")
	ErrAborted            error = errs.New(errs.Internal, "another entry of the same atomic append was refused")
	ErrClosed             error = errs.New(errs.Closed, "log is closed")
)

// Do appends req and waits for it. It returns the results, and the first error
// among them.
func Do(l Log, req Request) ([]Result, error) {
	ch := make(chan []Result, 1)
	l.Append(req, func(r []Result) { ch <- r })
	rs := <-ch
	for _, r := range rs {
		if r.Err != nil && r.Err != ErrAborted {
			return rs, r.Err
		}
	}
	return rs, nil
}
