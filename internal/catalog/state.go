package catalog

import (
	"encoding/json"
	"fmt"
	"slices"

	"thalweg/internal/errs"
	"thalweg/internal/invariants"
	"thalweg/internal/log"
	"thalweg/internal/meta"
)

// state is what the events say.
type state struct {
	byKey    map[Key]*Resource
	byNumber map[uint64]*Resource
	// consumers are those of a stream, by its number, sorted by name. The lists
	// are replaced, never changed.
	consumers map[uint64][]*Resource
	// queues are those over a stream, likewise.
	queues map[uint64][]*Resource
	// channels are those of a stream, likewise.
	channels map[uint64][]*Resource
	// next is the next stream number; 0 is the log's own.
	next uint64
	// graves holds, for a name that is gone, the last creation second that its
	// sequence numbers may bear, so that a successor's is later. Of names that are
	// gone and not here it is floor at most.
	graves map[Key]int64
	floor  int64
	// sweep is how many graves call for a sweep.
	sweep int
	// sizes are the bytes of the event that puts each resource, bytes their sum:
	// what a snapshot takes.
	sizes map[Key]int
	bytes int
}

// event is one change, as stored: exactly one member is set.
type event struct {
	Put    *Resource `json:"put,omitempty"`
	Delete *grave    `json:"delete,omitempty"`
	Next   uint64    `json:"next,omitempty"` // snapshots only
	Grave  *grave    `json:"grave,omitempty"`
}

// grave is what is kept of a removed resource.
type grave struct {
	Key
	Second int64 `json:"second"`
	At     int64 `json:"at"` // Unix seconds of the removal
}

// maxGraves is how many graves are kept at least. Beyond it those go whose second
// the clock has passed: the floor says enough of them, even if it is set back.
const maxGraves = 10_000

// machine is the catalog as meta sees it.
type machine Catalog

// Reset implements [meta.Machine].
func (m *machine) Reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.memory.Release(int64(m.state.bytes))
	m.state = state{
		byKey: map[Key]*Resource{}, byNumber: map[uint64]*Resource{}, consumers: map[uint64][]*Resource{},
		queues: map[uint64][]*Resource{}, channels: map[uint64][]*Resource{},
		graves: map[Key]int64{}, next: 1, sizes: map[Key]int{}, sweep: maxGraves,
	}
}

// Apply implements [meta.Machine].
func (m *machine) Apply(data []byte) error {
	var e event
	if err := json.Unmarshal(data, &e); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &m.state
	before := s.bytes
	switch {
	case e.Put != nil:
		s.put(e.Put)
		s.weigh(e.Put.Key, len(data))
	case e.Delete != nil:
		s.delete(e.Delete)
	case e.Grave != nil:
		s.bury(e.Grave)
	case e.Next > 0:
		s.next = max(s.next, e.Next)
	default:
		return errs.New(errs.Unsupported, "catalog event of a newer version")
	}
	if grown := int64(s.bytes - before); grown > 0 {
		m.memory.Take(grown)
	} else {
		m.memory.Release(-grown)
	}
	return nil
}

func (s *state) put(r *Resource) {
	s.byKey[r.Key] = r
	delete(s.graves, r.Key)
	if r.Stream != nil {
		s.byNumber[r.Stream.Number] = r
		s.next = max(s.next, r.Stream.Number+1)
	}
	if r.Cluster != nil {
		s.next = max(s.next, r.Cluster.Number+1)
	}
	if r.Delivery != nil {
		s.next = max(s.next, r.Delivery.Number+1)
	}
	if r.Consumer != nil {
		attach(s.consumers, r.Consumer.Stream, r.Key, r)
	}
	if r.Queue != nil {
		attach(s.queues, r.Queue.Stream, r.Key, r)
	}
	if r.Channel != nil {
		attach(s.channels, r.Delivery.Source.Stream, r.Key, r)
	}
}

// weigh notes the size of the event that puts the resource of that key, 0 of one
// that is gone.
func (s *state) weigh(k Key, size int) {
	s.bytes += size - s.sizes[k]
	if s.sizes[k] = size; size == 0 {
		delete(s.sizes, k)
	}
}

// attach replaces the resource of that key in its stream's list; nil removes it.
func attach(lists map[uint64][]*Resource, number uint64, k Key, r *Resource) {
	list := slices.Clone(lists[number])
	i, found := slices.BinarySearchFunc(list, k, func(c *Resource, k Key) int { return compareKeys(c.Key, k) })
	switch {
	case found && r != nil:
		list[i] = r
	case found:
		list = slices.Delete(list, i, i+1)
	case r != nil:
		list = slices.Insert(list, i, r)
	}
	if lists[number] = list; len(list) == 0 {
		delete(lists, number)
	}
}

