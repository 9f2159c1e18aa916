package crash

import (
	"context"
	"errors"
	"slices"
	"time"

	"thalweg/internal/errs"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
	"thalweg/internal/vfs"
)

func kindIsReadOnly(err error) bool { return errs.KindOf(err) == errs.ReadOnly }

// step is one thing that the script does, with its weight in the draw.
type step struct {
	name   string
	weight int
	do     func(m *machine)
}

var steps = []step{
	{"append", 30, (*machine).stepAppend},
	{"burst", 6, (*machine).stepBurst},
	{"large append", 2, (*machine).stepLarge},
	{"produce", 8, (*machine).stepProduce},
	{"transaction", 6, (*machine).stepTransaction},
	{"several partitions", 8, (*machine).stepSeveral},
	{"create stream", 3, (*machine).stepCreate},
	{"delete stream", 2, (*machine).stepDelete},
	{"reshard", 2, (*machine).stepReshard},
	{"trim", 4, (*machine).stepTrim},
	{"configure", 2, (*machine).stepConfigure},
	{"fence", 1, (*machine).stepFence},
	{"meta snapshot", 3, (*machine).stepSnapshot},
	{"refused", 3, (*machine).stepRefused},
	{"maintenance", 12, (*machine).stepMaintain},
	{"checkpoint", 3, (*machine).stepCheckpoint},
	{"compaction", 5, (*machine).stepCompact},
	{"clock", 6, (*machine).stepClock},
	{"no space", 3, (*machine).stepNoSpace},
	{"space", 6, (*machine).stepSpace},
	{"close and open", 1, (*machine).stepReopen},
	{"crash and open", 1, (*machine).stepCrash},
}

// start makes the catalog's partition and a few streams, 8 partitions together.
func (m *machine) start() {
	m.append(log.Request{Atomic: true, Entries: []log.Entry{{Kind: log.Create, Partition: meta}}})
	for _, n := range []int{3, 2, 2} {
		m.create(n)
	}
}

// run does n random steps, or fewer if something is wrong.
func (m *machine) run(n int) {
	total := 0
	for _, s := range steps {
		total += s.weight
	}
	for range n {
		if m.failed != nil || m.log == nil {
			return
		}
		pick := m.rng.IntN(total)
		for _, s := range steps {
			if pick -= s.weight; pick < 0 {
				m.ops[s.name]++
				m.note("%s", s.name)
				s.do(m)
				break
			}
		}
		m.spotCheck()
	}
}

// ids are the partitions of streams, in order.
func (m *machine) ids() []log.PartitionID {
	return slices.DeleteFunc(sorted(m.model.parts), func(id log.PartitionID) bool { return id.Stream == 0 })
}

func (m *machine) anyID() (log.PartitionID, bool) {
	ids := m.ids()
	if len(ids) == 0 {
		return log.PartitionID{}, false
	}
	return ids[m.rng.IntN(len(ids))], true
}

func (m *machine) event() log.Entry {
	return log.Entry{Kind: log.Data, Partition: meta, Batch: m.data(1, 120)}
}

func (m *machine) small(id log.PartitionID) log.Entry {
	return log.Entry{Kind: log.Data, Partition: id, Batch: m.data(1+m.rng.IntN(4), 300)}
}

func (m *machine) stepAppend() {
	if id, ok := m.anyID(); ok {
		m.append(log.Request{Entries: []log.Entry{m.small(id)}})
	}
}

// stepBurst queues several requests while one is being answered, so that they
// share a round.
func (m *machine) stepBurst() {
	id, ok := m.anyID()
	if !ok {
		return
	}
	var reqs []log.Request
	for range 1 + m.rng.IntN(3) {
		other, _ := m.anyID()
		reqs = append(reqs, log.Request{Entries: []log.Entry{m.small(other), m.small(id)}, Atomic: m.rng.IntN(2) == 0})
	}
	first := log.Request{Entries: []log.Entry{m.small(id)}}
	answered := m.track(first)
	m.log.Append(first, func(rs []log.Result) {
		answered(rs)
		m.burst = true
		for _, r := range reqs {
			m.append(r)
		}
	})
	m.burst = false
}

func (m *machine) stepLarge() {
	if id, ok := m.anyID(); ok {
		m.append(log.Request{Entries: []log.Entry{{Kind: log.Data, Partition: id, Batch: m.data(1+m.rng.IntN(3), 20<<10)}}})
	}
}

