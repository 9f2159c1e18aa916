package app

import "thalweg/internal/log"

// The partitions of stream 0, in which small durable state is kept, by index. Each has
// one writer, which fences all others: no two parts share one. An index is never given to
// another part. The catalog has 0 (catalog.Partition); 7 was never used.
const (
	keysIndex       = 1 // access keys
	tablesIndex     = 2 // tables of DynamoDB
	usersIndex      = 3 // the default Kafka cluster's users, ACLs and quotas (brokers.Cluster.SecurityPartition)
	queuesIndex     = 4 // what queues have delivered
	producersIndex  = 5 // the default Kafka cluster's producer ids, counted by the writer epoch (package brokers)
	deliveriesIndex = 6 // delivery streams' cursors and plans
	schemasIndex    = 8 // databases and tables of the Data Catalog
	lakeIndex       = 9 // tables of Iceberg
)

func metadata(index uint32) log.PartitionID { return log.PartitionID{Index: index} }
