package clients

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"thalweg/tests/harness"
)

// TestTransactionTools lets Apache Kafka's tool find a transaction that is open,
// describe it, and abort it; its records are then no committed ones, and what the
// producer does next is.
func TestTransactionTools(t *testing.T) {
	broker := harness.ForTest(t, harness.Options{Ephemeral: true}).Ready().Kafka
	kafka := func(args string) string {
		t.Helper()
		return tool(t, "", "TransactionsCommand", append([]string{"--bootstrap-server", broker}, strings.Fields(args)...)...)
	}
	tool(t, "", "TopicCommand", "--create", "--topic", "ledger", "--partitions", "1", "--bootstrap-server", broker)
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.TransactionalID("teller"), kgo.DefaultProduceTopic("ledger"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	write := func(value string) {
		t.Helper()
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord(value)).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for _, value := range []string{"one", "two"} {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		write(value)
		if value == "two" {
			break
		}
		if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
			t.Fatal(err)
		}
	}
	if got := kafka("list"); !regexp.MustCompile(`teller\s+\d\s+\d+\s+Ongoing`).MatchString(got) {
		t.Errorf("list: %s", got)
	}
	if got := kafka("describe --transactional-id teller"); !regexp.MustCompile(`teller\s+\d+\s+1\s+Ongoing.*ledger-0`).MatchString(got) {
		t.Errorf("describe: %s", got)
	}
	producers := kafka("describe-producers --topic ledger --partition 0")
	at := regexp.MustCompile(`(?m)^\d+\s+1\s.*\s(\d+)\s*$`).FindStringSubmatch(producers)
	if at == nil {
		t.Fatalf("describe-producers: %s", producers)
	}
	if got := kafka("find-hanging --topic ledger --max-transaction-timeout 0"); strings.Contains(got, "ledger") {
		t.Errorf("find-hanging takes a transaction that its producer can end for one that hangs: %s", got)
	}
	kafka(fmt.Sprintf("abort --topic ledger --partition 0 --start-offset %s", at[1]))
	if got := kafka("describe-producers --topic ledger --partition 0"); !strings.Contains(got, "None") {
		t.Errorf("after the abort: %s", got)
	}
	write("three")
	if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	got := tool(t, "", "consumer.ConsoleConsumer", "--topic", "ledger", "--from-beginning", "--max-messages", "2",
		"--command-property", "isolation.level=read_committed", "--bootstrap-server", broker)
	if !strings.Contains(got, "one\nthree\n") {
		t.Errorf("committed: %s", got)
	}
}
