package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	namePrefix = "oracle-"
	scriptTime = 1_700_000_000_000 // of the first record of a script's batches
	patience   = 20 * time.Second  // for an answer, and for a broker that is not there yet
	closedLine = "the connection was closed"
)

// span is a range of versions.
type span struct{ min, max int16 }

// broker is what is asked.
type broker struct {
	addr   string
	served map[int16]span // as it says itself, and kmsg knows
}

// dialBroker asks addr which versions it serves.
func dialBroker(ctx context.Context, addr string) (*broker, error) {
	b := &broker{addr: addr, served: map[int16]span{}}
	c := &client{ctx: ctx, addr: addr}
	defer c.close()
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = 4, "oracle", "1"
	resp, err := c.ask(req)
	if err != nil {
		return nil, err
	}
	for _, k := range resp.(*kmsg.ApiVersionsResponse).ApiKeys {
		if r := kmsg.RequestForKey(k.ApiKey); r != nil {
			b.served[k.ApiKey] = span{k.MinVersion, min(k.MaxVersion, r.MaxVersion())}
		}
	}
	return b, nil
}

// answer is what a step gave.
type answer struct {
	step  string
	lines []line
}

// run sends a script in one version.
func (b *broker) run(ctx context.Context, s *script, version int16) ([]answer, error) {
	r := &runner{broker: b, script: s, version: version, ctx: ctx, clients: map[string]*client{}, vars: map[string]any{
		"T": fmt.Sprintf("%s%s-v%d-", namePrefix, s.name, version),
	}}
	defer func() {
		for _, c := range r.clients {
			c.close()
		}
	}()
	var out []answer
	for i := range s.Steps {
		st := &s.Steps[i]
		if !st.taken(version) {
			continue
		}
		lines, err := r.step(st)
		if err != nil {
			return nil, fmt.Errorf("%s v%d, %s: %w", s.name, version, st.Name, err)
		}
		if !st.Quiet && !st.Later && !st.Silent {
			out = append(out, answer{st.Name, lines})
		}
	}
	return out, nil
}

type runner struct {
	ctx     context.Context
	broker  *broker
	script  *script
	version int16
	vars    map[string]any
	clients map[string]*client
}

func (r *runner) step(st *step) ([]line, error) {
	c := r.clients[st.On]
	if c == nil {
		c = &client{ctx: r.ctx, addr: r.broker.addr}
		r.clients[st.On] = c
	}
	if st.Raw != nil {
		return c.refused(*st.Raw)
	}
	deadline := time.Now().Add(patience)
	for {
		resp, err := r.exchange(c, st)
		switch {
		case errors.Is(err, io.EOF):
			c.close()
			return []line{{closedLine, "-"}}, nil
		case err != nil:
			return nil, err
		case resp == nil:
			return nil, nil
		}
		re := renderer{r.vars, st.Mask}
		there := st.Until == "" || slices.ContainsFunc(re.render(resp), func(l line) bool { return matches(st.Until, l.path) })
		if (!there || retriable(resp, st.Retry)) && time.Now().Before(deadline) {
			pause(r.ctx, 50*time.Millisecond)
			continue
		}
		for name, at := range st.Keep {
			v, err := find(reflect.ValueOf(resp).Elem(), at)
			if err != nil {
				return nil, err
			}
			r.vars[name] = v
		}
		return re.render(resp), nil
	}
}

// exchange sends a request, awaits an answer, or both.
func (r *runner) exchange(c *client, st *step) (kmsg.Response, error) {
	if st.Answer {
		return c.read()
	}
	req, err := r.request(st)
	if err != nil {
		return nil, err
	}
	if err := c.send(req); err != nil {
		return nil, err
	}
	if st.Silent {
		c.waiting = c.waiting[:len(c.waiting)-1]
	}
	if st.Later || st.Silent {
		return nil, nil
	}
	return c.read()
}

func (r *runner) request(st *step) (kmsg.Request, error) {
	key, err := keyOf(st.Send)
	if err != nil {
		return nil, err
	}
	req := kmsg.RequestForKey(key)
	setDefaults(reflect.ValueOf(req))
	switch {
	case st.Version != nil:
		req.SetVersion(*st.Version)
	case st.Send == r.script.Key:
		req.SetVersion(r.version)
	default:
		req.SetVersion(r.broker.served[key].max)
	}
	return req, fill(reflect.ValueOf(req).Elem(), map[string]any(st.Body), r.vars)
}