func (m *machine) stepProduce() {
	if id, ok := m.anyID(); ok {
		b := m.produced(id, int64(m.rng.IntN(2)), 0)
		e := log.Entry{Kind: log.Data, Partition: id, Batch: b}
		m.append(log.Request{Entries: []log.Entry{e}})
		if m.rng.IntN(4) == 0 {
			m.append(copyRequest(log.Request{Entries: []log.Entry{e}})) // again, as a client without an answer does
		}
	}
}

// stepTransaction goes on with a producer's transaction, or ends it.
func (m *machine) stepTransaction() {
	id, ok := m.anyID()
	if !ok {
		return
	}
	producer := 10 + int64(m.rng.IntN(2))
	e := log.Entry{Kind: log.Data, Partition: id}
	if _, open := m.model.parts[id].open[producer]; open && m.rng.IntN(2) == 0 {
		e.Batch = m.marker(id, producer, m.rng.IntN(2) == 0)
	} else {
		e.Batch = m.produced(id, producer, batch.Transactional)
	}
	m.append(log.Request{Entries: []log.Entry{e}})
}

func (m *machine) stepSeveral() {
	req := log.Request{Atomic: true}
	for range 2 + m.rng.IntN(4) {
		if id, ok := m.anyID(); ok {
			req.Entries = append(req.Entries, m.small(id))
		}
	}
	req.Entries = append(req.Entries, m.event())
	m.append(req)
}

func (m *machine) create(partitions int) {
	req := log.Request{Atomic: true, Entries: []log.Entry{m.event()}}
	cfg := log.Config{}
	if m.rng.IntN(3) == 0 {
		cfg.MaxBytes = 4 << 10
	}
	cfg.KeyID, cfg.Compaction = m.anyKey(), m.anyCompaction()
	for i := range partitions {
		id := log.PartitionID{Stream: m.nextID, Generation: 1, Index: uint32(i)}
		req.Entries = append(req.Entries, log.Entry{Kind: log.Create, Partition: id, Config: cfg})
	}
	m.nextID++
	m.append(req)
	m.resume()
}

func (m *machine) stepCreate() {
	if len(m.ids()) < 16 {
		m.create(1 + m.rng.IntN(3))
	}
}

func (m *machine) stepDelete() {
	if len(m.streams) < 3 {
		return
	}
	stream := m.streams[m.rng.IntN(len(m.streams))]
	req := log.Request{Atomic: true}
	for _, id := range m.ids() {
		if id.Stream == stream {
			req.Entries = append(req.Entries, log.Entry{Kind: log.Delete, Partition: id})
		}
	}
	req.Entries = append(req.Entries, m.event())
	m.append(req)
	m.resume()
}

func (m *machine) stepReshard() {
	id, ok := m.anyID()
	if !ok || len(m.ids()) >= 16 {
		return
	}
	req := log.Request{Atomic: true, Entries: []log.Entry{{Kind: log.Seal, Partition: id}}}
	next := uint32(0)
	for _, other := range m.ids() {
		if other.Stream == id.Stream {
			next = max(next, other.Index+1)
		}
	}
	for i := range uint32(2) {
		child := log.PartitionID{Stream: id.Stream, Generation: id.Generation, Index: next + i}
		req.Entries = append(req.Entries, log.Entry{Kind: log.Create, Partition: child, Config: log.Config{KeyID: m.anyKey()}}, m.small(child))
	}
	req.Entries = append(req.Entries, m.event())
	m.append(req)
}

func (m *machine) stepTrim() {
	if id, ok := m.anyID(); ok {
		p := m.model.parts[id]
		to := p.start + m.rng.Int64N(p.end-p.start+3)
		m.append(log.Request{Entries: []log.Entry{{Kind: log.Trim, Partition: id, Offset: to}}})
	}
}

func (m *machine) stepConfigure() {
	if id, ok := m.anyID(); ok {
		cfgs := []log.Config{{}, {MaxBytes: 2 << 10}, {MaxAge: time.Minute}, {MaxBytes: 16 << 10, MaxAge: time.Hour}}
		cfg := cfgs[m.rng.IntN(len(cfgs))]
		cfg.KeyID, cfg.Compaction = m.anyKey(), m.anyCompaction()
		m.append(log.Request{Entries: []log.Entry{{Kind: log.Configure, Partition: id, Config: cfg}}})
	}
}

