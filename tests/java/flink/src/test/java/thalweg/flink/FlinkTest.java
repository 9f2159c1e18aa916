package thalweg.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.kinesis.sink.KinesisStreamsSink;
import org.apache.flink.connector.kinesis.source.KinesisStreamsSource;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.connectors.kinesis.FlinkKinesisConsumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import thalweg.harness.Event;
import thalweg.harness.Ledger;
import thalweg.harness.Server;
import thalweg.harness.Sizes;

/**
 * Flink's own connector in a job of a Flink that runs in this process: it copies one stream, which is resharded
 * meanwhile, to another. Nothing but the endpoint is set.
 */
class FlinkTest {
    private static final String FROM = "game";
    private static final String TO = "copy";

    /** FlinkKinesisConsumer in its two modes, and its successor. */
    private enum Source { CONSUMER_POLLING, CONSUMER_FANOUT, STREAMS_SOURCE }

    @TempDir
    private Path directory;

    private Server server;

    @BeforeEach
    void start() throws Exception {
        server = Server.start();
    }

    @AfterEach
    void stop() throws Exception {
        server.close();
    }

    @ParameterizedTest(name = "a job copies every event, {0}")
    @EnumSource
    void copies(Source source) throws Exception {
        server.run("stream", "create", FROM, "--shards", "3");
        server.run("stream", "create", TO, "--shards", "2");
        List<Event> events = Event.load(Sizes.EVENTS);
        int half = events.size() / 2;
        put(events.subList(0, half));
        StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(2);
        env.enableCheckpointing(1_000);
        source(env, source).sinkTo(KinesisStreamsSink.<String>builder()
                .setKinesisClientProperties(client()).setStreamName(TO)
                .setSerializationSchema(new SimpleStringSchema())
                .setPartitionKeyGenerator(json -> Event.parse(json).key())
                .setFailOnError(true).build());
        JobClient job = env.executeAsync("copy");
        try {
            tail(half);
            server.run("stream", "reshard", FROM, "--shards", "4");
            put(events.subList(half, events.size()));
            new Ledger(events).exactlyOnce(tail(events.size()));
        } finally {
            job.cancel().get();
            job.getJobExecutionResult().handle((result, cancelled) -> result).get(); // it has let go of the server
        }
        System.out.printf("Flink, %s: %d events copied from 3, then 4 shards, each once%n", source, events.size());
    }

    private DataStream<String> source(StreamExecutionEnvironment env, Source source) throws Exception {
        Properties p = client();
        p.setProperty("flink.stream.initpos", "TRIM_HORIZON");
        p.setProperty("flink.shard.discovery.intervalmillis", "500");
        switch (source) {
            case STREAMS_SOURCE -> {
                Configuration c = new Configuration();
                p.forEach((k, v) -> c.setString((String) k, (String) v));
                return env.fromSource(KinesisStreamsSource.<String>builder().setStreamArn(arn()).setSourceConfig(c)
                        .setDeserializationSchema(new SimpleStringSchema()).build(), WatermarkStrategy.noWatermarks(), FROM, Types.STRING);
            }
            case CONSUMER_FANOUT -> {
                p.setProperty("flink.stream.recordpublisher", "EFO");
                p.setProperty("flink.stream.efo.consumername", "flink");
            }
            case CONSUMER_POLLING -> {
            }
        }
        return env.addSource(new FlinkKinesisConsumer<>(FROM, new SimpleStringSchema(), p));
    }

    private Properties client() {
        Properties p = new Properties();
        p.setProperty("aws.endpoint", server.http());
        p.setProperty("aws.region", "us-east-1");
        p.setProperty("aws.credentials.provider", "BASIC");
        p.setProperty("aws.credentials.provider.basic.accesskeyid", "test");
        p.setProperty("aws.credentials.provider.basic.secretkey", "test");
        return p;
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

    /** The first n records of the copy, when it has that many. */
    private List<String> tail(int n) throws Exception {
        List<String> lines = server.run("stream", "tail", TO, "--from", "trim-horizon", "-n", "" + n).lines().toList();
        assertEquals(n, lines.size(), "lines");
        return lines;
    }
}
