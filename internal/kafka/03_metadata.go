package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// Metadata
//
// Lists brokers, as the client's listener reaches them, and topics: those named,
// or all. A name that is not there is made a topic of one partition when the
// client allows it, as auto.create.topics.enable does. A partition whose records
// have expired with its closed shard has no leader.
//
// Errors: UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, INVALID_TOPIC_EXCEPTION,
// and those of CreateTopics.
//
// Status: done
func (d *Door) metadata(r *request, in *kmsg.MetadataRequest) (*kmsg.MetadataResponse, error) {
	byID(in)
	resp := kmsg.NewPtrMetadataResponse()
	for _, b := range r.conn.brokers() {
		out := kmsg.NewMetadataResponseBroker()
		out.NodeID, out.Host, out.Port = b.id, b.host, b.port
		resp.Brokers = append(resp.Brokers, out)
	}
	id := d.cluster.ID()
	resp.ClusterID, resp.ControllerID = &id, d.cluster.Controller()
	resp.AuthorizedOperations = r.conn.operations(in.IncludeClusterAuthorizedOperations, brokers.ClusterKind, brokers.ClusterResource)
	all := in.Topics == nil || in.Version == 0 && len(in.Topics) == 0
	if all {
		for _, t := range d.cluster.Topics() {
			resp.Topics = append(resp.Topics, d.topicMetadata(r, in, t))
		}
		return resp, nil
	}
	create := (in.AllowAutoTopicCreation || in.Version < 4) && d.cluster.CreatesTopics()
	for i := range in.Topics {
		t, err := d.namedTopic(r, &in.Topics[i], create)
		if err == nil {
			resp.Topics = append(resp.Topics, d.topicMetadata(r, in, t))
			continue
		}
		out := kmsg.NewMetadataResponseTopic()
		out.ErrorCode, out.Topic, out.TopicID = code(err), in.Topics[i].Topic, in.Topics[i].TopicID
		out.AuthorizedOperations = noOperations
		resp.Topics = append(resp.Topics, out)
	}
	return resp, nil
}

// byID takes the name that is none from topics that have an id: so Apache Kafka's
// consumers ask for what a regular expression has brought them.
func byID(in *kmsg.MetadataRequest) {
	for i := range in.Topics {
		if t := &in.Topics[i]; t.Topic != nil && *t.Topic == "" && t.TopicID != [16]byte{} {
			t.Topic = nil
		}
	}
}

func (d *Door) namedTopic(r *request, in *kmsg.MetadataRequestTopic, create bool) (*brokers.Topic, *brokers.Error) {
	if in.Topic == nil {
		if t := d.cluster.TopicByID(in.TopicID); t != nil {
			return t, nil
		}
		return nil, unknownTopicID()
	}
	if t := d.cluster.Topic(*in.Topic); t != nil {
		return t, nil
	}
	n := brokers.NewTopic{Name: *in.Topic, Partitions: -1, Replication: -1}
	if err := d.cluster.CheckTopic(&n); err != nil {
		return nil, err
	}
	if !create {
		return nil, unknownTopic()
	}
	t, err := d.cluster.CreateTopic(r.ctx(), n)
	if err != nil && err.Code == brokers.TopicAlreadyExists {
		if t = d.cluster.Topic(*in.Topic); t != nil {
			return t, nil
		}
		return nil, unknownTopic() // it is being made, or removed, by another
	}
	return t, err
}

func (d *Door) topicMetadata(r *request, in *kmsg.MetadataRequest, t *brokers.Topic) kmsg.MetadataResponseTopic {
	out := kmsg.NewMetadataResponseTopic()
	name := t.Name()
	out.Topic, out.TopicID, out.IsInternal = &name, t.ID(), t.Internal()
	out.AuthorizedOperations = r.conn.operations(in.IncludeTopicAuthorizedOperations, brokers.TopicKind, name)
	for i := range t.Partitions() {
		p := kmsg.NewMetadataResponseTopicPartition()
		p.Partition = i
		at := d.place(t, i)
		p.ErrorCode, p.Leader, p.LeaderEpoch, p.Replicas, p.ISR = code(at.err), at.leader, at.epoch, at.replicas, at.replicas
		out.Partitions = append(out.Partitions, p)
	}
	return out
}

// placed is where a partition is.
type placed struct {
	leader, epoch int32
	replicas      []int32
	err           *brokers.Error
}

func (d *Door) place(t *brokers.Topic, i int32) placed {
	p, ok := t.Partition(i)
	if ok {
		if epoch, err := d.cluster.LeaderEpoch(p); err == nil {
			return placed{leader: d.cluster.Leader(t, i), epoch: epoch, replicas: d.cluster.Replicas(t, i)}
		}
	}
	return placed{leader: -1, epoch: -1, replicas: []int32{}, err: refuse(brokers.LeaderNotAvailable, "The partition's records have expired.")}
}
