package thalweg.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import thalweg.harness.Server;

/** Apache Kafka's own client, with its defaults, against a cluster that shows three brokers. */
@Timeout(90)
class ApacheClientTest {
    private static Server server;
    private static Admin admin;

    @BeforeAll
    static void start() throws Exception {
        server = Server.start("--kafka-brokers", "3");
        admin = Admin.create(Map.of("bootstrap.servers", server.kafka()));
    }

    @AfterAll
    static void stop() throws Exception {
        admin.close();
        server.close();
    }

    private static KafkaProducer<String, String> producer(Map<String, Object> more) {
        Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", server.kafka()));
        config.putAll(more);
        return new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
    }

    private static KafkaConsumer<String, String> consumer(String group, Map<String, Object> more) {
        Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", server.kafka(), "group.id", group,
                "auto.offset.reset", "earliest", "enable.auto.commit", false));
        config.putAll(more);
        return new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
    }

    private static void create(String name, int partitions, Map<String, String> configs) throws Exception {
        admin.createTopics(List.of(new NewTopic(name, partitions, (short) 3).configs(configs))).all().get();
    }

    private static List<String> produce(String topic, int count, Map<String, Object> config) throws Exception {
        List<String> values = new ArrayList<>();
        List<Future<RecordMetadata>> acks = new ArrayList<>();
        try (KafkaProducer<String, String> p = producer(config)) {
            for (int i = 0; i < count; i++) {
                values.add("move " + i + "x".repeat(i % 200));
                acks.add(p.send(new ProducerRecord<>(topic, "key" + i % 7, values.get(i))));
            }
            for (Future<RecordMetadata> ack : acks) {
                assertTrue(ack.get().hasOffset());
            }
        }
        return values;
    }

    @ParameterizedTest
    @ValueSource(strings = {"none", "gzip", "snappy", "lz4", "zstd"})
    void thereAndBack(String codec) throws Exception {
        String topic = "back-" + codec;
        create(topic, 3, Map.of());
        List<String> values = produce(topic, 2000, Map.of("compression.type", codec, "linger.ms", 2));
        List<String> got = new ArrayList<>();
        try (KafkaConsumer<String, String> c = consumer(topic, Map.of())) {
            c.subscribe(List.of(topic));
            while (got.size() < values.size()) {
                for (ConsumerRecord<String, String> r : c.poll(Duration.ofMillis(200))) {
                    got.add(r.value());
                }
            }
            c.commitSync();
        }
        assertEquals(values.stream().sorted().toList(), got.stream().sorted().toList());
        long committed = admin.listConsumerGroupOffsets(topic).partitionsToOffsetAndMetadata().get().values().stream()
                .mapToLong(OffsetAndMetadata::offset).sum();
        assertEquals(values.size(), committed);
    }

    @Test
    void twoMembersShareAndOneTakesOver() throws Exception {
        create("share", 4, Map.of());
        List<String> values = produce("share", 400, Map.of());
        Set<String> seen = new HashSet<>();
        Map<String, Object> quick = Map.of("heartbeat.interval.ms", 200, "session.timeout.ms", 6000);
        try (KafkaConsumer<String, String> a = consumer("share", quick)) {
            a.subscribe(List.of("share"));
            try (KafkaConsumer<String, String> b = consumer("share", quick)) {
                b.subscribe(List.of("share"));
                while (a.assignment().size() != 2 || b.assignment().size() != 2) {
                    a.poll(Duration.ofMillis(100)).forEach(r -> seen.add(r.value()));
                    b.poll(Duration.ofMillis(100)).forEach(r -> seen.add(r.value()));
                }
                assertEquals(2, admin.describeConsumerGroups(List.of("share")).all().get().get("share").members().size());
            }
            while (a.assignment().size() != 4 || seen.size() < values.size()) {
                a.poll(Duration.ofMillis(100)).forEach(r -> seen.add(r.value()));
            }
            a.commitSync();
        }
        admin.deleteConsumerGroups(List.of("share")).all().get();
        assertFalse(admin.listGroups().all().get().stream().anyMatch(g -> g.groupId().equals("share")));
    }

    @Test
    void exactlyOnce() throws Exception {
        create("from", 2, Map.of());
        create("to", 2, Map.of());
        List<String> values = produce("from", 200, Map.of());
        Map<String, Object> transactional = Map.of("transactional.id", "copier");
        try (KafkaProducer<String, String> p = producer(transactional); KafkaConsumer<String, String> c = consumer("copy", Map.of())) {
            p.initTransactions();
            c.subscribe(List.of("from"));
            int copied = 0;
            for (int round = 0; copied < values.size(); round++) {
                ConsumerRecords<String, String> records = c.poll(Duration.ofMillis(200));
                if (records.isEmpty()) {
                    continue;
                }
                Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
                p.beginTransaction();
                for (ConsumerRecord<String, String> r : records) {
                    p.send(new ProducerRecord<>("to", r.key(), r.value()));
                    offsets.put(new TopicPartition(r.topic(), r.partition()), new OffsetAndMetadata(r.offset() + 1));
                }
                p.sendOffsetsToTransaction(offsets, c.groupMetadata());
                if (round % 2 == 0) {
                    p.abortTransaction();
                    for (TopicPartition t : records.partitions()) {
                        c.seek(t, records.records(t).get(0).offset());
                    }
                    continue;
                }
                p.commitTransaction();
                copied += records.count();
            }
        }
        List<String> got = new ArrayList<>();
        try (KafkaConsumer<String, String> c = consumer("to", Map.of("isolation.level", "read_committed"))) {
            c.subscribe(List.of("to"));
            while (got.size() < values.size()) {
                c.poll(Duration.ofMillis(200)).forEach(r -> got.add(r.value()));
            }
        }
        assertEquals(values.stream().sorted().toList(), got.stream().sorted().toList());
        TransactionDescription copier = admin.describeTransactions(List.of("copier")).description("copier").get();
        assertEquals(TransactionState.COMPLETE_COMMIT, copier.state());
        assertTrue(copier.producerEpoch() >= 2, "an epoch with each transaction: " + copier);
        try (KafkaProducer<String, String> old = producer(transactional); KafkaProducer<String, String> next = producer(transactional)) {
            old.initTransactions();
            next.initTransactions();
            old.beginTransaction();
            old.send(new ProducerRecord<>("to", "zombie"));
            assertThrows(KafkaException.class, old::commitTransaction);
        }
    }

    @Test
    void administration() throws Exception {
        create("admin", 2, Map.of("retention.ms", "3600000"));
        assertEquals(3, admin.describeCluster().nodes().get().size());
        assertEquals(3, admin.describeTopics(List.of("admin")).allTopicNames().get().get("admin").partitions().get(0).isr().size());
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, "admin");
        admin.incrementalAlterConfigs(Map.of(resource, List.of(
                new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.APPEND)))).all().get();
        Config config = admin.describeConfigs(List.of(resource)).all().get().get(resource);
        assertEquals("delete,compact", config.get("cleanup.policy").value());
        assertEquals("3600000", config.get("retention.ms").value());
        assertTrue(config.get("segment.bytes").isDefault());
        admin.createPartitions(Map.of("admin", NewPartitions.increaseTo(5))).all().get();
        assertEquals(5, admin.describeTopics(List.of("admin")).allTopicNames().get().get("admin").partitions().size());
        ExecutionException again = assertThrows(ExecutionException.class, () -> create("admin", 2, Map.of()));
        assertInstanceOf(TopicExistsException.class, again.getCause());
        ExecutionException bad = assertThrows(ExecutionException.class, () -> create("bad", 2, Map.of("retention.ms", "soon")));
        assertInstanceOf(InvalidConfigurationException.class, bad.getCause());
        admin.deleteTopics(List.of("admin")).all().get();
        assertFalse(admin.listTopics().names().get().contains("admin"));
    }

    @Test
    void offsetsAndRecords() throws Exception {
        admin.createTopics(List.of(new NewTopic("offsets", Optional.of(1), Optional.empty()))).all().get();
        TopicPartition p = new TopicPartition("offsets", 0);
        long now = System.currentTimeMillis();
        try (KafkaProducer<String, String> producer = producer(Map.of())) {
            for (int i = 0; i < 10; i++) {
                producer.send(new ProducerRecord<>("offsets", 0, now + i * 1000, "k", "v" + i)).get();
            }
            ExecutionException large = assertThrows(ExecutionException.class, () -> {
                try (KafkaProducer<String, String> big = producer(Map.of("max.request.size", 3_000_000))) {
                    big.send(new ProducerRecord<>("offsets", "x".repeat(2_000_000))).get();
                }
            });
            assertInstanceOf(RecordTooLargeException.class, large.getCause());
        }
        assertEquals(4, admin.listOffsets(Map.of(p, OffsetSpec.forTimestamp(now + 3500))).all().get().get(p).offset());
        assertEquals(9, admin.listOffsets(Map.of(p, OffsetSpec.maxTimestamp())).all().get().get(p).offset());
        assertEquals(10, admin.listOffsets(Map.of(p, OffsetSpec.latest())).all().get().get(p).offset());
        admin.deleteRecords(Map.of(p, RecordsToDelete.beforeOffset(6))).all().get();
        assertEquals(6, admin.listOffsets(Map.of(p, OffsetSpec.earliest())).all().get().get(p).offset());
        try (KafkaConsumer<String, String> c = consumer("offsets", Map.of())) {
            c.assign(List.of(p));
            List<String> got = new ArrayList<>();
            while (got.size() < 4) {
                c.poll(Duration.ofMillis(200)).forEach(r -> got.add(r.value()));
            }
            assertEquals(List.of("v6", "v7", "v8", "v9"), got);
        }
    }
}
