package reshard

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"thalweg/tests/harness"
	"thalweg/tests/sdk"
)

// TestOnDemandGrows: an on-demand stream that is put to at more than half of its
// capacity has twice the shards soon, which are still there after kill -9; the
// closed ones are gone when the retention is.
func TestOnDemandGrows(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	server := harness.ForTest(t, harness.Options{Args: []string{"--test-aids"}})
	client := sdk.Client(server.URL())
	_, err := client.CreateStream(ctx, &kinesis.CreateStreamInput{
		StreamName: aws.String(stream), StreamModeDetails: &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand},
	})
	if err != nil {
		t.Fatal(err)
	}
	advance := func(by string) {
		t.Helper()
		body := strings.NewReader(`{"advance":"` + by + `"}`)
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL()+"/_thalweg/clock", body)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if answer.StatusCode >= 300 {
			t.Fatal(answer.Status)
		}
	}
	open := func() int {
		t.Helper()
		list, err := openShards(ctx, client)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	n := 0
	for round := 1; open() < 8; round++ { // a slow machine needs more than one
		for range 60 * round { // 30,000 records, in each shard 750 a second of the ten
			entries := make([]types.PutRecordsRequestEntry, 500)
			for i := range entries {
				entries[i] = types.PutRecordsRequestEntry{Data: []byte("x"), PartitionKey: aws.String(fmt.Sprint(n))}
				n++
			}
			if _, err := client.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: aws.String(stream), Records: entries}); err != nil {
				t.Fatal(err)
			}
		}
		advance("10s")
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	list, err := sdk.ListShards(ctx, client, stream)
	if err != nil {
		t.Fatal(err)
	}
	checkLineage(t, list, 4)
	total := 0
	for _, s := range list {
		in := &kinesis.GetShardIteratorInput{StreamName: aws.String(stream), ShardId: s.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon}
		at, err := client.GetShardIterator(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for iterator := at.ShardIterator; iterator != nil; {
			page, err := client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: iterator})
			if err != nil {
				t.Fatal(err)
			}
			total += len(page.Records)
			if iterator = page.NextShardIterator; len(page.Records) == 0 {
				break
			}
		}
	}
	if total != n {
		t.Errorf("%d of %d records", total, n)
	}
	grown := open()
	advance("24h1m")
	if list, err = sdk.ListShards(ctx, client, stream); err != nil || len(list) != grown {
		t.Errorf("a day later: %d shards, %d of them open, %v", len(list), grown, err)
	}
}