func (s *state) delete(g *grave) {
	switch r := s.byKey[g.Key]; {
	case r == nil:
	case r.Stream != nil:
		delete(s.byNumber, r.Stream.Number)
	case r.Consumer != nil:
		attach(s.consumers, r.Consumer.Stream, r.Key, nil)
	case r.Queue != nil:
		attach(s.queues, r.Queue.Stream, r.Key, nil)
	case r.Channel != nil:
		attach(s.channels, r.Delivery.Source.Stream, r.Key, nil)
	}
	delete(s.byKey, g.Key)
	s.weigh(g.Key, 0)
	s.bury(g)
	if len(s.graves) <= s.sweep {
		return
	}
	for k, second := range s.graves {
		if second < g.At {
			delete(s.graves, k)
			s.floor = max(s.floor, second)
		}
	}
	s.sweep = max(maxGraves, 2*len(s.graves))
}

// bury keeps a grave; one without a name is the floor.
func (s *state) bury(g *grave) {
	if g.Key == (Key{}) {
		s.floor = max(s.floor, g.Second)
		return
	}
	s.graves[g.Key] = g.Second
}

// Snapshot implements [meta.Machine]. Commits are held off meanwhile, so reading
// without the lock would do; it is taken for the race detector's sake and for
// readers of this code.
func (m *machine) Snapshot(emit func([]byte)) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	emit(encode(event{Next: m.state.next}))
	emit(encode(event{Grave: &grave{Second: m.state.floor}}))
	for k, second := range m.state.graves {
		emit(encode(event{Grave: &grave{Key: k, Second: second}}))
	}
	resources := make([]*Resource, 0, len(m.state.byKey))
	for _, r := range m.state.byKey {
		resources = append(resources, r)
	}
	slices.SortFunc(resources, func(a, b *Resource) int { return compareKeys(a.Key, b.Key) })
	for _, r := range resources {
		emit(encode(event{Put: r}))
	}
}

// encode cannot fail: every type in an event has a JSON form.
func encode(e event) []byte {
	b, err := json.Marshal(e)
	invariants.Check(err == nil, "encode catalog event: %v", err)
	return b
}

// Tx is one update in the making. It is valid during the call it is given to.
type Tx struct {
	c       *Catalog
	change  meta.Change
	numbers uint64
	growth  int // bytes of what is put, less what that replaces
}

// fits refuses an update by which the catalog would outgrow its snapshots, or its
// part of the memory.
func (tx *Tx) fits() error {
	tx.c.mu.RLock()
	bytes := tx.c.state.bytes
	tx.c.mu.RUnlock()
	if tx.growth > 0 && bytes+tx.growth > tx.c.max {
		return errs.New(errs.LimitExceeded, fmt.Sprintf("What this server keeps of streams, consumers, queues and clusters, their tags and "+
			"policies in all accounts and regions would take more than %d KiB. Remove some first.", tx.c.max>>10))
	}
	return nil
}

// Get is Catalog.Get: the state before the update.
func (tx *Tx) Get(k Key) *Resource { return tx.c.Get(k) }

// List is Catalog.List: the state before the update.
func (tx *Tx) List(kind Kind, scope Scope) []*Resource { return tx.c.List(kind, scope) }

// Consumers is Catalog.Consumers: the state before the update.
func (tx *Tx) Consumers(number uint64) []*Resource { return tx.c.Consumers(number) }

// Queues is Catalog.Queues: the state before the update.
func (tx *Tx) Queues(number uint64) []*Resource { return tx.c.Queues(number) }

// Channels is Catalog.Channels: the state before the update.
func (tx *Tx) Channels(number uint64) []*Resource { return tx.c.Channels(number) }

// NewStreamNumber returns a stream number that was never used.
func (tx *Tx) NewStreamNumber() uint64 {
	tx.c.mu.RLock()
	defer tx.c.mu.RUnlock()
	n := tx.c.state.next + tx.numbers
	tx.numbers++
	return n
}

// LastSecond returns the last creation second of a removed resource of that key, or
// a later one that has passed; 0 if nothing is remembered.
func (tx *Tx) LastSecond(k Key) int64 {
	tx.c.mu.RLock()
	defer tx.c.mu.RUnlock()
	return max(tx.c.state.graves[k], tx.c.state.floor)
}

// Put adds r or replaces the one of its key. Its Version is set; r belongs to
// the catalog from here on.
func (tx *Tx) Put(r *Resource) {
	r.Version = 1
	if old := tx.c.Get(r.Key); old != nil {
		r.Version = old.Version + 1
	}
	b := encode(event{Put: r})
	if r.State != Deleting { // that it goes can always be said
		tx.c.mu.RLock()
		tx.growth += len(b) - tx.c.state.sizes[r.Key]
		tx.c.mu.RUnlock()
	}
	tx.change.Events = append(tx.change.Events, b)
}

// Delete removes the resource of that key. lastSecond is the latest creation
// second in its sequence numbers, at is now, both Unix seconds.
func (tx *Tx) Delete(k Key, lastSecond, at int64) {
	tx.change.Events = append(tx.change.Events, encode(event{Delete: &grave{Key: k, Second: lastSecond, At: at}}))
}

// Entry adds a change of a partition to the update.
func (tx *Tx) Entry(e log.Entry) { tx.change.Entries = append(tx.change.Entries, e) }
