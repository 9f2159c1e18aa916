package thalweg.streams;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import thalweg.harness.Event;
import thalweg.harness.Server;
import thalweg.harness.Sizes;

/**
 * Kafka Streams, two instances in processes of their own, each killed with SIGKILL and started again: every
 * event is counted once. It needs repartition topics, compacted changelogs, and transactions with offsets.
 */
class CounterTest {
    private static final int PARTITIONS = 4;
    private static final Duration LIMIT = Duration.ofMinutes(2);

    @TempDir
    private Path directory;

    private Server server;
    private final Map<String, Process> running = new HashMap<>();

    private void run(String name) throws IOException {
        running.put(name, new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx512m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=" + System.getProperty("worker.log"),
                "-cp", System.getProperty("java.class.path"), Counter.class.getName(),
                server.kafka(), directory.resolve(name).toString())
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(Path.of("target", name + ".log").toFile())).start());
    }

    private void kill(String name) throws InterruptedException {
        running.remove(name).destroyForcibly().waitFor();
    }

    @Test
    @Timeout(300)
    void everyEventIsCountedOnceThoughInstancesAreKilled() throws Exception {
        List<Event> events = Event.load(Sizes.EVENTS);
        Map<String, Long> want = new HashMap<>();
        events.forEach(e -> Counter.words(e).forEach(w -> want.merge(w, 1L, Long::sum)));
        server = Server.start();
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", server.kafka()));
                var seen = new Seen(server.kafka())) {
            admin.createTopics(List.of(new NewTopic(Counter.IN, PARTITIONS, (short) 1),
                    new NewTopic(Counter.OUT, PARTITIONS, (short) 1))).all().get();
            int half = events.size() / 2;
            produce(events.subList(0, half));
            run("one");
            run("two");
            seen.reach(half / 5, this::alive);
            kill("one");
            seen.reach(half, this::alive);
            run("one");
            produce(events.subList(half, events.size()));
            seen.reach(events.size() * 5 / 4, this::alive);
            kill("two");
            seen.reach(events.size() * 7 / 4, this::alive);
            run("two");
            seen.reach(2 * events.size(), this::alive);
            for (Process p : running.values()) {
                p.destroy();
                assertTrue(p.waitFor(1, TimeUnit.MINUTES));
            }
            seen.toTheEnd();
            assertEquals(want, seen.counts);
            internalTopics(admin);
        } finally {
            running.values().forEach(Process::destroyForcibly);
            server.close();
        }
    }

    private void alive() {
        running.forEach((name, p) -> {
            if (!p.isAlive()) {
                try {
                    throw new AssertionError(name + " ended with " + p.exitValue() + ":\n" + Files.readString(Path.of("target", name + ".log")));
                } catch (IOException e) {
                    throw new AssertionError(e);
                }
            }
        });
    }

    private void produce(List<Event> events) {
        Map<String, Object> config = Map.of("bootstrap.servers", server.kafka(), "linger.ms", 5);
        try (var producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            events.forEach(e -> producer.send(new ProducerRecord<>(Counter.IN, e.game(), e.json())));
        }
    }

    /** What Streams made for itself is as it asked. */
    private static void internalTopics(Admin admin) throws Exception {
        Map<ConfigResource, String> policies = Map.of(
                topic("counter-words-repartition"), "delete", topic("counter-counted-changelog"), "compact");
        var configs = admin.describeConfigs(policies.keySet()).all().get();
        policies.forEach((topic, policy) -> assertEquals(policy, configs.get(topic).get("cleanup.policy").value()));
    }

    private static ConfigResource topic(String name) {
        return new ConfigResource(ConfigResource.Type.TOPIC, name);
    }

    /** Reads what is committed of the counts, and fails where a word's does not go up by one. */
    private static final class Seen implements AutoCloseable {
        private final KafkaConsumer<String, Long> consumer;
        private final Map<String, Long> counts = new HashMap<>();
        private int records;

        Seen(String brokers) {
            consumer = new KafkaConsumer<>(Map.of("bootstrap.servers", brokers, "isolation.level", "read_committed",
                    "auto.offset.reset", "earliest", "enable.auto.commit", false),
                    new StringDeserializer(), new LongDeserializer());
        }

        private void poll() {
            if (consumer.assignment().isEmpty()) {
                consumer.assign(IntStream.range(0, PARTITIONS).mapToObj(p -> new TopicPartition(Counter.OUT, p)).toList());
            }
            List<String> wrong = new ArrayList<>();
            for (ConsumerRecord<String, Long> r : consumer.poll(Duration.ofMillis(200))) {
                long before = counts.getOrDefault(r.key(), 0L);
                if (r.value() != before + 1) {
                    wrong.add(r.key() + " went from " + before + " to " + r.value() + " at offset " + r.offset());
                }
                counts.put(r.key(), r.value());
                records++;
            }
            assertEquals(List.of(), wrong);
        }

        void reach(int n, Runnable check) {
            long deadline = System.nanoTime() + LIMIT.toNanos();
            while (records < n) {
                assertTrue(System.nanoTime() < deadline, records + " of " + n + " counts came");
                check.run();
                poll();
            }
        }

        void toTheEnd() {
            var ends = consumer.endOffsets(consumer.assignment());
            while (ends.entrySet().stream().anyMatch(e -> consumer.position(e.getKey()) < e.getValue())) {
                poll();
            }
        }

        @Override
        public void close() {
            consumer.close();
        }
    }
}
