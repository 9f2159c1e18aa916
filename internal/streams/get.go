package streams

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"unicode/utf8"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/ids"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

const (
	// readChunk is how much of a shard is held at a time while a page is read.
	readChunk = 1 << 20
	// maxUnpackedBytes bounds a compressed batch once unpacked. What is more than
	// freeUnpackedBytes is drawn on the budget: a kilobyte can become all of it.
	maxUnpackedBytes  = 64 << 20
	freeUnpackedBytes = 4 << 20
	// maxKeyRunes is the longest partition key.
	maxKeyRunes = 256
)

// Record is one record as a stream's readers see it. Its slices are valid until
// the page's next Next or Close.
type Record struct {
	Sequence ids.Sequence
	Offset   int64
	// Arrival is in Unix milliseconds.
	Arrival int64
	// Key is the partition key: nil for a record put without one under AUTO.
	Key  []byte
	Data []byte
	// Encrypted tells that it is stored so.
	Encrypted bool
}

// Page is a run of records of one shard, read as it goes: [Page.Next] until it
// reports false, then [Page.Err], [Page.Position] and [Page.MillisBehindLatest],
// then [Page.Close]. It is for one goroutine.
//
// It shows what lies below the last stable offset and within the retention;
// control records and those of aborted transactions it leaves out. It ends before
// what cannot be read; a page that begins there has the error.
type Page struct {
	svc       *Service
	pos       Position
	partition log.PartitionID
	created   int64 // the shard's, Unix ms
	horizon   int64
	closed    bool  // the shard: it ends at end
	end       int64 // of the shard, when last read
	left      int   // records
	room      int   // bytes
	each      int   // bytes that a record takes beside its key and data
	chunk     int   // bytes to read at a time
	shown     int
	bytes     int  // of keys and data shown
	counted   bool // by the shard's meter, when the page is closed
	metered   bool // what is shown counts against the shard's rate

	batches log.Batches
	next    int   // index in batches.List
	arrival int64 // of the batch being read
	sealed  bool  // the batch being read is stored encrypted
	passed  int64 // of the last record shown or left out
	inBatch bool
	it      batch.Iterator
	unpack  *batch.Decompressor
	large   *batch.Decompressor // for what unpack cannot
	stable  int64
	drained bool
	err     error
	rec     Record
	keyBuf  []byte
}

// Get begins a page at pos of at most limit records (1 to MaxGetRecords) and
// MaxGetBytes of keys and data, but of one record if there is any. Errors:
// NotFound when the stream is gone, Corrupt.
func (s *Service) Get(pos Position, limit int) (*Page, error) {
	p, err := s.get(pos, limit, MaxGetBytes, 0, readChunk)
	if err == nil {
		p.counted = true
	}
	return p, err
}

// Scan is Get for a reader of another kind, of at most room bytes of keys and
// data: it counts in no shard's traffic.
func (s *Service) Scan(pos Position, limit, room int) (*Page, error) {
	return s.get(pos, limit, room, 0, readChunk)
}

func (s *Service) get(pos Position, limit, room, each, chunk int) (*Page, error) {
	sh := shardOf(pos.Stream, pos.Shard)
	if sh == nil {
		return nil, shardNotFound(pos.Stream.Account, pos.Stream.Name, pos.Shard.String())
	}
	p := s.pages.Get().(*Page)
	p.pos, p.created, p.horizon, p.closed = pos, sh.Created, s.Horizon(pos.Stream), !sh.Open()
	p.partition = log.PartitionID{Stream: pos.Stream.Stream.Number, Generation: pos.Generation, Index: uint32(pos.Shard)}
	p.left, p.room, p.each, p.chunk, p.bytes = limit, room, each, chunk, 0
	p.shown, p.inBatch, p.drained, p.passed, p.stable, p.err = 0, false, false, 0, 0, nil
	if err := p.fetch(); err != nil {
		p.Close()
		return nil, s.logError(pos.Stream, pos.Shard, err)
	}
	return p, nil
}

