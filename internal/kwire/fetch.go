package kwire

import "encoding/binary"

// Versions of Fetch that change its response's form. The first that is written
// here is 4.
const (
	fetchLogStart    = 5
	fetchSession     = 7
	fetchReadReplica = 11
	fetchFlexible    = 12
	fetchTopicIDs    = 13
)

// copyBelow is the size under which a batch is copied into the response: cheaper
// than a piece of its own for the system call.
const copyBelow = 4 << 10

// FetchResponse writes the response to a Fetch around record batches that stay
// where they are. Begin, then Topic and Partition in turn, then Pieces.
type FetchResponse struct {
	version int16
	buf     []byte
	cuts    []cut
	outside int // bytes of batches that are not in buf
}

// cut is a batch that goes between two bytes of buf.
type cut struct {
	at    int
	batch []byte
}

// FetchPartition is the answer for one partition.
type FetchPartition struct {
	Index                               int32
	ErrorCode                           int16
	HighWatermark, LastStable, LogStart int64
	// Aborted are transactions to be left out, nil unless the reader asked to see
	// committed records only.
	Aborted []AbortedTxn
	// Batches are whole record batches, which must stay as they are until the
	// response has been sent.
	Batches [][]byte
}

// AbortedTxn is a transaction that ended so.
type AbortedTxn struct{ ProducerID, FirstOffset int64 }

// BeginFetch begins a response for so many topics. Session 0 is none.
func BeginFetch(version int16, correlation, throttle int32, code int16, session int32, topics int) *FetchResponse {
	f := &FetchResponse{version: version}
	f.buf = AppendResponseHeader(make([]byte, 0, 256), Fetch, correlation, f.flexible())
	f.int32(throttle)
	if version >= fetchSession {
		f.int16(code)
		f.int32(session)
	}
	f.count(topics)
	return f
}

// Topic begins a topic's part with so many partitions.
func (f *FetchResponse) Topic(name string, id [16]byte, partitions int) {
	switch {
	case f.version >= fetchTopicIDs:
		f.buf = append(f.buf, id[:]...)
	case f.flexible():
		f.buf = binary.AppendUvarint(f.buf, uint64(len(name)+1))
		f.buf = append(f.buf, name...)
	default:
		f.int16(int16(len(name)))
		f.buf = append(f.buf, name...)
	}
	f.count(partitions)
}

// Partition adds the answer for one partition.
func (f *FetchResponse) Partition(p *FetchPartition) {
	f.int32(p.Index)
	f.int16(p.ErrorCode)
	f.int64(p.HighWatermark)
	f.int64(p.LastStable)
	if f.version >= fetchLogStart {
		f.int64(p.LogStart)
	}
	if p.Aborted == nil {
		f.nullCount()
	} else {
		f.count(len(p.Aborted))
		for _, a := range p.Aborted {
			f.int64(a.ProducerID)
			f.int64(a.FirstOffset)
			f.tags()
		}
	}
	if f.version >= fetchReadReplica {
		f.int32(-1) // no replica is better to read from
	}
	size := 0
	for _, b := range p.Batches {
		size += len(b)
	}
	if f.flexible() {
		f.buf = binary.AppendUvarint(f.buf, uint64(size)+1)
	} else {
		f.int32(int32(size))
	}
	for _, b := range p.Batches {
		if len(b) < copyBelow {
			f.buf = append(f.buf, b...)
			continue
		}
		f.cuts = append(f.cuts, cut{len(f.buf), b})
		f.outside += len(b)
	}
	f.tags()
}

// EndTopic ends a topic's part.
func (f *FetchResponse) EndTopic() { f.tags() }

// Pieces ends the response and returns it in order, size first.
func (f *FetchResponse) Pieces() [][]byte {
	f.tags()
	PutSize(f.buf, len(f.buf)-SizeLen+f.outside)
	pieces := make([][]byte, 0, 2*len(f.cuts)+1)
	at := 0
	for _, c := range f.cuts {
		if c.at > at {
			pieces = append(pieces, f.buf[at:c.at])
		}
		pieces = append(pieces, c.batch)
		at = c.at
	}
	return append(pieces, f.buf[at:])
}

func (f *FetchResponse) flexible() bool { return f.version >= fetchFlexible }

func (f *FetchResponse) int16(v int16) { f.buf = binary.BigEndian.AppendUint16(f.buf, uint16(v)) }
func (f *FetchResponse) int32(v int32) { f.buf = binary.BigEndian.AppendUint32(f.buf, uint32(v)) }
func (f *FetchResponse) int64(v int64) { f.buf = binary.BigEndian.AppendUint64(f.buf, uint64(v)) }

// count writes the length of an array.
func (f *FetchResponse) count(n int) {
	if f.flexible() {
		f.buf = binary.AppendUvarint(f.buf, uint64(n+1))
		return
	}
	f.int32(int32(n))
}

// nullCount writes a null array.
func (f *FetchResponse) nullCount() {
	if f.flexible() {
		f.buf = append(f.buf, 0)
		return
	}
	f.int32(-1)
}

// tags writes no tagged fields, where the version has them.
func (f *FetchResponse) tags() {
	if f.flexible() {
		f.buf = append(f.buf, 0)
	}
}
