package kafka

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"thalweg/internal/brokers"
)

// enforced is a guarded server that holds clients to what they may.
func enforced(t testing.TB) *guarded {
	t.Helper()
	return newGuarded(t, func(o *Options) { o.Enforce = true })
}

func (g *guarded) by(t testing.TB, m sasl.Mechanism, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	return g.client(t, append(opts, kgo.DialTLSConfig(g.tls), kgo.SASL(m), kgo.RequestRetries(0))...)
}

func (g *guarded) admin(t testing.TB) *kgo.Client {
	t.Helper()
	return g.by(t, plain.Auth{User: g.key.ID, Pass: g.secret}.AsMechanism())
}

// direct sends a request to the broker without asking any other first.
func direct[Resp kmsg.Response](t testing.TB, cl *kgo.Client, req kmsg.Request) Resp {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	resp, err := cl.SeedBrokers()[0].Request(ctx, req)
	if err != nil {
		t.Fatalf("%T: %v", req, err)
	}
	return resp.(Resp)
}

// setPassword makes a user for both mechanisms.
func setPassword(t testing.TB, admin *kgo.Client, name, password string) {
	t.Helper()
	salt := []byte("salt of " + name)
	p256, err := pbkdf2.Key(sha256.New, password, salt, 4096, sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	p512, err := pbkdf2.Key(sha512.New, password, salt, 8192, sha512.Size)
	if err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	req.Upsertions = []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{
		{Name: name, Mechanism: 1, Iterations: 4096, Salt: salt, SaltedPassword: p256},
		{Name: name, Mechanism: 2, Iterations: 8192, Salt: salt, SaltedPassword: p512},
	}
	got := direct[*kmsg.AlterUserSCRAMCredentialsResponse](t, admin, req)
	if len(got.Results) != 1 || got.Results[0].ErrorCode != 0 {
		t.Fatalf("set password: %+v", got.Results)
	}
}

func as256(user, pass string) sasl.Mechanism {
	return scram.Auth{User: user, Pass: pass}.AsSha256Mechanism()
}

func as512(user, pass string) sasl.Mechanism {
	return scram.Auth{User: user, Pass: pass}.AsSha512Mechanism()
}

func TestSCRAM(t *testing.T) {
	g := enforced(t)
	admin := g.admin(t)
	setPassword(t, admin, "ada,=", "lovelace")
	for name, m := range map[string]sasl.Mechanism{"256": as256("ada,=", "lovelace"), "512": as512("ada,=", "lovelace")} {
		if err := g.as(t, m); err != nil {
			t.Errorf("SCRAM-SHA-%s: %v", name, err)
		}
	}
	for name, m := range map[string]sasl.Mechanism{"wrong password": as256("ada,=", "x"), "wrong password, 512": as512("ada,=", "x"), "unknown": as256("eve", "x")} {
		if err := g.as(t, m); !errors.Is(err, kerr.SaslAuthenticationFailed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	shown := direct[*kmsg.DescribeUserSCRAMCredentialsResponse](t, admin, kmsg.NewPtrDescribeUserSCRAMCredentialsRequest())
	if len(shown.Results) != 1 || len(shown.Results[0].CredentialInfos) != 2 || shown.Results[0].CredentialInfos[1].Iterations != 8192 {
		t.Errorf("described as %+v", shown.Results)
	}
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	req.Deletions = []kmsg.AlterUserSCRAMCredentialsRequestDeletion{{Name: "ada,=", Mechanism: 1}, {Name: "eve", Mechanism: 1}}
	req.Upsertions = []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{
		{Name: "few", Mechanism: 1, Iterations: 4095, Salt: []byte("s"), SaltedPassword: make([]byte, 32)},
		{Name: "many", Mechanism: 1, Iterations: 16385, Salt: []byte("s"), SaltedPassword: make([]byte, 32)},
		{Name: "odd", Mechanism: 3, Iterations: 4096, Salt: []byte("s"), SaltedPassword: make([]byte, 32)},
		{Name: "", Mechanism: 1, Iterations: 4096, Salt: []byte("s"), SaltedPassword: make([]byte, 32)},
		{Name: "twice", Mechanism: 1, Iterations: 4096, Salt: []byte("s"), SaltedPassword: make([]byte, 32)},
		{Name: "twice", Mechanism: 1, Iterations: 4096, Salt: []byte("s"), SaltedPassword: make([]byte, 32)},
	}
	want := map[string]brokers.Code{"ada,=": 0, "eve": brokers.ResourceNotFound, "few": brokers.UnacceptableCredential, "many": brokers.UnacceptableCredential,
		"odd": brokers.UnsupportedSASLMechanism, "": brokers.UnacceptableCredential, "twice": brokers.DuplicateResource}
	for _, r := range direct[*kmsg.AlterUserSCRAMCredentialsResponse](t, admin, req).Results {
		if r.ErrorCode != int16(want[r.User]) {
			t.Errorf("%q: %d, want %d", r.User, r.ErrorCode, want[r.User])
		}
	}
	if err := g.as(t, as256("ada,=", "lovelace")); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("deleted: %v", err)
	}
}

func rule(kind brokers.ResourceKind, name string, p brokers.Pattern, principal string, op brokers.Operation, permission brokers.Permission) brokers.ACL {
	return brokers.ACL{Kind: kind, Name: name, Pattern: p, Principal: principal, Host: "*", Operation: op, Permission: permission}
}

// grant makes rules through the wire.
func grant(t testing.TB, admin *kgo.Client, rules ...brokers.ACL) {
	t.Helper()
	req := kmsg.NewPtrCreateACLsRequest()
	for _, a := range rules {
		req.Creations = append(req.Creations, kmsg.CreateACLsRequestCreation{ResourceType: kmsg.ACLResourceType(a.Kind), ResourceName: a.Name,
			ResourcePatternType: kmsg.ACLResourcePatternType(a.Pattern), Principal: a.Principal, Host: a.Host,
			Operation: kmsg.ACLOperation(a.Operation), PermissionType: kmsg.ACLPermissionType(a.Permission)})
	}
	for _, r := range direct[*kmsg.CreateACLsResponse](t, admin, req).Results {
		if r.ErrorCode != 0 {
			t.Fatalf("create ACL: %d %v", r.ErrorCode, *r.ErrorMessage)
		}
	}
}

// revokeAll removes every rule through the wire and returns how many there were.
func revokeAll(t testing.TB, admin *kgo.Client) int {
	t.Helper()
	req := kmsg.NewPtrDeleteACLsRequest()
	req.Filters = []kmsg.DeleteACLsRequestFilter{{ResourceType: 1, ResourcePatternType: 1, Operation: 1, PermissionType: 1}}
	return len(direct[*kmsg.DeleteACLsResponse](t, admin, req).Results[0].MatchingACLs)
}

// codes are all error codes in an answer.
func codes(v reflect.Value) []int16 {
	var out []int16
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return codes(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			out = append(out, codes(v.Index(i))...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.Name == "ErrorCode" {
				out = append(out, int16(v.Field(i).Int()))
			} else if f.IsExported() {
				out = append(out, codes(v.Field(i))...)
			}
		}
	}
	return out
}

// try is a request, what it needs, and how it is refused without.
type try struct {
	req   func() kmsg.Request
	needs []brokers.ACL
	code  brokers.Code
}

// What the tries are about.
const (
	triedTopic = "orders"
	triedGroup = "readers"
	triedTxn   = "payments"
)

func allow(kind brokers.ResourceKind, name string, op brokers.Operation) brokers.ACL {
	return rule(kind, name, brokers.PatternLiteral, "User:mallory", op, brokers.PermissionAllow)
}

func topic(op brokers.Operation) brokers.ACL { return allow(brokers.TopicKind, triedTopic, op) }
func group(op brokers.Operation) brokers.ACL { return allow(brokers.GroupKind, triedGroup, op) }
func txn() brokers.ACL                       { return allow(brokers.TxnKind, triedTxn, brokers.OpWrite) }

func cluster(op brokers.Operation) brokers.ACL {
	return allow(brokers.ClusterKind, brokers.ClusterResource, op)
}

func one(req func() kmsg.Request, code brokers.Code, needs ...brokers.ACL) []try {
	return []try{{req, needs, code}}
}

func configsOf(kind kmsg.ConfigResourceType, name string) func() kmsg.Request {
	return func() kmsg.Request {
		return &kmsg.DescribeConfigsRequest{Resources: []kmsg.DescribeConfigsRequestResource{{ResourceType: kind, ResourceName: name}}}
	}
}

func marks(topic string) func() kmsg.Request {
	return func() kmsg.Request {
		return &kmsg.WriteTxnMarkersRequest{Markers: []kmsg.WriteTxnMarkersRequestMarker{{ProducerID: 77,
			Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: topic, Partitions: []int32{0}}}}}}
	}
}

