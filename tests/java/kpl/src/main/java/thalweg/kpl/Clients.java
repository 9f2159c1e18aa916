package thalweg.kpl;

import java.math.BigInteger;
import java.net.URI;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.kinesis.KinesisClient;
import software.amazon.awssdk.services.kinesis.model.HashKeyRange;
import software.amazon.awssdk.services.kinesis.model.ShardFilterType;
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

    /** Splits the first open shard of a stream, and merges its last two. */
    public static void reshard(KinesisClient kinesis, String name) {
        var open = kinesis.listShards(b -> b.streamName(name).shardFilter(f -> f.type(ShardFilterType.AT_LATEST))).shards();
        HashKeyRange range = open.get(0).hashKeyRange();
        BigInteger middle = new BigInteger(range.startingHashKey()).add(new BigInteger(range.endingHashKey())).shiftRight(1);
        kinesis.splitShard(b -> b.streamName(name).shardToSplit(open.get(0).shardId()).newStartingHashKey(middle.toString()));
        kinesis.waiter().waitUntilStreamExists(b -> b.streamName(name));
        kinesis.mergeShards(b -> b.streamName(name).shardToMerge(open.get(open.size() - 2).shardId())
                .adjacentShardToMerge(open.get(open.size() - 1).shardId()));
        kinesis.waiter().waitUntilStreamExists(b -> b.streamName(name));
    }
}