// anyKey is none for one in two.
func (m *machine) anyKey() uint32 { return uint32(max(0, m.rng.IntN(4)-1)) }

func (m *machine) stepFence() {
	if id, ok := m.anyID(); ok {
		e := m.small(id)
		e.ExpectedEpoch = m.model.parts[id].epoch
		m.append(log.Request{Entries: []log.Entry{{Kind: log.Fence, Partition: id}, e}})
	}
}

// stepSnapshot does what the catalog does: a snapshot goes to the end of its
// partition, then everything before it.
func (m *machine) stepSnapshot() {
	m.append(log.Request{Entries: []log.Entry{{Kind: log.Data, Partition: meta, Batch: m.data(1+m.rng.IntN(3), 1500)}}})
	p := m.model.parts[meta]
	if p == nil || len(p.recs) == 0 {
		return
	}
	at := p.recs[len(p.recs)-1].base
	m.append(log.Request{Entries: []log.Entry{{Kind: log.Trim, Partition: meta, Offset: at}}})
}

// stepRefused sends what must change nothing.
func (m *machine) stepRefused() {
	id, ok := m.anyID()
	if !ok {
		return
	}
	nowhere := log.PartitionID{Stream: 1 << 40, Generation: 1}
	bad := m.small(id)
	bad.Batch[len(bad.Batch)-1] ^= 1
	reqs := []log.Request{
		{Atomic: true, Entries: []log.Entry{m.small(id), {Kind: log.Create, Partition: id}, m.event()}},
		{Atomic: true, Entries: []log.Entry{m.small(id), {Kind: log.Create, Partition: nowhere}, m.small(nowhere), bad}},
		{Atomic: true, Entries: []log.Entry{{Kind: log.Seal, Partition: id}, {Kind: log.Delete, Partition: nowhere}}},
		{Entries: []log.Entry{m.small(nowhere), m.small(id), bad}},
		{Atomic: true, Entries: []log.Entry{{Kind: log.Trim, Partition: id, Offset: 1 << 40}, {Kind: log.Fence, Partition: nowhere}}},
	}
	if p := m.model.parts[id]; p.epoch > 0 {
		old := m.small(id)
		old.ExpectedEpoch = p.epoch - 1
		if old.ExpectedEpoch == log.AnyEpoch {
			old = bad
		}
		reqs = append(reqs, log.Request{Atomic: true, Entries: []log.Entry{m.event(), {Kind: log.Fence, Partition: id}, old}})
	}
	m.append(reqs[m.rng.IntN(len(reqs))])
}

func (m *machine) stepMaintain() {
	m.busy = true
	err := m.log.Step()
	m.busy = false
	if err != nil && !m.mayFail(err) {
		m.fail("maintenance: %w", err)
	}
	m.adoptRetention()
}

func (m *machine) stepCheckpoint() {
	m.busy = true
	err := m.log.Checkpoint()
	m.busy = false
	if err != nil && !m.mayFail(err) {
		m.fail("checkpoint: %w", err)
	}
	m.adoptRetention()
}

// mayFail tells whether maintenance has a good reason.
func (m *machine) mayFail(err error) bool {
	return errors.Is(err, vfs.ErrNoSpace) || !m.log.State().Writable
}

// adoptRetention takes note of what retention has dropped: it was shown.
func (m *machine) adoptRetention() {
	for _, id := range sorted(m.model.parts) {
		p := m.model.parts[id]
		info, err := m.log.Info(id)
		if err != nil {
			m.fail("info of %v: %w", id, err)
			return
		}
		if info.Start == p.start {
			continue
		}
		if err := p.mayStartAt(info.Start, m.now()); err != nil || info.Start < p.start {
			m.fail("retention of %v: start %d, was %d: %w", id, info.Start, p.start, err)
			return
		}
		if m.durability == log.Written {
			m.remember(log.Default)
		}
		m.model.own(id).trim(info.Start)
		m.ops["retained"]++
	}
}

func (m *machine) stepClock() {
	by := []time.Duration{time.Millisecond, 20 * time.Millisecond, time.Second, 30 * time.Second, 10 * time.Minute, -time.Minute}
	m.clock.Set(m.clock.Now().Add(by[m.rng.IntN(len(by))]))
}

