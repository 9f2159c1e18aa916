package thalweg.kpl;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import software.amazon.awssdk.services.kinesis.KinesisClient;
import software.amazon.awssdk.services.kinesis.model.GetRecordsResponse;
import software.amazon.awssdk.services.kinesis.model.Record;
import software.amazon.awssdk.services.kinesis.model.Shard;
import software.amazon.awssdk.services.kinesis.model.ShardIteratorType;
import software.amazon.kinesis.retrieval.AggregatorUtil;
import software.amazon.kinesis.retrieval.KinesisClientRecord;

/** Reads a stream from its horizon to where it is now, parents before children. */
final class Reader {
    private final KinesisClient kinesis;
    private final String stream;

    Reader(KinesisClient kinesis, String stream) {
        this.kinesis = kinesis;
        this.stream = stream;
    }

    /** The shards, a parent before its children. */
    List<Shard> shards() {
        return kinesis.listShards(b -> b.streamName(stream)).shards().stream()
                .sorted(Comparator.comparing(Shard::shardId)).toList();
    }

    /** The records of a shard as the stream holds them. */
    List<Record> records(Shard shard) {
        List<Record> out = new ArrayList<>();
        String iterator = kinesis.getShardIterator(b -> b.streamName(stream).shardId(shard.shardId())
                .shardIteratorType(ShardIteratorType.TRIM_HORIZON)).shardIterator();
        while (iterator != null) {
            String at = iterator;
            GetRecordsResponse page = kinesis.getRecords(b -> b.shardIterator(at));
            out.addAll(page.records());
            iterator = page.millisBehindLatest() == 0 && page.records().isEmpty() ? null : page.nextShardIterator();
        }
        return out;
    }

    /** The user records of a shard, taken apart by the Kinesis Client Library. */
    static List<KinesisClientRecord> userRecords(Shard shard, List<Record> records) {
        return new AggregatorUtil().deaggregate(records.stream().map(KinesisClientRecord::fromRecord).toList(),
                new BigInteger(shard.hashKeyRange().startingHashKey()),
                new BigInteger(shard.hashKeyRange().endingHashKey()));
    }
}
