package crash

import (
	"bytes"
	"context"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/identity"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
	"thalweg/internal/log/disk"
	"thalweg/internal/vfs"
)

const dataDir = "/data"

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// meta is the partition of the catalog's events.
var meta = log.PartitionID{Generation: 1}

// inflight is a request that was not answered yet.
type inflight struct {
	req log.Request
	// late is one made of a log that had failed already: it is surely not there.
	late bool
}

// machine is one run: a disk, a clock, an open log, and what was acknowledged.
type machine struct {
	fs         *vfs.Mem
	clock      *clock.Manual
	rng        *rand.Rand
	opts       disk.Options
	durability log.Durability
	log        *disk.Log

	model    *model
	inflight []*inflight
	// unsure are requests that failed with the log: they may or may not be there
	// when it is opened again.
	unsure []log.Request
	failed error // what was wrong, first
	noSync bool  // the disk only pretends to sync
	// faulty allows the log to have stopped writing, as a call has failed.
	faulty bool
	// tight tells that little space was left to the disk.
	tight bool
	// past are the states since the last durable acknowledgement, oldest first,
	// kept only if appends are acknowledged when written.
	past []*model
	// killed tells that the process was stopped, not the machine: nothing of what
	// was written may be missing, but until it is synced a power cut may take it.
	killed bool

	streams  []uint64 // that exist, oldest first
	nextID   uint64
	metaFrom int64 // offset of the last snapshot in meta
	ops      map[string]int
	opens    int
	burst    bool // several requests are on their way
	trace    []string

	// onCall is asked before every file-system call.
	onCall func(vfs.Op) error
	// busy tells that maintenance is at work, during which appends come in.
	busy bool
	// nested tells that such an append is under way: the call that it came in
	// upon may hold locks that reading takes.
	nested bool
}

func newMachine(fs *vfs.Mem, seed uint64, now time.Time, d log.Durability) *machine {
	m := &machine{durability: d, fs: fs, clock: clock.NewManual(now), rng: rand.New(rand.NewPCG(seed, 7)), model: newModel(), nextID: 1, ops: map[string]int{}}
	m.opts = m.options()
	return m
}

// options are tiny, so that everything happens often, and differ from run to
// run, as the sizes are no part of the format.
func (m *machine) options() disk.Options {
	kib := func(from, to int) int64 { return int64(from+m.rng.IntN(to-from+1)) << 10 }
	maxDisk := int64(0)
	if m.rng.IntN(6) == 0 {
		maxDisk = kib(150, 400)
	}
	return disk.Options{
		MaxDisk: maxDisk,
		FS:      m.fs, Dir: dataDir, Clock: m.clock, Manual: true, Durability: m.durability,
		WALFileBytes: kib(8, 24), CheckpointBytes: kib(8, 40), SegmentBytes: kib(8, 32), FlushBytes: kib(1, 6),
		SyncBytes: kib(4, 16), IndexBytes: kib(1, 4), ManifestBytes: kib(1, 4), TailBytes: kib(8, 64),
		PackRuns: 2 + m.rng.IntN(4), OpenFiles: 3 + m.rng.IntN(6), RetentionEvery: time.Second,
		MaxBatchBytes: 64 << 10, MaxRequestBytes: 128 << 10,
		Entropy: entropy{m.rng}, Keys: keys{}, CompactMemory: int64(24 * (10 + m.rng.IntN(60))),
	}
}

// keys are those of encrypted partitions.
type keys struct{}

var keystore = sync.OnceValue(identity.NewKeystore)

func (keys) Cipher(key uint32) (cipher.AEAD, error) { return keystore().Cipher(key) }

// entropy makes a random source a reader.
type entropy struct{ r *rand.Rand }

func (e entropy) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e.r.Uint32())
	}
	return len(p), nil
}

func (m *machine) fail(format string, args ...any) {
	if m.failed == nil {
		m.failed = fmt.Errorf(format, args...)
	}
}

func (m *machine) note(format string, args ...any) {
	m.trace = append(m.trace, fmt.Sprintf("%5d ", m.fs.Calls())+fmt.Sprintf(format, args...))
}

func (m *machine) now() int64 { return clock.Millis(m.clock) }

