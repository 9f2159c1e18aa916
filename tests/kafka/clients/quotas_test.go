package clients

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/tests/harness"
)

// TestQuotas: Apache Kafka's producer keeps to the rate that all users are given,
// once it has used up what a rest had left it.
func TestQuotas(t *testing.T) {
	broker := harness.ForTest(t, harness.Options{Ephemeral: true}).Ready().Kafka
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	const rate, records, size = 200_000, 3_000, 1_000
	req := kmsg.NewPtrAlterClientQuotasRequest()
	req.Entries = []kmsg.AlterClientQuotasRequestEntry{{
		Entity: []kmsg.AlterClientQuotasRequestEntryEntity{{Type: "user"}},
		Ops:    []kmsg.AlterClientQuotasRequestEntryOp{{Key: "producer_byte_rate", Value: rate}},
	}}
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil || resp.Entries[0].ErrorCode != 0 {
		t.Fatal(resp, err)
	}
	tool(t, "", "TopicCommand", "--create", "--topic", "slow", "--partitions", "1", "--bootstrap-server", broker)
	begun := time.Now()
	got := tool(t, "", "ProducerPerformance", "--topic", "slow", "--num-records", "3000", "--record-size", "1000", "--throughput", "-1",
		"--command-property", "acks=all", "--print-metrics", "--bootstrap-server", broker)
	took := time.Since(begun)
	if !strings.Contains(got, "3000 records sent") {
		t.Fatal(got)
	}
	// Its last request is answered before its pause: up to a batch, 16 KiB, is not waited for.
	if least := time.Duration(float64(records*size-16<<10)/rate*float64(time.Second)) - 10*time.Second; took < least {
		t.Errorf("%d bytes took %v, less than %v", records*size, took, least)
	}
	var throttled string
	for line := range strings.Lines(got) {
		if strings.Contains(line, "produce-throttle-time-max") {
			throttled = line
		}
	}
	if throttled == "" || strings.Contains(throttled, ": 0.000") {
		t.Errorf("the producer was not told to wait: %q", throttled)
	}
}
