package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
	"thalweg/internal/log/batch"
)

var update = flag.Bool("update", false, "rewrite golden files")

// raw is a connection that a test writes bytes to.
type raw struct {
	t  testing.TB
	nc net.Conn
}

func (s *server) raw(t testing.TB) *raw {
	t.Helper()
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &raw{t, nc}
}

func frameOf(req kmsg.Request, correlation int32) []byte {
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, req, correlation)
}

func (r *raw) write(b []byte) {
	r.t.Helper()
	if _, err := r.nc.Write(b); err != nil {
		r.t.Fatal(err)
	}
}

// read returns a response's correlation and what follows.
func (r *raw) read() (int32, []byte) {
	r.t.Helper()
	var size [4]byte
	if _, err := io.ReadFull(r.nc, size[:]); err != nil {
		r.t.Fatal(err)
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(r.nc, b); err != nil {
		r.t.Fatal(err)
	}
	return int32(binary.BigEndian.Uint32(b)), b[4:]
}

// closed waits until the server has ended the connection, without an answer.
func (r *raw) closed() {
	r.t.Helper()
	if n, err := r.nc.Read(make([]byte, 1)); n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		r.t.Fatalf("the connection is not ended: %d bytes, %v", n, err)
	}
}

// TestAPIVersions: the table that clients see changes on purpose only.
func TestAPIVersions(t *testing.T) {
	s := newServer(t, 1, nil)
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = 3, "test", "1.0"
	r := s.raw(t)
	r.write(frameOf(req, 1))
	_, body := r.read()
	resp := &kmsg.ApiVersionsResponse{Version: 3}
	if err := resp.ReadFrom(body); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, k := range resp.ApiKeys {
		fmt.Fprintf(&b, "%2d %-24s %d to %d\n", k.ApiKey, kmsg.NameForKey(k.ApiKey), k.MinVersion, k.MaxVersion)
	}
	name := filepath.Join("testdata", "api_versions.golden")
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(name, []byte(b.String()), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil || string(want) != b.String() {
		t.Fatalf("ApiVersions has changed (%v); run go test ./internal/kafka -update\n%s", err, b.String())
	}
	// Every key has a file of its own that opens with its contract.
	for _, k := range resp.ApiKeys {
		found, err := filepath.Glob(fmt.Sprintf("%02d_*.go", k.ApiKey))
		if err != nil || len(found) != 1 {
			t.Fatalf("key %d: files %v, %v", k.ApiKey, found, err)
		}
		src, err := os.ReadFile(found[0])
		if err != nil || !bytes.Contains(bytes.ToLower(src), []byte("\n// "+strings.ToLower(kmsg.NameForKey(k.ApiKey))+"\n//\n")) || !bytes.Contains(src, []byte("\n// Status: ")) {
			t.Errorf("%s does not open with the contract of %s and its status: %v", found[0], kmsg.NameForKey(k.ApiKey), err)
		}
	}
}

func TestAPIVersionsOfAnyClient(t *testing.T) {
	s := newServer(t, 1, nil)
	ask := func(version int16, change func(*kmsg.ApiVersionsRequest)) *kmsg.ApiVersionsResponse {
		req := kmsg.NewPtrApiVersionsRequest()
		req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = min(version, 5), "test", "1.0"
		if change != nil {
			change(req)
		}
		f := frameOf(req, 7)
		binary.BigEndian.PutUint16(f[6:], uint16(version))
		r := s.raw(t)
		r.write(f)
		correlation, body := r.read()
		resp := &kmsg.ApiVersionsResponse{Version: version}
		if version > 5 {
			resp.Version = 0
		}
		if err := resp.ReadFrom(body); err != nil || correlation != 7 {
			t.Fatalf("version %d: correlation %d, %v", version, correlation, err)
		}
		return resp
	}
	for version := range int16(6) {
		if got := ask(version, nil); got.ErrorCode != 0 || len(got.ApiKeys) != len(s.door.apis) {
			t.Errorf("version %d: %+v", version, got)
		}
	}
	if got := ask(99, nil); got.ErrorCode != 35 || len(got.ApiKeys) != 1 || got.ApiKeys[0].MaxVersion != 5 {
		t.Errorf("version 99: %+v", got)
	}
	if got := ask(3, func(r *kmsg.ApiVersionsRequest) { r.ClientSoftwareName = "bad name" }); got.ErrorCode != 42 {
		t.Errorf("a bad name: %+v", got)
	}
	id := s.cluster.ID()
	if got := ask(5, func(r *kmsg.ApiVersionsRequest) { r.ClusterID, r.NodeID = &id, 1 }); got.ErrorCode != 0 {
		t.Errorf("the right broker: %+v", got)
	}
	if got := ask(5, func(r *kmsg.ApiVersionsRequest) { r.ClusterID, r.NodeID = &id, 2 }); got.ErrorCode != 129 {
		t.Errorf("another broker: %+v", got)
	}
}

// TestUnservedRequestsEndTheConnection: as with Apache Kafka, what cannot be read
// cannot be answered.
func TestUnservedRequestsEndTheConnection(t *testing.T) {
	s := newServer(t, 1, func(o *Options) { o.MaxFrameBytes = 2 << 20 })
	head := func(size uint32, key, version uint16) []byte {
		b := binary.BigEndian.AppendUint32(nil, size)
		b = binary.BigEndian.AppendUint16(b, key)
		b = binary.BigEndian.AppendUint16(b, version)
		return append(b, 0, 0, 0, 1, 0xff, 0xff)
	}
	for name, b := range map[string][]byte{
		"a size below a header's":    head(4, 3, 12),
		"a negative size":            head(1<<31+5, 3, 12),
		"a metadata larger than any": head(maxSmallFrame+1, 3, 12),
		"a produce larger than any":  head(2<<20+1, 0, 9),
		"a key that there is not":    head(10, 999, 0),
		"a key that is not served":   head(10, 27, 1),
		"a version too new":          head(10, 3, 99),
		"a version too old":          head(10, 1, 3),
		"a produce of version 2":     head(10, 0, 2),
		"a body cut off":             head(10, 3, 12),
		"a produce cut off":          head(10, 0, 9),
		"HTTP":                       []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"TLS":                        []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdefghijklmnop"),
	} {
		t.Run(name, func(t *testing.T) {
			r := s.raw(t)
			r.write(b)
			r.closed()
		})
	}
	if used := s.budget.Used(); used > 64<<20 {
		t.Errorf("%d bytes are still taken", used)
	}
}

func TestSlowConnectionsEnd(t *testing.T) {
	s := newServer(t, 1, func(o *Options) { o.FirstTimeout, o.FrameTimeout = 20*time.Millisecond, 20*time.Millisecond })
	silent := s.raw(t)
	silent.closed()
	half := s.raw(t)
	f := frameOf(kmsg.NewPtrMetadataRequest(), 1)
	half.write(f[:len(f)-1])
	half.closed()
	large := s.raw(t) // a size that is believed only as it is filled
	large.write(append(binary.BigEndian.AppendUint32(nil, 900<<10), 0, 0, 0, 9, 0, 0, 0, 1))
	large.closed()
}

// produceFrame is a produce of one batch, from another producer than kgo.
func produceFrame(topic string, partition int32, acks int16, records []byte, correlation int32) []byte {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks = 9, acks
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, records
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return frameOf(req, correlation)
}

func oneBatch(values ...string) []byte {
	var b batch.Builder
	for _, v := range values {
		b.Append(batch.Record{Key: []byte("k"), Value: []byte(v), Timestamp: time.Now().UnixMilli()})
	}
	return bytes.Clone(b.Finish())
}

func produced(t *testing.T, body []byte) kmsg.ProduceResponseTopicPartition {
	t.Helper()
	resp := &kmsg.ProduceResponse{Version: 9}
	if err := resp.ReadFrom(body[1:]); err != nil { // the header's tags first
		t.Fatal(err)
	}
	return resp.Topics[0].Partitions[0]
}

// TestOrder: answers come in the order of the requests, and a request after
// produces sees what they did.
func TestOrder(t *testing.T) {
	s := newServer(t, 1, nil)
	mustCreate(t, s.client(t), "game", 1)
	r := s.raw(t)
	var out []byte
	const n = 50
	for i := range int32(n) {
		out = append(out, produceFrame("game", 0, -1, oneBatch(fmt.Sprint(i)), 2*i)...)
		lo := kmsg.NewPtrListOffsetsRequest()
		lo.Version = 6
		lt := kmsg.NewListOffsetsRequestTopic()
		lt.Topic = "game"
		lp := kmsg.NewListOffsetsRequestTopicPartition()
		lp.Timestamp = -1
		lt.Partitions = append(lt.Partitions, lp)
		lo.Topics = append(lo.Topics, lt)
		out = append(out, frameOf(lo, 2*i+1)...)
	}
	r.write(out)
	for i := range int32(2 * n) {
		correlation, body := r.read()
		if correlation != i {
			t.Fatalf("answer %d is to request %d", i, correlation)
		}
		if i%2 == 0 {
			if p := produced(t, body); p.ErrorCode != 0 || p.BaseOffset != int64(i/2) {
				t.Fatalf("produce %d: %+v", i/2, p)
			}
			continue
		}
		resp := &kmsg.ListOffsetsResponse{Version: 6}
		if err := resp.ReadFrom(body[1:]); err != nil {
			t.Fatal(err)
		}
		if got := resp.Topics[0].Partitions[0].Offset; got != int64(i/2+1) {
			t.Fatalf("after produce %d the end is %d", i/2, got)
		}
	}
}

func TestProduceRefusals(t *testing.T) {
	s := newServer(t, 1, nil)
	cl := s.client(t)
	mustCreate(t, cl, "game", 1, "max.message.bytes", "500")
	mustCreate(t, cl, "table", 1, "cleanup.policy", "compact")
	damaged := oneBatch("one")
	damaged[len(damaged)-1] ^= 1
	old := oneBatch("one")
	old[16] = 1
	var keyless, late batch.Builder
	keyless.Append(batch.Record{Value: []byte("v"), Timestamp: time.Now().UnixMilli()})
	late.Append(batch.Record{Value: []byte("v"), Timestamp: time.Now().Add(2 * time.Hour).UnixMilli()})
	for name, tc := range map[string]struct {
		topic   string
		acks    int16
		records []byte
		want    brokers.Code
	}{
		"fine":                  {"game", -1, oneBatch("one"), brokers.OK},
		"fine, acks 1":          {"game", 1, oneBatch("one"), brokers.OK},
		"no topic":              {"none", -1, oneBatch("one"), brokers.UnknownTopic},
		"acks 2":                {"game", 2, oneBatch("one"), brokers.InvalidRequiredAcks},
		"checksum":              {"game", -1, damaged, brokers.CorruptMessage},
		"magic 1":               {"game", -1, old, brokers.InvalidRecord},
		"two batches":           {"game", -1, append(oneBatch("one"), oneBatch("two")...), brokers.InvalidRecord},
		"no batch":              {"game", -1, nil, brokers.InvalidRecord},
		"rubbish":               {"game", -1, []byte("rubbish"), brokers.CorruptMessage},
		"too large":             {"game", -1, oneBatch(strings.Repeat("x", 600)), brokers.MessageTooLarge},
		"no key, compacted":     {"table", -1, bytes.Clone(keyless.Finish()), brokers.InvalidRecord},
		"from the future":       {"game", -1, bytes.Clone(late.Finish()), brokers.InvalidTimestamp},
		"control batch":         {"game", -1, reseal(oneBatch("one"), batch.Control), brokers.InvalidRecord},
		"of no producer":        {"game", -1, reseal(oneBatch("one"), batch.Transactional), brokers.InvalidRecord},
		"of no transaction":     {"game", -1, reseal(sequenced(oneBatch("one")), batch.Transactional), brokers.InvalidTxnState},
		"unknown compression":   {"game", -1, reseal(oneBatch("one"), 6), brokers.UnsupportedCompression},
		"gzip that is not gzip": {"game", -1, reseal(oneBatch("one"), 1), brokers.InvalidRecord},
	} {
		t.Run(name, func(t *testing.T) {
			r := s.raw(t)
			r.write(produceFrame(tc.topic, 0, tc.acks, tc.records, 1))
			_, body := r.read()
			p := produced(t, body)
			if p.ErrorCode != int16(tc.want) || (tc.want == 0) != (p.ErrorMessage == nil) || (tc.want == 0) != (p.BaseOffset >= 0) {
				t.Errorf("%+v, want code %d", p, tc.want)
			}
		})
	}
	t.Run("acks 0 has no answer, an error ends it", func(t *testing.T) {
		r := s.raw(t)
		r.write(produceFrame("game", 0, 0, oneBatch("one"), 1))
		r.write(produceFrame("game", 0, -1, oneBatch("two"), 2))
		if correlation, _ := r.read(); correlation != 2 {
			t.Fatalf("request %d was answered", correlation)
		}
		r.write(produceFrame("none", 0, 0, oneBatch("one"), 3))
		r.closed()
	})
}

// sequenced makes a batch an idempotent producer's first.
func sequenced(b []byte) []byte {
	binary.BigEndian.PutUint64(b[43:], 7)
	binary.BigEndian.PutUint16(b[51:], 0)
	binary.BigEndian.PutUint32(b[53:], 0)
	return b
}

// reseal sets attribute bits of a batch and makes its checksum right.
func reseal(b []byte, bits byte) []byte {
	b[22] |= bits
	binary.BigEndian.PutUint32(b[17:], crc(b[21:]))
	return b
}