// fetch reads on from pos, past what the retention hides.
func (p *Page) fetch() error {
	p.batches.Release()
	p.next = 0
	for sought := false; ; sought = true {
		got, err := p.svc.log.Read(p.partition, p.pos.Offset, p.chunk, log.Committed)
		if errors.Is(err, log.ErrOutOfRange) {
			p.stable, p.end = got.Stable, got.End
			if p.pos.Offset < got.Start {
				p.pos.Offset = got.Start
				continue
			}
			p.drained = true // beyond the end: records to come
			return nil
		}
		if err != nil {
			return err
		}
		p.batches, p.stable, p.end = got, got.Stable, got.End
		if len(got.List) == 0 {
			p.drained = true
			return nil
		}
		if sought || got.List[0].Arrival >= p.horizon {
			return nil
		}
		offset, _, err := p.svc.log.OffsetForTime(p.partition, p.horizon)
		if err != nil {
			p.batches.Release()
			return err
		}
		if offset <= p.pos.Offset {
			return nil
		}
		p.batches.Release()
		p.pos.Offset = offset
	}
}

// Next moves to the next record and reports whether there is one on this page.
func (p *Page) Next() bool {
	for p.left > 0 {
		if p.inBatch {
			for p.it.Next() {
				r := p.it.Record()
				if r.Offset < p.pos.Offset {
					continue
				}
				return p.show(r)
			}
			p.inBatch = false
			if err := p.it.Err(); err != nil {
				p.err = unreadable(&p.batches.List[p.next], err)
				return false
			}
			b := &p.batches.List[p.next]
			p.pos.Offset = max(p.pos.Offset, b.Base+int64(b.Count))
			p.next++
			continue
		}
		switch {
		case p.err != nil:
			return false
		case p.next < len(p.batches.List):
			p.err = p.enter(&p.batches.List[p.next])
		case p.drained || p.pos.Offset >= p.stable:
			return false
		default:
			p.err = p.fetch()
		}
	}
	return false
}

// Err is why the page shows nothing although there is something: Corrupt, or
// what the log says. It is nil when records were shown; the next page, which
// begins at the flaw, has it then.
func (p *Page) Err() error {
	if p.err == nil || p.shown > 0 {
		return nil
	}
	return p.svc.logError(p.pos.Stream, p.pos.Shard, p.err)
}

// enter begins a batch, or steps over one that readers of streams do not see.
func (p *Page) enter(b *log.Batch) error {
	data := b.Bytes
	h, err := batch.ParseHeader(data)
	if err != nil {
		return unreadable(b, err)
	}
	p.inBatch, p.arrival, p.sealed = true, b.Arrival, b.KeyID != 0
	if h.Attributes&batch.Control != 0 || b.Arrival < p.horizon || p.aborted(h) {
		p.it, p.passed = batch.Iterator{}, b.Arrival
		return nil
	}
	if h.Attributes&batch.CompressionMask != 0 {
		if p.unpack == nil {
			p.unpack = p.svc.unpacks.Get().(*batch.Decompressor)
		}
		packed := data
		if data, err = p.unpack.Decompress(packed); errors.Is(err, batch.ErrTooLarge) {
			data, err = p.unpackLarge(packed)
		}
	}
	if err == nil {
		p.it, err = batch.Records(data)
	}
	if err != nil {
		p.inBatch = false
		if errors.Is(err, log.ErrOverloaded) {
			return err
		}
		return unreadable(b, err)
	}
	return nil
}

// unpackLarge unpacks a batch that becomes a large one, if there is memory.
func (p *Page) unpackLarge(b []byte) ([]byte, error) {
	if p.large == nil {
		if !p.svc.memory.TryAcquire(p.svc.largeBytes()) {
			return nil, log.ErrOverloaded
		}
		p.large = batch.NewDecompressor(maxUnpackedBytes)
	}
	return p.large.Decompress(b)
}

// largeBytes is what a large batch is drawn with: what it can become, or half of
// what there is.
func (s *Service) largeBytes() int64 {
	if all := s.memory.Max(); all > 0 {
		return min(maxUnpackedBytes, all/2)
	}
	return maxUnpackedBytes
}

func unreadable(b *log.Batch, err error) error {
	return &errs.Error{Kind: errs.Corrupt, Err: err, Op: fmt.Sprintf("read records %d to %d", b.Base, b.Base+int64(b.Count)-1)}
}

