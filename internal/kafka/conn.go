package kafka

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/errs"
	"thalweg/internal/kwire"
	"thalweg/internal/limits"
)

const (
	// maxSmallFrame bounds every frame but a Produce.
	maxSmallFrame = 1 << 20
	// freeFrame is the size up to which a frame is not charged: the connections'
	// number bounds them.
	freeFrame = 4 << 10
	// frameShare is which part of the budget one frame may be, either way.
	frameShare = 4
	// decodeFactor is how many bytes a byte of a message can become when it is
	// decoded: an array's length is believed as far as there are bytes.
	decodeFactor = 128
	// maxQueued is how many responses of one connection may wait, produces under
	// way among them.
	maxQueued  = 64
	readBuffer = 8 << 10
)

// errRefused ends a connection whose request cannot be answered.
var errRefused error = errs.New(errs.Invalid, "request is refused")

// conn is one client's connection.
type conn struct {
	door      *Door
	nc        net.Conn
	at        Bound
	localHost string
	principal string // Kafka's name of the client, such as User:ANONYMOUS
	login     login
	begun     time.Time
	counted   sync.Once // ends when the connection is no longer early
	muted     time.Time // until when no request is read
	r         *bufio.Reader
	ctx       context.Context // ends when the connection does
	cancel    context.CancelFunc

	out     chan *reply
	appends sync.WaitGroup // produces that the log has not answered
	once    sync.Once
	closing chan struct{} // closed when no more requests are to be read
}

// reply is one response on its way.
type reply struct {
	// ready, if any, is closed when make may be called.
	ready <-chan struct{}
	// make returns the pieces of the response, size first; none when the client
	// wants none. An error ends the connection.
	make func() ([][]byte, error)
	// done gives back what the pieces hold.
	done func()
	// size is how many bytes the pieces are, if nobody else has charged them.
	size int64
}

func newConn(d *Door, nc net.Conn, at Bound) *conn {
	if at.tls != nil {
		nc = tls.Server(nc, at.tls)
	}
	c := &conn{door: d, nc: nc, at: at, principal: anonymous, begun: d.opts.Clock.Now(), r: bufio.NewReaderSize(nc, readBuffer), out: make(chan *reply, maxQueued),
		closing: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(d.group.Context())
	if host, _, err := net.SplitHostPort(nc.LocalAddr().String()); err == nil {
		c.localHost = host
	}
	return c
}

// finish lets the request under way finish and reads no other.
func (c *conn) finish() {
	c.once.Do(func() {
		close(c.closing)
		c.cancel() // waits end early
		_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	})
}

// abort ends the connection at once.
func (c *conn) abort() {
	c.finish()
	_ = c.nc.Close()
}

// serve reads and serves requests until the connection ends.
func (c *conn) serve(context.Context) error {
	limit := c.door.opts.FirstTimeout
	err := errRefused
	if pause := c.door.quotas.connected(c); pause > 0 {
		c.pause(pause)
	} else {
		err = c.handshake(limit)
	}
	for {
		if err == nil {
			err = c.next(limit)
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				c.door.opts.Logger.Debug("Kafka connection ends", "client", c.nc.RemoteAddr().String(), "error", err)
			}
			break
		}
		limit = c.door.opts.IdleTimeout
	}
	c.finish()
	c.door.shareSessions.leave(c)
	close(c.out)
	return nil
}

// next serves one request, whose first byte may take as long as limit.
func (c *conn) next(limit time.Duration) error {
	if !c.muted.IsZero() {
		c.pause(c.muted.Sub(c.door.opts.Clock.Now()))
		c.muted = time.Time{}
	}
	if err := c.nc.SetReadDeadline(c.deadline(limit)); err != nil {
		return err
	}
	select {
	case <-c.closing: // the deadline above has undone that of finish
		return io.EOF
	default:
	}
	var head [kwire.SizeLen + kwire.HeadLen]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return err
	}
	size := int(int32(binary.BigEndian.Uint32(head[:])))
	key := int16(binary.BigEndian.Uint16(head[kwire.SizeLen:]))
	version := int16(binary.BigEndian.Uint16(head[kwire.SizeLen+2:]))
	a := c.door.api(key)
	most := maxSmallFrame
	if key == kwire.Produce {
		most = c.door.opts.MaxFrameBytes
	}
	if c.early() {
		most = maxEarlyFrame
	}
	switch {
	case size < kwire.HeadLen || size > most:
		return errs.New(errs.Invalid, "frame has an impossible size")
	case a == nil:
		return errs.New(errs.Unsupported, "API key is not served")
	case key != kwire.APIVersions && (version < a.served() || version > a.max):
		return errs.New(errs.Unsupported, "API version is not served")
	}
	if err := c.admit(key); err != nil {
		return err
	}
	f, err := c.frame(head[kwire.SizeLen:], size)
	if err != nil {
		return err
	}
	return c.dispatch(a, f)
}

// deadline is in d, but no later than a client must have said who it is.
func (c *conn) deadline(d time.Duration) time.Time {
	at := c.door.opts.Clock.Now().Add(d)
	if last := c.begun.Add(c.door.opts.FirstTimeout); c.early() && at.After(last) {
		return last
	}
	return at
}

// frame is a request's bytes and what they are charged for.
type frame struct {
	door    *Door
	buf     *[]byte
	charged int64
}

// charge draws the bytes on the budget, whether there is room or not.
func (f *frame) charge() {
	f.charged = int64(len(*f.buf))
	f.door.budget.Take(f.charged)
}

// uncharge gives back the budget but keeps the bytes.
func (f *frame) uncharge() {
	f.door.budget.Release(f.charged)
	f.charged = 0
}

func (f *frame) release() {
	f.uncharge()
	f.door.buffers.put(f.buf)
}

