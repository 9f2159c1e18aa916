package thalweg.kcl;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import software.amazon.awssdk.services.kinesis.KinesisClient;
import thalweg.harness.Event;
import thalweg.harness.Ledger;
import thalweg.harness.Server;
import thalweg.harness.Sizes;
import thalweg.kpl.Clients;
import thalweg.kpl.Producer;

/** The Kinesis Client Library with nothing installed but the server: leases, checkpoints and metrics live there. */
class KclTest {
    private static final String STREAM = "game";
    private static final int BITE = 20;
    private static final Duration SOON = Duration.ofMinutes(2);

    private Server server;
    private KinesisClient kinesis;

    @BeforeEach
    void start() throws Exception {
        server = Server.start();
        kinesis = Clients.kinesis(server);
    }

    @AfterEach
    void stop() throws Exception {
        kinesis.close();
        server.close();
    }

    @ParameterizedTest(name = "two workers, {0}: a reshard, and one of them killed")
    @ValueSource(strings = {"polling", "fanout"})
    void workers(String mode) throws Exception {
        Clients.createStream(kinesis, STREAM, 4);
        List<Event> events = Event.load(Sizes.EVENTS);
        try (Fleet fleet = new Fleet(server, STREAM, "arena-" + mode, mode); Producer producer = new Producer(server, STREAM)) {
            fleet.start("a");
            fleet.await("the first worker reads every shard", SOON, () -> fleet.eachReads(4));
            fleet.start("b");
            fleet.await("both run", SOON, () -> fleet.running() == 2);
            // The newest library shares leases out by the bytes that come from them, so there must be some.
            int written = 0;
            while (!fleet.shared()) {
                assertTrue(written < events.size() / 2, "leases are not shared: " + fleet);
                producer.writeInOrder(events.subList(written, written += BITE));
                int all = written;
                fleet.await("what was written is read", SOON, () -> fleet.distinct() == all);
            }
            int half = (written + events.size()) / 2;
            CompletableFuture<Void> reshard = CompletableFuture.runAsync(() -> Clients.reshard(kinesis, STREAM));
            producer.writeInOrder(events.subList(written, half));
            reshard.join();
            fleet.kill("b");
            producer.writeInOrder(events.subList(half, events.size()));
            fleet.await("the survivor reads every shard", SOON, () -> fleet.eachReads(4));
            fleet.await("every event is read", SOON, () -> fleet.distinct() >= events.size());
            int again = new Ledger(events).atLeastOnce(fleet.events());
            Ledger.ordered(fleet.events());
            System.out.printf("KCL %s, %s: %d events read in order, %d of them again; leases shared after %d; shards ended: %s%n",
                    Tuning.VERSION, mode, events.size(), again, written, fleet.ended());
        }
    }
}
