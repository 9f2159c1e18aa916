package thalweg.flink;

import java.util.Properties;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.kinesis.sink.KinesisStreamsSink;
import org.apache.flink.connector.kinesis.source.KinesisStreamsSource;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.connectors.kinesis.FlinkKinesisConsumer;

/** A job as its users write one: it copies a stream to another. Nothing but the endpoint is set. */
public final class Copy {
    /** FlinkKinesisConsumer in its two modes, and its successor. */
    public enum Source { CONSUMER_POLLING, CONSUMER_FANOUT, STREAMS_SOURCE }

    private Copy() {}

    /** Takes the endpoint, which source to use, the ARN of the stream to read and the name of the stream to write. */
    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.enableCheckpointing(1_000);
        source(env, Source.valueOf(args[1]), args[2], client(args[0])).sinkTo(KinesisStreamsSink.<String>builder()
                .setKinesisClientProperties(client(args[0])).setStreamName(args[3])
                .setSerializationSchema(new SimpleStringSchema())
                .setPartitionKeyGenerator(Copy::player)
                .setFailOnError(true).build());
        env.execute("copy");
    }

    private static DataStream<String> source(StreamExecutionEnvironment env, Source source, String arn, Properties p) {
        p.setProperty("flink.stream.initpos", "TRIM_HORIZON");
        p.setProperty("flink.shard.discovery.intervalmillis", "500");
        switch (source) {
            case STREAMS_SOURCE -> {
                Configuration c = new Configuration();
                p.forEach((k, v) -> c.setString((String) k, (String) v));
                return env.fromSource(KinesisStreamsSource.<String>builder().setStreamArn(arn).setSourceConfig(c)
                        .setDeserializationSchema(new SimpleStringSchema()).build(), WatermarkStrategy.noWatermarks(), arn, Types.STRING);
            }
            case CONSUMER_FANOUT -> {
                p.setProperty("flink.stream.recordpublisher", "EFO");
                p.setProperty("flink.stream.efo.consumername", "flink");
            }
            case CONSUMER_POLLING -> {
            }
        }
        String name = arn.substring(arn.lastIndexOf('/') + 1);
        return env.addSource(new FlinkKinesisConsumer<>(name, new SimpleStringSchema(), p));
    }

    private static Properties client(String endpoint) {
        Properties p = new Properties();
        p.setProperty("aws.endpoint", endpoint);
        p.setProperty("aws.region", "us-east-1");
        p.setProperty("aws.credentials.provider", "BASIC");
        p.setProperty("aws.credentials.provider.basic.accesskeyid", "test");
        p.setProperty("aws.credentials.provider.basic.secretkey", "test");
        return p;
    }

    private static String player(String json) {
        String after = "\"player_id\":\"";
        int start = json.indexOf(after) + after.length();
        return json.substring(start, json.indexOf('"', start));
    }
}
