package streams

import "time"

// Limits of Kinesis Data Streams, from
// docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html and the
// API reference page of the operation named.
const (
	// MinRetentionHours and MaxRetentionHours bound a stream's retention; the
	// first is also the default.
	MinRetentionHours = 24
	MaxRetentionHours = 8760
	// DefaultMaxRecordKiB and MaxRecordKiB bound a record's data: what a new
	// stream takes, and the most it can be set to.
	DefaultMaxRecordKiB = 1024
	MaxRecordKiB        = 10240
	// MaxPutBytes bounds data and partition keys of one PutRecords, MaxPutRecords
	// its records.
	MaxPutBytes   = 10 << 20
	MaxPutRecords = 500
	// MaxGetBytes bounds data and partition keys of one GetRecords answer, but
	// for its first record; MaxGetRecords its records.
	MaxGetBytes   = 10 << 20
	MaxGetRecords = 10_000
	// MaxTags is how many tags a resource may have.
	MaxTags = 50
	// MaxScaleShards is the most shards that Scale draws, MaxScalings how many times
	// it changes a stream in 24 hours (API_UpdateShardCount).
	MaxScaleShards = 10_000
	MaxScalings    = 10
	// MaxKeyChanges is how many times in 24 hours a stream's encryption can be started
	// under another key, and how many times it can be stopped
	// (API_StartStreamEncryption, API_StopStreamEncryption).
	MaxKeyChanges = 25
	// MaxKeys is how many encryption keys a server may have. It is ours.
	MaxKeys = 10_000
	// MaxModeChanges is how many times a stream's mode changes in 24 hours
	// (API_UpdateStreamMode).
	MaxModeChanges = 2
	// OnDemandShards is how many shards a new on-demand stream has.
	OnDemandShards = 4
	// OnDemandStreams is how many on-demand streams an account may have in a
	// region.
	OnDemandStreams = 50
	// MaxWarmMiBps is the most warm throughput of an on-demand stream
	// (API_UpdateStreamWarmThroughput).
	MaxWarmMiBps = 10 << 10
	// CommitmentTime is how long a minimum throughput billing commitment lasts at
	// least (API_MinimumThroughputBillingCommitmentInput).
	CommitmentTime = 24 * time.Hour
	// MaxConsumers is how many registered consumers a stream may have,
	// MaxConsumersCommitted that of an account with a minimum throughput billing
	// commitment, and MaxConsumersCreating how many of them may be in CREATING at
	// once (API_RegisterStreamConsumer).
	MaxConsumers          = 20
	MaxConsumersCommitted = 50
	MaxConsumersCreating  = 5
	// SubscriptionLife is how long a subscription lasts, SubscriptionPause how soon
	// after one the next of the same consumer and shard is refused
	// (API_SubscribeToShard), Heartbeat the longest time without an event.
	SubscriptionLife  = 5 * time.Minute
	SubscriptionPause = 5 * time.Second
	Heartbeat         = 5 * time.Second
	// shardBytes is about what a shard takes in memory, with its partition, its place
	// in the catalog and its share of what is collected late; a consumer is counted
	// as one.
	shardBytes = 4 << 10
	// IteratorLife is how long a shard iterator lives (API_GetShardIterator), PageLife
	// a pagination token (API_ListShards).
	IteratorLife = 5 * time.Minute
	PageLife     = 300 * time.Second
)

// ShardQuota is the default number of open shards of an account in a region:
// 20,000 in three of them. The page gives 1,000 or 6,000 for every other without
// saying which; the larger is taken.
func ShardQuota(region string) int {
	switch region {
	case "us-east-1", "us-west-2", "eu-west-1":
		return 20_000
	}
	return 6_000
}
