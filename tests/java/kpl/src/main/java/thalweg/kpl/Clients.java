package thalweg.kpl;

import java.net.URI;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.kinesis.KinesisClient;
import thalweg.harness.Server;

/** What every client of a test's server needs. */
public final class Clients {
    public static final Region REGION = Region.US_EAST_1;
    public static final StaticCredentialsProvider CREDENTIALS =
            StaticCredentialsProvider.create(AwsBasicCredentials.create("test", "test"));

    private Clients() {}

    public static KinesisClient kinesis(Server server) {
        return KinesisClient.builder().endpointOverride(URI.create(server.http()))
                .region(REGION).credentialsProvider(CREDENTIALS).build();
    }

    /** Makes a stream and waits until it is active. */
    public static void createStream(KinesisClient kinesis, String name, int shards) {
        kinesis.createStream(b -> b.streamName(name).shardCount(shards));
        kinesis.waiter().waitUntilStreamExists(b -> b.streamName(name));
    }
}
