package kwire

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// produceOracle is a request of two topics as kmsg writes it.
func produceOracle(version int16) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = version, -1, 1000
	for i, name := range []string{"game", ""} {
		t := kmsg.NewProduceRequestTopic()
		t.Topic, t.TopicID = name, [16]byte{byte(i), 7}
		if version >= produceTopicIDs {
			t.Topic = ""
		} else {
			t.TopicID = [16]byte{}
		}
		for p := range int32(i + 1) {
			pt := kmsg.NewProduceRequestTopicPartition()
			pt.Partition, pt.Records = p, bytes.Repeat([]byte{byte(p + 1)}, 200*i+3)
			t.Partitions = append(t.Partitions, pt)
		}
		req.Topics = append(req.Topics, t)
	}
	return req
}

func same(t *testing.T, got ProduceRequest, want *kmsg.ProduceRequest) {
	t.Helper()
	w := ProduceRequest{Transactional: want.TransactionID != nil, Acks: want.Acks}
	if w.Transactional {
		w.TransactionalID = *want.TransactionID
	}
	for _, wt := range want.Topics {
		topic := ProduceTopic{Name: wt.Topic, ID: wt.TopicID}
		for _, p := range wt.Partitions {
			topic.Partitions = append(topic.Partitions, ProducePartition{Index: p.Partition, Records: p.Records})
		}
		w.Topics = append(w.Topics, topic)
	}
	if d := cmp.Diff(w, got); d != "" {
		t.Fatalf("(-kmsg +ours)\n%s", d)
	}
}

func TestParseProduceAgreesWithKmsg(t *testing.T) {
	for version := int16(3); version <= 13; version++ {
		req := produceOracle(version)
		if id := "teller"; version%2 == 0 {
			req.TransactionID = &id
		}
		got, err := ParseProduce(req.AppendTo(nil), version)
		if err != nil {
			t.Fatalf("version %d: %v", version, err)
		}
		same(t, got, req)
	}
}

func TestParseProduceBoundsTables(t *testing.T) {
	// A count that would fit the bytes that follow, and no table.
	body := append([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, 0, 2, 0, 0)
	body = append(body, make([]byte, 2<<16)...)
	if _, err := ParseProduce(body, 3); err == nil {
		t.Fatal("131,072 topics were believed")
	}
}

func TestHeader(t *testing.T) {
	for name, tc := range map[string]struct {
		frame string
		want  Header
		rest  string
		bad   bool
	}{
		"null client":    {"\x00\x03\x00\x0c\x00\x00\x00\x07\xff\xffrest", Header{3, 12, 7, ""}, "rest", false},
		"client":         {"\x00\x03\x00\x0c\x00\x00\x00\x07\x00\x02ab", Header{3, 12, 7, "ab"}, "", false},
		"short":          {"\x00\x03\x00\x0c\x00\x00\x00", Header{}, "", true},
		"client cut":     {"\x00\x03\x00\x0c\x00\x00\x00\x07\x00\x09ab", Header{}, "", true},
		"length of -2":   {"\x00\x03\x00\x0c\x00\x00\x00\x07\xff\xfeab", Header{}, "", true},
		"nothing at all": {"", Header{}, "", true},
	} {
		h, rest, err := ParseHeader([]byte(tc.frame))
		if (err != nil) != tc.bad {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && (h != tc.want || string(rest) != tc.rest) {
			t.Errorf("%s: %+v, %q", name, h, rest)
		}
	}
}

func TestFetchResponseAgreesWithKmsg(t *testing.T) {
	large := bytes.Repeat([]byte("batch"), 2000)
	for version := int16(4); version <= 18; version++ {
		w := BeginFetch(version, 42, 7, 0, 0, 1)
		id := [16]byte{9}
		w.Topic("game", id, 3)
		w.Partition(&FetchPartition{Index: 0, HighWatermark: 10, LastStable: 9, LogStart: 1, Batches: [][]byte{large, []byte("small"), large}})
		w.Partition(&FetchPartition{Index: 1, ErrorCode: 3, HighWatermark: -1, LastStable: -1, LogStart: -1})
		w.Partition(&FetchPartition{Index: 2, HighWatermark: 5, LastStable: 5, Aborted: []AbortedTxn{{ProducerID: 3, FirstOffset: 4}}})
		w.EndTopic()
		frame := bytes.Join(w.Pieces(), nil)
		body := frame[8:]
		if version >= fetchFlexible {
			body = body[1:]
		}
		resp := &kmsg.FetchResponse{Version: version}
		if err := resp.ReadFrom(body); err != nil {
			t.Fatalf("version %d: %v", version, err)
		}
		p := resp.Topics[0].Partitions
		if len(p) != 3 || !bytes.Equal(p[0].RecordBatches, bytes.Join([][]byte{large, []byte("small"), large}, nil)) ||
			p[0].HighWatermark != 10 || p[0].LastStableOffset != 9 || p[1].ErrorCode != 3 || p[2].AbortedTransactions[0].FirstOffset != 4 {
			t.Fatalf("version %d: %+v", version, p)
		}
		if got := resp.AppendTo(nil); !bytes.Equal(got, body) {
			t.Fatalf("version %d: kmsg writes it in another way", version)
		}
	}
}

// FuzzParseProduce: what kmsg reads as a whole we read the same, and what we read
// kmsg does.
func FuzzParseProduce(f *testing.F) {
	for _, version := range []int16{3, 9, 13} {
		f.Add(produceOracle(version).AppendTo(nil), version)
	}
	f.Fuzz(func(t *testing.T, body []byte, version int16) {
		version = 3 + (version&0x7fff)%11
		got, err := ParseProduce(body, version)
		if err != nil {
			return
		}
		want := &kmsg.ProduceRequest{Version: version}
		if err := want.ReadFrom(body); err != nil {
			t.Fatalf("kmsg: %v", err)
		}
		if got.Acks != want.Acks || len(got.Topics) != len(want.Topics) {
			t.Fatalf("%+v, kmsg %+v", got, want)
		}
		for i := range got.Topics {
			for k, p := range got.Topics[i].Partitions {
				if w := want.Topics[i].Partitions[k]; p.Index != w.Partition || !bytes.Equal(p.Records, w.Records) {
					t.Fatalf("%+v, kmsg %+v", p, w)
				}
			}
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add([]byte("\x00\x03\x00\x0c\x00\x00\x00\x07\x00\x02ab\x00"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		h, rest, err := ParseHeader(frame)
		if err != nil {
			return
		}
		if len(h.ClientID)+len(rest) > len(frame) {
			t.Fatal("more than there was")
		}
		if after, err := SkipTags(rest); err == nil && len(after) >= len(rest) {
			t.Fatal("tags took no room")
		}
	})
}