// tries has one for every API key that is guarded.
func tries() map[int16][]try {
	all := adminTries()
	maps.Copy(all, clientTries())
	return all
}

// clientTries are what producers and consumers ask.
func clientTries() map[int16][]try {
	const t, g, x = triedTopic, triedGroup, triedTxn
	name := t
	return map[int16][]try{
		0: one(func() kmsg.Request {
			return &kmsg.ProduceRequest{Acks: -1, TimeoutMillis: 1000, Topics: []kmsg.ProduceRequestTopic{{Topic: t, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: []byte{}}}}}}
		}, brokers.TopicDenied, topic(brokers.OpWrite)),
		1: one(func() kmsg.Request {
			r := kmsg.NewPtrFetchRequest()
			p := kmsg.NewFetchRequestTopicPartition()
			p.PartitionMaxBytes = 100
			r.Topics = []kmsg.FetchRequestTopic{{Topic: t, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
			return r
		}, brokers.TopicDenied, topic(brokers.OpRead)),
		2: one(func() kmsg.Request {
			return &kmsg.ListOffsetsRequest{ReplicaID: -1, Topics: []kmsg.ListOffsetsRequestTopic{{Topic: t, Partitions: []kmsg.ListOffsetsRequestTopicPartition{{CurrentLeaderEpoch: -1, Timestamp: -1}}}}}
		}, brokers.TopicDenied, topic(brokers.OpDescribe)),
		3: one(func() kmsg.Request {
			return &kmsg.MetadataRequest{Topics: []kmsg.MetadataRequestTopic{{Topic: &name}}}
		}, brokers.TopicDenied, topic(brokers.OpRead)), // READ implies DESCRIBE
		8: {
			{func() kmsg.Request {
				return &kmsg.OffsetCommitRequest{Group: g, Generation: -1, Topics: []kmsg.OffsetCommitRequestTopic{{Topic: t, Partitions: []kmsg.OffsetCommitRequestTopicPartition{{}}}}}
			}, []brokers.ACL{group(brokers.OpRead), topic(brokers.OpRead)}, brokers.GroupDenied},
		},
		9: one(func() kmsg.Request {
			return &kmsg.OffsetFetchRequest{Group: g, Groups: []kmsg.OffsetFetchRequestGroup{{Group: g, MemberEpoch: -1}}}
		}, brokers.GroupDenied, group(brokers.OpDescribe)),
		10: {
			{func() kmsg.Request {
				return &kmsg.FindCoordinatorRequest{CoordinatorKey: g, CoordinatorKeys: []string{g}}
			}, []brokers.ACL{group(brokers.OpDescribe)}, brokers.GroupDenied},
			{func() kmsg.Request {
				return &kmsg.FindCoordinatorRequest{CoordinatorType: 1, CoordinatorKey: x, CoordinatorKeys: []string{x}}
			}, []brokers.ACL{txn()}, brokers.TxnDenied},
		},
		11: one(func() kmsg.Request {
			return &kmsg.JoinGroupRequest{Group: g, SessionTimeoutMillis: 6000, ProtocolType: "consumer", Protocols: []kmsg.JoinGroupRequestProtocol{{Name: "range"}}}
		}, brokers.GroupDenied, group(brokers.OpRead)),
		12: one(func() kmsg.Request { return &kmsg.HeartbeatRequest{Group: g, MemberID: "m"} }, brokers.GroupDenied, group(brokers.OpRead)),
		13: one(func() kmsg.Request {
			return &kmsg.LeaveGroupRequest{Group: g, Members: []kmsg.LeaveGroupRequestMember{{MemberID: "m"}}}
		}, brokers.GroupDenied, group(brokers.OpRead)),
		14: one(func() kmsg.Request { return &kmsg.SyncGroupRequest{Group: g, MemberID: "m"} }, brokers.GroupDenied, group(brokers.OpRead)),
		15: one(func() kmsg.Request { return &kmsg.DescribeGroupsRequest{Groups: []string{g}} }, brokers.GroupDenied, group(brokers.OpDescribe)),
		16: nil, // TestHidden
		19: {
			{func() kmsg.Request {
				return &kmsg.CreateTopicsRequest{Topics: []kmsg.CreateTopicsRequestTopic{{Topic: t, NumPartitions: 1, ReplicationFactor: 1}}}
			}, []brokers.ACL{topic(brokers.OpCreate)}, brokers.TopicDenied},
			{func() kmsg.Request {
				return &kmsg.CreateTopicsRequest{Topics: []kmsg.CreateTopicsRequestTopic{{Topic: t, NumPartitions: 1, ReplicationFactor: 1}}}
			}, []brokers.ACL{cluster(brokers.OpCreate)}, brokers.TopicDenied},
		},
		20: one(func() kmsg.Request {
			return &kmsg.DeleteTopicsRequest{TopicNames: []string{"doomed"}, Topics: []kmsg.DeleteTopicsRequestTopic{{Topic: kmsg.StringPtr("doomed")}}}
		}, brokers.TopicDenied, allow(brokers.TopicKind, "doomed", brokers.OpDelete)),
		21: one(func() kmsg.Request {
			return &kmsg.DeleteRecordsRequest{Topics: []kmsg.DeleteRecordsRequestTopic{{Topic: t, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Offset: -1}}}}}
		}, brokers.TopicDenied, topic(brokers.OpDelete)),
		22: {
			{func() kmsg.Request { return kmsg.NewPtrInitProducerIDRequest() }, []brokers.ACL{topic(brokers.OpWrite)}, brokers.ClusterDenied},
			{func() kmsg.Request { return kmsg.NewPtrInitProducerIDRequest() }, []brokers.ACL{cluster(brokers.OpIdempotentWrite)}, brokers.ClusterDenied},
			{func() kmsg.Request {
				r := kmsg.NewPtrInitProducerIDRequest()
				r.TransactionalID, r.TransactionTimeoutMillis = kmsg.StringPtr(x), 1000
				return r
			}, []brokers.ACL{txn()}, brokers.TxnDenied},
		},
		23: one(func() kmsg.Request {
			return &kmsg.OffsetForLeaderEpochRequest{ReplicaID: -1, Topics: []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: t, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{{CurrentLeaderEpoch: -1}}}}}
		}, brokers.TopicDenied, topic(brokers.OpDescribe)),
		24: {
			{func() kmsg.Request {
				return &kmsg.AddPartitionsToTxnRequest{TransactionalID: x, Topics: []kmsg.AddPartitionsToTxnRequestTopic{{Topic: t, Partitions: []int32{0}}}}
			}, []brokers.ACL{txn(), topic(brokers.OpWrite)}, brokers.TxnDenied},
			{func() kmsg.Request { return &kmsg.AddPartitionsToTxnRequest{} }, []brokers.ACL{cluster(brokers.OpClusterAction)}, brokers.ClusterDenied},
		},
		25: one(func() kmsg.Request { return &kmsg.AddOffsetsToTxnRequest{TransactionalID: x, Group: g} }, brokers.TxnDenied, txn(), group(brokers.OpRead)),
		26: one(func() kmsg.Request { return &kmsg.EndTxnRequest{TransactionalID: x} }, brokers.TxnDenied, txn()),
		27: {
			{marks(t), []brokers.ACL{cluster(brokers.OpClusterAction)}, brokers.ClusterDenied},
			{marks(t), []brokers.ACL{cluster(brokers.OpAlter)}, brokers.ClusterDenied},
		},
		28: one(func() kmsg.Request {
			return &kmsg.TxnOffsetCommitRequest{TransactionalID: x, Group: g, Generation: -1, Topics: []kmsg.TxnOffsetCommitRequestTopic{{Topic: t, Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{}}}}}
		}, brokers.TxnDenied, txn(), group(brokers.OpRead), topic(brokers.OpRead)),
		68: one(func() kmsg.Request {
			return &kmsg.ConsumerGroupHeartbeatRequest{Group: g, MemberID: "m", MemberEpoch: 7, RebalanceTimeoutMillis: -1, SubscribedTopicNames: []string{t}}
		}, brokers.GroupDenied, group(brokers.OpRead), topic(brokers.OpDescribe)),
		69: one(func() kmsg.Request { return &kmsg.ConsumerGroupDescribeRequest{Groups: []string{g}} }, brokers.GroupDenied, group(brokers.OpDescribe)),
		76: one(func() kmsg.Request {
			return &kmsg.ShareGroupHeartbeatRequest{GroupID: g, MemberID: "m", MemberEpoch: 7, SubscribedTopicNames: []string{t}}
		}, brokers.GroupDenied, group(brokers.OpRead), topic(brokers.OpDescribe)),
		77: one(func() kmsg.Request { return &kmsg.ShareGroupDescribeRequest{GroupIDs: []string{g}} }, brokers.GroupDenied, group(brokers.OpDescribe)),
		78: one(func() kmsg.Request {
			group, member := "shared", "m"
			return &kmsg.ShareFetchRequest{GroupID: &group, MemberID: &member, MaxBytes: 1, MaxRecords: 1,
				Topics: []kmsg.ShareFetchRequestTopic{{Partitions: []kmsg.ShareFetchRequestTopicPartition{{}}}}}
		}, brokers.GroupDenied, allow(brokers.GroupKind, "shared", brokers.OpRead), topic(brokers.OpRead)),
		90: one(func() kmsg.Request {
			return &kmsg.DescribeShareGroupOffsetsRequest{Groups: []kmsg.DescribeShareGroupOffsetsRequestGroup{{GroupID: g,
				Topics: []kmsg.DescribeShareGroupOffsetsRequestGroupTopic{{Topic: t, Partitions: []int32{0}}}}}}
		}, brokers.GroupDenied, group(brokers.OpDescribe), topic(brokers.OpDescribe)),
		91: one(func() kmsg.Request {
			return &kmsg.AlterShareGroupOffsetsRequest{GroupID: "altered", Topics: []kmsg.AlterShareGroupOffsetsRequestTopic{{Topic: t,
				Partitions: []kmsg.AlterShareGroupOffsetsRequestTopicPartition{{}}}}}
		}, brokers.GroupDenied, allow(brokers.GroupKind, "altered", brokers.OpRead), topic(brokers.OpRead)),
		92: one(func() kmsg.Request {
			return &kmsg.DeleteShareGroupOffsetsRequest{GroupID: "altered", Topics: []kmsg.DeleteShareGroupOffsetsRequestTopic{{Topic: t}}}
		}, brokers.GroupDenied, allow(brokers.GroupKind, "altered", brokers.OpDelete), topic(brokers.OpRead)),
		79: one(func() kmsg.Request { // its topics are asked for as those of ShareFetch
			group, member := "shared", "m"
			return &kmsg.ShareAcknowledgeRequest{GroupID: &group, MemberID: &member, ShareSessionEpoch: 1}
		}, brokers.GroupDenied, allow(brokers.GroupKind, "shared", brokers.OpRead)),
	}
}

