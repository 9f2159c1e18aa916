package thalweg.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
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
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicIdPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import thalweg.harness.Server;

/** Apache Kafka's own client of share groups (KIP-932). */
@Timeout(120)
class ShareConsumerTest {
    private static final int PARTITIONS = 3;

    private Server server;
    private Admin admin;

    @BeforeEach
    void start() throws Exception {
        server = Server.start();
        admin = Admin.create(Map.of("bootstrap.servers", server.kafka()));
        admin.createTopics(List.of(new NewTopic("work", PARTITIONS, (short) 1))).all().get();
    }

    @AfterEach
    void stop() throws Exception {
        admin.close();
        server.close();
    }

    private void configure(String group, String... entries) throws Exception {
        List<AlterConfigOp> ops = new ArrayList<>();
        for (int i = 0; i < entries.length; i += 2) {
            ops.add(new AlterConfigOp(new ConfigEntry(entries[i], entries[i + 1]), AlterConfigOp.OpType.SET));
        }
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, group), ops)).all().get();
    }

    private void produce(int from, int to, Map<String, Object> more, boolean abort) {
        Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", server.kafka()));
        config.putAll(more);
        try (var producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            boolean transactional = config.containsKey("transactional.id");
            if (transactional) {
                producer.initTransactions();
                producer.beginTransaction();
            }
            for (int i = from; i < to; i++) {
                producer.send(new ProducerRecord<>("work", i % PARTITIONS, "k", Integer.toString(i)));
            }
            producer.flush();
            if (transactional && abort) {
                producer.abortTransaction();
            } else if (transactional) {
                producer.commitTransaction();
            }
        }
    }

    private KafkaShareConsumer<String, String> member(String group, Map<String, Object> more) {
        Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", server.kafka(), "group.id", group, "max.poll.records", 20));
        config.putAll(more);
        var c = new KafkaShareConsumer<>(config, new StringDeserializer(), new StringDeserializer());
        c.subscribe(List.of("work"));
        return c;
    }

    /** What members were given and said, and what the server has confirmed of it. */
    private static final class Book {
        private final Map<String, AcknowledgeType> said = new HashMap<>();
        private final Map<String, Integer> delivered = new HashMap<>();
        private final Set<String> done = new HashSet<>();
        private final Set<String> unsure = new HashSet<>();

        private static String at(int partition, long offset) {
            return partition + "/" + offset;
        }

        /** Notes a record, and what is to be said of it: some come back once, some are rejected. */
        AcknowledgeType note(ConsumerRecord<String, String> r, boolean explicit) {
            String at = at(r.partition(), r.offset());
            assertFalse(done.contains(at), () -> at + " was confirmed and came again");
            int n = delivered.merge(at, 1, Integer::sum);
            int value = Integer.parseInt(r.value());
            var say = !explicit ? AcknowledgeType.ACCEPT
                    : value % 5 == 0 && n == 1 ? AcknowledgeType.RELEASE
                    : value % 11 == 0 ? AcknowledgeType.REJECT : AcknowledgeType.ACCEPT;
            said.put(at, say);
            return say;
        }

        void confirmed(Map<TopicIdPartition, Set<Long>> offsets, Exception e) {
            offsets.forEach((tp, list) -> list.forEach(offset -> {
                String at = at(tp.partition(), offset);
                if (said.get(at) == AcknowledgeType.RELEASE) {
                    return;
                }
                if (e == null) {
                    done.add(at);
                } else {
                    unsure.add(at);
                }
            }));
        }

        int settled() {
            Set<String> all = new HashSet<>(done);
            all.addAll(unsure);
            return all.size();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"explicit", "implicit"})
    void everyRecordIsAcknowledgedOnceThroughKillsOfTheServer(String mode) throws Exception {
        int total = 900;
        boolean explicit = mode.equals("explicit");
        configure("g", "share.auto.offset.reset", "earliest", "share.record.lock.duration.ms", "2000", "share.heartbeat.interval.ms", "1000");
        produce(0, total, Map.of(), false);
        Book book = new Book();
        Map<String, Object> config = Map.of("share.acknowledgement.mode", mode);
        try (var a = member("g", config); var b = member("g", config)) {
            for (var c : List.of(a, b)) {
                c.setAcknowledgementCommitCallback(book::confirmed);
            }
            int kills = 0;
            while (book.settled() < total) {
                for (var c : List.of(a, b)) {
                    var got = c.poll(Duration.ofMillis(100));
                    got.forEach(r -> {
                        var say = book.note(r, explicit);
                        if (explicit) {
                            c.acknowledge(r, say);
                        }
                    });
                    if (!got.isEmpty() && kills < 2 && book.done.size() > total * (kills + 1) / 4) {
                        kills++;
                        server.killAndRestart(); // what was just said is not confirmed
                    }
                    c.commitSync();
                }
            }
            assertEquals(2, kills);
        }
        assertEquals(total, book.delivered.size());
        for (String at : book.delivered.keySet()) {
            assertTrue(book.done.contains(at) || book.unsure.contains(at), at);
        }
        // Nothing is left: a record that comes now was acknowledged before, or is unsure.
        try (var last = member("g", Map.of())) {
            produce(total, total + PARTITIONS, Map.of(), false);
            int fresh = 0;
            while (fresh < PARTITIONS) {
                for (ConsumerRecord<String, String> r : last.poll(Duration.ofMillis(100))) {
                    if (Integer.parseInt(r.value()) >= total) {
                        fresh++;
                    } else {
                        assertFalse(book.done.contains(Book.at(r.partition(), r.offset())), r::toString);
                    }
                }
            }
        }
    }

    @Test
    void aRecordThatNobodyTakesIsGivenUp() throws Exception {
        configure("poison", "share.auto.offset.reset", "earliest", "share.delivery.count.limit", "3");
        produce(0, 1, Map.of(), false);
        try (var c = member("poison", Map.of("share.acknowledgement.mode", "explicit"))) {
            int deliveries = 0;
            while (deliveries < 3) {
                for (ConsumerRecord<String, String> r : c.poll(Duration.ofMillis(200))) {
                    assertEquals(++deliveries, r.deliveryCount().orElseThrow().intValue());
                    c.acknowledge(r, AcknowledgeType.RELEASE);
                }
                c.commitSync();
            }
            produce(3, 4, Map.of(), false); // the same partition
            List<String> got = new ArrayList<>();
            while (got.isEmpty()) {
                c.poll(Duration.ofMillis(200)).forEach(r -> {
                    got.add(r.value());
                    c.acknowledge(r, AcknowledgeType.ACCEPT);
                });
            }
            assertEquals(List.of("3"), got);
        }
        assertEquals(GroupState.EMPTY, admin.describeShareGroups(List.of("poison")).all().get().get("poison").groupState());
        admin.deleteShareGroups(List.of("poison")).all().get();
    }

    @Test
    void onlyWhatWasCommittedIsDelivered() throws Exception {
        configure("careful", "share.auto.offset.reset", "earliest", "share.isolation.level", "read_committed");
        produce(0, 30, Map.of("transactional.id", "one"), true);
        produce(30, 60, Map.of("transactional.id", "two"), false);
        produce(60, 63, Map.of(), false);
        Set<String> got = new HashSet<>();
        try (var c = member("careful", Map.of())) {
            while (got.size() < 33) {
                for (ConsumerRecord<String, String> r : c.poll(Duration.ofMillis(200))) {
                    assertTrue(Integer.parseInt(r.value()) >= 30, r.value());
                    assertTrue(got.add(r.value()), r.value());
                }
            }
        }
    }
}
