package demo

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"thalweg/internal/client"
)

// fakeServer is as much of Kinesis as the demo uses, in memory, with faults: the
// demo's check must notice each of them.
type fakeServer struct {
	t      *testing.T
	mu     sync.Mutex
	shards [][]fakeRecord
	puts   int
	// fault may change what a put stores.
	fault func(put int, recs []fakeRecord) []fakeRecord
}

type fakeRecord struct {
	Data           []byte
	PartitionKey   string
	SequenceNumber string
}

func newFake(t *testing.T, shards int) (*fakeServer, func() (*client.Client, error)) {
	f := &fakeServer{t: t, shards: make([][]fakeRecord, shards)}
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	return f, func() (*client.Client, error) {
		return client.New(client.Options{Endpoint: srv.URL, Region: "us-east-1", AccessKeyID: "test", SecretAccessKey: "test"})
	}
}

func (f *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		ShardId, ShardIterator, ShardIteratorType, StartingSequenceNumber string
		Records                                                           []fakeRecord
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var out any
	switch op {
	case "CreateStream":
		out = struct{}{}
	case "DescribeStreamSummary":
		out = map[string]any{"StreamDescriptionSummary": map[string]any{"StreamStatus": "ACTIVE"}}
	case "ListShards":
		var list []map[string]any
		for i := range f.shards {
			list = append(list, map[string]any{"ShardId": fmt.Sprintf("shardId-%012d", i)})
		}
		out = map[string]any{"Shards": list}
	case "PutRecords":
		out = f.put(in.Records)
	case "GetShardIterator":
		shard := f.shard(in.ShardId)
		at := 0
		switch in.ShardIteratorType {
		case "LATEST":
			at = len(f.shards[shard])
		case "AFTER_SEQUENCE_NUMBER":
			at, _ = strconv.Atoi(in.StartingSequenceNumber)
		}
		out = map[string]any{"ShardIterator": fmt.Sprintf("%d/%d", shard, at)}
	case "GetRecords":
		out = f.get(in.ShardIterator)
	default:
		f.t.Errorf("unexpected call %s", op)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if err := json.NewEncoder(w).Encode(out); err != nil {
		f.t.Error(err)
	}
}

func (f *fakeServer) shard(id string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(id, "shardId-"))
	if err != nil {
		f.t.Errorf("shard id %q", id)
	}
	return n
}

func (f *fakeServer) put(recs []fakeRecord) any {
	f.puts++
	var results []map[string]any
	for _, r := range recs {
		results = append(results, map[string]any{"ShardId": fmt.Sprintf("shardId-%012d", f.of(r)), "SequenceNumber": "1"})
	}
	if f.fault != nil {
		recs = f.fault(f.puts, recs)
	}
	for _, r := range recs {
		shard := f.of(r)
		r.SequenceNumber = fmt.Sprintf("%056d", len(f.shards[shard])+1)
		f.shards[shard] = append(f.shards[shard], r)
	}
	return map[string]any{"FailedRecordCount": 0, "Records": results}
}

func (f *fakeServer) of(r fakeRecord) int {
	sum := 0
	for _, c := range []byte(r.PartitionKey) {
		sum += int(c)
	}
	return sum % len(f.shards)
}

func (f *fakeServer) get(iterator string) any {
	var shard, at int
	if _, err := fmt.Sscanf(iterator, "%d/%d", &shard, &at); err != nil {
		f.t.Errorf("iterator %q", iterator)
	}
	recs := f.shards[shard][at:]
	recs = recs[:min(len(recs), 1000)]
	at += len(recs)
	behind := 0
	if at < len(f.shards[shard]) {
		behind = 5
	}
	return map[string]any{"Records": recs, "NextShardIterator": fmt.Sprintf("%d/%d", shard, at), "MillisBehindLatest": behind}
}
