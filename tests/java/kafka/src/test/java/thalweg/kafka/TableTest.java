package thalweg.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.InvalidRecordException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import thalweg.harness.Server;

/**
 * A compacted topic of one partition as a table, the way schema registries keep theirs: each write is read back
 * before it counts, and who starts reads the topic to its end.
 */
@Timeout(120)
class TableTest {
    private static final TopicPartition TABLE = new TopicPartition("_schemas", 0);

    private Server server;
    private Map<String, Object> config;
    private KafkaProducer<String, String> producer;

    @BeforeEach
    void start() throws Exception {
        server = Server.start("--test-aids");
        config = Map.of("bootstrap.servers", server.kafka(), "acks", "all", "auto.offset.reset", "earliest", "enable.auto.commit", false);
        try (Admin admin = Admin.create(config)) {
            admin.createTopics(List.of(new NewTopic(TABLE.topic(), 1, (short) 1).configs(Map.of("cleanup.policy", "compact",
                    "min.cleanable.dirty.ratio", "0.01", "segment.ms", "60000", "delete.retention.ms", "3600000")))).all().get();
        }
        producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
    }

    @AfterEach
    void stop() throws Exception {
        producer.close();
        server.close();
    }

    /** The table as one process knows it. */
    private final class View implements AutoCloseable {
        private final KafkaConsumer<String, String> consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
        private final Map<String, String> rows = new TreeMap<>();
        private int records;

        View() {
            consumer.assign(List.of(TABLE));
            consumer.seekToBeginning(List.of(TABLE));
        }

        /** Reads on until the record at the offset was read, or the one that now stands for it. */
        void reach(long offset) {
            while (consumer.position(TABLE) <= offset) {
                for (var r : consumer.poll(Duration.ofMillis(200))) {
                    records++;
                    if (r.value() == null) {
                        rows.remove(r.key());
                    } else {
                        rows.put(r.key(), r.value());
                    }
                }
            }
        }

        void toTheEnd() {
            reach(consumer.endOffsets(List.of(TABLE)).get(TABLE) - 1);
        }

        @Override
        public void close() {
            consumer.close();
        }
    }

    private void put(View view, String key, String value) throws Exception {
        view.reach(producer.send(new ProducerRecord<>(TABLE.topic(), key, value)).get().offset());
        assertEquals(value, view.rows.get(key));
    }

    @Test
    void aTableIsWrittenReadCompactedAndReadAgain() throws Exception {
        Map<String, String> want = new TreeMap<>();
        int written = 0;
        try (View view = new View()) {
            for (int version = 1; version <= 30; version++) {
                for (int subject = 0; subject < 10; subject++) {
                    String key = "{\"keytype\":\"SCHEMA\",\"subject\":\"s" + subject + "\"}";
                    String value = subject == version % 10 ? null : "{\"version\":" + version + ",\"schema\":\"" + "x".repeat(500) + "\"}";
                    put(view, key, value);
                    written++;
                    if (value == null) {
                        want.remove(key);
                    } else {
                        want.put(key, value);
                    }
                }
            }
            assertEquals(want, view.rows);
        }
        int left = written;
        for (int looks = 0; left > want.size() + 1; looks++) { // tombstones go too, in time
            assertTrue(looks < 200, left + " of " + written + " records are left");
            server.advance(Duration.ofMinutes(10));
            try (View other = new View()) {
                other.toTheEnd();
                assertEquals(want, other.rows);
                left = other.records;
            }
        }
    }

    @Test
    void aRecordWithoutAKeyIsRefused() {
        var e = assertThrows(ExecutionException.class, () -> producer.send(new ProducerRecord<>(TABLE.topic(), "value")).get());
        assertInstanceOf(InvalidRecordException.class, e.getCause());
    }
}
