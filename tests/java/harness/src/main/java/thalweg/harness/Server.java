package thalweg.harness;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;

/** The real binary with a data directory of its own: $THALWEG_BIN, or one built from this repository. */
public final class Server implements AutoCloseable {
    private static final String HOST = "127.0.0.1";

    private final Path directory;
    private final List<String> command;
    private final Path output;
    private Process process;
    private final String http;
    private final String https;
    private final String kafka;

    private Server(Path directory, List<String> command, Process process, Path output, String ready) {
        this.directory = directory;
        this.command = command;
        this.process = process;
        this.output = output;
        this.http = member(ready, "http");
        this.https = member(ready, "https");
        this.kafka = member(ready, "advertised");
    }

    /** Starts a server on free ports, HTTP and TLS, and waits until it is ready. */
    public static Server start(String... flags) throws IOException, InterruptedException {
        Path directory = Files.createTempDirectory("thalweg-java-");
        Path ready = directory.resolve("ready.json");
        Path output = directory.resolve("output");
        List<String> command = new ArrayList<>(List.of(binary(), "serve",
                "--data", directory.resolve("data").toString(), "--ready-file", ready.toString(),
                "--listen", HOST + ":0", "--listen-tls", HOST + ":0", "--listen-kafka", HOST + ":0"));
        command.addAll(List.of(flags));
        Process process = run(command, output);
        return new Server(directory, command, process, output, await(process, ready, output));
    }

    private static Process run(List<String> command, Path output) throws IOException {
        return new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile()).start();
    }

    private static String await(Process process, Path ready, Path output) throws IOException, InterruptedException {
        long deadline = System.nanoTime() + TimeUnit.MINUTES.toNanos(1);
        while (process.isAlive() && System.nanoTime() < deadline) {
            String text = Files.exists(ready) ? Files.readString(ready) : "";
            if (text.stripTrailing().endsWith("}")) {
                return text;
            }
            TimeUnit.MILLISECONDS.sleep(5);
        }
        process.destroyForcibly();
        throw new IllegalStateException("the server did not become ready:\n" + Files.readString(output));
    }

    /** Kills the server as kill -9 does, and starts it again on the port that its Kafka clients know. */
    public void killAndRestart() throws IOException, InterruptedException {
        process.destroyForcibly().waitFor();
        Path ready = directory.resolve("ready.json");
        Files.deleteIfExists(ready);
        command.set(command.indexOf("--listen-kafka") + 1, kafka);
        process = run(command, output);
        await(process, ready, output);
    }

    /** The plain endpoint, as http://127.0.0.1:PORT. */
    public String http() {
        return url("http", http);
    }

    /** The TLS endpoint, whose certificate no JVM trusts. */
    public String https() {
        return url("https", https);
    }

    /** The first broker of the first Kafka listener, as HOST:PORT. */
    public String kafka() {
        return kafka;
    }

    /** The data directory. */
    public Path data() {
        return directory.resolve("data");
    }

    /** The file of the authority that clients must trust for TLS. */
    public Path authority() {
        return data().resolve("ca.pem");
    }

    public String host() {
        return HOST;
    }

    public int tlsPort() {
        return Integer.parseInt(https.substring(https.lastIndexOf(':') + 1));
    }

    /** An access key of a 12-digit account. */
    public record Key(String id, String secret) {}

    /** Makes an access key. */
    public Key createKey(String account) throws IOException, InterruptedException {
        String made = Commands.output(List.of(binary(), "keys", "create", "--account", account,
                "--data", data().toString(), "-o", "json"));
        return new Key(member(made, "access_key_id"), member(made, "secret_access_key"));
    }

    /** Moves the clock of a server with test aids on. */
    public void advance(Duration by) throws IOException, InterruptedException {
        var request = HttpRequest.newBuilder(URI.create(http() + "/_thalweg/clock"))
                .POST(HttpRequest.BodyPublishers.ofString("{\"advance\":\"" + by.toSeconds() + "s\"}")).build();
        int status = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).statusCode();
        if (status != 200) {
            throw new IllegalStateException("the clock answered " + status);
        }
    }

    /** Runs a command of the binary against this server and returns what it printed. */
    public String run(String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(binary()));
        command.addAll(List.of(arguments));
        command.addAll(List.of("--endpoint", http()));
        return Commands.output(command);
    }

    /** Stops the server; fails if it does not leave by itself with exit code 0. */
    @Override
    public void close() throws IOException, InterruptedException {
        process.destroy();
        boolean left = process.waitFor(1, TimeUnit.MINUTES);
        if (!left) {
            process.destroyForcibly().waitFor();
        }
        String said = Files.readString(output);
        try (var files = Files.walk(directory)) {
            for (Path p : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(p);
            }
        }
        if (!left || process.exitValue() != 0) {
            throw new IllegalStateException("the server ended with " + process.exitValue() + ":\n" + said);
        }
    }

    private static String url(String scheme, String address) {
        return address.contains("://") ? address : scheme + "://" + address;
    }

    private static String member(String json, String name) {
        var m = Pattern.compile("\"" + name + "\"\\s*:\\s*\"([^\"]*)\"").matcher(json);
        if (!m.find()) {
            throw new IllegalStateException("no \"" + name + "\" in " + json);
        }
        return m.group(1);
    }

    private static synchronized String binary() throws IOException, InterruptedException {
        String named = System.getenv("THALWEG_BIN");
        if (named != null && !named.isEmpty()) {
            return named;
        }
        Path built = Commands.root().resolve("bin").resolve("thalweg");
        Commands.output(List.of("make", "-C", Commands.root().toString(), "build"));
        return built.toString();
    }
}
