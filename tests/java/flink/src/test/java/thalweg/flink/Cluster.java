package thalweg.flink;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** Flink as it is deployed: a job manager and a task manager in processes of their own, and the REST API. */
final class Cluster implements AutoCloseable {
    private static final String HOST = InetAddress.getLoopbackAddress().getHostAddress();
    private static final String RUNTIME = "org.apache.flink.runtime.";
    /** What Flink's own scripts open to it on JDK 17. */
    private static final List<String> OPENS = List.of("java.lang", "java.net", "java.io", "java.nio", "sun.nio.ch",
            "java.lang.reflect", "java.text", "java.time", "java.util", "java.util.concurrent",
            "java.util.concurrent.atomic", "java.util.concurrent.locks");

    private final HttpClient http = HttpClient.newHttpClient();
    private final Path directory;
    private final String rest;
    /** The job manager, then each task manager there was. */
    private final List<Process> processes = new ArrayList<>();

    /** Starts the job manager; what the processes write is in the directory. */
    Cluster(Path directory) throws IOException {
        this.directory = directory;
        int port;
        try (ServerSocket one = new ServerSocket(0); ServerSocket two = new ServerSocket(0)) {
            port = one.getLocalPort();
            rest = "http://" + HOST + ":" + two.getLocalPort();
            Files.writeString(directory.resolve("config.yaml"), config(port, two.getLocalPort()).entrySet().stream()
                    .map(e -> e.getKey() + ": " + e.getValue() + "\n").collect(Collectors.joining()));
        }
        run("entrypoint.StandaloneSessionClusterEntrypoint");
    }

    private Map<String, Object> config(int rpcPort, int restPort) {
        return Map.ofEntries(
                Map.entry("jobmanager.rpc.address", HOST), Map.entry("jobmanager.rpc.port", rpcPort),
                Map.entry("jobmanager.bind-host", HOST),
                Map.entry("taskmanager.host", HOST), Map.entry("taskmanager.bind-host", HOST),
                Map.entry("rest.address", HOST), Map.entry("rest.bind-address", HOST), Map.entry("rest.port", restPort),
                Map.entry("io.tmp.dirs", directory), Map.entry("state.checkpoints.dir", directory.resolve("checkpoints").toUri()),
                Map.entry("heartbeat.interval", 1_000), Map.entry("heartbeat.timeout", 20_000),
                // What Flink's scripts reckon from the size of the process.
                Map.entry("taskmanager.numberOfTaskSlots", 2), Map.entry("taskmanager.cpu.cores", 2),
                Map.entry("taskmanager.memory.task.heap.size", "256m"), Map.entry("taskmanager.memory.task.off-heap.size", "64m"),
                Map.entry("taskmanager.memory.network.min", "32m"), Map.entry("taskmanager.memory.network.max", "32m"),
                Map.entry("taskmanager.memory.managed.size", "32m"),
                Map.entry("taskmanager.memory.framework.heap.size", "128m"), Map.entry("taskmanager.memory.framework.off-heap.size", "128m"),
                Map.entry("taskmanager.memory.jvm-metaspace.size", "256m"),
                Map.entry("taskmanager.memory.jvm-overhead.min", "192m"), Map.entry("taskmanager.memory.jvm-overhead.max", "192m"));
    }

    /** Starts a task manager and waits until the job manager has its slots. */
    void startTaskManager() throws Exception {
        run("taskexecutor.TaskManagerRunner");
        await("/overview", said -> said.contains("\"slots-total\":2"));
    }

    /** Kills the task manager with kill -9 and waits until the job manager misses it. */
    void killTaskManager() throws Exception {
        last().destroyForcibly().waitFor();
        await("/overview", said -> said.contains("\"slots-total\":0"));
    }

    /** Uploads a jar and returns its id. */
    String upload(Path jar) throws Exception {
        String boundary = "thalweg-" + jar.getFileName();
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        body.writeBytes(("--" + boundary + "\r\nContent-Disposition: form-data; name=\"jarfile\"; filename=\"" + jar.getFileName()
                + "\"\r\nContent-Type: application/x-java-archive\r\n\r\n").getBytes(StandardCharsets.UTF_8));
        body.writeBytes(Files.readAllBytes(jar));
        body.writeBytes(("\r\n--" + boundary + "--\r\n").getBytes(StandardCharsets.UTF_8));
        String said = send("POST", "/jars/upload", "multipart/form-data; boundary=" + boundary, BodyPublishers.ofByteArray(body.toByteArray()));
        String file = member(said, "filename");
        return file.substring(file.lastIndexOf('/') + 1);
    }

