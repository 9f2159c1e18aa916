package remote

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/delivery/dest"
	"thalweg/internal/errs"
	"thalweg/internal/log/batch"
)

// made is a batch of records at offsets from base on.
func made(t testing.TB, base int64, codec, attributes int16, producer int64, values ...string) []byte {
	t.Helper()
	var b batch.Builder
	for _, v := range values {
		b.Append(batch.Record{Value: []byte(v)})
	}
	var c batch.Compressor
	packed, err := c.Compress(slices.Clone(b.Finish()), codec)
	if err != nil {
		t.Fatal(err)
	}
	out := slices.Clone(packed)
	out[22] |= byte(attributes) // the low byte of the attributes
	for i := range 8 {
		out[43+i] = byte(producer >> (56 - 8*i))
	}
	batch.SetBase(out, base, 0)
	batch.SetCRC(out)
	return out
}

func readPage(p *kmsg.FetchResponseTopicPartition, from, to int64, stop int) (got []string, next int64, err error) {
	page := page{topic: "t", got: p, unpack: batch.NewDecompressor(1 << 20)}
	next, err = page.read(from, to, func(r *dest.Record) (bool, error) {
		if len(got) == stop {
			return false, errs.New(errs.Throttled, "enough")
		}
		got = append(got, fmt.Sprintf("%d %s", r.Offset, r.Data))
		return true, nil
	})
	return got, next, err
}

// What readers do not see is left out, and told to be behind all the same.
func TestPage(t *testing.T) {
	const txn, control = batch.Transactional, batch.Transactional | batch.Control
	p := &kmsg.FetchResponseTopicPartition{RecordBatches: slices.Concat(
		made(t, 0, 1, 0, -1, "a", "b", "c"),
		made(t, 3, 0, txn, 7, "aborted", "too"),
		made(t, 5, 4, txn, 8, "d"),
		made(t, 6, 0, control, 7, "marker"),
		made(t, 7, 3, txn, 7, "e"), // its next transaction
		made(t, 8, 0, control, 7, "marker"),
		made(t, 9, 2, 0, -1, "f", "g")),
		AbortedTransactions: []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 7, FirstOffset: 3}}}
	for _, c := range []struct {
		from, to int64
		stop     int
		want     []string
		next     int64
	}{
		{0, 11, -1, []string{"0 a", "1 b", "2 c", "5 d", "7 e", "9 f", "10 g"}, 11},
		{1, 10, -1, []string{"1 b", "2 c", "5 d", "7 e", "9 f"}, 10},
		{3, 9, -1, []string{"5 d", "7 e"}, 9},
		{3, 5, -1, nil, 5},
		{0, 11, 4, []string{"0 a", "1 b", "2 c", "5 d"}, 7},
		{11, 20, -1, nil, 11},
	} {
		got, next, err := readPage(p, c.from, c.to, c.stop)
		if !slices.Equal(got, c.want) || next != c.next || (err != nil) != (c.stop >= 0) {
			t.Errorf("%d to %d: %q, then %d, %v; want %q, then %d", c.from, c.to, got, next, err, c.want, c.next)
		}
	}
}

func TestPageRefused(t *testing.T) {
	good := made(t, 0, 0, 0, -1, "a")
	flipped := slices.Clone(good)
	flipped[len(flipped)-1] ^= 1
	old := slices.Clone(good)
	old[16] = 1
	bomb := made(t, 0, 4, 0, -1, string(make([]byte, 2<<20)))
	for name, c := range map[string]struct {
		bytes []byte
		kind  errs.Kind
	}{
		"flipped": {flipped, errs.Corrupt}, "old": {old, errs.Unsupported}, "bomb": {bomb, errs.Corrupt},
	} {
		if got, next, err := readPage(&kmsg.FetchResponseTopicPartition{RecordBatches: c.bytes}, 0, 9, -1); errs.KindOf(err) != c.kind || next != 0 {
			t.Errorf("%s: %q, then %d, %v", name, got, next, err)
		}
	}
	if got, next, err := readPage(&kmsg.FetchResponseTopicPartition{RecordBatches: append(good, good[:40]...)}, 0, 9, -1); err != nil || len(got) != 1 || next != 1 {
		t.Errorf("a part of a batch behind one: %q, then %d, %v", got, next, err)
	}
}

