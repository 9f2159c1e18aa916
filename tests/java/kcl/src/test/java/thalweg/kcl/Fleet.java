package thalweg.kcl;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import thalweg.harness.Server;

/** Worker processes of one application, and what they say. */
final class Fleet implements AutoCloseable {
    private record Line(long nanos, String json) {}

    private final Server server;
    private final String stream;
    private final String application;
    private final String mode;
    private final Map<String, Process> workers = new HashMap<>();
    private final Map<String, Set<String>> owned = new TreeMap<>();
    private final Set<String> running = new HashSet<>();
    private final Set<String> ended = new TreeSet<>();
    private final List<Line> records = new ArrayList<>();
    private final Set<String> distinct = new HashSet<>();

    Fleet(Server server, String stream, String application, String mode) {
        this.server = server;
        this.stream = stream;
        this.application = application;
        this.mode = mode;
    }

    synchronized void start(String worker) throws IOException {
        Process p = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx512m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=" + System.getProperty("worker.log"),
                "-Dorg.slf4j.simpleLogger.showDateTime=true",
                "-cp", System.getProperty("java.class.path"), Worker.class.getName(),
                server.http(), stream, application, worker, mode)
                .redirectError(ProcessBuilder.Redirect.to(Path.of("target", application + "-" + worker + ".log").toFile())).start();
        workers.put(worker, p);
        owned.put(worker, new TreeSet<>());
        Thread listener = new Thread(() -> listen(worker, p));
        listener.setDaemon(true);
        listener.start();
    }

    /** Ends a worker as a crash would. */
    void kill(String worker) throws InterruptedException {
        Process p;
        synchronized (this) {
            p = workers.remove(worker);
        }
        p.destroyForcibly().waitFor();
        synchronized (this) {
            owned.remove(worker);
            running.remove(worker);
            notifyAll();
        }
    }

    private void listen(String worker, Process p) {
        try (BufferedReader in = new BufferedReader(new InputStreamReader(p.getInputStream(), StandardCharsets.UTF_8))) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                hear(worker, line.split(" ", 4));
            }
        } catch (IOException e) {
            // The pipe of a killed process ends like this, too.
        }
    }

    private synchronized void hear(String worker, String[] said) {
        Set<String> shards = owned.getOrDefault(worker, new TreeSet<>());
        switch (said[1]) {
            case "up" -> running.add(worker);
            case "start" -> shards.add(said[2]);
            case "lost" -> shards.remove(said[2]);
            case "end" -> {
                shards.remove(said[2]);
                ended.add(said[2]);
            }
            default -> {
                records.add(new Line(Long.parseLong(said[0]), said[3]));
                distinct.add(said[3]);
            }
        }
        notifyAll();
    }

    /** Waits until the condition holds, which is asked after everything that a worker says. */
    synchronized void await(String what, Duration limit, BooleanSupplier condition) throws InterruptedException, TimeoutException {
        long end = System.nanoTime() + limit.toNanos();
        while (!condition.getAsBoolean()) {
            long left = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
            if (left <= 0) {
                throw new TimeoutException("not within " + limit + ": " + what + "; " + this);
            }
            wait(left);
        }
    }

    /** How many workers live and have finished starting. */
    synchronized int running() {
        return running.size();
    }

    /** Whether each living worker reads some shard. */
    synchronized boolean shared() {
        return owned.values().stream().noneMatch(Set::isEmpty);
    }

    /** Whether each living worker reads this many shards. */
    synchronized boolean eachReads(int shards) {
        return owned.values().stream().allMatch(s -> s.size() == shards);
    }

    /** The shards that were read to their end. */
    synchronized Set<String> ended() {
        return new TreeSet<>(ended);
    }

    /** How many different events were read. */
    synchronized int distinct() {
        return distinct.size();
    }

    /** All events read, in the order of their processing by any worker. */
    synchronized List<String> events() {
        return records.stream().sorted(Comparator.comparingLong(Line::nanos)).map(Line::json).toList();
    }

    @Override
    public synchronized String toString() {
        return running + " run, read " + owned + ", ended " + ended + ", " + distinct.size() + " events";
    }

    @Override
    public void close() throws InterruptedException {
        for (String worker : List.copyOf(workers.keySet())) {
            kill(worker);
        }
    }
}