    /** Runs a job of an uploaded jar, waits until it runs, and returns its id. */
    String run(String jar, Class<?> entry, List<String> arguments) throws Exception {
        String list = arguments.stream().map(a -> '"' + a + '"').collect(Collectors.joining(","));
        String said = send("POST", "/jars/" + jar + "/run", "application/json", BodyPublishers.ofString("{\"entryClass\":\""
                + entry.getName() + "\",\"parallelism\":2,\"programArgsList\":[" + list + "]}"));
        String job = member(said, "jobid");
        await("/jobs/" + job, now -> state(now, "RUNNING"));
        return job;
    }

    /** Waits until a checkpoint is complete that began after this call. */
    void awaitCheckpoint(String job) throws Exception {
        String path = "/jobs/" + job + "/checkpoints";
        // One that runs now is the next to complete.
        int enough = count(send("GET", path, null, BodyPublishers.noBody()), "completed") + 2;
        await(path, said -> count(said, "completed") >= enough);
    }

    /** How often a job went on from a checkpoint. */
    int restored(String job) throws Exception {
        return count(send("GET", "/jobs/" + job + "/checkpoints", null, BodyPublishers.noBody()), "restored");
    }

    /** Cancels a job and waits until it has let go of what it used. */
    void cancel(String job) throws Exception {
        send("PATCH", "/jobs/" + job + "?mode=cancel", "application/json", BodyPublishers.noBody());
        await("/jobs/" + job, said -> state(said, "CANCELED"));
    }

    @Override
    public void close() throws InterruptedException {
        processes.forEach(Process::destroy);
        for (Process p : processes) {
            if (!p.waitFor(30, TimeUnit.SECONDS)) {
                p.destroyForcibly().waitFor();
            }
        }
    }

    private void run(String main) throws IOException {
        Path lib = Path.of(System.getProperty("flink.dist"), "lib");
        if (!Files.isDirectory(lib)) {
            throw new IllegalStateException("no Flink in " + lib + ": scripts/clients.sh puts it there");
        }
        List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.io.tmpdir=" + directory));
        OPENS.forEach(p -> command.add("--add-opens=java.base/" + p + "=ALL-UNNAMED"));
        command.addAll(List.of("-cp", lib + "/*", RUNTIME + main, "--configDir", directory.toString()));
        processes.add(new ProcessBuilder(command).redirectErrorStream(true)
                .redirectOutput(directory.resolve("output-" + processes.size()).toFile()).start());
    }

    private Process last() {
        return processes.get(processes.size() - 1);
    }

    /** Asks until the answer is the one; not for ever, nor when a process that was not killed has ended. */
    private void await(String path, Predicate<String> reached) throws Exception {
        boolean killed = !last().isAlive();
        long deadline = System.nanoTime() + TimeUnit.MINUTES.toNanos(2);
        String said = "";
        while (System.nanoTime() < deadline && processes.get(0).isAlive() && (killed || last().isAlive())) {
            try {
                said = send("GET", path, null, BodyPublishers.noBody());
                if (reached.test(said)) {
                    return;
                }
            } catch (IOException e) {
                said = e.toString(); // it does not listen yet
            }
            TimeUnit.MILLISECONDS.sleep(50);
        }
        throw new IllegalStateException(path + " came to " + said + "\n" + output());
    }

    private String send(String method, String path, String type, BodyPublisher body) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(rest + path)).method(method, body);
        if (type != null) {
            request.header("Content-Type", type);
        }
        var response = http.send(request.build(), BodyHandlers.ofString());
        if (response.statusCode() >= 300) {
            throw new IOException(method + " " + path + ": " + response.statusCode() + " " + response.body());
        }
        return response.body();
    }

    private String output() throws IOException {
        StringBuilder all = new StringBuilder();
        for (int i = 0; i < processes.size(); i++) {
            all.append(Files.readString(directory.resolve("output-" + i)));
        }
        return all.toString();
    }

    private static boolean state(String job, String state) {
        return member(job, "state").equals(state);
    }

    private static int count(String json, String name) {
        return Integer.parseInt(find(json, "\"" + name + "\":(\\d+)"));
    }

    private static String member(String json, String name) {
        return find(json, "\"" + name + "\":\"([^\"]*)\"");
    }

    private static String find(String json, String pattern) {
        var m = Pattern.compile(pattern).matcher(json);
        if (!m.find()) {
            throw new IllegalStateException("no " + pattern + " in " + json);
        }
        return m.group(1);
    }
}
