package thalweg.kpl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.services.kinesis.KinesisClient;
import software.amazon.awssdk.services.kinesis.model.Record;
import software.amazon.awssdk.services.kinesis.model.Shard;
import software.amazon.kinesis.producer.Attempt;
import software.amazon.kinesis.producer.UserRecordResult;
import software.amazon.kinesis.retrieval.KinesisClientRecord;
import thalweg.harness.Event;
import thalweg.harness.Ledger;
import thalweg.harness.Server;
import thalweg.harness.Sizes;

/** The Kinesis Producer Library: its native binary speaks TLS, aggregates, and predicts shards. */
class KplTest {
    private static final String STREAM = "game";

    private Server server;
    private KinesisClient kinesis;
    private Reader reader;

    @BeforeEach
    void start() throws Exception {
        server = Server.start();
        kinesis = Clients.kinesis(server);
        reader = new Reader(kinesis, STREAM);
    }

    @AfterEach
    void stop() throws Exception {
        kinesis.close();
        server.close();
    }

    @Test
    @DisplayName("every aggregated event once, each in the shard that was predicted")
    void aggregates() throws Exception {
        Clients.createStream(kinesis, STREAM, 4);
        List<Event> events = Event.load(Sizes.EVENTS);
        List<UserRecordResult> results;
        try (Producer producer = new Producer(server, STREAM)) {
            results = producer.write(events);
        }
        List<Shard> shards = reader.shards();
        for (int i = 0; i < events.size(); i++) {
            UserRecordResult r = results.get(i);
            assertEquals(1, r.getAttempts().size(), "attempts to write " + events.get(i));
            assertEquals(shardOf(shards, events.get(i).key()), r.getShardId(), "shard of " + events.get(i));
        }
        int stored = 0;
        List<String> read = new ArrayList<>();
        for (Shard shard : shards) {
            List<Record> records = reader.records(shard);
            stored += records.size();
            for (KinesisClientRecord r : Reader.userRecords(shard, records)) {
                read.add(text(r));
            }
        }
        assertTrue(stored < events.size() / 2, stored + " records hold " + events.size() + " events: hardly aggregated");
        Ledger ledger = new Ledger(events);
        ledger.exactlyOnce(read);
        ledger.exactlyOnce(server.run("stream", "tail", STREAM, "--from", "trim-horizon", "-n", "" + events.size())
                .lines().toList());
        System.out.printf("KPL: %d events in %d records of 4 shards, each read once by the SDK and by thalweg stream tail%n",
                events.size(), stored);
    }

    @Test
    @DisplayName("every event across a reshard; twice only what the library wrote twice")
    void reshards() throws Exception {
        Clients.createStream(kinesis, STREAM, 4);
        List<Event> events = Event.load(Sizes.EVENTS);
        int third = events.size() / 3;
        List<UserRecordResult> results = new ArrayList<>();
        try (Producer producer = new Producer(server, STREAM)) {
            results.addAll(producer.write(events.subList(0, third)));
            CompletableFuture<Void> reshard = CompletableFuture.runAsync(() -> Clients.reshard(kinesis, STREAM));
            results.addAll(producer.write(events.subList(third, events.size())));
            reshard.join();
        }
        // What it finds in another shard than it predicted the library writes again, and those who take it apart
        // leave out an aggregate with records of another shard. A merged shard holds all of its parents' keys, so
        // there both stay.
        Map<String, Integer> writes = new HashMap<>();
        int again = 0;
        for (int i = 0; i < events.size(); i++) {
            assertTrue(results.get(i).isSuccessful(), () -> "not written");
            for (Attempt attempt : results.get(i).getAttempts()) {
                assertTrue(attempt.isSuccessful() || attempt.getErrorCode().equals("Wrong Shard"), attempt.getErrorMessage());
                again += attempt.isSuccessful() ? 0 : 1;
            }
            writes.put(events.get(i).json(), results.get(i).getAttempts().size());
        }
        assertTrue(again > 0, "the reshard came too late to matter");
        List<String> read = new ArrayList<>();
        for (Shard shard : reader.shards()) {
            for (KinesisClientRecord r : Reader.userRecords(shard, reader.records(shard))) {
                read.add(text(r));
            }
        }
        int twice = new Ledger(events).written(read, writes);
        List<String> tailed = server.run("stream", "tail", STREAM, "--from", "trim-horizon", "-n", "" + read.size())
                .lines().sorted().toList();
        assertEquals(read.stream().sorted().toList(), tailed, "what thalweg stream tail reads");
        System.out.printf("KPL: %d events across a split and a merge, %d writes found in another shard and repeated, %d of them read twice%n",
                events.size(), again, twice);
    }

    private static String text(KinesisClientRecord r) {
        return StandardCharsets.UTF_8.decode(r.data()).toString();
    }

    private static String shardOf(List<Shard> shards, String key) throws Exception {
        byte[] digest = MessageDigest.getInstance("MD5").digest(key.getBytes(StandardCharsets.UTF_8));
        BigInteger hash = new BigInteger(1, digest);
        return shards.stream().filter(s -> hash.compareTo(new BigInteger(s.hashKeyRange().startingHashKey())) >= 0
                && hash.compareTo(new BigInteger(s.hashKeyRange().endingHashKey())) <= 0).findFirst().orElseThrow().shardId();
    }
}
