package thalweg.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import thalweg.harness.Event;
import thalweg.harness.Ledger;
import thalweg.harness.Server;
import thalweg.harness.Sizes;

/**
 * Flink's own connector in a job on a cluster: it copies one stream to another while the first is resharded, then
 * through kill -9 of the task manager.
 */
class FlinkTest {
    private static final String FROM = "game";
    private static final String TO = "copy";

    @TempDir
    private static Path flink;

    private static Cluster cluster;
    private static String jar;

    @TempDir
    private Path directory;

    private Server server;

    @BeforeAll
    static void deploy() throws Exception {
        cluster = new Cluster(flink);
        cluster.startTaskManager();
        jar = cluster.upload(Path.of(System.getProperty("flink.job")));
    }

    @AfterAll
    static void undeploy() throws Exception {
        if (cluster != null) {
            cluster.close();
        }
    }

    @BeforeEach
    void start() throws Exception {
        server = Server.start();
    }

    @AfterEach
    void stop() throws Exception {
        server.close();
    }

    @ParameterizedTest(name = "a job copies every event, once until its task manager is killed, {0}")
    @EnumSource
    void copies(Copy.Source source) throws Exception {
        server.run("stream", "create", FROM, "--shards", "3");
        server.run("stream", "create", TO, "--shards", "2");
        List<Event> events = Event.load(Sizes.EVENTS);
        int quarter = events.size() / 4;
        int half = 2 * quarter;
        put(events.subList(0, quarter));
        String job = cluster.run(jar, Copy.class, List.of(server.http(), source.name(), arn(), TO));
        List<String> read;
        try {
            tail(quarter);
            server.run("stream", "reshard", FROM, "--shards", "4");
            put(events.subList(quarter, half));
            new Ledger(events.subList(0, half)).exactlyOnce(tail(half));
            cluster.awaitCheckpoint(job);
            put(events.subList(half, half + quarter));
            tail(half + 1);
            cluster.killTaskManager();
            put(events.subList(half + quarter, events.size()));
            cluster.startTaskManager();
            read = tailAll(events);
            assertTrue(cluster.restored(job) > 0, "the job did not go on from a checkpoint");
        } finally {
            cluster.cancel(job);
        }
        int repeats = new Ledger(events).atLeastOnce(read);
        Set<String> checkpointed = events.subList(0, half).stream().map(Event::json).collect(Collectors.toSet());
        assertEquals(half, read.stream().filter(checkpointed::contains).count(), "copies of what a checkpoint had");
        System.out.printf("Flink, %s: %d events copied from 3, then 4 shards, each once; %d more through a killed task manager, %d of them again%n",
                source, half, events.size() - half, repeats);
    }

    private String arn() throws Exception {
        String described = server.run("stream", "describe", FROM, "-o", "json");
        return described.lines().filter(l -> l.contains("\"arn\"")).findFirst().orElseThrow().split("\"")[3];
    }

    private void put(List<Event> events) throws Exception {
        Path file = directory.resolve("events.ndjson");
        Files.writeString(file, events.stream().map(e -> e.json() + "\n").collect(Collectors.joining()));
        server.run("stream", "put", FROM, "--file", file.toString(), "--key", "player_id");
    }

    /** The copy's records until each event is among them: as many as are missing must yet come. */
    private List<String> tailAll(List<Event> events) throws Exception {
        int n = events.size();
        while (true) {
            List<String> read = tail(n);
            Set<String> distinct = Set.copyOf(read);
            long missing = events.stream().filter(e -> !distinct.contains(e.json())).count();
            if (missing == 0) {
                return read;
            }
            n += (int) missing;
        }
    }

    /** The first n records of the copy, when it has that many. */
    private List<String> tail(int n) throws Exception {
        List<String> lines = server.run("stream", "tail", TO, "--from", "trim-horizon", "-n", "" + n).lines().toList();
        assertEquals(n, lines.size(), "lines");
        return lines;
    }
}