// open opens the log and checks what it holds against the model.
func (m *machine) open() {
	m.fs.Inject(m.call)
	m.opts.FS = m.fs
	l, err := disk.Open(context.Background(), m.opts)
	if err != nil && m.faulty {
		m.note("open: %v", err)
		return // it says so: nothing was promised
	}
	if err != nil {
		m.fail("open: %w", err)
		return
	}
	m.log = l
	m.opens++
	m.note("open: %+v", l.Recovery())
	m.check()
}

// call is the rule of the file system.
func (m *machine) call(op vfs.Op) error {
	if m.busy && op.Kind >= vfs.OpCreate && m.rng.IntN(12) == 0 {
		m.busy, m.nested = false, true
		m.ops["append during maintenance"]++
		m.stepAppend()
		m.busy, m.nested = true, false
	}
	if m.onCall == nil {
		return nil
	}
	return m.onCall(op)
}

// verify wants a stopped machine's directory to be undamaged: what a crash tears
// is no damage.
func (m *machine) verify() {
	m.ops["verify"]++
	if _, err := m.fs.Stat(dataDir + "/FORMAT"); errors.Is(err, fs.ErrNotExist) {
		return // not made yet
	}
	r, err := disk.Verify(m.fs.Kill(), dataDir, keys{})
	if err != nil || !r.OK() {
		m.fail("verify: %v, %v", err, r.Damage)
		return
	}
	if r.Decrypted != r.Encrypted {
		m.fail("verify: of %d encrypted frames %d open", r.Encrypted, r.Decrypted)
	}
	m.searchDisk()
}

// searchDisk looks for a few batches in every file: what is encrypted is nowhere.
func (m *machine) searchDisk() {
	var disk []byte
	for _, dir := range []string{dataDir, dataDir + "/wal", dataDir + "/seg"} {
		names, _ := m.fs.ReadDir(dir)
		for _, name := range names {
			b, err := vfs.ReadFile(m.fs, dir+"/"+name, 1<<30)
			if err == nil {
				disk = append(disk, b...)
			}
		}
	}
	for _, id := range m.ids() {
		recs := m.model.parts[id].recs
		if len(recs) == 0 {
			continue
		}
		r := recs[m.rng.IntN(len(recs))]
		if len(r.bytes) < batch.HeaderSize+64 || m.opts.Durability == log.Written {
			continue // too little to tell, or perhaps not there
		}
		found := bytes.Contains(disk, r.bytes[batch.HeaderSize:])
		if found != (r.key == 0) && (found || !m.mayBeGone(id, r)) {
			m.fail("partition %v: batch at %d, stored under key %d, is in the clear on disk: %v", id, r.base, r.key, found)
		}
		m.ops["searched for under key "+strconv.Itoa(int(r.key))]++
	}
}

// mayBeGone tells whether a stopped machine may have removed a batch before anybody
// was told: by compaction or retention, or by a request that was not answered.
func (m *machine) mayBeGone(id log.PartitionID, r rec) bool {
	for _, c := range m.candidates() {
		p := c.parts[id]
		if p == nil || p.compacts.ever || p.start > r.base || p.mayStartAt(r.base+int64(r.count), m.now()) == nil {
			return true
		}
	}
	return false
}

// candidates are the states that the log may be in: what was acknowledged, and
// any of the requests whose answer nobody saw, whole.
func (m *machine) candidates() []*model {
	var open []log.Request
	open = append(open, m.unsure...)
	for _, p := range m.inflight {
		open = append(open, p.req)
	}
	out := []*model{m.model}
	if !m.killed {
		out = append(out, m.past...)
	}
	for _, req := range open {
		for _, c := range out[:len(out):len(out)] {
			with := c.clone()
			with.apply(copyRequest(req))
			out = append(out, with)
		}
	}
	return out
}

