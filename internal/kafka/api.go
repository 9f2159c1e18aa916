package kafka

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
	"thalweg/internal/kwire"
)

// api is one API key and the versions of it.
type api struct {
	key      int16
	min, max int16
	// from is the first version that is served; 0 is min. Versions below it are
	// shown and not served.
	from int16
	// serve answers a request. Bytes in the request are those of its frame, which is
	// used again once serve has returned; texts are its own.
	serve func(*Door, *request, kmsg.Request) (kmsg.Response, error)
}

func (a *api) served() int16 { return max(a.min, a.from) }

// request is one request beside its body.
type request struct {
	conn   *conn
	header kwire.Header
	end    error // for the connection, once the request is answered
	// pause is for how long the client is to leave the connection alone.
	pause time.Duration
}

func (r *request) ctx() context.Context { return r.conn.ctx }

// apis is the table of what is served: the ranges of Apache Kafka 4.x where
// nothing else is said. Produce shows versions from 0, because librdkafka before
// 2.11 takes it for a sign that compression works (KAFKA-18659); they are not
// served.
func apis() []api {
	return []api{
		{key: 0, min: 0, max: 13, from: 3},                                   // Produce: conn.produce
		{key: 1, min: 4, max: 18},                                            // Fetch: Door.fetch
		{key: 2, min: 1, max: 11, serve: on((*Door).listOffsets)},            // ListOffsets
		{key: 3, min: 0, max: 13, serve: on((*Door).metadata)},               // Metadata
		{key: 8, min: 2, max: 10, serve: on((*Door).offsetCommit)},           // OffsetCommit
		{key: 9, min: 1, max: 10, serve: on((*Door).offsetFetch)},            // OffsetFetch
		{key: 10, min: 0, max: 6, serve: on((*Door).findCoordinator)},        // FindCoordinator
		{key: 11, min: 0, max: 9, serve: on((*Door).joinGroup)},              // JoinGroup
		{key: 12, min: 0, max: 4, serve: on((*Door).heartbeat)},              // Heartbeat
		{key: 13, min: 0, max: 5, serve: on((*Door).leaveGroup)},             // LeaveGroup
		{key: 14, min: 0, max: 5, serve: on((*Door).syncGroup)},              // SyncGroup
		{key: 15, min: 0, max: 6, serve: on((*Door).describeGroups)},         // DescribeGroups
		{key: 16, min: 0, max: 5, serve: on((*Door).listGroups)},             // ListGroups
		{key: 17, min: 0, max: 1, from: 1, serve: on((*Door).saslHandshake)}, // SaslHandshake
		{key: 18, min: 0, max: 5, serve: on((*Door).apiVersions)},            // ApiVersions
		{key: 19, min: 2, max: 7, serve: on((*Door).createTopics)},           // CreateTopics
		{key: 20, min: 1, max: 6, serve: on((*Door).deleteTopics)},           // DeleteTopics
		{key: 21, min: 0, max: 2, serve: on((*Door).deleteRecords)},          // DeleteRecords
		{key: 22, min: 0, max: 5, serve: on((*Door).initProducerID)},         // InitProducerId
		{key: 23, min: 2, max: 4, serve: on((*Door).epochEnd)},               // OffsetForLeaderEpoch
		{key: 24, min: 0, max: 5, serve: on((*Door).addPartitionsToTxn)},     // AddPartitionsToTxn
		{key: 25, min: 0, max: 4, serve: on((*Door).addOffsetsToTxn)},        // AddOffsetsToTxn
		{key: 26, min: 0, max: 5, serve: on((*Door).endTxn)},                 // EndTxn
		{key: 27, min: 1, max: 2, serve: on((*Door).writeTxnMarkers)},        // WriteTxnMarkers
		{key: 28, min: 0, max: 6, serve: on((*Door).txnOffsetCommit)},        // TxnOffsetCommit
		{key: 29, min: 1, max: 3, serve: on((*Door).describeACLs)},
		{key: 30, min: 1, max: 3, serve: on((*Door).createACLs)},
		{key: 31, min: 1, max: 3, serve: on((*Door).deleteACLs)},
		{key: 32, min: 1, max: 4, serve: on((*Door).describeConfigs)},
		{key: 33, min: 0, max: 2, serve: on((*Door).alterConfigs)},
		{key: 34, min: 1, max: 2, serve: on((*Door).alterReplicaLogDirs)},
		{key: 35, min: 1, max: 5, serve: on((*Door).describeLogDirs)},
		{key: 36, min: 0, max: 2, serve: on((*Door).saslAuthenticate)},
		{key: 37, min: 0, max: 3, serve: on((*Door).createPartitions)},
		{key: 42, min: 0, max: 3, serve: on((*Door).deleteGroups)},
		{key: 43, min: 0, max: 2, serve: on((*Door).electLeaders)},
		{key: 44, min: 0, max: 1, serve: on((*Door).incrementalAlterConfigs)},
		{key: 45, min: 0, max: 1, serve: on((*Door).alterAssignments)},
		{key: 46, min: 0, max: 0, serve: on((*Door).listReassignments)},
		{key: 47, min: 0, max: 0, serve: on((*Door).offsetDelete)},
		{key: 48, min: 0, max: 1, serve: on((*Door).describeQuotas)},
		{key: 49, min: 0, max: 1, serve: on((*Door).alterQuotas)},
		{key: 50, min: 0, max: 0, serve: on((*Door).describeUsers)},
		{key: 51, min: 0, max: 0, serve: on((*Door).alterUsers)},
		{key: 55, min: 0, max: 2, serve: on((*Door).describeQuorum)},
		{key: 57, min: 0, max: 2, serve: on((*Door).updateFeatures)},
		{key: 60, min: 0, max: 2, serve: on((*Door).describeCluster)},
		{key: 61, min: 0, max: 0, serve: on((*Door).describeProducers)},
		{key: 65, min: 0, max: 0, serve: on((*Door).describeTransactions)},
		{key: 66, min: 0, max: 2, serve: on((*Door).listTransactions)},
		{key: 68, min: 0, max: 1, serve: on((*Door).consumerHeartbeat)},
		{key: 69, min: 0, max: 1, serve: on((*Door).describeConsumers)},
		{key: 74, min: 0, max: 1, serve: on((*Door).listConfigResources)},
		{key: 75, min: 0, max: 0, serve: on((*Door).describeTopicPartitions)},
		{key: 76, min: 1, max: 1, serve: on((*Door).shareHeartbeat)},
		{key: 77, min: 1, max: 1, serve: on((*Door).describeShares)},
		{key: 78, min: 1, max: 2, serve: on((*Door).shareFetch)},
		{key: 79, min: 1, max: 2, serve: on((*Door).shareAcknowledge)},
		{key: 90, min: 0, max: 1, serve: on((*Door).describeShareOffsets)},
		{key: 91, min: 0, max: 0, serve: on((*Door).alterShareOffsets)},
		{key: 92, min: 0, max: 0, serve: on((*Door).deleteShareOffsets)},
	}
}

