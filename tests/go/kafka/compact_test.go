package kafka

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/tests/harness"
	"thalweg/tests/sdk"
)

// TestCompaction: a table written with every codec, with tombstones and with
// transactions is read back as it is, from fewer records, before and after kill -9.
func TestCompaction(t *testing.T) {
	server := harness.ForTest(t, harness.Options{Args: []string{"--test-aids"}})
	plain := newClient(t, server)
	createTable(t, plain, "table")
	table := map[string]string{}
	put := func(cl *kgo.Client, key, value string, counts bool) {
		t.Helper()
		r := &kgo.Record{Topic: "table", Key: []byte(key)}
		if value != "" {
			r.Value = []byte(value)
		}
		if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
		switch {
		case counts && value != "":
			table[key] = value
		case counts:
			delete(table, key)
		}
	}
	written := 0
	for i, codec := range []kgo.CompressionCodec{
		kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(),
	} {
		cl := newClient(t, server, kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(50*time.Millisecond))
		var batch []*kgo.Record
		for k := range 200 {
			key, value := fmt.Sprint("key", k*k%(60+i)), strings.Repeat(fmt.Sprint("value ", i, k), 20)
			table[key] = value
			batch = append(batch, &kgo.Record{Topic: "table", Key: []byte(key), Value: []byte(value)})
		}
		if err := cl.ProduceSync(t.Context(), batch...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		written += len(batch)
	}
	teller := newClient(t, server, kgo.TransactionalID("teller"))
	for i, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort, kgo.TryCommit} {
		if err := teller.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		put(teller, "key1", fmt.Sprint("transaction ", i), end == kgo.TryCommit)
		if err := teller.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	put(plain, "key4", "", true)
	put(plain, "key9", "last", true)
	check := func(when string, most int) {
		t.Helper()
		got := map[string]string{}
		list := drainCommitted(t, server, "table")
		for _, r := range list {
			if got[string(r.Key)] = string(r.Value); r.Value == nil {
				delete(got, string(r.Key))
			}
		}
		if !maps.Equal(got, table) || len(list) > most {
			t.Errorf("%s: %d keys of %d, in %d records", when, len(got), len(table), len(list))
		}
	}
	check("before", written+10)
	compacted(t, server)
	check("compacted", len(table)+1) // and one tombstone
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("after kill -9", written+10)
	plain = newClient(t, server)
	put(plain, "key9", "later", true)
	compacted(t, server)
	check("compacted again", len(table)+1)
	// When it is compacted no more it is a stream, of what is left of it.
	alter := kmsg.NewPtrIncrementalAlterConfigsRequest()
	ar := kmsg.NewIncrementalAlterConfigsRequestResource()
	ar.ResourceType, ar.ResourceName = kmsg.ConfigResourceTypeTopic, "table"
	ac := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	ac.Name, ac.Value = "cleanup.policy", kmsg.StringPtr("delete")
	ar.Configs = append(ar.Configs, ac)
	alter.Resources = append(alter.Resources, ar)
	if resp, err := alter.RequestWith(t.Context(), plain); err != nil || resp.Resources[0].ErrorCode != 0 {
		t.Fatalf("alter: %v, %+v", err, resp)
	}
	got := map[string]string{}
	for _, r := range drainShard(t, sdk.Client(server.URL(), sdk.NoRetry), "table", "shardId-000000000000") {
		if got[*r.PartitionKey] = string(r.Data); len(r.Data) == 0 {
			delete(got, *r.PartitionKey)
		}
	}
	if !maps.Equal(got, table) {
		t.Errorf("through Kinesis: %d keys of %d", len(got), len(table))
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := server.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// createTable makes a topic that is compacted as soon as something is there.
func createTable(t *testing.T, cl *kgo.Client, name string) {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, 1, 1
	for k, v := range map[string]string{
		"cleanup.policy": "compact", "segment.ms": "1", "min.cleanable.dirty.ratio": "0", "delete.retention.ms": "86400000",
	} {
		rc := kmsg.NewCreateTopicsRequestTopicConfig()
		rc.Name, rc.Value = k, &v
		rt.Configs = append(rt.Configs, rc)
	}
	req.Topics, req.TimeoutMillis = append(req.Topics, rt), 5000
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil || resp.Topics[0].ErrorCode != 0 {
		t.Fatalf("create %s: %v, %+v", name, err, resp)
	}
}

// drainCommitted reads the one partition of a topic up to what is its end now.
func drainCommitted(t *testing.T, server *harness.Server, topic string) []*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cl := newClient(t, server, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	defer cl.Close()
	end := listEnds(t, cl, topic, 1)[0]
	cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}})
	var got []*kgo.Record
	for len(got) == 0 || got[len(got)-1].Offset < end-1 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		got = append(got, fetches.Records()...)
	}
	return got
}

var passes = regexp.MustCompile(`(?m)^thalweg_log_compactions_total (\d+)`)

// compacted moves the server's clock on until it has been through one more pass.
func compacted(t *testing.T, server *harness.Server) {
	t.Helper()
	call := func(method, path, body string) string {
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %d %s %v", method, path, resp.StatusCode, answer, err)
		}
		return string(answer)
	}
	count := func() int {
		m := passes.FindStringSubmatch(call("GET", "/metrics", ""))
		if m == nil {
			t.Fatal("there is no count of compactions")
		}
		n, _ := strconv.Atoi(m[1])
		return n
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for before := count(); count() == before; {
		call("POST", "/_thalweg/clock", `{"advance":"16s"}`)
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("no pass of compaction in a minute")
		}
	}
}
