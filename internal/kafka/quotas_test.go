package kafka

import (
	"bytes"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
	"thalweg/internal/clock"
)

// quota gives an entity one.
func (s *server) quota(t *testing.T, e brokers.QuotaEntity, key string, rate float64) {
	t.Helper()
	if err := s.door.opts.Security.AlterQuotas(t.Context(), e, []brokers.QuotaChange{{Key: key, Value: rate}}, false); err != nil {
		t.Fatal(err)
	}
}

// TestQuotasHold: what goes beyond a window of ten seconds is owed, by those who
// share the quota together, and comes in with time; what is more than half of the
// largest number, or less than one a second, is counted as well.
func TestQuotasHold(t *testing.T) {
	s := newServer(t, 1, nil)
	c := clock.NewManual(time.Unix(1000, 0))
	q := newQuotas(&Door{opts: Options{Clock: c, Security: s.door.opts.Security}})
	ann := &conn{principal: "User:ann"}
	of := func(user, client string) (e brokers.QuotaEntity) {
		if user != "" {
			e.User = brokers.QuotaPart{Of: brokers.QuotaOfName, Name: user}
		}
		if client != "" {
			e.Client = brokers.QuotaPart{Of: brokers.QuotaOfName, Name: client}
		}
		return e
	}
	if got := q.spend(ann, brokers.ProducerByteRate, "a", 1<<40); got != 0 {
		t.Errorf("without a quota: %v", got)
	}
	s.quota(t, of("ann", ""), brokers.ProducerByteRate, 100)
	s.quota(t, of("", "b"), brokers.ProducerByteRate, 1)
	s.quota(t, of("ann", "big"), brokers.ProducerByteRate, 1<<50)
	for n, tc := range []struct {
		client string
		bytes  int64
		after  time.Duration
		want   time.Duration
	}{
		{"a", 1000, 0, 0},
		{"a", 100, 0, time.Second},
		{"b", 100, 0, 2 * time.Second}, // the user's quota comes before the client's
		{"a", 0, 500 * time.Millisecond, 1500 * time.Millisecond},
		{"a", 1000, time.Hour, 0}, // a rest is a window, not more
		{"a", 50, 0, 500 * time.Millisecond},
		{"big", 11 << 50, 0, time.Second}, // a quota of its own
	} {
		c.Advance(tc.after)
		if got := q.spend(ann, brokers.ProducerByteRate, tc.client, tc.bytes); got.Round(10*time.Millisecond) != tc.want {
			t.Errorf("%d: pause %v, want %v", n, got, tc.want)
		}
	}
	s.quota(t, of("ann", "slow"), brokers.ControllerMutationRate, 0.5)
	for n, tc := range []struct {
		partitions int64
		after      time.Duration
		ok         bool
	}{{5, 0, true}, {1, 0, false}, {1, time.Second, false}, {3, time.Second, true}, {1, 2 * time.Second, false}, {1, 4 * time.Second, true}} {
		c.Advance(tc.after)
		pause, ok := q.admit(ann, brokers.ControllerMutationRate, "slow", tc.partitions)
		if ok != tc.ok || !ok && pause <= 0 {
			t.Errorf("%d: %v, pause %v", n, ok, pause)
		}
	}
}

// TestQuotasMute: a client that produces, fetches or makes topics beyond its quota
// is told so, and its next request is not read before it.
func TestQuotasMute(t *testing.T) {
	s := newServer(t, 1, nil)
	mustCreate(t, s.client(t), "game", 1)
	all := brokers.QuotaEntity{User: brokers.QuotaPart{Of: brokers.QuotaOfDefault}}
	s.quota(t, all, brokers.ProducerByteRate, 10_000)
	s.quota(t, all, brokers.ConsumerByteRate, 10_100)
	s.quota(t, all, brokers.ControllerMutationRate, 10)
	muted := func(what string, req kmsg.Request, told func([]byte) int32) {
		t.Helper()
		r := s.raw(t)
		begun := time.Now()
		r.write(frameOf(req, 1))
		next := kmsg.NewPtrMetadataRequest()
		next.Version = 12
		r.write(frameOf(next, 2))
		_, body := r.read()
		pause := told(body)
		if pause <= 0 || pause > 5000 {
			t.Fatalf("%s: told to pause for %d ms", what, pause)
		}
		r.read()
		if took := time.Since(begun); took < time.Duration(pause-1)*time.Millisecond { // it is told rounded up
			t.Errorf("%s: told to pause for %d ms, and served after %v", what, pause, took)
		}
	}
	produce := kmsg.NewPtrProduceRequest()
	produce.Version, produce.Acks, produce.TimeoutMillis = 9, -1, 1000
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic = "game"
	rt.Partitions = []kmsg.ProduceRequestTopicPartition{{Records: oneBatch(string(bytes.Repeat([]byte("x"), 103_000)))}}
	produce.Topics = append(produce.Topics, rt)
	muted("a produce", produce, func(body []byte) int32 {
		resp := &kmsg.ProduceResponse{Version: 9}
		if err := resp.ReadFrom(body[1:]); err != nil || resp.Topics[0].Partitions[0].ErrorCode != 0 {
			t.Fatalf("%+v, %v", resp, err)
		}
		return resp.ThrottleMillis
	})
	muted("a fetch", fetchOf("game", 0, 1, 1000, 1<<20), func(body []byte) int32 {
		resp := &kmsg.FetchResponse{Version: 12}
		if err := resp.ReadFrom(body[1:]); err != nil || len(resp.Topics[0].Partitions[0].RecordBatches) < 103_000 {
			t.Fatalf("%d topics, %v", len(resp.Topics), err)
		}
		return resp.ThrottleMillis
	})
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Version = 7
	for _, name := range []string{"one", "two"} {
		ct := kmsg.NewCreateTopicsRequestTopic()
		ct.Topic, ct.NumPartitions, ct.ReplicationFactor = name, 102, 1
		create.Topics = append(create.Topics, ct)
	}
	muted("topics", create, func(body []byte) int32 {
		resp := &kmsg.CreateTopicsResponse{Version: 7}
		if err := resp.ReadFrom(body[1:]); err != nil || resp.Topics[0].ErrorCode != 0 || resp.Topics[1].ErrorCode != int16(brokers.QuotaExceeded) {
			t.Fatalf("%+v, %v", resp, err)
		}
		return resp.ThrottleMillis
	})
}

// TestQuotaOfConnections: one too many of an address is closed.
func TestQuotaOfConnections(t *testing.T) {
	s := newServer(t, 1, nil)
	s.quota(t, brokers.QuotaEntity{IP: brokers.QuotaPart{Of: brokers.QuotaOfName, Name: "127.0.0.1"}}, brokers.ConnectionCreationRate, 1)
	for n := range 1000 {
		r := s.raw(t)
		r.write(frameOf(kmsg.NewPtrApiVersionsRequest(), 1))
		if _, err := r.nc.Read(make([]byte, 1)); err == nil {
			continue
		}
		if n < quotaWindow {
			t.Errorf("connection %d is closed", n)
		}
		return
	}
	t.Error("there is no end of connections")
}
