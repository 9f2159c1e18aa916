package queues

import (
	"encoding/binary"

	"thalweg/internal/errs"
	"thalweg/internal/ids"
)

// Events, as they are on disk (docs/formats/queues.md): a kind, the queue's id with
// its length before it, and numbers as uvarints.
const (
	// evNext: everything in shard below offset has been received once.
	evNext byte = 1
	// evRecord: a record is not acknowledged, and this is how it stands.
	evRecord byte = 2
	// evDone: a record is acknowledged, or past its time.
	evDone byte = 3
	// evShard: a shard is gone with all its records.
	evShard byte = 4
	// evGone: the queue is gone.
	evGone byte = 5
)

// event is one change of one queue. Which members mean something is its kind's
// matter.
type event struct {
	kind   byte
	queue  string
	shard  ids.Shard
	offset int64
	state  state
}

// state is how an unacknowledged record stands.
type state struct {
	dead    bool
	count   uint32 // times received
	turn    uint32 // rises whenever earlier receipts cease to be good
	first   int64  // when it was received first, Unix ms; 0 is not yet
	visible int64  // when it can be received again, Unix ms
}

func (e *event) encode() []byte {
	b := make([]byte, 0, 48+len(e.queue))
	b = append(b, e.kind, byte(len(e.queue)))
	b = append(b, e.queue...)
	if e.kind == evGone {
		return b
	}
	b = binary.AppendUvarint(b, uint64(e.shard))
	if e.kind == evShard {
		return b
	}
	b = binary.AppendUvarint(b, uint64(e.offset))
	if e.kind != evRecord {
		return b
	}
	dead := byte(0)
	if e.state.dead {
		dead = 1
	}
	b = append(b, dead)
	for _, v := range [...]uint64{uint64(e.state.count), uint64(e.state.turn), uint64(e.state.first), uint64(e.state.visible)} {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

var errEvent error = errs.New(errs.Corrupt, "queue event is not valid")

// decodeEvent reads what encode wrote.
func decodeEvent(b []byte) (event, error) {
	var e event
	if len(b) < 2 || len(b) < 2+int(b[1]) {
		return e, errEvent
	}
	e.kind, e.queue = b[0], string(b[2:2+int(b[1])])
	r := numbers{b: b[2+len(e.queue):]}
	switch e.kind {
	case evNext, evRecord, evDone:
		e.shard, e.offset = ids.Shard(r.next(1<<32-1)), int64(r.next(1<<63-1))
	case evShard:
		e.shard = ids.Shard(r.next(1<<32 - 1))
	case evGone:
	default:
		return e, errs.New(errs.Unsupported, "queue event of a newer version")
	}
	if e.kind == evRecord {
		e.state.dead = r.next(1) == 1
		e.state.count, e.state.turn = uint32(r.next(1<<32-1)), uint32(r.next(1<<32-1))
		e.state.first, e.state.visible = int64(r.next(1<<63-1)), int64(r.next(1<<63-1))
	}
	if r.bad || len(r.b) > 0 {
		return e, errEvent
	}
	return e, nil
}

// numbers reads uvarints.
type numbers struct {
	b   []byte
	bad bool
}

func (r *numbers) next(most uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > most {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}