// aborted reports whether a batch belongs to a transaction that ended so.
func (p *Page) aborted(h batch.Header) bool {
	if h.Attributes&batch.Transactional == 0 {
		return false
	}
	for _, t := range p.batches.Aborted {
		if t.ProducerID == h.ProducerID && t.FirstOffset <= h.BaseOffset && h.BaseOffset <= t.LastOffset {
			return true
		}
	}
	return false
}

// show makes r the page's record, unless the page has no room for it.
func (p *Page) show(r *batch.Record) bool {
	key := p.key(r.Key)
	size := len(key) + len(r.Value) + p.each
	if size > p.room && p.shown > 0 {
		p.left = 0
		return false
	}
	p.room = max(0, p.room-size)
	p.left--
	p.shown++
	p.bytes += size - p.each
	p.pos.Offset = r.Offset + 1
	p.passed = p.arrival
	p.rec = Record{
		Sequence: sequence(p.pos.Shard, p.created, r.Offset, p.arrival),
		Offset:   r.Offset, Arrival: p.arrival, Key: key, Data: r.Value, Encrypted: p.sealed,
	}
	return true
}

// key is the partition key to show for a record's key: a Kafka producer's may
// be none, or no partition key.
func (p *Page) key(key []byte) []byte {
	switch {
	case key == nil && (p.pos.Stream.Stream.AutoDistribution || p.pos.Stream.Stream.Keyless):
		return nil
	case key == nil:
		return []byte("-")
	case validKey(key):
		return key
	}
	sum := sha256.Sum256(key)
	p.keyBuf = base64.RawURLEncoding.AppendEncode(p.keyBuf[:0], sum[:])
	return p.keyBuf
}

// validKey reports whether key is 1 to 256 UTF-8 characters.
func validKey(key []byte) bool {
	if len(key) == 0 || len(key) > 4*maxKeyRunes || !utf8.Valid(key) {
		return false
	}
	return len(key) <= maxKeyRunes || utf8.RuneCount(key) <= maxKeyRunes
}

// Record is the current record.
func (p *Page) Record() *Record { return &p.rec }

// Count is the number of records shown so far.
func (p *Page) Count() int { return p.shown }

// Position is where the next page begins.
func (p *Page) Position() Position { return p.pos }

// Ended reports whether the page ends where its shard does, which is closed:
// nothing follows but its [Children].
func (p *Page) Ended() bool { return p.closed && p.err == nil && p.pos.Offset >= p.end }

// Tip is the place in the shard where there was nothing yet when it was last read: what
// to watch from after a page that shows no more.
func (p *Page) Tip() int64 { return max(p.pos.Offset, p.end) }

// MillisBehindLatest tells how far the page's end is from the shard's: 0 at the
// tip, else the age of the last record read.
func (p *Page) MillisBehindLatest() int64 {
	if p.pos.Offset >= p.stable || p.passed == 0 {
		return 0
	}
	return max(0, clock.Millis(p.svc.clock)-p.passed)
}

// ahead is about how many bytes of records have been read and not been shown: all
// of the last read's that are not known to be behind.
func (p *Page) ahead() (n int) {
	for i := p.next; i < len(p.batches.List); i++ {
		n += len(p.batches.List[i].Bytes)
	}
	return n
}

// Close gives the page's memory back. Nothing of it may be used afterwards.
func (p *Page) Close() {
	if p.metered {
		p.svc.throttle.got(p.partition, int64(MaxGetBytes-p.room))
		p.metered = false
	}
	if p.counted && (p.err == nil || p.shown > 0) {
		m := p.svc.meters.of(p.partition.Stream, p.pos.Shard)
		m.out(p.shown, int64(p.bytes))
		m.shard.IteratorAge.Store(p.MillisBehindLatest())
	}
	p.counted = false
	p.batches.Release()
	if p.unpack != nil {
		p.svc.unpacks.Put(p.unpack)
		p.unpack = nil
	}
	if p.large != nil {
		p.svc.memory.Release(p.svc.largeBytes())
		p.large = nil
	}
	p.it, p.rec, p.pos = batch.Iterator{}, Record{}, Position{}
	p.svc.pages.Put(p)
}
