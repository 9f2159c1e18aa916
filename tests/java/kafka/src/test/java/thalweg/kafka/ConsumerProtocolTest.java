package thalweg.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import thalweg.harness.Server;

/** Apache Kafka's own client with group.protocol=consumer: the server assigns. */
@Timeout(120)
class ConsumerProtocolTest {
    private Server server;
    private Admin admin;

    @BeforeEach
    void start() throws Exception {
        server = Server.start();
        admin = Admin.create(Map.of("bootstrap.servers", server.kafka()));
    }

    @AfterEach
    void stop() throws Exception {
        admin.close();
        server.close();
    }

    /** Has members beat every second, and end after six without. */
    private void quick(String group) throws Exception {
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, group), List.of(
                new AlterConfigOp(new ConfigEntry("consumer.heartbeat.interval.ms", "1000"), AlterConfigOp.OpType.SET),
                new AlterConfigOp(new ConfigEntry("consumer.session.timeout.ms", "6000"), AlterConfigOp.OpType.SET)))).all().get();
    }

    private void create(String name, int partitions) throws Exception {
        admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1))).all().get();
    }

    private KafkaConsumer<String, String> member(String group, Map<String, Object> more) {
        Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", server.kafka(), "group.id", group,
                "group.protocol", "consumer", "auto.offset.reset", "earliest", "enable.auto.commit", false));
        config.putAll(more);
        return new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
    }

    private void produce(String topic, int partitions, int from, int to) {
        try (var producer = new KafkaProducer<>(Map.<String, Object>of("bootstrap.servers", server.kafka()), new StringSerializer(), new StringSerializer())) {
            for (int i = from; i < to; i++) {
                producer.send(new ProducerRecord<>(topic, i % partitions, "k", Integer.toString(i)));
            }
        }
    }

    /** What the members of a group have seen: every record, and those of a partition in order from where one began. */
    private static final class Seen {
        private final Set<String> values = new HashSet<>();
        private final Map<String, Long> next = new HashMap<>();
        private int delivered;
        private int uncommitted;

        void poll(int who, KafkaConsumer<String, String> member) {
            var got = member.poll(Duration.ofMillis(100));
            for (ConsumerRecord<String, String> r : got) {
                values.add(r.value());
                delivered++;
                String at = who + " " + r.partition();
                Long expected = next.get(at);
                assertTrue(expected == null || r.offset() >= expected || !member.assignment().contains(new TopicPartition(r.topic(), r.partition())),
                        () -> at + " went from " + expected + " back to " + r.offset());
                next.put(at, r.offset() + 1);
            }
            if (got.isEmpty()) {
                return;
            }
            try {
                member.commitSync();
            } catch (RebalanceInProgressException e) {
                uncommitted += got.count(); // it commits with the next, if it keeps the partitions
            }
        }
    }

    @Test
    void membersShareThroughAKillOfTheServer() throws Exception {
        quick("g");
        create("game", 6);
        produce("game", 6, 0, 600);
        Seen seen = new Seen();
        try (var a = member("g", Map.of()); var b = member("g", Map.of("group.instance.id", "b"))) {
            a.subscribe(List.of("game"));
            while (a.assignment().size() != 6 || seen.values.size() < 600) {
                seen.poll(0, a);
            }
            b.subscribe(List.of("game"));
            while (a.assignment().size() != 3 || b.assignment().size() != 3) {
                seen.poll(0, a);
                seen.poll(1, b);
            }
            var group = admin.describeConsumerGroups(List.of("g")).all().get().get("g");
            assertEquals(GroupType.CONSUMER, group.type());
            assertEquals(2, group.members().size());
            assertEquals(GroupState.STABLE, group.groupState());
            int epoch = group.groupEpoch().orElseThrow();
            server.killAndRestart();
            produce("game", 6, 600, 1200);
            while (seen.values.size() < 1200) {
                seen.poll(0, a);
                seen.poll(1, b);
            }
            group = admin.describeConsumerGroups(List.of("g")).all().get().get("g");
            assertEquals(epoch, group.groupEpoch().orElseThrow(), "the members are those that there were");
            admin.createPartitions(Map.of("game", NewPartitions.increaseTo(8))).all().get();
            while (a.assignment().size() != 4 || b.assignment().size() != 4) {
                seen.poll(0, a);
                seen.poll(1, b);
            }
            produce("game", 8, 1200, 1600);
            while (seen.values.size() < 1600) {
                seen.poll(0, a);
                seen.poll(1, b);
            }
        }
        // The static member keeps its place until its session is over.
        while (admin.describeConsumerGroups(List.of("g")).all().get().get("g").groupState() != GroupState.EMPTY) {
            Thread.onSpinWait();
        }
        admin.deleteConsumerGroups(List.of("g")).all().get();
        assertTrue(admin.listGroups().all().get().isEmpty());
    }

    /** The program of a member that is killed: it reads until it is ended. */
    public static final class Doomed {
        public static void main(String[] args) {
            try (var consumer = new KafkaConsumer<>(Map.<String, Object>of("bootstrap.servers", args[0], "group.id", args[1], "group.protocol", "consumer",
                    "auto.offset.reset", "earliest", "enable.auto.commit", false), new StringDeserializer(), new StringDeserializer())) {
                consumer.subscribe(List.of(args[2]));
                while (true) {
                    consumer.poll(Duration.ofMillis(100));
                    System.out.println(consumer.assignment().size());
                }
            }
        }
    }

    @Test
    void aKilledMembersPartitionsAreTakenOver() throws Exception {
        quick("g");
        create("game", 4);
        produce("game", 4, 0, 400);
        Process doomed = new ProcessBuilder(List.of("java", "-Xmx128m", "-cp", System.getProperty("java.class.path"), Doomed.class.getName(),
                server.kafka(), "g", "game")).redirectErrorStream(true).start();
        try (var out = doomed.inputReader(); var a = member("g", Map.of())) {
            for (String line = out.readLine(); !"4".equals(line); line = out.readLine()) {
                assertTrue(line != null, "the member ended");
            }
            a.subscribe(List.of("game"));
            Seen seen = new Seen();
            Thread drain = new Thread(() -> out.lines().forEach(line -> { }));
            drain.start();
            while (a.assignment().size() != 2) {
                seen.poll(0, a);
            }
            doomed.destroyForcibly().waitFor();
            while (a.assignment().size() != 4 || seen.values.size() < 400) {
                seen.poll(0, a);
            }
            drain.join();
        } finally {
            doomed.destroyForcibly();
        }
    }

    @Test
    void membersAreReplacedOneByOne() throws Exception {
        quick("g");
        create("game", 4);
        Seen seen = new Seen();
        List<KafkaConsumer<String, String>> members = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            members.add(member("g", Map.of()));
            members.get(i).subscribe(List.of("game"));
        }
        for (int round = 0; round < 3; round++) {
            produce("game", 4, round * 400, (round + 1) * 400);
            members.add(member("g", Map.of("group.remote.assignor", round == 1 ? "range" : "uniform")));
            members.get(members.size() - 1).subscribe(List.of("game"));
            members.remove(0).close();
            while (seen.values.size() < (round + 1) * 400 || members.stream().anyMatch(m -> m.assignment().size() != 2)) {
                for (int i = 0; i < members.size(); i++) {
                    seen.poll(round + i, members.get(i));
                }
            }
        }
        members.forEach(KafkaConsumer::close);
    }

    /** A member of the classic protocol, with its assignor. */
    private KafkaConsumer<String, String> classic(String group, String assignor) {
        return member(group, Map.of("group.protocol", "classic", "partition.assignment.strategy", assignor, "session.timeout.ms", 6000, "heartbeat.interval.ms", 500));
    }

    private void share(Seen seen, int total, List<KafkaConsumer<String, String>> members, int each) {
        while (seen.values.size() < total || members.stream().anyMatch(m -> m.assignment().size() != each)) {
            for (KafkaConsumer<String, String> m : members) {
                seen.poll(System.identityHashCode(m), m);
            }
        }
    }

    private GroupType typeOf(String group) throws Exception {
        return admin.listGroups().all().get().stream().filter(g -> g.groupId().equals(group)).findFirst().orElseThrow().type().orElseThrow();
    }

    @Test
    void membersMoveToTheConsumerProtocolAndBack() throws Exception {
        quick("g");
        create("game", 4);
        Seen seen = new Seen();
        List<KafkaConsumer<String, String>> members = new ArrayList<>();
        for (String assignor : List.of("org.apache.kafka.clients.consumer.RangeAssignor", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor")) {
            for (int i = 0; i < 2; i++) {
                members.add(classic("g", assignor));
                members.get(i).subscribe(List.of("game"));
            }
            int total = seen.values.size() + 400;
            produce("game", 4, total - 400, total);
            share(seen, total, members, 2);
            assertEquals(GroupType.CLASSIC, typeOf("g"));
            for (int i = 0; i < 2; i++) {
                members.remove(0).close();
                members.add(member("g", Map.of()));
                members.get(1).subscribe(List.of("game"));
                total += 400;
                produce("game", 4, total - 400, total);
                share(seen, total, members, 2);
                assertEquals(GroupType.CONSUMER, typeOf("g"));
                server.killAndRestart();
            }
            for (int i = 0; i < 2; i++) {
                members.remove(0).close();
                members.add(classic("g", assignor));
                members.get(1).subscribe(List.of("game"));
                total += 400;
                produce("game", 4, total - 400, total);
                share(seen, total, members, 2);
                assertEquals(i == 0 ? GroupType.CONSUMER : GroupType.CLASSIC, typeOf("g"));
            }
            server.killAndRestart();
            produce("game", 4, total, total + 400);
            share(seen, total + 400, members, 2);
            assertTrue(seen.delivered - seen.values.size() <= seen.uncommitted,
                    () -> seen.delivered + " were delivered, of " + seen.values.size() + ", and " + seen.uncommitted + " were not committed");
            members.forEach(KafkaConsumer::close);
            members.clear();
        }
    }

    @Test
    void topicsAreFoundByARegularExpression() throws Exception {
        quick("g");
        create("game-1", 1);
        create("other", 1);
        produce("game-1", 1, 0, 10);
        produce("other", 1, 10, 20);
        Seen seen = new Seen();
        try (var a = member("g", Map.of("metadata.max.age.ms", 1000))) {
            a.subscribe(new SubscriptionPattern("game-.*"));
            while (seen.values.size() < 10) {
                seen.poll(0, a);
            }
            create("game-2", 1);
            produce("game-2", 1, 20, 30);
            while (seen.values.size() < 20) {
                seen.poll(1, a);
            }
            assertEquals(Set.of("game-1", "game-2"), new HashSet<>(a.assignment().stream().map(TopicPartition::topic).toList()));
        }
    }
}
