package clients

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"thalweg/tests/harness"
)

// jars is the directory of jars that a variable names.
func jars(t *testing.T, variable, pom string) string {
	t.Helper()
	libs := os.Getenv(variable)
	if libs == "" {
		t.Fatalf("%s names no directory of jars: mvn -f %s dependency:copy-dependencies -DoutputDirectory=DIR", variable, pom)
	}
	return libs
}

// tool runs one of Apache Kafka's command line tools and returns what it printed.
func tool(t *testing.T, in, class string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "java", append([]string{"-Xmx256m", "-XX:+UseSerialGC", "-cp", filepath.Join(jars(t, "KAFKA_TOOLS", "tests/kafka/clients/pom.xml"), "*"), "org.apache.kafka.tools." + class}, args...)...)
	cmd.Stdin = strings.NewReader(in)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", class, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestTools lets Apache Kafka's tools make, configure, fill, read, measure,
// describe, cut, grow and remove a topic, and move and remove a group.
func TestTools(t *testing.T) {
	broker := harness.ForTest(t, harness.Options{Ephemeral: true}).Ready().Kafka
	cut := filepath.Join(t.TempDir(), "cut.json")
	if err := os.WriteFile(cut, []byte(`{"version":1,"partitions":[{"topic":"tools","partition":0,"offset":5}]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	const topics, configs, groups = "TopicCommand", "ConfigCommand", "consumer.group.ConsumerGroupCommand"
	for _, step := range []struct {
		name, in, class, args, want string
	}{
		{"create", "", topics, "--create --topic tools --partitions 2 --config retention.ms=3600000", "Created topic tools."},
		{"describe", "", topics, "--describe --topic tools", "PartitionCount: 2"},
		{"configure", "", configs, "--alter --entity-type topics --entity-name tools --add-config retention.ms=7200000,max.message.bytes=2000000", "Completed updating config for topic tools."},
		{"configuration", "", configs, "--describe --entity-type topics --entity-name tools", "retention.ms=7200000"},
		{"unconfigure", "", configs, "--alter --entity-type topics --entity-name tools --delete-config max.message.bytes", "Completed updating config for topic tools."},
		{"measure a producer", "", "ProducerPerformance", "--topic tools --num-records 2000 --record-size 100 --throughput -1 --command-property acks=all --command-property compression.type=lz4", "2000 records sent"},
		{"measure transactions", "", "ProducerPerformance", "--topic tools --num-records 1000 --record-size 100 --throughput -1 --transaction-duration-ms 50", "1000 records sent"},
		{"measure a consumer", "", "ConsumerPerformance", "--topic tools --num-records 3000 --timeout 30000 --group measured", "3000"},
		{"verifiable producer", "", "VerifiableProducer", "--topic tools --max-messages 100 --acks -1", `"sent":100,"acked":100`},
		{"verifiable consumer", "", "VerifiableConsumer", "--topic tools --group-id verified --max-messages 3100 --reset-policy earliest", "shutdown_complete"},
		{"console producer", "one\ntwo\n", "ConsoleProducer", "--topic tools", ""},
		{"console consumer", "", "consumer.ConsoleConsumer", "--topic tools --from-beginning --max-messages 3102 --group read --isolation-level read_committed", "Processed a total of 3102 messages"},
		{"list groups", "", groups, "--list", "read"},
		{"a group's offsets", "", groups, "--describe --group read", "tools"},
		{"a group's state", "", groups, "--describe --group read --state", "Empty"},
		{"a dry run", "", groups, "--reset-offsets --group read --topic tools:0 --to-offset 7 --dry-run", "NEW-OFFSET"},
		{"reset to the start", "", groups, "--reset-offsets --group read --topic tools --to-earliest --execute", "NEW-OFFSET"},
		{"reset by a time", "", groups, "--reset-offsets --group read --topic tools --to-datetime 2020-01-01T00:00:00.000 --execute", "NEW-OFFSET"},
		{"reset by a shift", "", groups, "--reset-offsets --group read --topic tools:1 --shift-by 3 --execute", "3"},
		{"forget offsets", "", groups, "--delete-offsets --group read --topic tools:1", "Successful"},
		{"delete a group", "", groups, "--delete --group read", "was successful"},
		{"delete records", "", "DeleteRecordsCommand", "--offset-json-file " + cut, "low_watermark: 5"},
		{"first offsets", "", "GetOffsetShell", "--topic tools --time earliest", "tools:0:5"},
		{"last offsets", "", "GetOffsetShell", "--topic tools", "tools:1:"},
		{"more partitions", "", topics, "--alter --topic tools --partitions 3", ""},
		{"a message there and back", "", "EndToEndLatency", "--topic tools --num-records 50 --producer-acks all --record-size 100", "Avg latency"},
		{"log directories", "", "LogDirsCommand", "--describe --topic-list tools", `"partition":"tools-2"`},
		{"elections, which are won", "", "LeaderElectionCommand", "--election-type preferred --topic tools --partition 0", "Valid replica already elected"},
		{"versions", "", "BrokerApiVersionsCommand", "", "Produce(0): 0 to 13"},
		{"who the cluster is", "", "ClusterTool", "cluster-id", "Cluster ID: "},
		{"delete", "", topics, "--delete --topic tools", ""},
		{"list", "", topics, "--list --exclude-internal", ""},
	} {
		t.Run(step.name, func(t *testing.T) {
			got := tool(t, step.in, step.class, append(strings.Fields(step.args), "--bootstrap-server", broker)...)
			if !strings.Contains(got, step.want) {
				t.Errorf("no %q in\n%s", step.want, got)
			}
		})
	}
}

// TestToolsOnConsumerGroups lets Apache Kafka's tools configure, describe and list
// a group of the consumer protocol while it has a member, and remove it.
func TestToolsOnConsumerGroups(t *testing.T) {
	broker := harness.ForTest(t, harness.Options{Ephemeral: true}).Ready().Kafka
	const configs, groups = "ConfigCommand", "consumer.group.ConsumerGroupCommand"
	run := func(class, args string, want ...string) {
		t.Helper()
		got := tool(t, "", class, append(strings.Fields(args), "--bootstrap-server", broker)...)
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: no %q in\n%s", args, w, got)
			}
		}
	}
	run("TopicCommand", "--create --topic watched --partitions 3", "Created topic watched.")
	run(configs, "--alter --entity-type groups --entity-name watchers --add-config consumer.heartbeat.interval.ms=1000,consumer.session.timeout.ms=10000", "Completed updating config for group watchers.")
	run(configs, "--describe --entity-type groups --entity-name watchers", "consumer.heartbeat.interval.ms=1000", "consumer.session.timeout.ms=10000")
	member, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumerGroup("watchers"), kgo.ConsumeTopics("watched"), kgo.ServerSideBalancer())
	if err != nil {
		t.Fatal(err)
	}
	defer member.Close()
	if err := member.ProduceSync(t.Context(), &kgo.Record{Topic: "watched", Value: []byte("seen")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := member.PollFetches(t.Context()).Err(); err != nil { // it is a member now
		t.Fatal(err)
	}
	if err := member.CommitUncommittedOffsets(t.Context()); err != nil {
		t.Fatal(err)
	}
	run(groups, "--list --type consumer --state stable", "watchers")
	run(groups, "--describe --group watchers --state", "uniform", "Stable")
	run(groups, "--describe --group watchers --members --verbose", "watched:0,1,2")
	run(groups, "--describe --group watchers", "watched")
	member.LeaveGroup()
	run(groups, "--describe --group watchers --state", "Empty")
	run(groups, "--delete --group watchers", "was successful")
	run("VerifiableConsumer", "--topic watched --group-id verified --group-protocol consumer --max-messages 1 --reset-policy earliest", "shutdown_complete")
}

// TestToolsOnShareGroups lets Apache Kafka's tools read as members of a share group,
// and list, describe, set, forget and remove such groups.
func TestToolsOnShareGroups(t *testing.T) {
	broker := harness.ForTest(t, harness.Options{Ephemeral: true}).Ready().Kafka
	const configs, groups = "ConfigCommand", "consumer.group.ShareGroupCommand"
	for _, step := range []struct {
		name, in, class, args, want string
	}{
		{"create", "", "TopicCommand", "--create --topic tasks --partitions 1", "Created topic tasks."},
		{"configure", "", configs, "--alter --entity-type groups --entity-name workers --add-config share.auto.offset.reset=earliest", "Completed updating config for group workers."},
		{"configuration", "", configs, "--describe --entity-type groups --entity-name workers", "share.auto.offset.reset=earliest"},
		{"produce", "one\ntwo\nthree\n", "ConsoleProducer", "--topic tasks", ""},
		{"read as a member", "", "consumer.ConsoleShareConsumer", "--topic tasks --group workers --max-messages 3 --timeout-ms 30000", "two"},
		{"list", "", groups, "--list", "workers"},
		{"list with states", "", groups, "--list --state empty", "Empty"},
		{"list all groups", "", "GroupsCommand", "--list --share", "workers"},
		{"describe", "", groups, "--describe --group workers", "tasks"},
		{"its state", "", groups, "--describe --group workers --state", "Empty"},
		{"its members", "", groups, "--describe --group workers --members", ""},
		{"a dry run", "", groups, "--reset-offsets --group workers --topic tasks --to-earliest --dry-run", "0"},
		{"reset to the start", "", groups, "--reset-offsets --group workers --topic tasks --to-earliest --execute", "NEW-OFFSET"},
		{"read again", "", "consumer.ConsoleShareConsumer", "--topic tasks --group workers --max-messages 3 --timeout-ms 30000", "three"},
		{"reset by a time", "", groups, "--reset-offsets --group workers --topic tasks --to-datetime 2020-01-01T00:00:00.000 --execute", "NEW-OFFSET"},
		{"reset to the end", "", groups, "--reset-offsets --group workers --all-topics --to-latest --execute", "3"},
		{"forget offsets", "", groups, "--delete-offsets --group workers --topic tasks", "Successful"},
		{"measure a share consumer", "", "ShareConsumerPerformance", "--topic tasks --num-records 3 --group workers --timeout 30000", "3"},
		{"verifiable share consumer", "", "VerifiableShareConsumer", "--topic tasks --group-id verified --max-messages 3 --offset-reset-strategy earliest --acknowledgement-mode sync", "shutdown_complete"},
		{"delete", "", groups, "--delete --group workers", "was successful"},
		{"list what is left", "", groups, "--list", ""},
	} {
		t.Run(step.name, func(t *testing.T) {
			got := tool(t, step.in, step.class, append(strings.Fields(step.args), "--bootstrap-server", broker)...)
			if !strings.Contains(got, step.want) {
				t.Errorf("no %q in\n%s", step.want, got)
			}
		})
	}
}