// check compares the log with the candidates and goes on from the one that fits.
func (m *machine) check() {
	if st := m.log.State(); !st.Writable && !m.faulty {
		m.fail("log opened read-only: %s; %v", st.Reason, m.log.Recovery().Damage)
		return
	}
	all, err := observe(m.log)
	if err != nil {
		m.fail("after recovery: %w", err)
		return
	}
	var first error
	for _, c := range m.candidates() {
		err := c.matches(all, m.now())
		if err == nil {
			c = c.clone() // copies of the disk share past states
			c.adopt(all)
			m.model, m.inflight, m.unsure, m.past, m.killed = c, nil, nil, nil, false
			m.resume()
			return
		}
		if first == nil {
			first = err
		}
	}
	m.fail("after recovery, with %d requests unanswered: %w", len(m.inflight)+len(m.unsure), first)
}

// resume finds the script's own bearings in the model.
func (m *machine) resume() {
	m.streams = m.streams[:0]
	for id := range m.model.parts {
		m.nextID = max(m.nextID, id.Stream+1)
		if id.Stream > 0 && !slices.Contains(m.streams, id.Stream) {
			m.streams = append(m.streams, id.Stream)
		}
	}
	slices.Sort(m.streams)
	if p := m.model.parts[meta]; p != nil {
		m.metaFrom = p.start
	}
}

// append sends req and notes what becomes of it.
func (m *machine) append(req log.Request) {
	if m.durability == log.Written && !m.burst && m.rng.IntN(10) == 0 {
		req.Durability = log.Durable
	}
	m.log.Append(req, m.track(req))
}

// track returns what to call with the results of req.
func (m *machine) track(req log.Request) func([]log.Result) {
	p := &inflight{req: copyRequest(req), late: !m.log.State().Writable}
	m.inflight = append(m.inflight, p)
	return func(rs []log.Result) { m.answered(p, rs) }
}

// expectHidden wants no reader to see what is not synced yet.
func (m *machine) expectHidden() {
	if m.log == nil || m.nested {
		return
	}
	for id, p := range m.model.parts {
		if info, err := m.log.Info(id); err == nil && info.End > p.end {
			m.fail("partition %v shows offsets up to %d before the sync that makes them durable; acknowledged are %d", id, info.End, p.end)
		}
	}
}

func copyRequest(req log.Request) log.Request {
	out := req
	out.Entries = slices.Clone(req.Entries)
	for i := range out.Entries {
		out.Entries[i].Batch = bytes.Clone(out.Entries[i].Batch)
	}
	return out
}

// answered takes the results of p into the model, or finds that they are wrong.
func (m *machine) answered(p *inflight, rs []log.Result) {
	i := slices.Index(m.inflight, p)
	if i < 0 {
		m.fail("answered twice: %s", describe(p.req))
		return
	}
	m.inflight = slices.Delete(m.inflight, i, i+1)
	var outside error
	for _, r := range rs {
		if errors.Is(r.Err, log.ErrNoSpace) || errors.Is(r.Err, log.ErrReadOnly) || errors.Is(r.Err, log.ErrClosed) || isReadOnly(r.Err) {
			outside = r.Err
		}
	}
	switch {
	case errors.Is(outside, log.ErrNoSpace):
		m.refusedForSpace(p.req, rs)
		return
	case outside != nil:
		if !p.late {
			m.unsure = append(m.unsure, p.req)
		}
		return
	}
	m.applied(p.req, rs)
}

// applied takes what was answered into the model, or finds that it is wrong.
func (m *machine) applied(req log.Request, rs []log.Result) {
	if m.opts.Durability == log.Written && slices.ContainsFunc(rs, func(r log.Result) bool { return r.Err == nil }) {
		m.remember(req.Durability)
	}
	want := m.model.apply(copyRequest(req))
	if req.Atomic && slices.ContainsFunc(want, failed) {
		// Of several reasons to refuse it, any one may be told.
		if !slices.ContainsFunc(rs, func(r log.Result) bool { return r.Err == nil }) {
			return
		}
	}
	for k, r := range rs {
		w := want[k]
		if !errors.Is(r.Err, w.Err) || r.Err == nil && (r.Offset != w.Offset || r.Epoch != w.Epoch || r.KeyID != w.KeyID || r.Duplicate != w.Duplicate) {
			m.fail("%s: entry %d answered %+v, want %+v", describe(req), k, r, w)
			return
		}
		if r.Err == nil && req.Entries[k].Kind == log.Data && !r.Duplicate && m.model.parts[req.Entries[k].Partition] != nil {
			m.model.own(req.Entries[k].Partition).setArrival(r.Offset, r.Arrival)
		}
	}
}