// adminTries are what administrators ask.
func adminTries() map[int16][]try {
	const t, g = triedTopic, triedGroup
	return map[int16][]try{
		29: one(func() kmsg.Request {
			return &kmsg.DescribeACLsRequest{ResourceType: 1, ResourcePatternType: 1, Operation: 1, PermissionType: 1}
		}, brokers.ClusterDenied, cluster(brokers.OpDescribe)),
		30: one(func() kmsg.Request {
			return &kmsg.CreateACLsRequest{Creations: []kmsg.CreateACLsRequestCreation{{ResourceType: 2, ResourceName: "z", ResourcePatternType: 3, Principal: "User:z", Host: "*", Operation: 3, PermissionType: 3}}}
		}, brokers.ClusterDenied, cluster(brokers.OpAlter)),
		31: one(func() kmsg.Request {
			return &kmsg.DeleteACLsRequest{Filters: []kmsg.DeleteACLsRequestFilter{{ResourceType: 2, ResourceName: kmsg.StringPtr("z"), ResourcePatternType: 3, Operation: 1, PermissionType: 1}}}
		}, brokers.ClusterDenied, cluster(brokers.OpAlter)),
		32: {
			{configsOf(kmsg.ConfigResourceTypeTopic, t), []brokers.ACL{topic(brokers.OpAlterConfigs)}, brokers.TopicDenied}, // implied
			{configsOf(kmsg.ConfigResourceTypeBroker, "1"), []brokers.ACL{cluster(brokers.OpDescribeConfigs)}, brokers.ClusterDenied},
		},
		33: one(func() kmsg.Request {
			return &kmsg.AlterConfigsRequest{Resources: []kmsg.AlterConfigsRequestResource{{ResourceType: 2, ResourceName: t}}}
		}, brokers.TopicDenied, topic(brokers.OpAlterConfigs)),
		37: one(func() kmsg.Request {
			return &kmsg.CreatePartitionsRequest{Topics: []kmsg.CreatePartitionsRequestTopic{{Topic: t, Count: 2}}}
		}, brokers.TopicDenied, topic(brokers.OpAlter)),
		42: one(func() kmsg.Request { return &kmsg.DeleteGroupsRequest{Groups: []string{g}} }, brokers.GroupDenied, group(brokers.OpDelete)),
		44: one(func() kmsg.Request {
			return &kmsg.IncrementalAlterConfigsRequest{Resources: []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: 2, ResourceName: t}}}
		}, brokers.TopicDenied, topic(brokers.OpAlterConfigs)),
		47: one(func() kmsg.Request {
			return &kmsg.OffsetDeleteRequest{Group: g, Topics: []kmsg.OffsetDeleteRequestTopic{{Topic: t, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}}}}}
		}, brokers.GroupDenied, group(brokers.OpDelete), topic(brokers.OpRead)),
		50: one(func() kmsg.Request { return kmsg.NewPtrDescribeUserSCRAMCredentialsRequest() }, brokers.ClusterDenied, cluster(brokers.OpDescribe)),
		51: one(func() kmsg.Request {
			return &kmsg.AlterUserSCRAMCredentialsRequest{Deletions: []kmsg.AlterUserSCRAMCredentialsRequestDeletion{{Name: "nobody", Mechanism: 1}}}
		}, brokers.ClusterDenied, cluster(brokers.OpAlter)),
		34: one(func() kmsg.Request {
			return &kmsg.AlterReplicaLogDirsRequest{Dirs: []kmsg.AlterReplicaLogDirsRequestDir{{Topics: []kmsg.AlterReplicaLogDirsRequestDirTopic{{Topic: t, Partitions: []int32{0}}}}}}
		}, brokers.ClusterDenied, cluster(brokers.OpAlter)),
		35: one(func() kmsg.Request { return &kmsg.DescribeLogDirsRequest{} }, brokers.ClusterDenied, cluster(brokers.OpDescribe)),
		43: one(func() kmsg.Request { return &kmsg.ElectLeadersRequest{} }, brokers.ClusterDenied, cluster(brokers.OpAlter)),
		45: one(func() kmsg.Request { return &kmsg.AlterPartitionAssignmentsRequest{} }, brokers.ClusterDenied, cluster(brokers.OpAlter)),
		46: one(func() kmsg.Request { return &kmsg.ListPartitionReassignmentsRequest{} }, brokers.ClusterDenied, cluster(brokers.OpDescribe)),
		48: one(func() kmsg.Request { return &kmsg.DescribeClientQuotasRequest{} }, brokers.ClusterDenied, cluster(brokers.OpDescribeConfigs)),
		49: one(func() kmsg.Request {
			return &kmsg.AlterClientQuotasRequest{Entries: []kmsg.AlterClientQuotasRequestEntry{{}}}
		}, brokers.ClusterDenied, cluster(brokers.OpAlterConfigs)),
		55: one(func() kmsg.Request { return &kmsg.DescribeQuorumRequest{} }, brokers.ClusterDenied, cluster(brokers.OpDescribe)),
		57: one(func() kmsg.Request { return &kmsg.UpdateFeaturesRequest{} }, brokers.ClusterDenied, cluster(brokers.OpAlter)),
		74: one(func() kmsg.Request { return &kmsg.ListConfigResourcesRequest{} }, brokers.ClusterDenied, cluster(brokers.OpDescribeConfigs)),
		61: one(func() kmsg.Request {
			return &kmsg.DescribeProducersRequest{Topics: []kmsg.DescribeProducersRequestTopic{{Topic: t, Partitions: []int32{0}}}}
		}, brokers.TopicDenied, topic(brokers.OpRead)),
		65: one(func() kmsg.Request {
			return &kmsg.DescribeTransactionsRequest{TransactionalIDs: []string{triedTxn}}
		}, brokers.TxnDenied, allow(brokers.TxnKind, triedTxn, brokers.OpDescribe)),
		66: nil, // TestHidden
		75: one(func() kmsg.Request {
			return &kmsg.DescribeTopicPartitionsRequest{ResponsePartitionLimit: 10, Topics: []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: t}}}
		}, brokers.TopicDenied, topic(brokers.OpDescribe)),
	}
}

