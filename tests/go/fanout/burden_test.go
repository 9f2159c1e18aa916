package fanout

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"thalweg/tests/sdk"
)

// gauges reads what a server says of itself.
func (w *world) gauges(names ...string) map[string]int {
	w.t.Helper()
	resp, err := http.Get(w.server.URL() + "/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	out := map[string]int{}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		for _, want := range names {
			if name != want {
				continue
			}
			f, err := strconv.ParseFloat(value, 64)
			if err != nil {
				w.t.Fatal(err)
			}
			out[want] = int(f)
		}
	}
	return out
}

// raw sends a SubscribeToShard of its own, and reads nothing.
func (w *world) raw(consumer string) net.Conn {
	w.t.Helper()
	nc, err := net.Dial("tcp", w.server.Addr())
	if err != nil {
		w.t.Fatal(err)
	}
	body := fmt.Sprintf(`{"ConsumerARN":%q,"ShardId":%q,"StartingPosition":{"Type":"TRIM_HORIZON"}}`, consumer, shard)
	fmt.Fprintf(nc, "POST / HTTP/1.1\r\nHost: %s\r\nX-Amz-Target: Kinesis_20131202.SubscribeToShard\r\n"+
		"Content-Type: application/x-amz-json-1.1\r\nAuthorization: AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/kinesis/aws4_request, "+
		"SignedHeaders=host, Signature=0\r\nX-Amz-Date: 20260101T000000Z\r\nContent-Length: %d\r\n\r\n%s", w.server.Addr(), len(body), body)
	return nc
}

// TestBadReaders has clients that stop reading, reset their connection or flood
// it: a good reader is served meanwhile, memory stays within its bound, and what
// they took is given back within a minute.
func TestBadReaders(t *testing.T) {
	const each = 6
	w := newWorld(t)
	const goroutines, files = "go_goroutines", "process_open_fds"
	// A first subscription and a pause, so that what is made once is there.
	warm := w.subscribe(w.client, sdk.From(types.ShardIteratorTypeLatest))
	if _, _, err := warm.Next(); err != nil {
		t.Fatal(err)
	}
	warm.Close()
	data := bytes.Repeat([]byte("x"), 1<<20)
	for range 20 {
		if _, err := w.client.PutRecord(t.Context(), &kinesis.PutRecordInput{
			StreamName: aws.String(stream), PartitionKey: aws.String("k"), Data: data,
		}); err != nil {
			t.Fatal(err)
		}
	}
	base := w.gauges(goroutines, files)

	var bad []net.Conn
	for i := range each {
		bad = append(bad, w.raw(w.register(fmt.Sprintf("stalls-%d", i))))
	}
	for i := range each {
		nc := w.raw(w.register(fmt.Sprintf("resets-%d", i)))
		if _, err := io.ReadFull(nc, make([]byte, 300_000)); err != nil {
			t.Fatal(err)
		}
		if err := nc.(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		nc.Close()
	}
	for i := range each {
		nc := w.raw(w.register(fmt.Sprintf("floods-%d", i)))
		bad = append(bad, nc)
		go func() { // until the server has closed the connection
			junk := bytes.Repeat([]byte("GET / HTTP/1.1\r\n"), 4096)
			for {
				if _, err := nc.Write(junk); err != nil {
					return
				}
			}
		}()
	}
	w.advance(5 * time.Second)
	good := w.subscribe(w.client, sdk.From(types.ShardIteratorTypeTrimHorizon))
	for n := 0; n < 20; {
		records, ok, err := good.Next()
		if !ok {
			t.Fatalf("the good reader's stream ended after %d records: %v", n, err)
		}
		n += len(records)
	}
	if err := w.putOne(t.Context()); err != nil {
		t.Fatal(err)
	}
	if records, _, err := good.Next(); err != nil || len(records) != 1 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	good.Close()

	limit, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	for tick := time.NewTicker(500 * time.Millisecond); ; {
		now := w.gauges(goroutines, files)
		if now[goroutines] <= base[goroutines] && now[files] <= base[files] {
			t.Logf("%v after %v: %v", base, time.Since(began).Round(time.Second), now)
			break
		}
		select {
		case <-tick.C:
		case <-limit.Done():
			t.Fatalf("after a minute there are %v, there were %v", now, base)
		}
	}
	for _, nc := range bad {
		nc.Close()
	}
}