// stepNoSpace fills the disk but for a little.
func (m *machine) stepNoSpace() {
	m.fs.SetCapacity(m.fs.Used() + m.rng.Int64N(16<<10))
	m.tight = true
}

func (m *machine) stepSpace() { m.giveSpace() }

func (m *machine) giveSpace() {
	m.fs.SetCapacity(0)
	m.tight = false
}

func (m *machine) stepReopen() {
	st := m.log.State()
	writable, full := st.Writable, st.Full || m.tight // the mark of the stop may find no room
	err := m.log.Close(context.Background())
	if err != nil && !m.mayFail(err) {
		m.fail("close: %w", err)
		return
	}
	m.giveSpace()
	m.log = nil
	m.opts = m.options()
	m.open()
	if m.failed == nil && err == nil && writable && m.log != nil && !full && !m.faulty && !m.log.Recovery().Clean {
		m.fail("an orderly stop is not clean: %+v", m.log.Recovery())
	}
}

// stepCrash stops the machine or the process between two requests.
func (m *machine) stepCrash() {
	if m.rng.IntN(2) == 0 {
		m.killed = true
		m.fs = m.fs.Kill()
	} else {
		m.fs = m.fs.Crash(m.rng.Uint64())
		m.fs.SetNoSync(m.noSync)
	}
	m.giveSpace()
	m.log = nil
	m.opts = m.options()
	m.open()
}

// spotCheck reads one partition and compares.
func (m *machine) spotCheck() {
	if m.failed != nil || m.log == nil {
		return
	}
	ids := append(m.ids(), meta)
	id := ids[m.rng.IntN(len(ids))]
	p := m.model.parts[id]
	if p == nil {
		return
	}
	f, err := observePart(m.log, id)
	if err != nil {
		m.fail("read of %v: %w", id, err)
		return
	}
	if err := p.matches(f, m.now()); err != nil {
		m.fail("partition %v: %w", id, err)
		return
	}
	if len(f.recs) > 0 {
		m.checkTime(id, f)
		m.checkStamps(id, f)
	}
}

// checkStamps asks for the offset of a random timestamp, and for the latest one.
func (m *machine) checkStamps(id log.PartitionID, f found) {
	stamp := func(r rec) int64 {
		h, err := batch.ParseHeader(r.bytes)
		if err != nil || h.Attributes&batch.Control != 0 {
			return log.NoTimestamp
		}
		return h.MaxTimestamp
	}
	at := stamp(f.recs[m.rng.IntN(len(f.recs))]) + m.rng.Int64N(3) - 1
	if at < 0 {
		at = 0
	}
	from, end := f.recs[m.rng.IntN(len(f.recs))].base, f.recs[m.rng.IntN(len(f.recs))].base+m.rng.Int64N(2)
	want, latest := int64(-1), int64(log.NoTimestamp)
	for _, r := range f.recs {
		if want < 0 && r.base >= from && stamp(r) >= at {
			want = r.base
		}
		if r.base < end {
			latest = max(latest, stamp(r))
		}
	}
	if got, err := m.log.OffsetForTimestamp(id, from, at); err != nil || got != want {
		m.fail("offset of %v for timestamp %d from %d: %d, %v; want %d", id, at, from, got, err, want)
	}
	if got, err := m.log.LatestTimestamp(id, end); err != nil || got != latest {
		m.fail("latest timestamp of %v below %d: %d, %v; want %d", id, end, got, err, latest)
	}
}

// checkTime asks for the offset of a random arrival.
func (m *machine) checkTime(id log.PartitionID, f found) {
	at := f.recs[m.rng.IntN(len(f.recs))].arrival + m.rng.Int64N(3) - 1
	offset, arrival := f.info.End, int64(-1)
	for _, r := range f.recs {
		if r.arrival >= at {
			offset, arrival = max(r.base, f.info.Start), r.arrival
			break
		}
	}
	got, gotAt, err := m.log.OffsetForTime(id, at)
	if err != nil || got != offset || gotAt != arrival {
		m.fail("offset of %v for time %d: %d at %d, %v; want %d at %d", id, at, got, gotAt, err, offset, arrival)
	}
}