// TestEveryKeyIsGuarded: each API key is refused to who may nothing, refused while
// any one of the rules that it needs is missing, and let through with all of them.
func TestEveryKeyIsGuarded(t *testing.T) {
	g := enforced(t)
	admin := g.admin(t)
	setPassword(t, admin, "mallory", "secret")
	mustCreate(t, admin, "orders", 1)
	mustCreate(t, admin, "doomed", 1)
	topics := direct[*kmsg.MetadataResponse](t, admin, &kmsg.MetadataRequest{Version: 12}).Topics
	id := topics[slices.IndexFunc(topics, func(t kmsg.MetadataResponseTopic) bool { return *t.Topic == "orders" })].TopicID
	ask[*kmsg.ShareGroupHeartbeatResponse](t, admin, &kmsg.ShareGroupHeartbeatRequest{GroupID: "shared", MemberID: "m", SubscribedTopicNames: []string{"orders"}})
	ask[*kmsg.AlterShareGroupOffsetsResponse](t, admin, &kmsg.AlterShareGroupOffsetsRequest{GroupID: "altered"})
	cl := g.by(t, as256("mallory", "secret"))
	old := g.by(t, as256("mallory", "secret"), kgo.MaxVersions(kversion.V3_4_0()))
	denials := []int16{int16(brokers.TopicDenied), int16(brokers.GroupDenied), int16(brokers.ClusterDenied), int16(brokers.TxnDenied)}
	all := tries()
	for _, a := range apis() {
		list, there := all[a.key]
		if there == free(a.key) {
			t.Errorf("key %d: tried %v, free %v", a.key, there, free(a.key))
		}
		for n, tr := range list {
			send := func() []int16 {
				req, by := tr.req(), cl
				switch req := req.(type) { // versions by topic id
				case *kmsg.ProduceRequest:
					req.Topics[0].TopicID = id
				case *kmsg.FetchRequest:
					req.Topics[0].TopicID = id
				case *kmsg.ShareFetchRequest:
					req.Topics[0].TopicID = id
				case *kmsg.OffsetCommitRequest:
					req.Topics[0].TopicID = id
				case *kmsg.TxnOffsetCommitRequest:
					req.Topics[0].TopicID = id
				case *kmsg.AddPartitionsToTxnRequest: // the newer versions are brokers'
					if req.TransactionalID != "" {
						by = old
					}
				}
				return codes(reflect.ValueOf(direct[kmsg.Response](t, by, req)))
			}
			what := fmt.Sprintf("%T %d", tr.req(), n)
			if got := send(); !slices.Contains(got, int16(tr.code)) {
				t.Errorf("%s, without any: codes %v, want %d", what, got, tr.code)
			}
			for i := range tr.needs {
				if len(tr.needs) == 1 {
					break
				}
				grant(t, admin, slices.Delete(slices.Clone(tr.needs), i, i+1)...)
				if got := send(); !slices.ContainsFunc(got, func(c int16) bool { return slices.Contains(denials, c) }) {
					t.Errorf("%s, without %+v: codes %v", what, tr.needs[i], got)
				}
				revokeAll(t, admin)
			}
			grant(t, admin, tr.needs...)
			if got := send(); slices.ContainsFunc(got, func(c int16) bool { return slices.Contains(denials, c) }) {
				t.Errorf("%s, with all: codes %v", what, got)
			}
			revokeAll(t, admin)
		}
	}
}

