package kafka

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// seeds is one plain request of every version of every key that is served.
func seeds(d *Door) [][]byte {
	var out [][]byte
	for i := range d.apis {
		a := &d.apis[i]
		for version := a.served(); version <= a.max; version++ {
			req := kmsg.RequestForKey(a.key)
			req.SetVersion(version)
			out = append(out, frameOf(req, 1)[4:])
		}
	}
	out = append(out, produceFrame("game", 0, -1, oneBatch("a"), 1)[4:], frameOf(fetchOf("game", 0, 1, 0, 1<<20), 1)[4:])
	return out
}

// FuzzRequest: whatever a frame holds, the server answers it or ends the
// connection, holds no memory for it afterwards, and serves the next client.
func FuzzRequest(f *testing.F) {
	s := newServer(f, 1, func(o *Options) { o.MaxFetchWait = time.Millisecond })
	mustCreate(f, s.client(f), "game", 1)
	for _, frame := range seeds(s.door) {
		f.Add(frame)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) > 64<<10 {
			return
		}
		exchange(t, s.addr, frame)
		req := kmsg.NewPtrApiVersionsRequest()
		if len(exchange(t, s.addr, frameOf(req, 3)[4:])) < 10 {
			t.Fatal("the server is gone")
		}
	})
}

// exchange sends a frame and returns the answer, nothing if there was none.
func exchange(t *testing.T, addr string, frame []byte) []byte {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	_, err = nc.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...))
	if err != nil {
		return nil
	}
	_ = nc.(*net.TCPConn).CloseWrite()
	b, err := io.ReadAll(nc)
	if err, ok := err.(net.Error); ok && err.Timeout() {
		t.Fatal("neither answer nor end")
	}
	return b
}
