package clients

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"thalweg/tests/harness"
)

// tool runs one of Apache Kafka's command line tools and returns what it printed.
func tool(t *testing.T, in, class string, args ...string) string {
	t.Helper()
	libs := os.Getenv("KAFKA_TOOLS")
	if libs == "" {
		t.Fatal("KAFKA_TOOLS names no directory of jars: mvn -f tests/kafka/clients/pom.xml dependency:copy-dependencies -DoutputDirectory=DIR")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "java", append([]string{"-Xmx256m", "-XX:+UseSerialGC", "-cp", filepath.Join(libs, "*"), "org.apache.kafka.tools." + class}, args...)...)
	cmd.Stdin = strings.NewReader(in)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", class, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestTools lets Apache Kafka's tools make, fill, read, describe, grow and
// remove a topic and a group.
func TestTools(t *testing.T) {
	broker := harness.ForTest(t, harness.Options{Ephemeral: true}).Ready().Kafka
	for _, step := range []struct {
		name, in, class, args, want string
	}{
		{"create", "", "TopicCommand", "--create --topic tools --partitions 2", "Created topic tools."},
		{"describe", "", "TopicCommand", "--describe --topic tools", "PartitionCount: 2"},
		{"perf-test", "", "ProducerPerformance", "--topic tools --num-records 2000 --record-size 100 --throughput -1 --command-property acks=all --command-property compression.type=lz4", "2000 records sent"},
		{"verifiable producer", "", "VerifiableProducer", "--topic tools --max-messages 100 --acks -1", `"sent":100,"acked":100`},
		{"verifiable consumer", "", "VerifiableConsumer", "--topic tools --group-id verified --max-messages 2100 --reset-policy earliest", "shutdown_complete"},
		{"console producer", "one\ntwo\n", "ConsoleProducer", "--topic tools", ""},
		{"console consumer", "", "consumer.ConsoleConsumer", "--topic tools --from-beginning --max-messages 2102 --group read", "Processed a total of 2102 messages"},
		{"groups", "", "consumer.group.ConsumerGroupCommand", "--describe --group read", "tools"},
		{"reset offsets", "", "consumer.group.ConsumerGroupCommand", "--reset-offsets --group read --topic tools --to-earliest --execute", "NEW-OFFSET"},
		{"delete a group", "", "consumer.group.ConsumerGroupCommand", "--delete --group read", "was successful"},
		{"offsets", "", "GetOffsetShell", "--topic tools", "tools:1:"},
		{"more partitions", "", "TopicCommand", "--alter --topic tools --partitions 3", ""},
		{"delete", "", "TopicCommand", "--delete --topic tools", ""},
	} {
		t.Run(step.name, func(t *testing.T) {
			got := tool(t, step.in, step.class, append(strings.Fields(step.args), "--bootstrap-server", broker)...)
			if !strings.Contains(got, step.want) {
				t.Errorf("no %q in\n%s", step.want, got)
			}
		})
	}
}
