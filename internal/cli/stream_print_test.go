package cli

import (
	"bufio"
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"thalweg/internal/client"
	"thalweg/internal/kpl"
)

// TestPrinterTakesAggregatesApart has an aggregate between plain records.
func TestPrinterTakesAggregatesApart(t *testing.T) {
	packed := kpl.Append(nil, []kpl.Record{
		{PartitionKey: []byte("ann"), ExplicitHashKey: []byte("5"), Data: []byte("two")},
		{PartitionKey: []byte("bob"), ExplicitHashKey: []byte("9"), Data: []byte{0xff}},
	})
	page := client.Page{ShardID: "shardId-000000000000"}
	for i, data := range [][]byte{[]byte("one"), packed, []byte("four")} {
		page.Records = append(page.Records, types.Record{Data: data, PartitionKey: aws.String("a"),
			SequenceNumber: aws.String(string(rune('1' + i))), ApproximateArrivalTimestamp: aws.Time(time.Unix(0, 0))})
	}
	shard := func(end string) []types.Shard {
		return []types.Shard{{ShardId: aws.String(page.ShardID), HashKeyRange: &types.HashKeyRange{StartingHashKey: aws.String("0"), EndingHashKey: aws.String(end)}}}
	}
	for _, c := range []struct {
		name, end string
		p         *printer
		want      string
	}{
		{"text", "9", &printer{}, "one\ntwo\nbase64:/w==\nfour\n"},
		{"another shard's", "8", &printer{}, "one\nfour\n"},
		{"enough within it", "9", &printer{bounded: true, left: 2}, "one\ntwo\n"},
		{"raw", "9", &printer{raw: true}, "one\n" + dataLine(packed) + "\nfour\n"},
		{"JSON", "9", &printer{json: true, bounded: true, left: 3}, `{"shard":"shardId-000000000000","sequence_number":"1","partition_key":"a","arrival":"1970-01-01T00:00:00Z","data":"one"}
{"shard":"shardId-000000000000","sequence_number":"2","sub_sequence_number":0,"partition_key":"ann","explicit_hash_key":"5","arrival":"1970-01-01T00:00:00Z","data":"two"}
{"shard":"shardId-000000000000","sequence_number":"2","sub_sequence_number":1,"partition_key":"bob","explicit_hash_key":"9","arrival":"1970-01-01T00:00:00Z","data_base64":"/w=="}
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got bytes.Buffer
			c.p.out, c.p.ranges = bufio.NewWriter(&got), rangesOf(shard(c.end))
			if err := c.p.page(page); err != nil && !(c.p.bounded && errors.Is(err, errEnough)) {
				t.Fatal(err)
			}
			if got.String() != c.want {
				t.Errorf("got\n%swant\n%s", got.String(), c.want)
			}
		})
	}
}
