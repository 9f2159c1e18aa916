package delivery

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"sync"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// AWS's SDKs send one invocation id with every attempt of a call. A call that comes
// again within dedupWindow, by the same principal, with the same records, is answered
// with what was answered first. The first record of a call's batch bears the call's
// fingerprint, so the window holds across a restart.
const (
	dedupWindow = 5 * 60_000 // milliseconds
	// dedupMost is how many calls of a delivery stream are remembered: of more than
	// that within the window the oldest are forgotten.
	dedupMost = 1 << 16
	// dedupBytes is about what a call takes in memory.
	dedupBytes = 96

	// callHeader is the record header that keeps a fingerprint.
	callHeader = "thalweg.call"
)

// callID is a call's fingerprint: 16 bytes of the SHA-256 of principal and invocation
// id, and of the records their number, bytes and CRC32C.
type callID [28]byte

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (c Call) fingerprint(records [][]byte) (id callID) {
	sum := sha256.Sum256([]byte(c.Principal + "\x00" + c.Invocation))
	copy(id[:], sum[:16])
	crc, size := uint32(0), 0
	for _, r := range records {
		crc = crc32.Update(crc, castagnoli, r)
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(r)))
		crc = crc32.Update(crc, castagnoli, n[:])
		size += len(r)
	}
	binary.BigEndian.PutUint32(id[16:], uint32(len(records)))
	binary.BigEndian.PutUint32(id[20:], uint32(size))
	binary.BigEndian.PutUint32(id[24:], crc)
	return id
}

// dedup is the calls of one delivery stream. The zero dedup has not looked at the log
// yet.
type dedup struct {
	mu     sync.Mutex
	warm   bool                  // the log's window has been read; guarded by mu, like all below
	calls  map[callID]remembered // those of order, and those under way
	order  []aged                // those that are done, oldest first
	memory *limits.Budget
}

type remembered struct {
	placed  Placed
	pending chan struct{} // closed when the call is done; nil when it is
}

type aged struct {
	id callID
	at int64
}

// begin looks for a call. It is mine when it is to be made, and end must follow;
// otherwise was is the call made before, or under way. Errors: Throttled when there is
// no memory to remember it, those of the log.
func (d *dedup) begin(s *Service, r *catalog.Resource, id callID) (was remembered, mine bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := clock.Millis(s.clock)
	if !d.warm {
		d.calls, d.memory = map[callID]remembered{}, s.o.Memory
		if err := d.read(s, r.Delivery.Partition(0), now-dedupWindow); err != nil {
			return was, false, err
		}
		d.warm = true
	}
	d.expire(now)
	if was, ok := d.calls[id]; ok {
		return was, false, nil
	}
	if !d.memory.TryAcquire(dedupBytes) {
		return was, false, &errs.Error{Kind: errs.Throttled, Msg: "Slow down."}
	}
	d.calls[id] = remembered{pending: make(chan struct{})}
	return was, true, nil
}

// end tells what became of a call.
func (d *dedup) end(id callID, placed Placed, now int64, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	call, there := d.calls[id]
	if !there { // the delivery stream was deleted
		return
	}
	close(call.pending)
	if !ok {
		delete(d.calls, id)
		d.memory.Release(dedupBytes)
		return
	}
	d.keep(id, placed, now)
}

func (d *dedup) keep(id callID, placed Placed, at int64) {
	d.calls[id] = remembered{placed: placed}
	d.order = append(d.order, aged{id, at})
}

// expire forgets what is past the window, or too much.
func (d *dedup) expire(now int64) {
	n := 0
	for n < len(d.order) && (d.order[n].at < now-dedupWindow || len(d.order)-n >= dedupMost) {
		delete(d.calls, d.order[n].id)
		n++
	}
	d.memory.Release(int64(n) * dedupBytes)
	d.order = d.order[n:]
}

// drop forgets all.
func (d *dedup) drop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.calls {
		if c.pending != nil {
			close(c.pending)
		}
	}
	d.memory.Release(int64(len(d.calls)) * dedupBytes)
	d.calls, d.order, d.warm = nil, nil, false
}

// read remembers the calls that the log has since a time.
func (d *dedup) read(s *Service, p log.PartitionID, since int64) error {
	at, _, err := s.log.OffsetForTime(p, since)
	if err != nil {
		return err
	}
	for {
		got, err := s.log.Read(p, at, readChunk, log.Committed)
		if err != nil {
			return err
		}
		if len(got.List) == 0 {
			got.Release()
			return nil
		}
		for _, b := range got.List {
			at = b.Base + int64(b.Count)
			it, err := batch.Records(b.Bytes)
			if err != nil {
				got.Release()
				return errs.Wrap(errs.Corrupt, "read what was put", err)
			}
			if !it.Next() {
				continue
			}
			value, ok := it.Record().Headers.Get(callHeader)
			if !ok || len(value) != len(callID{}) {
				continue
			}
			if !d.memory.TryAcquire(dedupBytes) {
				got.Release()
				return &errs.Error{Kind: errs.Throttled, Msg: "Slow down."}
			}
			d.keep(callID(value), Placed{Partition: p, Base: b.Base, Encrypted: b.KeyID != 0}, b.Arrival)
		}
		got.Release()
	}
}