// retriable tells whether resp carries one of the codes, or that a coordinator is
// not there yet.
func retriable(resp kmsg.Response, codes []string) bool {
	codes = append([]string{"COORDINATOR_NOT_AVAILABLE", "COORDINATOR_LOAD_IN_PROGRESS", "NOT_COORDINATOR"}, codes...)
	re := renderer{vars: map[string]any{"T": namePrefix}}
	return slices.ContainsFunc(re.render(resp), func(l line) bool {
		return slices.ContainsFunc(strings.Fields(l.value), func(word string) bool { return slices.Contains(codes, word) })
	})
}

// find returns the value at a path of field names and indexes.
func find(v reflect.Value, at string) (any, error) {
	for name := range strings.SplitSeq(at, ".") {
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if v.Kind() == reflect.Slice {
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= v.Len() {
				return nil, fmt.Errorf("the answer has no %s", at)
			}
			v = v.Index(i)
			continue
		}
		if v = v.FieldByName(name); !v.IsValid() {
			return nil, fmt.Errorf("the answer has no %s", at)
		}
	}
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	return v.Interface(), nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// client is one connection, opened when it is used and again after it was closed.
type client struct {
	ctx     context.Context
	addr    string
	conn    net.Conn
	next    int32
	waiting []waiting // requests without their answer, in order
}

type waiting struct {
	id  int32
	req kmsg.Request
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close() // nothing is expected of it any more
	}
	c.conn, c.waiting = nil, nil
}

func (c *client) write(frame []byte) error {
	if c.conn == nil {
		var d net.Dialer
		conn, err := d.DialContext(c.ctx, "tcp", c.addr)
		if err != nil {
			return err
		}
		c.conn = conn
	}
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := c.conn.Write(frame)
	return err
}

func (c *client) send(req kmsg.Request) error {
	c.next++
	c.waiting = append(c.waiting, waiting{c.next, req})
	return c.write(kmsg.NewRequestFormatter(kmsg.FormatterClientID("oracle")).AppendRequest(nil, req, c.next))
}

// read returns the next answer; [io.EOF] if the broker closed the connection.
func (c *client) read() (kmsg.Response, error) {
	if len(c.waiting) == 0 {
		return nil, errors.New("there is no request without an answer")
	}
	body, err := c.frame()
	if err != nil {
		return nil, err
	}
	w := c.waiting[0]
	c.waiting = c.waiting[1:]
	if len(body) < 4 || int32(binary.BigEndian.Uint32(body)) != w.id {
		return nil, fmt.Errorf("the answer is not to request %d", w.id)
	}
	body = body[4:]
	resp := w.req.ResponseKind()
	if w.req.Key() == 18 { // its header is never flexible, and the version may be refused
		if len(body) >= 2 && kerr.ErrorForCode(int16(binary.BigEndian.Uint16(body))) == kerr.UnsupportedVersion {
			resp.SetVersion(0)
		}
	} else if w.req.IsFlexible() {
		if len(body) == 0 || body[0] != 0 {
			return nil, errors.New("the header of the answer has tags")
		}
		body = body[1:]
	}
	return resp, resp.ReadFrom(body)
}

func (c *client) ask(req kmsg.Request) (kmsg.Response, error) {
	if err := c.send(req); err != nil {
		return nil, err
	}
	return c.read()
}

func (c *client) frame() ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(c.conn, size[:]); err != nil {
		return nil, closedIs(err)
	}
	body := make([]byte, binary.BigEndian.Uint32(size[:]))
	_, err := io.ReadFull(c.conn, body)
	return body, closedIs(err)
}

// closedIs makes every way of closing a connection io.EOF.
func closedIs(err error) error {
	var timeout net.Error
	if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		return err
	}
	return io.EOF
}

// refused sends a key that has no message and tells what came of it.
func (c *client) refused(key int16) ([]line, error) {
	frame := binary.BigEndian.AppendUint16([]byte{0, 0, 0, 10}, uint16(key))
	frame = append(frame, 0, 0, 0, 0, 0, 1, 0xff, 0xff)
	if err := c.write(frame); err != nil {
		return nil, err
	}
	body, err := c.frame()
	if errors.Is(err, io.EOF) {
		c.close()
		return []line{{closedLine, "-"}}, nil
	}
	return []line{{"answer", fmt.Sprintf("%q", body)}}, err
}
