package kafka

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/kwire"
	"thalweg/internal/limits"
)

// many is a request about n topics that there are not.
func many(n int) kmsg.Request {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 9
	for i := range n {
		name := fmt.Sprintf("no-such-topic-%06d", i)
		req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &name})
	}
	return req
}

// TestRoomToDecode: requests for which there is no memory to decode them are decoded
// nevertheless, one after the other: they would wait for each other's frames.
func TestRoomToDecode(t *testing.T) {
	s := newServer(t, 1, func(o *Options) { o.Budget = limits.NewBudget(16 << 20) })
	frame := frameOf(many(4600), 1) // 100 KiB, of which one is decoded at a time
	var wg sync.WaitGroup
	for range 150 {
		r := s.raw(t)
		wg.Go(func() {
			_, err := r.nc.Write(frame)
			if err == nil {
				_, err = io.ReadFull(r.nc, make([]byte, 8))
			}
			if err != nil {
				t.Errorf("not answered: %v", err)
			}
			r.nc.Close()
		})
	}
	wg.Wait()
}

// lonely is a connection that nobody writes the replies of.
func (s *server) lonely(t *testing.T) *conn {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() { here.Close(); there.Close() })
	c := newConn(s.door, here, s.door.Bound()[0])
	t.Cleanup(c.cancel)
	return c
}

// dispatched has a connection serve a request and returns its reply.
func (c *conn) dispatched(t *testing.T, request []byte) *reply {
	t.Helper()
	f := &frame{door: c.door, buf: c.door.buffers.get(len(request) - kwire.SizeLen)}
	copy(*f.buf, request[kwire.SizeLen:])
	h, _, err := kwire.ParseHeader(*f.buf)
	if err == nil {
		err = c.dispatch(c.door.api(h.Key), f)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := <-c.out
	if r.ready != nil {
		<-r.ready
	}
	return r
}

// TestRepliesAreCharged: what waits to be sent to a client that does not take it is
// drawn on the budget: answers, and the frames of produces that were answered.
func TestRepliesAreCharged(t *testing.T) {
	s := newServer(t, 1, nil)
	mustCreate(t, s.client(t), "game", 1)
	c := s.lonely(t)
	for name, request := range map[string][]byte{
		"an answer": frameOf(many(4600), 1),
		"a produce": produceFrame("game", 0, 1, oneBatch(string(make([]byte, 100<<10))), 1),
	} {
		before := s.budget.Used()
		r := c.dispatched(t, request)
		if held := s.budget.Used() - before; held < 100<<10 {
			t.Errorf("%s holds %d bytes of the budget until it is sent", name, held)
		}
		held := s.budget.Used()
		if r.done(); held-s.budget.Used() < 100<<10 {
			t.Errorf("%s gives back %d bytes", name, held-s.budget.Used())
		}
	}
}

// TestFramesArriveInHalf: frames that are slow to arrive hold half of the memory at
// most.
func TestFramesArriveInHalf(t *testing.T) {
	budget := limits.NewBudget(16 << 20)
	s := newServer(t, 1, func(o *Options) { o.Budget = budget })
	head := produceFrame("game", 0, 1, oneBatch(string(make([]byte, 3<<20))), 1)[:64<<10]
	for range 6 { // 18 MiB
		s.raw(t).write(head)
	}
	for s.door.opts.Slots.arriving.Used() < 6<<20 { // two are on their way
		runtime.Gosched()
	}
	if held := budget.Used(); held > 9<<20 {
		t.Errorf("frames of which 64 KiB are there hold %d MiB", held>>20)
	}
}

// TestFramesWaitForATime: a frame for which there is no memory does not wait for ever:
// everybody else who needs some would wait behind it.
func TestFramesWaitForATime(t *testing.T) {
	budget := limits.NewBudget(16 << 20)
	s := newServer(t, 1, func(o *Options) { o.Budget, o.FrameTimeout = budget, 50*time.Millisecond })
	budget.Take(15 << 20) // for good
	defer budget.Release(15 << 20)
	r := s.raw(t)
	r.write(produceFrame("game", 0, 1, oneBatch(string(make([]byte, 2<<20))), 1)[:64<<10])
	r.closed()
	if err := budget.Acquire(t.Context(), 1<<10); err != nil {
		t.Error(err)
	}
	budget.Release(1 << 10)
}

// TestSocketsHaveNoSlots: a broker that nobody comes to takes no connection's place.
func TestSocketsHaveNoSlots(t *testing.T) {
	s := newServer(t, 3, func(o *Options) { o.Slots = NewSlots(1, nil) })
	for _, at := range s.door.Bound() {
		s.addr = at.Addr
		r := s.raw(t)
		r.write(frameOf(kmsg.NewPtrApiVersionsRequest(), 1))
		r.read()
		r.nc.Close()
	}
}