// frame reads the rest of a frame that begins with head. A large one is charged
// when some of it is there, so that a size alone costs nothing.
func (c *conn) frame(head []byte, size int) (*frame, error) {
	took := c.door.opts.FrameTimeout + time.Duration(size>>20)*time.Second
	if err := c.nc.SetReadDeadline(c.deadline(took)); err != nil {
		return nil, err
	}
	f := &frame{door: c.door}
	if size > freeFrame {
		if _, err := c.r.Peek(min(size-len(head), readBuffer)); err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(c.ctx, took)
		defer cancel()
		arriving := c.door.opts.Slots.arriving
		if err := arriving.Acquire(ctx, int64(size)); err != nil {
			return nil, err
		}
		defer arriving.Release(int64(size))
		if err := c.door.budget.Acquire(ctx, int64(size)); err != nil {
			return nil, err
		}
		f.charged = int64(size)
	}
	f.buf = c.door.buffers.get(size)
	n := copy(*f.buf, head)
	if _, err := io.ReadFull(c.r, (*f.buf)[n:]); err != nil {
		f.release()
		return nil, err
	}
	return f, nil
}

// dispatch serves one request and queues its answer. It owns f.
func (c *conn) dispatch(a *api, f *frame) error {
	h, rest, err := kwire.ParseHeader(*f.buf)
	if err != nil {
		f.release()
		return err
	}
	if h.Key == kwire.Produce {
		return c.produce(h, rest, f)
	}
	c.appends.Wait()
	rep, end, err := c.request(a, h, rest)
	f.release()
	if err != nil {
		return err
	}
	return errors.Join(c.queue(rep), end)
}

// request serves one request that is no Produce. end, if any, is for the connection
// once it is answered.
func (c *conn) request(a *api, h kwire.Header, rest []byte) (rep *reply, end, err error) {
	if h.Key == kwire.APIVersions && h.Version > a.max {
		return answer(h, c.door.apiVersionsTooNew()), nil, nil
	}
	req := kmsg.RequestForKey(h.Key)
	req.SetVersion(h.Version)
	if req.IsFlexible() {
		if rest, err = kwire.SkipTags(rest); err != nil {
			return nil, nil, err
		}
	}
	if err := c.decode(req, rest); err != nil {
		return nil, nil, err
	}
	once(req)
	r := &request{conn: c, header: h}
	if in, ok := req.(*kmsg.FetchRequest); ok {
		rep, err = c.door.fetch(r, in)
		return rep, nil, err
	}
	resp, err := c.door.guarded(a, r, req)
	if err != nil {
		return nil, nil, err
	}
	if out, ok := resp.(kmsg.SetThrottleResponse); ok && r.pause > 0 {
		out.SetThrottle(millis(r.pause))
		c.mute(r.pause)
	}
	resp.SetVersion(h.Version)
	return answer(h, resp), r.end, nil
}

// decode reads a body. While it does, it may take far more memory than the body.
func (c *conn) decode(req kmsg.Request, body []byte) error {
	if room := int64(len(body)) * decodeFactor; len(body) > freeFrame {
		budget := c.door.budget
		switch most := budget.Max(); {
		case most > 0 && room > most:
			return limits.ErrTooLarge
		case !budget.TryAcquire(room): // to wait for it could be for ever, with all who have a frame
			c.door.opts.Slots.decoding.Lock()
			defer c.door.opts.Slots.decoding.Unlock()
			budget.Take(room)
		}
		defer budget.Release(room)
	}
	if err := req.ReadFrom(body); err != nil {
		return kwire.ErrMalformed
	}
	return nil
}

// answer is the reply of a response that is ready and has its version.
func answer(h kwire.Header, resp kmsg.Response) *reply {
	buf := kwire.AppendResponseHeader(nil, h.Key, h.Correlation, resp.IsFlexible())
	buf = resp.AppendTo(buf)
	kwire.PutSize(buf, len(buf)-kwire.SizeLen)
	return &reply{size: int64(len(buf)), make: func() ([][]byte, error) { return [][]byte{buf}, nil }}
}

// queue hands a reply to the writer, in turn. A large one is charged until it is
// sent, so that a client that does not take its answers is soon given none.
func (c *conn) queue(r *reply) error {
	if r.size > freeFrame {
		budget := c.door.budget
		if most := budget.Max(); most > 0 && r.size > most/frameShare {
			return limits.ErrTooLarge
		}
		ctx, cancel := context.WithTimeout(c.ctx, c.door.opts.WriteTimeout)
		defer cancel()
		if err := budget.Acquire(ctx, r.size); err != nil {
			return err
		}
		r.done = func() { budget.Release(r.size) }
	}
	c.out <- r // write goes on to the end
	return nil
}

// write sends replies in order until serve ends, then closes the connection.
func (c *conn) write(context.Context) error {
	var failed error
	for r := range c.out {
		if r.ready != nil {
			<-r.ready // the log answers everything
		}
		pieces, err := r.make()
		if failed == nil && err == nil && len(pieces) > 0 {
			err = c.send(pieces)
		}
		if r.done != nil {
			r.done()
		}
		if err != nil && failed == nil {
			failed = err
			c.abort() // serve ends with it
		}
	}
	_ = c.nc.Close() // everything was sent, or cannot be
	c.cancel()
	c.door.leave(c)
	return nil
}

func (c *conn) send(pieces [][]byte) error {
	if err := c.nc.SetWriteDeadline(c.door.opts.Clock.Now().Add(c.door.opts.WriteTimeout)); err != nil {
		return err
	}
	if len(pieces) == 1 {
		_, err := c.nc.Write(pieces[0])
		return err
	}
	b := net.Buffers(pieces)
	_, err := b.WriteTo(c.nc)
	return err
}