// TestHidden: what may not be described is in no list.
func TestHidden(t *testing.T) {
	g := enforced(t)
	admin := g.admin(t)
	setPassword(t, admin, "ada", "secret")
	mustCreate(t, admin, "shown", 1)
	mustCreate(t, admin, "hidden", 1)
	ada := as256("ada", "secret")
	grant(t, admin, rule(brokers.TopicKind, "sh", brokers.PatternPrefixed, "User:ada", brokers.OpRead, brokers.PermissionAllow),
		rule(brokers.GroupKind, "mine", brokers.PatternLiteral, "User:ada", brokers.OpRead, brokers.PermissionAllow),
		rule(brokers.TopicKind, "*", brokers.PatternLiteral, "User:*", brokers.OpWrite, brokers.PermissionDeny))
	for _, group := range []string{"mine", "theirs"} {
		req := &kmsg.OffsetCommitRequest{Version: 9, Group: group, Generation: -1,
			Topics: []kmsg.OffsetCommitRequestTopic{{Topic: "hidden", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{}}}, {Topic: "shown", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{}}}}}
		ask[*kmsg.OffsetCommitResponse](t, g.by(t, plain.Auth{User: g.key.ID, Pass: g.secret}.AsMechanism(), kgo.MaxVersions(kversion.V3_0_0())), req)
	}
	cl := g.by(t, ada)
	if got := direct[*kmsg.MetadataResponse](t, cl, kmsg.NewPtrMetadataRequest()).Topics; len(got) != 1 || *got[0].Topic != "shown" {
		t.Errorf("metadata: %d topics", len(got))
	}
	if got := direct[*kmsg.DescribeTopicPartitionsResponse](t, cl, &kmsg.DescribeTopicPartitionsRequest{ResponsePartitionLimit: 10}).Topics; len(got) != 1 {
		t.Errorf("described: %d topics", len(got))
	}
	for _, id := range []string{"shown", "hidden"} {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID, req.TransactionTimeoutMillis = &id, 1000
		ask[*kmsg.InitProducerIDResponse](t, admin, req)
	}
	grant(t, admin, rule(brokers.TxnKind, "shown", brokers.PatternLiteral, "User:ada", brokers.OpWrite, brokers.PermissionAllow))
	if got := direct[*kmsg.ListTransactionsResponse](t, cl, kmsg.NewPtrListTransactionsRequest()).TransactionStates; len(got) != 1 || got[0].TransactionalID != "shown" {
		t.Errorf("transactions: %+v", got)
	}
	if got := direct[*kmsg.ListGroupsResponse](t, cl, kmsg.NewPtrListGroupsRequest()).Groups; len(got) != 1 || got[0].Group != "mine" {
		t.Errorf("groups: %+v", got)
	}
	offsets := direct[*kmsg.OffsetFetchResponse](t, cl, &kmsg.OffsetFetchRequest{Groups: []kmsg.OffsetFetchRequestGroup{{Group: "mine", MemberEpoch: -1}}})
	if len(offsets.Groups) != 1 || len(offsets.Groups[0].Topics) != 1 {
		t.Errorf("offsets: %+v", offsets.Groups)
	}
	// a consumer group from end to end, under a prefix and without more than it needs
	if err := admin.ProduceSync(t.Context(), &kgo.Record{Topic: "shown", Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	reader := g.by(t, ada, kgo.ConsumerGroup("mine"), kgo.ConsumeTopics("shown"))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if got := reader.PollFetches(ctx); got.NumRecords() != 1 {
		t.Errorf("a group reads %d records: %v", got.NumRecords(), got.Err())
	}
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "shown", Value: []byte("x")}).FirstErr(); err == nil {
		t.Error("a client writes that may not")
	}
}
