package thalweg.kpl;

import com.google.common.util.concurrent.ListenableFuture;
import com.google.common.util.concurrent.MoreExecutors;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import software.amazon.kinesis.producer.KinesisProducer;
import software.amazon.kinesis.producer.KinesisProducerConfiguration;
import software.amazon.kinesis.producer.UserRecordResult;
import thalweg.harness.Event;
import thalweg.harness.Server;

/** The Kinesis Producer Library, writing player events to a server over TLS. */
public final class Producer implements AutoCloseable {
    private static final int UNDER_WAY = 10_000;

    private final KinesisProducer kpl;
    private final String stream;

    public Producer(Server server, String stream) {
        this.stream = stream;
        // Its endpoints are hosts, not URLs: it always speaks TLS.
        kpl = new KinesisProducer(new KinesisProducerConfiguration()
                .setRegion(Clients.REGION.id()).setCredentialsProvider(Clients.CREDENTIALS)
                .setKinesisEndpoint(server.host()).setKinesisPort(server.tlsPort())
                .setCloudwatchEndpoint(server.host()).setCloudwatchPort(server.tlsPort())
                .setStsEndpoint(server.host()).setStsPort(server.tlsPort())
                .setVerifyCertificate(false)
                .setRecordMaxBufferedTime(20)
                .setRecordTtl(TimeUnit.MINUTES.toMillis(2))
                .setTempDirectory(Path.of("target").toAbsolutePath().toString())
                .setLogLevel("warning"));
    }

    /** Hands one event over. */
    public ListenableFuture<UserRecordResult> add(Event e) {
        return add(e.key(), null, e.json());
    }

    /** Hands one record over; hashKey null is none. */
    public ListenableFuture<UserRecordResult> add(String key, String hashKey, String data) {
        return kpl.addUserRecord(stream, key, hashKey, ByteBuffer.wrap(data.getBytes(StandardCharsets.UTF_8)));
    }

    /** Writes events as fast as they are taken, in no order; returns what became of each. */
    public List<UserRecordResult> write(List<Event> events) throws InterruptedException, ExecutionException {
        Semaphore room = new Semaphore(UNDER_WAY);
        List<ListenableFuture<UserRecordResult>> all = new ArrayList<>();
        for (Event e : events) {
            room.acquire();
            ListenableFuture<UserRecordResult> f = add(e);
            f.addListener(room::release, MoreExecutors.directExecutor());
            all.add(f);
        }
        List<UserRecordResult> results = new ArrayList<>();
        for (ListenableFuture<UserRecordResult> f : all) {
            results.add(f.get());
        }
        return results;
    }

    /**
     * Writes events, a player's next one when the one before was acknowledged: the library promises no order to
     * records that are under way together. Fails if one is not written.
     */
    public void writeInOrder(List<Event> events) throws InterruptedException, ExecutionException, TimeoutException {
        Map<String, List<Event>> byKey = new LinkedHashMap<>();
        for (Event e : events) {
            byKey.computeIfAbsent(e.key(), k -> new ArrayList<>()).add(e);
        }
        LinkedBlockingQueue<Turn> done = new LinkedBlockingQueue<>();
        Collection<List<Event>> players = byKey.values();
        int underWay = 0;
        for (List<Event> player : players) {
            underWay += next(player.iterator(), done);
        }
        while (underWay > 0) {
            Turn turn = done.poll(2, TimeUnit.MINUTES);
            if (turn == null) {
                throw new TimeoutException(underWay + " records are not acknowledged");
            }
            turn.written.get();
            underWay += next(turn.rest, done) - 1;
        }
    }

    private record Turn(ListenableFuture<UserRecordResult> written, Iterator<Event> rest) {}

    private int next(Iterator<Event> player, LinkedBlockingQueue<Turn> done) {
        if (!player.hasNext()) {
            return 0;
        }
        ListenableFuture<UserRecordResult> written = add(player.next());
        written.addListener(() -> done.add(new Turn(written, player)), MoreExecutors.directExecutor());
        return 1;
    }

    /** Waits until everything that was handed over is written. */
    public void flush() {
        kpl.flushSync();
    }

    @Override
    public void close() {
        kpl.destroy();
    }
}