// remember keeps the state before a request was acknowledged: a power cut may
// take it back, and everything after it, unless one that asked for more was
// acknowledged since.
func (m *machine) remember(d log.Durability) {
	if d == log.Durable {
		m.past = nil
		return
	}
	m.past = append(m.past, m.model.clone())
}

func failed(r log.Result) bool { return r.Err != nil }

// refusedForSpace expects that nothing of what was refused happened. Outside of
// an atomic request each entry has its own fate.
func (m *machine) refusedForSpace(req log.Request, rs []log.Result) {
	m.ops["refused for space"]++
	rest := log.Request{Durability: req.Durability}
	var left []log.Result
	for k, r := range rs {
		if r.Err == nil && req.Atomic {
			m.fail("%s: entry %d answered %+v although another found no space", describe(req), k, r)
		}
		if !req.Atomic && !errors.Is(r.Err, log.ErrNoSpace) {
			rest.Entries = append(rest.Entries, req.Entries[k])
			left = append(left, r)
		}
	}
	if len(left) > 0 {
		m.applied(rest, left)
	}
}

// data makes a valid batch of n records and about size bytes.
func (m *machine) data(n, size int) []byte {
	var b batch.Builder
	for range n {
		value := make([]byte, m.rng.IntN(size+1))
		for i := range value {
			value[i] = byte(m.rng.Uint32())
		}
		if m.rng.IntN(8) == 0 {
			value = nil
		}
		b.Append(batch.Record{Timestamp: epoch.UnixMilli() + m.rng.Int64N(1000), Key: m.key(), Value: value})
	}
	return b.Finish()
}

// key is one of few, or none.
func (m *machine) key() []byte {
	if k := m.rng.IntN(12); k > 0 {
		return []byte{byte(k)}
	}
	return nil
}

// produced makes the next batch of an idempotent producer.
func (m *machine) produced(id log.PartitionID, producer int64, attributes uint16) []byte {
	b := m.data(1+m.rng.IntN(3), 200)
	seq := int32(0)
	pr := m.model.parts[id].prods[producer]
	if n := len(pr.recent); n > 0 {
		seq = pr.recent[n-1].last + 1
	}
	if n := len(pr.recent); n > 0 && m.rng.IntN(8) == 0 {
		seq += 5 // out of order
	}
	return sign(b, producer, pr.epoch, seq, attributes)
}

// sign writes a producer into a batch.
func sign(b []byte, producer int64, epoch int16, seq int32, attributes uint16) []byte {
	binary.BigEndian.PutUint16(b[21:], attributes)
	binary.BigEndian.PutUint64(b[43:], uint64(producer))
	binary.BigEndian.PutUint16(b[51:], uint16(epoch))
	binary.BigEndian.PutUint32(b[53:], uint32(seq))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], batch.Castagnoli))
	return b
}

// markerTail is where, from the end of a marker, the byte stands that tells a
// commit (1) from an abort (0): the last one of its record's key, before the
// empty value and the count of headers.
const markerTail = 3

// marker makes the control batch that ends a transaction.
func (m *machine) marker(id log.PartitionID, producer int64, commit bool) []byte {
	key := []byte{0, 0, 0, 0}
	if commit {
		key[3] = 1
	}
	var b batch.Builder
	b.Append(batch.Record{Timestamp: epoch.UnixMilli(), Key: key, Value: []byte{}})
	return sign(b.Finish(), producer, m.model.parts[id].prods[producer].epoch, -1, batch.Transactional|batch.Control)
}

// site names a call for the count of crash points.
func site(op vfs.Op) string {
	base := path.Base(op.Name)
	if op.Kind == vfs.OpSyncDir || op.Kind == vfs.OpMkdir {
		return op.Kind.String() + " dir " + strings.TrimPrefix(op.Name, "/")
	}
	if number, class, ok := strings.Cut(base, "."); ok && len(number) == 16 {
		return op.Kind.String() + " " + class
	}
	return op.Kind.String() + " " + base
}

// isReadOnly tells a latched log's refusal.
func isReadOnly(err error) bool { return err != nil && kindIsReadOnly(err) }