// Whatever a broker sends, offsets rise and stay before the end that was asked for.
func FuzzPage(f *testing.F) {
	f.Add(made(f, 0, 1, 0, -1, "a", "b"), int64(0), int64(2))
	f.Add(made(f, 5, 0, batch.Transactional, 7, "a"), int64(0), int64(9))
	f.Fuzz(func(t *testing.T, b []byte, from, to int64) {
		if from < 0 || to < from {
			return
		}
		p := page{topic: "t", got: &kmsg.FetchResponseTopicPartition{RecordBatches: b,
			AbortedTransactions: []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 7, FirstOffset: 5}}}, unpack: batch.NewDecompressor(1 << 16)}
		last := from - 1
		next, err := p.read(from, to, func(r *dest.Record) (bool, error) {
			if r.Offset <= last || r.Offset >= to {
				t.Fatalf("offset %d after %d", r.Offset, last)
			}
			last = r.Offset
			return true, nil
		})
		if next <= last || next > max(to, from) || next < from {
			t.Fatalf("next is %d after %d, %v", next, last, err)
		}
	})
}

func TestParse(t *testing.T) {
	const (
		arn  = `"arn":"arn:aws:kafka:us-east-1:000000000000:cluster/far/11111111-2222-3333-4444-555555555555-1"`
		who  = `"accounts":["000000000000"]`
		at   = `"brokers":["kafka:9092"]`
		user = `"username":"u","password":"hush"`
	)
	for doc, ok := range map[string]bool{
		`[]`:                                     true,
		`[{` + arn + `,` + who + `,` + at + `}]`: true,
		`[{` + arn + `,` + who + `,` + at + `,"tls":true,"sasl":{"mechanism":"PLAIN",` + user + `}}]`:                    true,
		`[{` + arn + `,` + who + `,` + at + `,"sasl":{"mechanism":"SCRAM-SHA-256",` + user + `}}]`:                       true,
		`[{` + arn + `,` + who + `,` + at + `,"sasl":{"mechanism":"SCRAM-SHA-512",` + user + `}}]`:                       true,
		`[{` + arn + `,` + who + `,` + at + `,"sasl":{"mechanism":"AWS_MSK_IAM","access_key":"A","secret_key":"hush"}}]`: true,
		`[{` + arn + `,` + who + `,` + at + `,"sasl":{"mechanism":"AWS_MSK_IAM",` + user + `}}]`:                         false,
		`[{` + arn + `,` + who + `,` + at + `,"sasl":{"mechanism":"PLAIN",` + user + `}}]`:                               false,
		`[{` + arn + `,` + who + `,` + at + `,"sasl":{"mechanism":"GSSAPI",` + user + `}}]`:                              false,
		`[{` + arn + `,` + who + `,` + at + `,"sasl":{` + user + `}}]`:                                                   false,
		`[{` + arn + `,` + who + `,` + at + `,"ca":"x"}]`:                                                                false,
		`[{` + arn + `,` + who + `,"brokers":["kafka"]}]`:                                                                false,
		`[{` + arn + `,` + who + `}]`: false,
		`[{` + arn + `,` + at + `}]`:  false,
		`[{` + who + `,` + at + `}]`:  false,
		`[{"arn":"arn:aws:kinesis:us-east-1:000000000000:stream/s",` + who + `,` + at + `}]`:               false,
		`[{` + arn + `,` + who + `,` + at + `,"sasl":{"mechanism":"PLAIN","password":"hush"},"sasl2":{}}]`: false,
		`{"hush"`: false,
	} {
		_, err := Parse([]byte(doc))
		if (err == nil) != ok {
			t.Errorf("%s: %v", doc, err)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%s tells %v", doc, err)
		}
	}
}