// on makes a handler of one message one of any.
func on[Req kmsg.Request, Resp kmsg.Response](fn func(*Door, *request, Req) (Resp, error)) func(*Door, *request, kmsg.Request) (kmsg.Response, error) {
	return func(d *Door, r *request, in kmsg.Request) (kmsg.Response, error) {
		req, ok := in.(Req)
		if !ok {
			return nil, errRefused
		}
		return fn(d, r, req)
	}
}

func (d *Door) api(key int16) *api {
	for i := range d.apis {
		if d.apis[i].key == key {
			return &d.apis[i]
		}
	}
	return nil
}

// code is the wire's form of a refusal.
func code(e *brokers.Error) int16 {
	if e == nil {
		return 0
	}
	return int16(e.Code)
}

// message is a refusal's text; nil for none, and for one that says nothing.
func message(e *brokers.Error) *string {
	if e == nil {
		return nil
	}
	s := e.Error()
	if s == "" {
		return nil
	}
	return &s
}

func refuse(c brokers.Code, text string) *brokers.Error { return &brokers.Error{Code: c, Msg: text} }

// malformed is what Apache Kafka says of a request that no client of it sends.
const malformed = "This most likely occurs because of a request being malformed by the client library or the message was sent to an " +
	"incompatible broker. See the broker logs for more details."

func unknownTopic() *brokers.Error {
	return refuse(brokers.UnknownTopic, "This server does not host this topic-partition.")
}

func unknownTopicID() *brokers.Error {
	return refuse(brokers.UnknownTopicID, "This server does not host this topic ID.")
}
